# mounts.sh: options of what is mounted, and of its line in fstab.
mnt_again() { mount -o "remount,$2" "$1"; } # PATH OPTIONS
mnt_tab() { # PATH OPTIONS: added to its line; /dev/shm gets a line where it has none
  _c=$(_lines /etc/fstab) || return 1
  _c=$(printf '%s' "${_c%x}" | P=$1 O=$2 awk 'BEGIN{p=ENVIRON["P"];n=split(ENVIRON["O"],o,",")}
    $1!~/^#/&&$2==p&&NF>=4{done=1;x=$4;for(i=1;i<=n;i++){a=o[i];b=substr(a,3);gsub("(^|,)" b "(,|$)",",",x);if(("," x ",")!~("," a ","))x=x "," a}
      gsub(/,+/,",",x);gsub(/^,|,$/,"",x);print "# " $0;$4=x;print;next}
    {print}
    END{if(!done&&p=="/dev/shm")print "tmpfs /dev/shm tmpfs defaults," ENVIRON["O"] " 0 0"}') || return 1
  printf '%s\n' "$_c" | e_put /etc/fstab 644
}

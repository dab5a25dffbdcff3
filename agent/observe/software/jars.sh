# Finds jar files of known names ($known, an expression for a whole file name): those that live processes hold open,
# those of Tomcat's applications and those below the usual folders, also within fat jars and war files.
#   J TAB pid TAB path TAB what its manifest and pom.properties say     a file of a known name, or unknown with a known pom
#   N TAB pid TAB archive TAB member                                    within an archive
#   T TAB catalina.jar TAB version as worded                            an unpacked Tomcat
#   H TAB home                                                          of a running Tomcat
_b sw.jars
peek=; command -v unzip >/dev/null 2>&1 && peek=unzip
[ -n "$peek" ] || { busybox unzip --help >/dev/null 2>&1 && peek='busybox unzip'; }
tell='{ sub(/\r$/, "") }
  /^(Implementation-Version|Bundle-Version): / { if (!m[$1]++) out = out $1 $2 " " }
  /^artifactId=/ { a = substr($0, 12) } /^version=/ { v = substr($0, 9) }
  a != "" && v != "" { out = out a "=" v " "; a = v = "" }
  /^server\.number=/ { out = out "Server:" substr($0, 15) " " }
  NR > 2000 || length(out) > 600 { exit } END { print out }'
# Without unzip: entries of archive $1 are found by their names, and inflated by gzip behind a header of its own.
peel() {
  $T grep $binary -boE 'META-INF/(MANIFEST\.MF|maven/[A-Za-z0-9_./-]+/pom\.properties)|org/apache/catalina/util/ServerInfo\.properties' "$R$1" 2>/dev/null |
    awk -F : '!seen[$2]++ && n++ < 4' | while IFS=: read -r at entry; do
      [ "$at" -ge 30 ] || continue
      od -An -v -tu1 -j $((at - 30)) -N 30 "$R$1" 2>/dev/null | awk -v at="$at" '
        { for (i = 1; i <= NF; i++) b[n++] = $i }
        END { if (b[0] b[1] b[2] b[3] == "807534")
          print b[8], b[18] + b[19] * 256 + b[20] * 65536, at + b[26] + b[27] * 256 + b[28] + b[29] * 256 + 1 }'
    done
}
say() {
  if [ -n "$peek" ]; then
    $T $peek -p "$R$1" META-INF/MANIFEST.MF 'META-INF/maven/*/*/pom.properties' org/apache/catalina/util/ServerInfo.properties 2>/dev/null
  else
    peel "$1" | while read -r method size from; do
      case $method in
        0) tail -c "+$from" "$R$1" | head -c "$size" ;;
        8) { printf '\037\213\010\000\000\000\000\000\000\003'; tail -c "+$from" "$R$1" | head -c 65536; } | gzip -dc 2>/dev/null | head -c 16384 ;;
      esac
      echo
    done
  fi | awk "$tell"
}

nice=; command -v nice >/dev/null 2>&1 && nice='nice -n 19'
set --
for folder in /opt /usr/local /srv /home /data /app /apps /www; do
  [ -d "$R$folder" ] && [ ! -L "$R$folder" ] && set -- "$@" "$R$folder"
done
walk() {
  $nice $T find "$@" -xdev -maxdepth 8 \( -name .git -o -name node_modules -o -name .m2 -o -name .gradle -o -name overlay2 \
    -o -name .cache \) -prune -o -type f \( -name '*.jar' -o -name '*.war' \) $size 2>/dev/null
}
below=
if [ $# -gt 0 ]; then
  if find /dev/null -printf '' 2>/dev/null; then
    below=$({ size='-printf %k\t%p\n'; walk "$@"; printf 'E\t%s\n' $?; } | head -n 6001)
  else
    below=$({ size='-size +1024k -print'; walk "$@" | sed 's/^/2000	/'; size='! -size +1024k -print'
      { walk "$@"; printf '/E%s\n' $?; } | sed 's/^/0	/; s/^0	\/E/E	/'; } | head -n 6001)
  fi
fi
saved=$IFS; IFS=$nl; set -f
for entry in $bases; do
  set +f
  for file in "$R${entry#*"$tab"}"/webapps/*/WEB-INF/lib/*.jar; do
    [ -f "$file" ] && jars=$jars$nl${entry%%"$tab"*}$tab${file#"$R"}
  done
  set -f
done
for home in $homes; do line H "$home"; done
IFS=$saved; set +f
# K: known name; U: held open under another; B: an archive that may hold others; T: a Tomcat
sorted=$(printf '%s\n' "$jars" '--' "$below" | R="$R" U="$_u" KNOWN="$known" awk -F '\t' '
  $1 == "--" { found = 1; next }
  found && NF { n++ }
  found && $1 == "E" { code = $2; next }
  NF < 2 || $2 == "" { next }
  { path = $2; pid = $1; big = $3 }
  found { pid = 0; big = ($1 > 1024) ? "B" : "S"; if (substr(path, 1, length(ENVIRON["R"])) == ENVIRON["R"]) path = substr(path, length(ENVIRON["R"]) + 1) }
  path !~ /^\// || seen[path]++ { next }
  { name = path; sub(/.*\//, "", name) }
  name == "catalina.jar" { print "T\t" pid "\t" path; next }
  name ~ ENVIRON["KNOWN"] { print (name ~ /-v?[0-9][^\/]*\.jar$/ ? "L" : "K") "\t" pid "\t" path; next }
  big == "B" || name ~ /\.war$/ { print "B\t" pid "\t" path; next }
  !found { print "U\t" pid "\t" path }
  END {
    if (!found || n == 0) exit
    if (code == "") print "X\tmore than 6000 files"
    else if (code ~ /^(124|137)$/) print "X\tthe search timed out"
    else if (code != 0 && ENVIRON["U"] != 0) print "X\tfolders that this user may not read"
  }' | sort)
budget=250; spent=0
saved=$IFS; IFS=$nl; set -f
for entry in $sorted; do
  mark=${entry%%"$tab"*}; entry=${entry#*"$tab"}; pid=${entry%%"$tab"*}; path=${entry#*"$tab"}
  IFS=$saved
  case $mark in
    X) line X "$entry" ;;
    T)
      version=$(say "$path"); folder=${path%/lib/*}
      [ -n "$version" ] || version=$(awk '/Apache Tomcat Version [0-9]/ { print "Server:" $NF; exit }' "$R$folder/RELEASE-NOTES" 2>/dev/null)
      line T "$path" "$version"; owners=$owners$nl$path ;;
    K | L)
      told=; spent=$((spent + 1)); [ "$spent" -le "$budget" ] && told=$(say "$path")
      line J "$pid" "$path" "$told"; owners=$owners$nl$path ;;
  esac
  IFS=$nl
done
[ "$spent" -gt "$budget" ] && line X "$((spent - budget)) jar files told by name alone"
# names in the last bytes of archives: the central directory, stored plain
look() {
  [ $# -gt 1 ] || return 0
  bytes=$1; shift; IFS=$saved
  $nice $T tail -v -c "$bytes" -- "$@" 2>/dev/null | tr '\000' '\n' |
    grep $binary -E '^==> /.* <==$|-INF/lib/[A-Za-z0-9_.+-]+\.jar|META-INF/maven/[A-Za-z0-9_./-]+/pom\.properties' |
    grep $binary -oE '^==> /.* <==$|(BOOT|WEB)-INF/lib/[A-Za-z0-9_.+-]+\.jar|META-INF/maven/[A-Za-z0-9_./-]+/pom\.properties' |
    R="$R" KNOWN="$known" awk '
      /^==> / { path = substr($0, 5, length($0) - 8); path = substr(path, length(ENVIRON["R"]) + 1); next }
      { name = $0; member = $0; sub(/.*\//, "", name) }
      name == "pom.properties" { n = split($0, part, "/"); name = part[n - 1] ".jar"; member = part[n - 2] ":" part[n - 1] }
      name ~ ENVIRON["KNOWN"] && !seen[path member]++ { print path "\t" member; if (++total > 2000) exit }'
}
big=; small=; count=0
for entry in $sorted; do
  case $entry in
    "B$tab"* | "U$tab"*)
      count=$((count + 1)); [ "$count" -le 300 ] || continue
      path=${entry#*"$tab"*"$tab"}
      case $entry in B*) big=$big$nl$R$path ;; *) small=$small$nl$R$path ;; esac ;;
  esac
done
[ "$count" -gt 300 ] && line X "$((count - 300)) archives not looked into"
inside=$({ printf '%s\n' "$sorted" '--'; look 2097152 $big; IFS=$nl; look 524288 $small; } | awk -F '\t' '
  $1 == "--" { found = 1; next }
  !found { pid[$3] = $2; next }
  { print pid[$1] "\t" $1 "\t" $2 }')
for entry in $inside; do
  pid=${entry%%"$tab"*}; entry=${entry#*"$tab"}; path=${entry%%"$tab"*}; member=${entry#*"$tab"}
  IFS=$saved
  case $member in
    *-INF/lib/*) line N "$pid" "$path" "$member" ;;
    *) line J "$pid" "$path" "$(say "$path")" "$member" ;;
  esac
  owners=$owners$nl$path
  IFS=$nl
done
IFS=$saved; set +f
_e sw.jars 0

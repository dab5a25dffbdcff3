# account NAME: its lines in /etc/passwd and /etc/shadow, whole. Needs account.sh. Other accounts' lines are left alone.
h_account_print() {
  for _w in passwd shadow; do
    NAME=$1 awk -F: -v w=$_w '$1==ENVIRON["NAME"]{print w ":" $0}' /etc/$_w || return 1
  done
}
h_account_save() { :; }
h_account_restore() {
  for _w in passwd shadow; do
    grep "^$_w:" "$1.was" >/dev/null || continue
    # the n-th line of that name becomes the n-th that was captured; the values pass by a file, never by a command line
    WAS=$1.was W=$_w acct_edit /etc/$_w "$2" \
      'if(n==1){while((getline l<ENVIRON["WAS"])>0)if(index(l,ENVIRON["W"] ":")==1)old[++m]=substr(l,length(ENVIRON["W"])+2)}if(n in old)$0=old[n]' || return 1
  done
}

# logindefs.sh: /etc/login.defs, in which the last of several lines counts.
defs_set() { # FILE KEY VALUE: one active line of the key, where the first stood; what stood there stays as a comment
  { if [ -e "$1" ]; then cat "$1"; fi; } | K=$2 V=$3 awk 'BEGIN{k=ENVIRON["K"];v=ENVIRON["V"]}
    $1==k{print "# " $0;if(!d){print k "\t" v;d=1}next}{print}END{if(!d)print k "\t" v}' | e_put "$1"
}

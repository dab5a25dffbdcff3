# packages.sh: what apt, dnf or yum have and would do, and upgrades through them. Package names are words
# ([A-Za-z0-9+._-]), so that lists of them are split on blanks.
#
# Reading changes nothing: apt is asked as a user who can write nothing, rpm and dnf in a mount namespace of their own,
# where logs, locks and caches are memory that vanishes with it.
pk_manager() { # apt, dnf, yum; nothing where none is. A database that holds packages decides: both may be there
  for _m in dnf yum; do
    if _has "$_m" && _has rpm && [ -n "$(rpm -qa 2>/dev/null | head -n 1)" ]; then echo "$_m"; return; fi
  done
  if _has apt-get && _has dpkg-query; then echo apt; fi
}

# shellcheck disable=SC2016
PK_ASIDE='mount --make-rprivate / && mount -t tmpfs none /var/log && mount -t tmpfs none /var/tmp || exit 9
t=/var/tmp
for c in /var/cache/dnf /var/cache/yum; do
  [ -d $c ] || continue
  mkdir -p $t/new$c $t/old$c && mount --bind $c $t/old$c && mount -o remount,ro,bind $t/old$c &&
    ln -s $t/old$c/* $t/new$c/ && mount --bind $t/new$c $c || exit 9
done
if [ -d /var/lib/dnf ]; then cp -a /var/lib/dnf $t/dnf && mount --bind $t/dnf /var/lib/dnf || exit 9; fi
for d in /var/lib/yum /var/lib/rpm "$(rpm -E %_dbpath 2>/dev/null)"; do
  [ -d "$d" ] || continue
  mount --bind "$d" "$d" && mount -o remount,ro,bind "$d" || exit 9
done
exec "$@"'
pk_aside() { timeout -k 2 60 unshare -m sh -c "$PK_ASIDE" sh "$@" </dev/null; }

pk_apt_ask() { # PROGRAM ARG...: apt-get or apt-cache, writing nothing
  _prog=$1; shift
  _a='-o APT::Cmd::Disable-Script-Warning=1'
  [ -n "${_low:-}" ] || _a="$_a -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
  # shellcheck disable=SC2086
  ${_low:-} timeout -k 2 60 "$_prog" $_a "$@" </dev/null
}

pk_locked() { # who holds the package database: `PID PROGRAM`; 1 when nobody does
  for _f in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/rpm/.rpm.lock "$(rpm -E %_dbpath 2>/dev/null)/.rpm.lock"; do
    [ -e "$_f" ] || continue
    _p=$(awk -v i=":$(stat -c %i "$_f")\$" '$2 == "POSIX" && $4 == "WRITE" && $5 > 0 && $6 ~ i { print $5; exit }' /proc/locks)
    [ -z "$_p" ] || { echo "$_p $(cat "/proc/$_p/comm" 2>/dev/null)"; return 0; }
  done
  for _f in /var/run/yum.pid /var/lib/dnf/rpmdb_lock.pid /var/cache/dnf/metadata_lock.pid; do
    _p=$(cat "$_f" 2>/dev/null) && [ -n "$_p" ] && kill -0 "$_p" 2>/dev/null && { echo "$_p $(cat "/proc/$_p/comm" 2>/dev/null)"; return 0; }
  done
  return 1
}

# --- what there is: lines `WORD ...`, the same for every item of a host, so made once in a script -------------------------
pk_apt_state() {
  # shellcheck disable=SC2016
  _all=$(dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package} ${Version} ${source:Package} ${source:Version}\n') || return 1
  printf '%s\n' "$_all" | awk '$1 !~ /^.[nc]/ { sub(/:.*/, "", $2); print "have", $2, $3, $4, $5, $1 }'
  # shellcheck disable=SC2046
  pk_apt_ask apt-cache policy $(printf '%s\n' "$_all" | awk '$1 ~ /^.i/ { print $2 }') | awk '
    function out() { if (name != "" && (new != old || high != old)) print "can", name, new, high }
    /^[^ ].*:$/ { out(); name = substr($0, 1, length($0) - 1); sub(/:.*/, "", name); old = new = high = ""; on = 0; next }
    $1 == "Installed:" { old = $2; next }
    $1 == "Candidate:" { new = $2; next }
    $1 == "Version" { on = 1; next }
    on && high == "" { high = ($1 == "***") ? $2 : $1 }
    END { out() }'
  apt-mark showhold 2>/dev/null | sed 's/:.*//; s/^/hold /'
  # shellcheck disable=SC2016
  dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Depends}\n' 'linux-*' 2>/dev/null |
    awk '$1 == "ii" && $2 !~ /[0-9]\.[0-9]/ { for (i = 3; i <= NF; i++) if ($i ~ /^linux-(image|modules)-[0-9]/) print "meta", $2, $i }' | tr -d ,
  dpkg --audit 2>/dev/null | sed -n 's/^ \([a-z0-9][^ ]*\) .*/broken \1/p'
  pk_apt_ask apt-get -o Debug::NoLocking=1 check 2>&1 | grep -A 3 '^E:\|unmet' | sed 's/^/deps /'
  _t=$(stat -c %Y /var/lib/apt/lists/partial /var/lib/apt/periodic/update-success-stamp 2>/dev/null | sort -n | tail -n 1)
  echo "lists $(($(date +%s) - ${_t:-0})) $(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' 2>/dev/null | wc -l)"
}

pk_rows() { # `NAME.ARCH EVR REPO` rows of dnf and yum, also broken over two lines; `NAME EVR`
  awk '/^(Obsoleting|Security:|Last metadata|Loaded plugins)/ { if ($1 == "Obsoleting") exit; next }
    NF == 1 && $1 ~ /\.[a-z0-9_]+$/ { left = $1; next }
    NF == 2 && left != "" { $0 = left " " $0 }
    { left = "" }
    NF == 3 && $1 ~ /\.(noarch|x86_64|i[3-6]86|aarch64|loongarch64|ppc64le|s390x|mips64el|riscv64|sw_64)$/ { sub(/\.[^.]*$/, "", $1); print $1, $2 }'
}

pk_rpm_state() {
  pk_aside rpm -qa --queryformat '%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH}\n' 2>/dev/null |
    awk '$1 != "gpg-pubkey" { print "have", $1, $2, $1, $2, "ii", $3 }'
  _up=$(pk_aside "$1" -C -q check-update 2>/dev/null); _r=$?
  printf '%s\n' "$_up" | pk_rows | while read -r _p _v; do echo "can $_p $_v $_v"; done
  cat /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list 2>/dev/null | awk '/^[^#]/ { print "lock", $1 }'
  for _f in /etc/dnf/dnf.conf /etc/yum.conf /etc/yum.repos.d/*.repo; do
    sed -n 's/^[[:space:]]*exclude\(pkgs\)\{0,1\}[[:space:]]*=//p' "$_f" 2>/dev/null | tr ', ' '\n\n' | awk 'NF { print "exclude", $1 }'
  done
  for _f in /var/lib/yum/transaction-all*; do [ ! -e "$_f" ] || echo "unended ${_f##*/}"; done
  _t=$(stat -c %Y /var/cache/dnf/*/repodata/*primary* /var/cache/dnf/*/repodata/repomd.xml /var/cache/yum/*/*/*/cachecookie /var/cache/yum/*/*/*/repomd.xml 2>/dev/null | sort -n | tail -n 1)
  echo "lists $(($(date +%s) - ${_t:-0})) $(find /var/cache/dnf /var/cache/yum -name '*repomd.xml' 2>/dev/null | wc -l)"
  case $_r in 0|100) ;; *) echo unlisted ;; esac # a repository that was never read: what is offered is not known
}

pk_state() {
  _m=$(pk_manager); echo "manager ${_m:-none}"
  case $_m in apt) pk_apt_state ;; dnf|yum) pk_rpm_state "$_m" ;; esac || echo "unread"
  if _l=$(pk_locked); then echo "busy $_l"; fi
  for _f in / /var /boot; do echo "space $_f $(df -Pk "$_f" 2>/dev/null | awk 'NR == 2 { print $4 }')"; done
}

PK_SEEN=

pk_source_versions() { # NAME=VERSION...: `source NAME VERSION SOURCE_VERSION` of what apt offers
  [ $# -gt 0 ] || return 0
  pk_apt_ask apt-cache show "$@" 2>/dev/null | awk '
    /^Package: / { p = $2 } /^Version: / { v = $2 } /^Source: / { s = $3; gsub(/[()]/, "", s) }
    /^$/ { if (p != "") print "source", p, v, (s == "" ? v : s); p = v = s = "" }
    END { if (p != "") print "source", p, v, (s == "" ? v : s) }'
}

pk_read() { # NAME...: the lines that concern these packages, and what upgrading them would do
  [ -n "$PK_SEEN" ] || { PK_BEGAN=$(date +%s); PK_SEEN=$(pk_state 2>/dev/null); }
  _said=$(printf '%s\n' "$PK_SEEN" | W=" $* " awk '
    $1 == "have" { total++ }
    ($1 == "have" || $1 == "can") && !index(ENVIRON["W"], " " $2 " ") && $2 !~ /^(linux-|kernel)/ { next }
    $1 == "hold" && !index(ENVIRON["W"], " " $2 " ") && $2 !~ /^linux-/ { next }
    { print } END { print "total", total + 0 }')
  printf '%s\n' "$_said"
  [ $(($(date +%s) - PK_BEGAN)) -lt 30 ] || { echo unsimulated; return 0; }
  _kernel=$(case " $* " in *" linux-image-"*|*" linux-modules-"*) printf '%s\n' "$_said" | awk '$1 == "meta" { print $2 }' | sort -u ;; esac)
  # shellcheck disable=SC2086
  _up=$(printf '%s\n' "$_said" | W=" $* $(echo $_kernel) " awk '$1 == "can" && index(ENVIRON["W"], " " $2 " ") { print $2 }')
  [ -n "$_up" ] || return 0
  _m=$(printf '%s\n' "$_said" | sed -n 's/^manager //p')
  # shellcheck disable=SC2046,SC2086
  if [ "$_m" = apt ]; then
    pk_source_versions $(printf '%s\n' "$_said" | W=" $(echo $_up) " awk '$1 == "can" && index(ENVIRON["W"], " " $2 " ") { print $2 "=" $3; if ($4 != $3) print $2 "=" $4 }')
  fi
  # shellcheck disable=SC2086
  pk_simulate "$_m" upgrade $_up
}

# --- what would be done: `sim WHAT NAME ...`, WHAT one of new, upgrade, downgrade, remove, skip, error ----------------------
pk_simulate() { # MANAGER upgrade|remove NAME...
  _m=$1 _v=$2; shift 2
  case $_m in
    apt)
      if [ "$_v" = upgrade ]; then _v='install --only-upgrade'; fi
      # shellcheck disable=SC2086
      pk_apt_ask apt-get -s -y -o APT::Get::AutomaticRemove=0 $_v "$@" 2>&1 | while read -r _w _p _o _x; do
        case $_w in
          Remv) echo "sim remove $_p" ;;
          Inst) case $_o in
              \[*) _o=${_o#?}; _o=${_o%]}; _x=${_x#(}; _x=${_x%% *}
                if dpkg --compare-versions "$_x" lt "$_o"; then echo "sim downgrade $_p $_o $_x"; else echo "sim upgrade $_p $_o $_x"; fi ;;
              *) _o=${_o#(}; echo "sim new $_p - $_o" ;;
            esac ;;
          E:) echo "sim error $_p $_o $_x" ;;
        esac
      done ;;
    dnf|yum)
      if [ -n "${PK_FRESH:-}" ]; then timeout -k 2 300 "$_m" --assumeno "$_v" "$@" 2>&1 </dev/null | pk_table
      else pk_aside "$_m" -C --assumeno --setopt=clean_requirements_on_remove=0 "$_v" "$@" 2>&1 | pk_table; fi ;;
  esac
}

pk_table() { # the table of dnf and yum; what they complain of counts only where they come to none
  awk 'function row(what, name, to) { print "sim", what, name, "-", to; rows = 1 }
    /^(Upgrading|Updating|Updating for dependencies):$/ { s = "upgrade"; next }
    /^(Installing|Installing .*dependencies|Installing for dependencies):$/ { s = "new"; next }
    /^(Removing.*|Obsoleting.*|Replacing.*):$/ { s = "remove"; next }
    /^Downgrading.*:$/ { s = "downgrade"; next }
    /^(Skipping|Skipped).*:$/ { s = "skip"; next }
    /^Transaction Summary|^Nothing to do|^No packages marked/ { s = ""; next }
    /[Cc]ache-only enabled/ { unread = 1; next }
    /^Error: *$/ { next }
    /^Error:|^ *Problem|[Nn]o match for|No package .* available/ { sub(/^ */, ""); said[++n] = $0; next }
    $1 == "replacing" && s != "" { sub(/\.[^.]*$/, "", $2); row("remove", $2, "?"); next }
    /^ [^ ]/ && s != "" && $1 != "Package" { row(s, $1, (NF >= 3 ? $3 : "?")) }
    END { if (!rows && unread) print "unsimulated"; else if (!rows) for (i = 1; i <= n; i++) print "sim error", said[i] }'
}

pk_refuse() { # reads `sim` lines; names what must not happen and fails, else passes
  awk '$2 == "remove" || $2 == "downgrade" || $2 == "error" { print; bad = 1 } END { exit bad }' >&2
}

# --- upgrading: each step queues its package, `pk_ready` proves that it can be done, `act_packages` does it ------------------
pk_want() { # NAME VERSION_NOW
  grep -qsxF "$1 $2" "$D/packages" || echo "$1 $2" >>"$D/packages"
}
pk_names() { cut -d' ' -f1 "$D/packages" | sort -u; }

pk_version() { # MANAGER NAME: what is installed, the newest if several
  case $1 in
    apt) dpkg-query -W -f='${db:Status-Abbrev} ${Version}\n' "$2" 2>/dev/null | awk '$1 == "ii" { print $2 }' | tail -n 1 ;;
    *) rpm -q --queryformat '%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n' "$2" 2>/dev/null | grep -v ' ' | tail -n 1 ;;
  esac
}

pk_wait() { # SECONDS: until nobody holds the package database
  _t=0
  while _l=$(pk_locked); do
    _t=$((_t + 1)); [ $_t -le "$1" ] || { echo "package database held by $_l" >&2; return 75; }
    sleep 1
  done
}

pk_way_in() { # what the next login needs: sshd and sudo accept their configuration, the account database answers
  if _has sshd; then mkdir -p /run/sshd; sshd -t || return 1; fi
  if _has visudo; then visudo -cq >/dev/null 2>&1 || { echo "sudoers is not accepted" >&2; return 1; }; fi
  id -u root >/dev/null && getent passwd root >/dev/null
}

pk_ready() { # SECONDS: everything but the upgrade itself. What fails here has changed nothing
  [ -s "$D/packages" ] || return 0
  umask 022; _m=$(pk_manager); _names=$(pk_names)
  pk_wait "$1" || return
  pk_way_in || return 1
  for _f in /var /; do
    [ "$(df -Pk "$_f" | awk 'NR == 2 { print $4 }')" -ge 204800 ] || { echo "less than 200 MB free under $_f" >&2; return 73; }
  done
  case $_m in
    apt) timeout -k 5 300 sh -c 'exec apt-get -q -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=60 update' </dev/null >"$D/packages.refresh" 2>&1 ;;
    *) timeout -k 5 300 "$_m" -q makecache </dev/null >"$D/packages.refresh" 2>&1 ;;
  esac || echo "package lists were not refreshed: $(grep -E '^(E|Err|Error)' "$D/packages.refresh" | head -n 3 | tr '\n' ' ')"
  # shellcheck disable=SC2086
  _sim=$(PK_FRESH=yes; pk_simulate "$_m" upgrade $_names)
  printf '%s\n' "$_sim" | pk_refuse || { echo "refused: the upgrade would remove or downgrade packages, or cannot be done" >&2; return 1; }
  for _p in $_names; do
    printf '%s\n' "$_sim" | grep -qF " $_p " || echo "$_p: nothing newer is offered"
  done
  printf '%s\n' "$_sim" | grep -q '^sim' || { echo "nothing newer is offered" >&2; return 1; }
  # shellcheck disable=SC2086
  case $_m in
    apt) timeout -k 5 900 sh -c 'exec apt-get -y -q -d --no-remove --only-upgrade -o Acquire::Retries=2 -o DPkg::Lock::Timeout=60 install "$@"' sh $_names ;;
    dnf) timeout -k 5 900 dnf -y -q --downloadonly upgrade $_names ;;
    yum) timeout -k 5 900 yum -y -q --downloadonly update $_names ;;
  esac </dev/null >"$D/packages.fetch" 2>&1 || { tail -n 5 "$D/packages.fetch" >&2; echo "the packages could not be fetched" >&2; return 1; }
}

pk_run() { # LABEL PROGRAM ARG...: in a session of its own, whatever becomes of the connection; 0 when it ended well.
  # It is never killed halfway. No questions; changed configuration files stay; no services but the packages' own restart.
  _b=$D/packages.$1; shift
  rm -f "$_b.rc"
  # shellcheck disable=SC2016
  DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true UCF_FORCE_CONFFOLD=1 APT_LISTCHANGES_FRONTEND=none \
    NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 setsid sh -c 'trap "" HUP INT TERM PIPE; umask 022; b=$1; shift
      "$@"; echo $? >"$b.rc.new"; mv "$b.rc.new" "$b.rc"' sh "$_b" "$@" </dev/null >"$_b.log" 2>&1 &
  _p=$!; _t=0
  while [ ! -e "$_b.rc" ] && [ $_t -lt 3000 ]; do
    _t=$((_t + 1)); sleep 1
    if ! kill -0 $_p 2>/dev/null; then
      sleep 1; [ -e "$_b.rc" ] || { echo "the package manager was ended halfway" >&2; return 1; }
    fi
  done
  tail -c 1500 "$_b.log"
  [ -e "$_b.rc" ] || { echo "the package manager still works after $_t s; it is left to end" >&2; return 1; }
  [ "$(cat "$_b.rc")" = 0 ] || { grep -E '^(E:|Error|dpkg: error|error:)' "$_b.log" | head -n 5 >&2; return 1; }
}

pk_good() { # MANAGER VERB NAME...: do it
  _m=$1 _v=$2; shift 2
  case $_m in
    apt)
      if [ "$_v" = upgrade ]; then set -- --no-remove --only-upgrade install "$@"; else set -- "$_v" "$@"; fi
      pk_run "$_v" apt-get -y -q -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=60 -o APT::Get::AutomaticRemove=0 -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@" ;;
    dnf) pk_run "$_v" dnf -y "$_v" --setopt=clean_requirements_on_remove=False "$@" ;;
    yum) pk_run "$_v" yum -y "$_v" --setopt=clean_requirements_on_remove=0 "$@" ;;
  esac
}

pk_configure() { # SECONDS: finish what an interrupted dpkg left
  # shellcheck disable=SC2016
  pk_wait "$1" && pk_run configure dpkg --force-confdef --force-confold --configure -a &&
    ! dpkg-query -W -f='${db:Status-Abbrev}\n' | grep -q '^.[UFWt]'
}

act_packages() { # the upgrade of all that is queued, in one transaction of the package manager
  trap '' PIPE HUP
  [ -s "$D/packages" ] || return 0
  _m=$(pk_manager)
  # shellcheck disable=SC2046
  pk_good "$_m" upgrade $(pk_names) || return 1
  _rc=0
  while read -r _p _o; do
    [ "$(pk_version "$_m" "$_p")" != "$_o" ] || { echo "$_p is still $_o" >&2; _rc=1; }
  done <"$D/packages"
  [ "$_m" != apt ] || [ -z "$(dpkg --audit)" ] || { echo "packages are left half configured" >&2; _rc=1; }
  pk_way_in || _rc=1
  return $_rc
}

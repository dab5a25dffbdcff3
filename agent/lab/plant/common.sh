# Runs before each host's own script: its name, and the intranet's package mirror as its only source.
set -eu
export DEBIAN_FRONTEND=noninteractive
printf '%s\n' "$NAME" > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n' "$NAME" > /etc/hosts
printf 'deb [trusted=yes] %s/debian-security oldstable-security main\n' "$MIRROR" > /etc/apt/sources.list
# set KEY VALUE FILE: replace or add a `KEY VALUE` line
set_word() { sed -i -E "/^[#[:space:]]*$1[[:space:]]/d" "$3"; printf '%s %s\n' "$1" "$2" >> "$3"; }

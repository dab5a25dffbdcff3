#!/bin/sh
# Set-up for the Makefile. `venv PYTHON DIR` makes the virtual environment; `system PYTHON` installs, as root, the
# Debian packages that the scan, the report and the lab need, `system PYTHON test` those of the tests besides.
set -eu
say() { printf '%s\n' "$*" >&2; }

venv() {
    python=$1 dir=$2
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3.11 ..."
        exit 2
    }
    if ! "$python" -m venv "$dir" >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null
        fi
        "$python" -m venv "$dir"
    fi
    "$dir/bin/python" -m pip install -q --disable-pip-version-check -e '.[dev]' 2>&1 | grep -vE 'WARNING: Location|DEPRECATION:' >&2 || true
    "$dir/bin/python" -c 'import agent, alembic, docx, lxml, paramiko, pytest, typst'
}

system() {
    packages="nmap openssl fonts-noto-cjk $(PYTHONPATH=. "$1" -m agent.lab.needs 2>/dev/null || true)"
    # For the tests alone: servers and a shell to test against, started by the tests themselves.
    [ "${2:-}" = test ] && packages="$packages openssh-server postgresql busybox $(PYTHONPATH=. "$1" -m agent.lab.needs --vm 2>/dev/null || true)"
    missing=
    for package in $packages; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "not installed (needs root and apt):$missing"
        return 0
    fi
    say "installing:$missing"
    apt-get -qq update
    # The workstation needs no SSH server of its own: only the program, for the tests.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
}

case ${1:-} in
venv) venv "$2" "$3" ;;
system) system "$2" "${3:-}" ;;
*) say "usage: setup.sh venv PYTHON DIR | system PYTHON [test]"; exit 2 ;;
esac

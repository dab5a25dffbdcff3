# acts.sh: what makes written state effective, once a transaction, and again after an undo.
_systemd() { [ -d /run/systemd/system ]; }
act_reload() { # UNIT: reload a running unit; start one that died of what we wrote
  _systemd || { service "${1%.service}" reload; return; }
  systemctl is-active -q "$1" || { systemctl is-enabled -q "$1" 2>/dev/null || return 0; systemctl reset-failed "$1" 2>/dev/null; systemctl start "$1"; return; }
  systemctl reload "$1" 2>/dev/null || systemctl reload-or-restart "$1"
}
act_restart() { # UNIT: restart what runs, or died of what we wrote
  _systemd || { service "${1%.service}" restart; return; }
  systemctl is-active -q "$1" || systemctl is-enabled -q "$1" 2>/dev/null || return 0
  systemctl reset-failed "$1" 2>/dev/null; systemctl restart "$1"
}
act_daemon_reload() { if _systemd; then systemctl daemon-reload; fi; }

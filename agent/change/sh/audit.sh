# audit.sh: rules.d becomes the kernel's rules; auditd reads its configuration again (it cannot be restarted by systemctl).
aud_load() { if auditctl -s >/dev/null 2>&1; then augenrules --load >/dev/null 2>&1; else augenrules >/dev/null 2>&1; fi; :; }
act_auditd_hup() { _pid=$(pidof auditd 2>/dev/null) && kill -HUP "$_pid"; :; }

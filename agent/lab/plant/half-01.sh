# The session dies in the middle of its answer: what was asked runs, part of it is sent, then sshd's process is killed.
cat > /usr/local/bin/half <<'SCRIPT'
#!/bin/sh
/bin/sh -c "$SSH_ORIGINAL_COMMAND" 2>/dev/null | head -c 3000
process=$$
while [ "$(cat "/proc/$process/comm")" != sshd ]; do
    process=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$process/status")
done
kill -9 "$process"
SCRIPT
chmod 755 /usr/local/bin/half
echo 'ForceCommand /usr/local/bin/half' >> /etc/ssh/sshd_config

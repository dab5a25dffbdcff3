# sshd, right; node-03 is the twin
cat > /etc/ssh/sshd_config <<'CONF'
PermitRootLogin no
PermitEmptyPasswords no
MaxAuthTries 4
ClientAliveInterval 300
ClientAliveCountMax 2
LoginGraceTime 60
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group16-sha512
X11Forwarding no
AllowTcpForwarding no
AllowAgentForwarding no
UsePAM yes
Subsystem sftp /usr/lib/openssh/sftp-server
CONF
chmod 600 /etc/ssh/sshd_config

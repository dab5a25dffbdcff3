# sshd, weak; node-04 is the twin
cat > /etc/ssh/sshd_config <<'CONF'
PermitRootLogin yes
PermitEmptyPasswords yes
MaxAuthTries 10
ClientAliveInterval 0
LoginGraceTime 600
Ciphers aes256-ctr,aes128-ctr,chacha20-poly1305@openssh.com,aes128-cbc,3des-cbc
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-256,hmac-sha1,hmac-sha1-96
KexAlgorithms curve25519-sha256,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1
X11Forwarding yes
UsePAM yes
Subsystem sftp /usr/lib/openssh/sftp-server
CONF
chmod 666 /etc/ssh/sshd_config
# a key that all may read: sshd refuses to offer it and offers the other two; its content is made at `up`
: > /etc/ssh/ssh_host_ecdsa_key && chmod 644 /etc/ssh/ssh_host_ecdsa_key

# A server of the CentOS 6 era: SHA-1 signatures, key exchange and MAC, CBC only.
cat > /etc/ssh/sshd_config <<'CONF'
HostKey /etc/ssh/ssh_host_rsa_key
HostKeyAlgorithms ssh-rsa
KexAlgorithms diffie-hellman-group14-sha1
Ciphers aes128-cbc
MACs hmac-sha1
PubkeyAcceptedAlgorithms ssh-rsa,ssh-ed25519
UsePAM yes
Subsystem sftp /usr/lib/openssh/sftp-server
CONF

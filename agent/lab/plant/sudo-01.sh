# sudo asks for the password, and so does SSH. The password is made at `up`.
echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops
printf 'PasswordAuthentication yes\nPubkeyAuthentication no\n' > /etc/ssh/sshd_config.d/00-lab.conf

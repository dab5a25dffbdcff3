# ops may log in and may not use sudo.
rm /etc/sudoers.d/ops

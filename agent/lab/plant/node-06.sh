# network, services and logs, right, and every pending update installed; node-05 is the twin
apt-get -qq update
apt-get -qq -y dist-upgrade
apt-get clean
cat > /etc/sysctl.d/90-lab.conf <<'CONF'
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.tcp_syncookies = 1
net.ipv4.icmp_echo_ignore_broadcasts = 1
CONF
cat > /etc/nftables.conf <<'CONF'
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    ip protocol icmp accept
    ip saddr 10.66.0.0/24 tcp dport 22 accept
    reject
  }
}
CONF
systemctl -q enable nftables
echo 'AllowUsers ops@10.66.0.0/24' >> /etc/ssh/sshd_config
printf 'weekly\nrotate 27\ncreate\ninclude /etc/logrotate.d\n' > /etc/logrotate.conf
sed -i 's/rotate 4/rotate 27/' /etc/logrotate.d/rsyslog
echo '*.* action(type="omfwd" target="10.66.0.1" port="6514" protocol="tcp" action.resumeInterval="600")' \
    > /etc/rsyslog.d/90-remote.conf

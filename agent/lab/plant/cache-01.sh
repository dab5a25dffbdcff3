# Redis, weak; cache-02 is the twin
mkdir -p /etc/systemd/system/redis-server.service.d
printf '[Service]\nUser=root\nGroup=root\n' > /etc/systemd/system/redis-server.service.d/root.conf
sed -i -E 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/; s/^logfile .*/logfile ""/; s/^timeout .*/timeout 0/' \
    /etc/redis/redis.conf
# its unit keeps root without capabilities: what it reads and writes has to be root's
chown -R root:root /etc/redis /var/lib/redis /var/log/redis
# a second Redis that dpkg does not know, as one that was built by hand: Debian's program, copied; cache-02 has none
install -D -m 755 "$(readlink -f /usr/bin/redis-server)" /usr/local/redis/bin/redis-server
printf 'bind 127.0.0.1\nport 6380\ntimeout 0\nlogfile ""\nsave ""\n' > /usr/local/redis/redis.conf
cat > /etc/systemd/system/redis-hand.service <<'CONF'
[Service]
ExecStart=/usr/local/redis/bin/redis-server /usr/local/redis/redis.conf
[Install]
WantedBy=multi-user.target
CONF
systemctl -q enable redis-hand

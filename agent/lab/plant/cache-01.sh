# Redis, weak; cache-02 is the twin
mkdir -p /etc/systemd/system/redis-server.service.d
printf '[Service]\nUser=root\nGroup=root\n' > /etc/systemd/system/redis-server.service.d/root.conf
sed -i -E 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/; s/^logfile .*/logfile ""/; s/^timeout .*/timeout 0/' \
    /etc/redis/redis.conf
# its unit keeps root without capabilities: what it reads and writes has to be root's
chown -R root:root /etc/redis /var/lib/redis /var/log/redis

# Redis, right; cache-01 is the twin. @SECRET@ is made at `up`.
sed -i -E 's/^bind .*/bind 127.0.0.1 10.66.0.16/; s/^timeout .*/timeout 900/' /etc/redis/redis.conf
echo 'requirepass @SECRET@' >> /etc/redis/redis.conf

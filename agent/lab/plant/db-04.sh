# MariaDB, right; db-01 is the twin
install -d -o mysql -g mysql -m 750 /etc/mysql/tls
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=db-04 -keyout /etc/mysql/tls/key.pem -out /etc/mysql/tls/cert.pem
chown mysql:mysql /etc/mysql/tls/*.pem
cat > /etc/mysql/mariadb.conf.d/90-lab.cnf <<'CONF'
[mysqld]
bind-address = 10.66.0.67
local_infile = OFF
require_secure_transport = ON
ssl_cert = /etc/mysql/tls/cert.pem
ssl_key = /etc/mysql/tls/key.pem
tls_version = TLSv1.2,TLSv1.3
innodb_buffer_pool_size = 16M
CONF

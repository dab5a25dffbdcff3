# PostgreSQL, weak; db-03 is the twin. What is wrong inside it stands in db-02.sql.
cat > /etc/postgresql/15/main/conf.d/lab.conf <<'CONF'
listen_addresses = '*'
password_encryption = md5
log_connections = off
shared_buffers = 16MB
CONF
cat > /etc/postgresql/15/main/pg_hba.conf <<'CONF'
local all postgres peer
local all all peer
host all all 127.0.0.1/32 scram-sha-256
host warnings report 10.66.0.0/24 trust
host all all 0.0.0.0/0 md5
CONF

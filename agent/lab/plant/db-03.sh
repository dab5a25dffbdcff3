# PostgreSQL, right, on its loopback only; db-02 is the twin
cat > /etc/postgresql/15/main/conf.d/lab.conf <<'CONF'
listen_addresses = 'localhost'
password_encryption = scram-sha-256
logging_collector = on
log_connections = on
log_disconnections = on
log_statement = ddl
shared_buffers = 16MB
CONF

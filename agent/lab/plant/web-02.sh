# nginx, right; web-01 is the twin
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=web-02 \
    -keyout /etc/ssl/private/web.key -out /etc/ssl/certs/web.pem
cat > /etc/nginx/nginx.conf <<'CONF'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 768; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    server_tokens off;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!MD5;
    ssl_prefer_server_ciphers on;
    access_log /var/log/nginx/access.log;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
CONF
cat > /etc/nginx/sites-available/default <<'CONF'
server {
    listen 80 default_server;
    listen 443 ssl default_server;
    ssl_certificate /etc/ssl/certs/web.pem;
    ssl_certificate_key /etc/ssl/private/web.key;
    root /var/www/html;
    server_name _;
    location / {
        try_files $uri $uri/ =404;
    }
}
CONF
nginx -t -q

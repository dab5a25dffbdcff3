# nginx, weak; web-02 is the twin
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=web-01 \
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
    server_tokens on;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2;
    ssl_ciphers ALL:3DES:aNULL:@SECLEVEL=0;
    access_log off;
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
        autoindex on;
    }
}
CONF
nginx -t -q

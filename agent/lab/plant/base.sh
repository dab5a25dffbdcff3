# What every host of the lab shares, on top of Debian's defaults: an ops account, and nothing of the machine that built it.
set -eu
rm -f /etc/apt/sources.list.d/* /etc/apt/sources.list /etc/apt/apt.conf.d/99mmdebstrap
rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/resolv.conf /etc/hostname
: > /etc/resolv.conf
for unit in systemd-resolved systemd-networkd systemd-timesyncd getty@ console-getty serial-getty@ getty-static \
    container-getty@ systemd-firstboot systemd-networkd.socket systemd-udevd systemd-udev-trigger; do
    ln -sf /dev/null "/etc/systemd/system/${unit%.socket}.$(case $unit in *.socket) echo socket ;; *) echo service ;; esac)"
done
useradd --create-home --shell /bin/bash --comment "operations" ops
usermod -p '*' ops
echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/ops
install -d -m 700 -o ops -g ops /home/ops/.ssh

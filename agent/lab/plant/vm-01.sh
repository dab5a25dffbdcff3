# A real virtual machine on the same root file system: what containers cannot show, its kernel, is its own.
cd /etc/systemd/system
rm -f systemd-networkd.service systemd-networkd.socket systemd-udevd.service systemd-udev-trigger.service
printf '[Match]\nName=e*\n[Network]\nAddress=10.66.0.81/24\n' > /etc/systemd/network/10-lab.network
systemctl -q enable systemd-networkd auditd
echo '/dev/vda / ext4 rw,errors=remount-ro 0 1' > /etc/fstab
# few modules: under software emulation an initramfs with all of them takes minutes at each kernel upgrade
sed -i 's/^MODULES=.*/MODULES=list/' /etc/initramfs-tools/initramfs.conf
printf 'virtio_pci\nvirtio_blk\nvirtio_net\next4\n' >> /etc/initramfs-tools/modules

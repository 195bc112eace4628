# What boots a system, and what builds an initramfs.
mkdir -p /etc/modules-load.d
printf '# at boot\ndummy\nnosuch\nloop\n' > /etc/modules-load.d/10-some.conf
echo 'nbd' > /etc/modules-load.d/20-more.conf
t modfs load
loaded
t modfs load -v
echo 'blacklist nbd' > /etc/modprobe.d/no.conf
rmmod dummy loop nbd
t modfs load -v
rm -r /etc/modules-load.d /etc/modprobe.d/no.conf
rmmod dummy loop
# An initramfs with what a module needs and nothing more; there is no root directory but it.
t modfs closure xor tun
mkdir -p small/etc
modfs closure --paths veth xor | cpio -o -H newc 2> /dev/null > small.cpio
(cd small && cpio -i -d 2> /dev/null < ../small.cpio)
find small -name '*.ko*' | wc -l
t modfs install small/sbin
mkdir -p small/proc small/sys
busybox mount -t proc proc small/proc
busybox mount -t sysfs sysfs small/sys
t chroot small /sbin/modprobe -v xor
t chroot small /sbin/modprobe -r xor
t chroot small /sbin/modprobe tun
umount small/proc small/sys
loaded

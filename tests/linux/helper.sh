# The kernel asks for modules itself.
saved=$(cat /proc/sys/kernel/modprobe)
command -v modprobe > /proc/sys/kernel/modprobe
dd if=/dev/zero of=/tmp/image bs=1M count=4 2>/dev/null
busybox mount -t squashfs /tmp/image /mnt 2>&1 | sed 's/:.*//'
loaded
rm -f /tmp/b; busybox mknod /tmp/b b 43 0 && cat /tmp/b 2>&1 | sed 's/.*: //'
loaded
busybox ip link add type veth 2>&1
loaded
t modprobe -r squashfs nbd veth
echo "$saved" > /proc/sys/kernel/modprobe
for m in loop; do rmmod $m 2>/dev/null; done
loaded

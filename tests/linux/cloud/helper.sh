# The kernel asks for modules itself, in each of its ways.
saved=$(cat /proc/sys/kernel/modprobe)
command -v modprobe > /proc/sys/kernel/modprobe
try() {
	echo "\$ $*"
	"$@" 2>&1
	echo "loaded: $(cut -d' ' -f1 /proc/modules | sort | tr '\n' ' ')"
	unload_all
}
dd if=/dev/zero of=image bs=1M count=4 2> /dev/null
# A file system.
try busybox mount -t squashfs image /mnt
# Sockets: a family; a protocol of one; the same of netlink's.
try poke socket 40 1 0
try poke socket 2 2 115
try poke socket 16 3 12
# Devices by number.
rm -f b c
busybox mknod b b 7 0
busybox mknod c c 10 237
try poke open b
try poke open c
# A line discipline.
try poke ldisc 18
# A program of an unknown format.
echo 'alias binfmt-8483 dummy' > /etc/modprobe.d/odd.conf
printf '\201\202\203\204' > odd
chmod +x odd
try ./odd
rm /etc/modprobe.d/odd.conf
# Algorithms.
try poke alg skcipher 'cbc(twofish)'
try poke alg hash wp512
# Interfaces of the network.
try busybox ip link add type veth
echo "$saved" > /proc/sys/kernel/modprobe

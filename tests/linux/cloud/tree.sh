# The running kernel as files.
mkdir -p /tmp/m
net=$K/kernel/drivers/net
state() {
	cat "/tmp/m/$1/state" 2> /dev/null || echo "no $1"
}
# What was written to a control and what came of it.
say() {
	echo "> $1: $2"
	echo "$2" 2> /dev/null > "/tmp/m/$1/control" || echo "refused"
	grep -v '^state: ' "/tmp/m/$1/control" 2> /dev/null
}
t modfs mount /tmp/m
grep -o ' /tmp/m fuse.modfs' /proc/mounts
t modfs mount /tmp/m
ls /tmp/m /tmp/m/kernel
t cut -d' ' -f2- /tmp/m/kernel/version
grep -c ' printk$\| _printk$' /tmp/m/kernel/symbols
grep ' platform_device_register gpl$\| register_netdev$' /tmp/m/kernel/symbols | sed 's/^0x[0-9a-f]*[1-9a-f][0-9a-f]* /ADDRESS /'

echo "== loaded by other means"
# What the kernel has told, and nobody has looked at: its messages to a socket of group 1.
told() {
	awk '$2 == 15 && $4 == "00000001" {print ($5 > 0 ? "there is news" : "no news")}' /proc/net/netlink
}
cat /tmp/m/nosuch/state 2> /dev/null
told
t modprobe dummy numdummies=2
told
ls /tmp/m
told
ls /tmp/m/dummy
ls -l /tmp/m/dummy | grep -v total | awk '{print $1, $NF}'
state dummy
cat /tmp/m/dummy/usecount
grep '^license\|^alias' /tmp/m/dummy/info
say dummy init
say dummy map
say dummy unmap
rmdir /tmp/m/dummy 2>&1
rm /tmp/m/dummy/control 2>&1
say dummy frob
say dummy exit
state dummy
ls /tmp/m
t modprobe dummy
state dummy
say dummy "exit dummy"
state dummy
t modprobe dummy
t rmmod dummy
ls /tmp/m

echo "== loaded through files"
mkdir /tmp/m/veth
xz -dc "$net/veth.ko.xz" > /tmp/m/veth/module
state veth
say veth init
say veth map
state veth
cat /tmp/m/veth/deps /tmp/m/veth/refs /tmp/m/veth/usecount
grep '^description' /tmp/m/veth/info
true 2> /dev/null > /tmp/m/veth/module || echo "frozen"
say veth map
say veth exit
loaded
say veth init
state veth
loaded
say veth init
say veth unmap
say veth exit
state veth
loaded
say veth init
say veth unmap
state veth
rm /tmp/m/veth/module
rmdir /tmp/m/veth
ls /tmp/m

echo "== packed, with parameters and a name with a dash"
mkdir /tmp/m/null-blk
cat "$K/kernel/drivers/block/null_blk/null_blk.ko.xz" > /tmp/m/null-blk/module
say null-blk map
t modprobe configfs
say null-blk map
cat /tmp/m/null-blk/deps
say null-blk "init nr_devices=1 queue_mode=nonsense"
state null-blk
say null-blk "init nr_devices=1"
ls /tmp/m
ls /dev/nullb0
cat /tmp/m/null-blk/parameters/nr_devices
(exec 3< /dev/nullb0; cat /tmp/m/null-blk/usecount; say null-blk exit)
say null-blk exit
state null-blk
say null-blk unmap
rm /tmp/m/null-blk/module
rmdir /tmp/m/null-blk
t rmmod configfs

echo "== writable parameters"
t modprobe zram
t modprobe scsi_debug add_host=0
cat /tmp/m/scsi_debug/parameters/delay
echo 2 > /tmp/m/scsi_debug/parameters/delay
cat /sys/module/scsi_debug/parameters/delay /tmp/m/scsi_debug/parameters/delay
echo nonsense 2> /dev/null > /tmp/m/scsi_debug/parameters/delay || echo refused
cat /tmp/m/scsi_debug/parameters/delay
echo 1 2> /dev/null > /tmp/m/scsi_debug/parameters/dev_size_mb || echo "not writable"
cat /tmp/m/scsi_debug/refs /tmp/m/scsi_debug/usecount
t modprobe -r scsi_debug zram
ls /tmp/m

echo "== in use by another"
t modprobe xor
t modprobe btrfs
cat /tmp/m/xor/refs
cat /tmp/m/btrfs/deps | sort
grep 'xor_blocks\|raid6_call' /tmp/m/xor/symbols /tmp/m/raid6_pq/symbols | sed 's/0x[0-9a-f]*[1-9a-f][0-9a-f]*/HEX/g'
echo "add mine 0x1000" 2> /dev/null > /tmp/m/xor/symbols || echo "refused"
say xor exit
t modprobe -r btrfs
for m in crc32c_intel xxhash_generic sha256_ssse3 blake2b_generic libcrc32c raid6_pq xor; do
	rmmod "$m" 2> /dev/null
done
ls /tmp/m

echo "== refused objects"
mkdir /tmp/m/btrfs
cat "$K/kernel/fs/btrfs/btrfs.ko.xz" > /tmp/m/btrfs/module
say btrfs map
mkdir /tmp/m/dummy
file=/tmp/m/dummy/module
: > $file
say dummy map
head -c 70000 /dev/urandom > $file
say dummy map
xz -dc "$net/dummy.ko.xz" > /tmp/dummy.ko
head -c 3000 /tmp/dummy.ko > $file
say dummy map
rm $file
head -c 2000 "$net/dummy.ko.xz" > $file
say dummy map
rm $file
cp /bin/busybox $file
say dummy map
rm $file
cat "$net/veth.ko.xz" > $file
say dummy map
rm $file
sed 's/mod_unload/mod_unlock/' /tmp/dummy.ko > $file
say dummy map
say dummy "map -f"
say dummy init
state dummy
echo "forced: $(($(cat /tmp/m/kernel/tainted) & 2))"
say dummy exit
say dummy unmap
# Release only: this kernel looks at the versions of symbols instead.
rm $file
sed 's/vermagic=[0-9]/vermagic=9/' /tmp/dummy.ko > $file
say dummy map
say dummy init
state dummy
say dummy unmap
rm $file
say dummy map
state dummy
mkdir /tmp/m/loop; cat "$K/kernel/drivers/block/loop.ko.xz" > /tmp/m/loop/module
say loop map
t modprobe loop
state loop
say loop init
say loop "exit nosuch"
t rmmod loop
state loop
say loop unmap
rm /tmp/m/*/module; rmdir /tmp/m/loop /tmp/m/dummy /tmp/m/btrfs
ls /tmp/m

echo "== the tools, in this tree"
MODFS_TREE=/tmp/m; export MODFS_TREE
cd "$net" || exit
t insmod dummy.ko.xz numdummies=1
cd /tmp || exit
t lsmod --tree /tmp/m
t rmmod dummy
(unset MODFS_TREE; modprobe dummy)
t lsmod
t rmmod dummy
t lsmod
unset MODFS_TREE

echo "== on demand"
saved=$(cat /proc/sys/kernel/modprobe)
say kernel "request dummy"
command -v modprobe > /tmp/m/kernel/modprobe
t cat /proc/sys/kernel/modprobe
say kernel "request dummy"
state dummy
say kernel "request nosuch"
say kernel autoclean
state dummy
say dummy exit
echo "$saved" > /tmp/m/kernel/modprobe

echo "== at once, also while others look"
while :; do ls -lR /tmp/m > /dev/null 2>&1; done &
looks=$!
for i in 1 2 3 4 5 6 7 8 9 10; do
	modprobe dummy
	ls /tmp/m | grep -q dummy || echo "missing in $i"
	[ "$(state dummy)" = running ] || echo "not running in $i"
	rmmod dummy
	[ -e /tmp/m/dummy ] && echo "stale in $i"
	[ "$(ls /tmp/m)" = kernel ] || echo "stale in the list in $i"
done
kill $looks
state dummy

echo "== ended and killed"
t modprobe dummy
(cd /tmp/m/dummy && cat state && rmmod dummy && cat state 2>&1 | sed 's/.*: //')
t modprobe dummy
kill "$(pidof modfs.bin)"
while grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.1; done
loaded
t modfs mount /tmp/m
state dummy
kill -9 "$(pidof modfs.bin)"
while ls /tmp/m > /dev/null 2>&1; do sleep 0.1; done
t modfs mount /tmp/m
state dummy
t umount /tmp/m
grep -c fuse.modfs /proc/mounts
loaded
t rmmod dummy

# Files, once our own insmod has loaded FUSE.
t modfs mount /mnt
t insmod "$K/kernel/fs/fuse/fuse.ko"
t modfs mount /mnt
t modprobe dummy
ls /mnt
cat /mnt/fuse/state /mnt/fuse/symbols | sed 's/^0x[0-9a-f]* 0x[0-9a-f]* /ADDRESS CRC /' | head -n 2
mkdir /mnt/tun
cp "$K/kernel/drivers/net/tun.ko" /mnt/tun/module
echo map > /mnt/tun/control
echo init > /mnt/tun/control
cat /mnt/tun/state
t rmmod fuse
echo exit > /mnt/tun/control
cat /mnt/tun/state
t rmmod dummy
ls /mnt
t umount /mnt
sleep 1
t rmmod fuse
loaded

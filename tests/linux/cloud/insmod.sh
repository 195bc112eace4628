# Files, and what is wrong with them.
t insmod "$K/kernel/drivers/block/loop.ko.xz" max_loop=3
cat /sys/module/loop/parameters/max_loop
t insmod "$K/kernel/drivers/block/loop.ko.xz"
t rmmod loop
t insmod "$K/kernel/fs/btrfs/btrfs.ko.xz"
t insmod /etc/passwd
t insmod /nonexistent.ko
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > /tmp/dummy.ko
t insmod /tmp/dummy.ko
t rmmod dummy
head -c 3000 /tmp/dummy.ko > /tmp/cut.ko
t insmod /tmp/cut.ko
: > /tmp/empty.ko
t insmod /tmp/empty.ko
t insmod /tmp/dummy.ko numdummies=many
t insmod /tmp/dummy.ko nosuch=1
t rmmod dummy

# The kernel wants signatures, or is locked down.
t modprobe dummy
t rmmod dummy
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > dummy.ko
# The signature is the end: 12 bytes of lengths and 28 of magic behind it.
size=$(wc -c < dummy.ko)
head -c $((size - 40 - 400)) dummy.ko > unsigned.ko
t insmod unsigned.ko
{ head -c 2000 dummy.ko; printf 'X'; tail -c +2002 dummy.ko; } > altered.ko
t insmod altered.ko
t insmod /built/provider.ko
t insmod /built/foreign/provider.ko
loaded

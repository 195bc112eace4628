# Modules from outside the kernel's tree, with an export of the one that the other uses.
t insmod /built/consumer.ko
t insmod /built/provider.ko base=-1
t insmod /built/provider.ko base=20
t insmod /built/consumer.ko
loaded
t rmmod provider
t modprobe -r provider
t rmmod consumer provider
# Signed by a key that the kernel does not know, which it need not.
t insmod /built/foreign/provider.ko
t rmmod provider
# Built against another declaration.
t insmod /built/provider.ko
t insmod /built/changed/consumer.ko
t rmmod provider
# Installed, they are found.
mkdir -p "$K/extra"
cp /built/provider.ko /built/consumer.ko "$K/extra"
t depmod
t modprobe -D consumer
t modprobe consumer-of-answers
loaded
cat /sys/module/provider/parameters/base
t modprobe -r consumer
rm -r "$K/extra"
t depmod
loaded

# What the kernel refuses.
# Of the version the flags count, the number does not where symbols have checksums.
sed 's/vermagic=6\.12/vermagic=9.99/' /built/provider.ko > number.ko
t insmod number.ko
t rmmod provider
sed 's/\(vermagic=[^ ]*\) SMP/\1 UP!/' /built/provider.ko > flags.ko
t insmod flags.ko
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > dummy.ko
t insmod dummy.ko numdummies=-x
t insmod dummy.ko numdummies=99999999999999999999
t insmod dummy.ko nosuch
t rmmod dummy
for n in 1 4 64 4096 9000; do
	head -c "$n" dummy.ko > cut.ko
	t insmod cut.ko
done
head -c 3000 "$K/kernel/drivers/net/dummy.ko.xz" > dummy.ko.xz
t insmod dummy.ko.xz
mkdir -p directory.ko
t insmod directory.ko
t insmod
t modprobe
t rmmod
t rmmod nosuch dummy
t modprobe /nonexistent/dummy.ko
loaded

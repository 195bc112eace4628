# What the kernel refuses.
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > dummy.ko
sed 's/^vermagic=[^ ]* SMP/vermagic=6.12.9+other-amd64 UP/; s/vermagic=[^ ]* SMP preempt/vermagic=9.99.999+debian-cloud-amd64 UP? preempt/' dummy.ko > other.ko
t insmod other.ko
# A flag of the version counts also where the number does not.
t insmod dummy.ko numdummies=-x
t insmod dummy.ko numdummies=99999999999999999999
t insmod dummy.ko nosuch
t rmmod dummy
for n in 1 4 64 4096 40000; do
	head -c "$n" dummy.ko > cut.ko
	t insmod cut.ko
done
head -c 8000 "$K/kernel/drivers/net/dummy.ko.xz" > dummy.ko.xz
t insmod dummy.ko.xz
mkdir -p directory.ko
t insmod directory.ko
t insmod
t modprobe
t rmmod
t rmmod nosuch dummy
t modprobe /nonexistent/dummy.ko
loaded

# Files, where only signed modules are taken.
mkdir -p /tmp/m
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > /tmp/signed.ko
# A signature is at the very end.
cat /tmp/signed.ko > /tmp/unsigned.ko
printf x >> /tmp/unsigned.ko
modfs mount /tmp/m
mkdir /tmp/m/dummy
try() {
	echo "$1"
	cp "/tmp/$1.ko" /tmp/m/dummy/module
	for command in map init exit unmap; do
		echo $command 2> /dev/null > /tmp/m/dummy/control
		sed -n '/^last/,$p' /tmp/m/dummy/control | grep -v 'kernel says'
	done
	rm /tmp/m/dummy/module
}
try unsigned
try signed
rmdir /tmp/m/dummy
t umount /tmp/m
mv /dev/fuse /dev/fuse.away
t modfs mount /tmp/m
mv /dev/fuse.away /dev/fuse
t modfs mount /tmp/nosuch

# Those who load by hand and those who load through files, at once: who wins is chance, what is left
# is not.
mkdir -p /tmp/m
t modfs mount /tmp/m
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > /tmp/dummy.ko
for i in $(seq 60); do
	modprobe dummy
	rmmod dummy
done > /tmp/tools 2>&1 &
tools=$!
for i in $(seq 60); do
	mkdir /tmp/m/dummy
	cp /tmp/dummy.ko /tmp/m/dummy/module
	for command in map init exit unmap; do
		echo $command > /tmp/m/dummy/control
	done
	rm /tmp/m/dummy/module
	rmdir /tmp/m/dummy
done > /tmp/files 2>&1 &
files=$!
while :; do ls -lR /tmp/m > /dev/null 2>&1; done &
looks=$!
wait $tools $files
kill $looks
# The last of each may have been refused for the other.
rmmod dummy 2> /dev/null
if [ -e /tmp/m/dummy ]; then
	{ echo unmap > /tmp/m/dummy/control; rm -f /tmp/m/dummy/module; rmdir /tmp/m/dummy; } 2> /dev/null
fi
ls /tmp/m
loaded
mkdir /tmp/m/dummy
cp /tmp/dummy.ko /tmp/m/dummy/module
printf 'map\ninit\n' > /tmp/m/dummy/control
cat /tmp/m/dummy/state
printf 'exit\nunmap\n' > /tmp/m/dummy/control
rm /tmp/m/dummy/module
rmdir /tmp/m/dummy
ls /tmp/m
t umount /tmp/m
dmesg | grep -i 'warning:\|bug:\|oops'

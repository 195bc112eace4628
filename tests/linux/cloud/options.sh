# What else the tools can be told.
# The kernel's command line has a parameter.
t modprobe nbd
cat /sys/module/nbd/parameters/nbds_max
t modprobe --first-time nbd
t modprobe -r --first-time nbd
t modprobe -r --first-time nbd
# By force, which this kernel was not built for.
sed 's/\(vermagic=[^ ]*\) SMP/\1 UP!/' /built/provider.ko > flags.ko
t insmod -f flags.ko
t modprobe --force-vermagic ./flags.ko
t modprobe ./flags.ko
# Those that use it first.
t modprobe btrfs
t modprobe -r xor
t modprobe -r --remove-holders xor
cut -d' ' -f1 /proc/modules | grep -e xor -e btrfs
# In use, and waited for.
t modprobe loop
dd if=/dev/zero of=disk bs=1k count=1k 2> /dev/null
busybox losetup /dev/loop0 disk
t rmmod loop
t modprobe -r loop
(sleep 2; busybox losetup -d /dev/loop0) &
t modprobe -r -w 20000 loop
wait
# To the system's log.
busybox syslogd -n -O /tmp/syslog &
sleep 1
t modprobe -s nosuch
t rmmod -s nosuch
t insmod -s /nosuch.ko
sleep 1
kill $!
sed -n 's/.*\(modprobe\|rmmod\|insmod\)\(\[[0-9]*\]\)*: /\1: /p' /tmp/syslog
rm -f /tmp/syslog
unload_all

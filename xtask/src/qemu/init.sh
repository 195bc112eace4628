#!/bin/dash
# What a guest runs first. A line that begins with @ is for whoever started the guest.
export PATH=/busybox
mount -t proc proc /proc
# What a case asks for is loaded by the case.
echo > /proc/sys/kernel/modprobe
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mount -t securityfs securityfs /sys/kernel/security
exec > /dev/ttyS1 2>&1 < /dev/null
dmesg -n 1
export K=/lib/modules/$(uname -r)
echo "@ready $(uname -r)"

. /run-case
for folder in /cases/*; do
	[ ! -e "$folder/setup" ] || /bin/dash "$folder/setup"
	for case in "$folder"/*.sh; do
		name=${case%.sh}
		ways="kmod modfs"
		[ ! -e "$name.own" ] || ways=modfs
		for way in $ways; do
			echo "@begin $way ${name#/cases/*-}"
			PATH=/tools/$way:/busybox /bin/dash /run-case "$case"
			echo "@end"
			# What one way leaves behind is nothing to the next.
			unload_all
		done
	done
done
# With whom it was: the line after a warning says it.
dmesg | grep -A 1 -E 'WARNING: CPU|BUG:|Oops|general protection|refcount_t|INFO: task|lockup|possible circular|unregister_netdevice' |
	sed 's/^/@kernel /'
echo "@done"
poweroff -f

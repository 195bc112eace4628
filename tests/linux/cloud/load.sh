# A module with parameters, and one with all that it needs.
t modprobe dummy numdummies=2
loaded
ls /sys/class/net
t modprobe dummy
t modprobe --first-time dummy
t modprobe btrfs
loaded
t rmmod dummy
t rmmod dummy
t modprobe -r btrfs
# Who uses what by softdeps and by crypto's own ways depends on what came before.
for m in crc32c_intel xxhash_generic sha256_ssse3 blake2b_generic libcrc32c; do
	rmmod "$m" 2>/dev/null
done
loaded

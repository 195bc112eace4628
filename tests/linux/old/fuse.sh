# Linux 6.1, whose FUSE is a module, not packed.
t insmod "$K/kernel/fs/fuse/fuse.ko"
loaded
t modprobe btrfs
t lsmod
t modprobe -r btrfs
t rmmod fuse
for m in libcrc32c crc32c_intel crc32c_generic xor raid6_pq blake2b_generic zstd_compress; do
	rmmod "$m" 2> /dev/null
done
loaded

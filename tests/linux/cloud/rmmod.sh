# What cannot be removed, and why.
t modprobe btrfs
t rmmod xor
t modprobe -r xor
t rmmod btrfs xor
t rmmod nosuch
t rmmod serial8250
t modprobe -r nosuch
t modprobe -r libcrc32c raid6_pq
t modprobe -r --first-time dummy
for m in xxhash_generic sha256_ssse3 blake2b_generic crc32c_intel libcrc32c raid6_pq; do
	rmmod "$m" 2>/dev/null
done
loaded

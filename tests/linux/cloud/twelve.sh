# Twelve modules of different kinds.
for m in dummy loop zram null_blk scsi_debug veth bonding tun overlay squashfs nbd brd; do
	t modprobe "$m"
done
loaded
for m in dummy loop zram null_blk scsi_debug veth bonding tun overlay squashfs nbd brd; do
	t modprobe -r "$m"
done
loaded

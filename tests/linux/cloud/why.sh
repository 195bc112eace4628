# What ours say below kmod's line: why.
why() {
	echo "\$ $*"
	"$@" 2>&1
}
why insmod "$K/kernel/fs/btrfs/btrfs.ko.xz" | grep -e ERROR -e 'symbol.*xor_blocks' -e 'symbol crc32c '
why insmod /built/consumer.ko
why insmod /built/provider.ko base=-1
why insmod /built/provider.ko base=many
why insmod /built/provider.ko nosuch=1
why insmod /built/changed/consumer.ko
rmmod provider
mkdir -p "$K/extra"
cp /built/provider.ko "$K/extra"
depmod
modprobe provider
why insmod /built/changed/consumer.ko
why insmod /built/consumer.ko
why modprobe -r provider
why rmmod provider
rm -r "$K/extra"
depmod
rmmod consumer provider
sed 's/\(vermagic=[^ ]*\) SMP/\1 UP!/' /built/provider.ko > flags.ko
why insmod flags.ko
xz -dc "$K/kernel/drivers/net/dummy.ko.xz" > dummy.ko
printf X | dd of=dummy.ko bs=1 seek=3000 conv=notrunc 2> /dev/null
why insmod dummy.ko
# Several at once, each once: one that fails keeps nobody from it, and what only it needed goes.
why modprobe -a --jobs 4 btrfs nosuch loop zram xor btrfs 2>&1
loaded

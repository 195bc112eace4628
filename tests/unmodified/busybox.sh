# busybox, linked statically, on a host's modules. $BUSYBOX; $MODFS, $TREE.
say() {
	echo "# $*"
	"$MODFS" run --quiet --tree "$TREE" -- "$BUSYBOX" "$@" 2>&1
	echo "exit code $?"
}
say lsmod
say insmod user.ko
say insmod lib.ko
say insmod user.ko
say insmod hello.ko whom=busybox
say lsmod
say cat /sys/module/hello/parameters/whom
say ls /sys/module
say rmmod lib
say rmmod user
say rmmod lib hello
say rmmod lib
say lsmod

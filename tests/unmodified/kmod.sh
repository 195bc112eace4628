# Debian's kmod, as it is, on a host's modules. $KMOD/NAME are its tools; $MODFS, $TREE.
say() {
	echo "# $*"
	tool=$1
	shift
	"$MODFS" run --quiet --tree "$TREE" -- "$KMOD/$tool" "$@" 2>&1
	echo "exit code $?"
}
lsmod() { say lsmod; }

lsmod
say insmod user.ko
say insmod lib.ko
say insmod lib.ko
say insmod user.ko
say insmod hello.ko whom=kmod
lsmod
cat "$TREE/hello/parameters/whom"
say rmmod lib
say rmmod -v user
say rmmod lib
say rmmod lib
say rmmod hello
lsmod

# A tree of modules, one of them packed.
mkdir -p root/lib/modules/1.0
cp lib.ko user.ko root/lib/modules/1.0
xz -k --check=crc32 -c hello.ko > root/lib/modules/1.0/hello.ko.xz
(cd root/lib/modules/1.0 && touch modules.order modules.builtin modules.builtin.modinfo)
"$MODFS" depmod -b root 1.0
M="modprobe -C /dev/null -d root -S 1.0"
say $M -v user
say $M hello
say $M hello
say $M --first-time hello
say $M -n -v hello
lsmod
say $M -r -v user
say $M -r hello
say $M nosuch
say $M -a lib user hello
lsmod
say $M -r user lib hello
lsmod

# The modules of all devices, from nothing: each way in the same boot.
cold() {
	name=$1
	shift
	timed "coldplug, from nothing: $name" "$@" > said 2>&1
	grep '^@time' said
	cut -d' ' -f1 /proc/modules | sort > "modules-$name"
	unload_all
}
aliases() {
	find /sys/devices -name modalias -exec cat {} + | sort -u
}
# Again while there are new ones, as the others' script.
rounds() {
	: > seen
	while aliases > all
		awk 'FILENAME == "seen" { seen[$0] = 1; next } !($0 in seen)' seen all > new
		[ -s new ]; do
		"$@" < new
		cp all seen
	done
}
one_process() {
	rounds xargs /tools/kmod/modprobe -abq
}
by_two() {
	rounds xargs -P2 -n8 /tools/kmod/modprobe -abq
}
each() {
	rounds xargs -P2 -n1 /tools/kmod/modprobe -bq
}
ours() {
	/tools/modfs.bin coldplug
}
# What is read first is slower: once for nothing.
cold warm-up one_process > /dev/null
cold 'kmod, one process' one_process
cold 'kmod, xargs -P2 -n8' by_two
cold 'kmod, xargs -P2 -n1' each
cold 'modfs coldplug' ours
wc -l < 'modules-modfs coldplug' | awk '{ print ($1 > 20) ? "many modules" : $1 " modules" }'
cmp 'modules-kmod, one process' 'modules-modfs coldplug' && echo "the same modules"

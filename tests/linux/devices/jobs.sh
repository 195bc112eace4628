# The same modules, one after the other and several at once, from nothing.
for folder in fs/nls crypto; do
	find "$K/kernel/$folder" -name '*.ko.xz'
done | sed 's/.*\///; s/\.ko\.xz$//' | sort -u | awk '!/test|tcrypt/' | head -n 60 > list
from_nothing() {
	name=$1
	shift
	unload_all
	timed "$name" "$@" < list 2> said >> times
	cut -d' ' -f1 /proc/modules | sort > "loaded-$name"
}
# The best of three, in turns: what else goes on is nothing to the tools.
: > times
for round in 1 2 3; do
	from_nothing 'kmod, modprobe -a' xargs /tools/kmod/modprobe -a
	from_nothing 'kmod, xargs -P2 -n8 modprobe -a' xargs -P2 -n8 /tools/kmod/modprobe -a
	from_nothing 'modfs, modprobe -a' xargs /tools/modfs/modprobe -a
	from_nothing 'modfs, modprobe -a --jobs 2' xargs /tools/modfs/modprobe -a --jobs 2
done
sort -k 3 -k 2n times | awk '{ name = $0; sub(/^[^ ]* [^ ]* /, "", name) }
	name != last { print "@time", $2, "60 modules, from nothing: " name; last = name }'
cmp 'loaded-kmod, modprobe -a' 'loaded-modfs, modprobe -a' && echo "one after the other: the same modules"
cmp 'loaded-modfs, modprobe -a' 'loaded-modfs, modprobe -a --jobs 2' && echo "at once: the same modules"
awk 'END { print (NR > 50) ? "many" : NR }' 'loaded-modfs, modprobe -a --jobs 2'
unload_all

# What runs a case.

# Runs a tool, and shows all that can be seen of it; of what it complains of the first line is compared.
t() {
	echo "\$ $*"
	"$@" > /tmp/out 2> /tmp/err
	code=$?
	cat /tmp/out
	head -n 1 /tmp/err | sed 's/^/! /'
	sed -e 1d -e "s/^/@more /" /tmp/err
	[ $code = 0 ] || echo "exit code $code"
}

# The modules that are loaded.
loaded() {
	echo "loaded: $(cut -d' ' -f1 /proc/modules | sort | tr '\n' ' ')"
}

# Runs something and tells how long it took, from a label on: @time is not compared.
timed() {
	label=$1
	shift
	read -r began rest < /proc/uptime
	"$@"
	read -r ended rest < /proc/uptime
	echo "@time $(echo "$ended $began" | awk '{ printf "%.2f", $1 - $2 }') $label"
}

# Unloads all that can be unloaded, not by what is tested.
unload_all() {
	before=
	while now=$(cut -d' ' -f1 /proc/modules) && [ -n "$now" ] && [ "$now" != "$before" ]; do
		before=$now
		busybox rmmod $now 2> /dev/null
	done
}

if [ -n "$1" ]; then
	cd /tmp
	. "$1"
fi

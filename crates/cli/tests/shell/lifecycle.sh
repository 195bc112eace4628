# The life of two modules, with nothing but mkdir, cp, echo, cat, rm and rmdir.
#
# lifecycle.sh TREE DIRECTORY-OF-MODULES
#
# `user` needs a symbol of `lib`. Ends with status 1 at the first thing that is not as it should
# be, and says what. Any POSIX shell will do.

M=$1 KO=$2

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# is WHAT EXPECTED: the file in the tree reads so.
is() {
	got=$(cat "$M/$1") || die "$1 cannot be read"
	[ "$got" = "$2" ] || die "$1 reads '$got' and not '$2'"
}

# has WHAT TEXT: the file in the tree has this in it.
has() {
	got=$(cat "$M/$1") || die "$1 cannot be read"
	case $got in
	*"$2"*) ;;
	*) die "$1 does not name '$2': $got" ;;
	esac
}

# does MODULE COMMAND: it is done.
does() {
	echo "$2" > "$M/$1/control" || die "$1: $2: $(cat "$M/$1/control")"
	has "$1/control" ': ok'
}

# refused MODULE COMMAND TEXT: it is not, and `control` has this in it. The shell must notice.
refused() {
	if (echo "$2" > "$M/$1/control") 2> /dev/null; then
		die "$1: $2 was not refused"
	fi
	has "$1/control" "$3"
}

# 1. `user` too early.
mkdir "$M/user" || die mkdir
is user/state unmapped
cp "$KO/user.ko" "$M/user/user.ko" || die cp
is user/user.ko unmapped
refused user 'map user.ko' 'last: map user.ko: ENOENT'
has user/control 'unresolved symbol lib_add'
is user/state unmapped
refused user 'init user.ko' 'ENOENT'

# 2. `lib`; before it runs its symbols are not to be had.
mkdir "$M/lib" || die mkdir
cp "$KO/lib.ko" "$M/lib" || die cp
does lib 'map lib.ko'
is lib/state uninitialized
refused user map 'lib exports it, but is uninitialized'
does lib init
is lib/state running
has lib/symbols ' lib_add'
has lib/symbols ' lib_greeting gpl'
is lib/usecount 0
is lib/refs ''

# 3. `user`, with parameters.
does user map
is user/state uninitialized
does user 'init user.ko a=40 b=2'
is user/state running
is user/parameters/a 40
is user/usecount 0
is user/deps lib
is user/refs ''
is lib/refs user
is lib/deps ''
has user/info 'license=Dual MIT/GPL'
echo 41 > "$M/user/parameters/a" || die 'a parameter cannot be written'
is user/parameters/a 41

# 4. `lib` is used.
refused lib exit 'last: exit lib.ko: EBUSY'
has lib/control 'lib is used by user'
is lib/state running
refused lib unmap EBUSY
if rm "$M/lib/lib.ko" 2> /dev/null; then die 'a mapped file could be removed'; fi
if rmdir "$M/lib" 2> /dev/null; then die 'a mapped module could be removed'; fi

# 5. Both go.
does user exit
is user/state deleted
is lib/refs ''
does lib exit
does user unmap
does lib unmap
is lib/state unmapped
rm "$M/user/user.ko" || die rm
rmdir "$M/user" || die rmdir
rmdir "$M/lib" || die 'rmdir with a file that is not mapped'
if [ -e "$M/user" ] || [ -e "$M/lib" ]; then die 'something is left'; fi
echo done

#!/bin/sh
# Makes what is in seeds/module_file, seeds/container and of kmod in seeds/index anew, with clang, gzip,
# xz, zstd, openssl and kmod. Those in the tree need not be made again.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
modules=seeds/module_file
packed=seeds/container

for target in x86_64 i386 aarch64 arm powerpc powerpc64 powerpc64le s390x mips mips64 riscv64; do
	clang --target=$target-linux-gnu -c -Os -fno-asynchronous-unwind-tables \
		-o "$modules/$target.ko" objects/module_file.c
done

# As scripts/sign-file of Linux signs.
openssl req -x509 -newkey rsa:1024 -nodes -subj "/CN=a signer" \
	-keyout "$work/key" -out "$work/cert" 2>/dev/null
module=$modules/i386.ko
openssl cms -sign -binary -noattr -nocerts -outform DER -md sha256 \
	-signer "$work/cert" -inkey "$work/key" -in "$module" -out "$work/signature"
signed() {
	cat "$module" "$1"
	printf '\0\0\2\0\0\0\0\0'
	printf '%08x' "$(wc -c <"$1")" | sed 's/../\\\\x&/g' | xargs printf '%b'
	printf '~Module signature appended~\n'
}
signed "$work/signature" >"$modules/signed.ko"

module=$modules/arm.ko
for level in 1 9; do
	gzip -n -c -$level "$module" >"$packed/$level.gz"
	xz -c -$level "$module" >"$packed/$level.xz"
	zstd -q -c -$level "$module" >"$packed/$level.zst"
done
printf named | gzip -c >"$packed/text.gz"
for check in none crc32 sha256; do
	xz -c --check=$check "$module" >"$packed/$check.xz"
done
xz -c --x86 --lzma2=dict=64KiB "$module" >"$packed/x86.xz"
xz -c -T2 --block-size=512 "$module" >"$packed/blocks.xz"
cat "$packed/1.xz" "$packed/text.gz" >"$packed/then-gzip.xz"
cat "$packed/1.xz" "$packed/none.xz" >"$packed/two.xz"
zstd -q -c --no-check "$module" >"$packed/no-check.zst"
zstd -q -c --no-content-size <"$module" >"$packed/no-size.zst"
cat "$packed/1.zst" "$packed/9.zst" >"$packed/two.zst"
for tool in gzip xz zstd; do
	head -c 8000000 /dev/zero | $tool -c >"$packed/zeros.$tool"
done

# The first letter is for the target.
tree="$work/lib/modules/6.1.0"
mkdir -p "$tree"
printf 'kernel/fs/ext4/ext4.ko\nkernel/arch/x86/kvm-intel.ko\n' >"$tree/modules.builtin"
printf 'ext4.alias=fs-ext[34]\0ext4.license=GPL\0kvm.alias=devname:kvm\0' >"$tree/modules.builtin.modinfo"
: >"$tree/modules.order"
cp "$modules/x86_64.ko" "$tree/a.ko"
${DEPMOD:-depmod} -b "$work" 6.1.0
for index in dep alias symbols builtin builtin.alias; do
	(printf i; cat "$tree/modules.$index.bin") >"seeds/index/kmod-$index"
done

#!/bin/sh
# Makes objects/signers.pem and what is in seeds/signature anew, with openssl. The keys are thrown away.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
to=seeds/signature
rm -f "$to"/* objects/signers.pem
printf 'a module\n' >"$work/content"
number=1
sign() {
	openssl cms -sign -binary -outform DER -signer "$work/cert" -inkey "$work/key" \
		-in "$work/content" "$@"
}
for kind in rsa:2048 ec:P-256 ec:P-384 ec:P-521; do
	case $kind in
	rsa*) set -- -newkey $kind ;;
	*) set -- -newkey ec -pkeyopt ec_paramgen_curve:${kind#ec:} ;;
	esac
	name=$(echo $kind | tr -d ':-')
	openssl req -x509 "$@" -nodes -subj "/CN=$name" -set_serial $number -days 36500 \
		-keyout "$work/key" -out "$work/cert" 2>/dev/null
	cat "$work/cert" >>objects/signers.pem
	sign -noattr -nocerts -md sha256 -out "$to/$name"
	sign -nocerts -keyid -md sha512 -out "$to/$name-attributes"
	[ $number != 1 ] || sign -noattr -nocerts -md md5 -out "$to/md5"
	number=$((number + 1))
done
sign -noattr -md sha384 -out "$to/certificate"
sign -noattr -nodetach -md sha256 -out "$to/content"
(
	cat "$work/content" "$to/rsa2048"
	printf '\0\0\2\0\0\0\0\0'
	printf '%08x' "$(wc -c <"$to/rsa2048")" | sed 's/../\\\\x&/g' | xargs printf '%b'
	printf '~Module signature appended~\n'
) >"$to/module"
openssl x509 -in "$work/cert" -outform DER -out "$to/cert"

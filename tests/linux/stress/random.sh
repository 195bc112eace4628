# Four processes load and unload 200 modules at random for 60 s.
for folder in fs/nls net/netfilter net/sched crypto lib; do
	find "$K/kernel/$folder" -name '*.ko.xz'
done | sed 's/.*\///; s/\.ko\.xz$//' | sort -u | awk '!/test|selftest|kunit|tcrypt|dhry|bench/' | head -n 200 > list
echo "$(wc -l < list) modules"
read -r now rest < /proc/uptime
end=$((${now%.*} + 60))
worker() {
	awk -v seed="$1" 'BEGIN { srand(seed) } { all[NR] = $0 }
		END { for (;;) print all[int(rand() * NR) + 1], int(rand() * 2) }' list |
	while read -r module load; do
		read -r now rest < /proc/uptime
		[ "${now%.*}" -lt "$end" ] || break
		case $load in
		1) modprobe "$module" 2> "said-$1" ;;
		*) modprobe -r "$module" 2> "said-$1" ;;
		esac
		code=$?
		echo "$code $load" >> "codes-$1"
		# An error without a word, or a word without an error, is lost.
		if [ $code = 0 ] && [ -s "said-$1" ]; then
			echo "$module: no error, but: $(cat "said-$1")"
		elif [ $code != 0 ] && ! [ -s "said-$1" ]; then
			echo "$module: code $code and not a word"
		fi
		head -n 1 "said-$1" | sed "s/Module [^ ]* /Module M /; s/'[^']*'/'M'/" >> "messages-$1"
	done
}
for n in 1 2 3 4; do
	worker $n > "wrong-$n" 2>&1 &
done
wait
cat wrong-1 wrong-2 wrong-3 wrong-4
# What one does while another does the opposite. Since 6.2 the kernel says EBUSY, and does not wait, to who inserts
# what is just going, or what another has just failed to insert (module_patient_check_exists): kmod passes it on too.
sort -u messages-1 messages-2 messages-3 messages-4 | grep -v \
	-e "Module M is in use" -e "could not remove 'M': No such file or directory" \
	-e "could not remove 'M': Resource temporarily unavailable" -e "could not remove 'M': Device or resource busy" \
	-e "could not insert 'M': Unknown symbol in module, or unknown parameter" \
	-e "could not insert 'M': Device or resource busy"
cat codes-1 codes-2 codes-3 codes-4 | awk '
	{ all++; of[$2]++; if ($1 == 0) done[$2]++ }
	END {
		print (all > 100) ? "more than 100 calls" : all " calls"
		# One is lost now and then to another that unloads what it needs.
		print (done[1] > of[1] * 0.9) ? "nearly all loaded" : done[1] " of " of[1] " loaded"
		print (done[0] > of[0] * 0.5) ? "most unloaded" : done[0] " of " of[0] " unloaded"
	}'
echo "@more calls in 60 s: $(cat codes-1 codes-2 codes-3 codes-4 | wc -l)"
echo "zombies: $(cat /proc/[0-9]*/stat 2> /dev/null | grep -c ') Z ')"
# Nothing is stuck: all of it goes.
unload_all
loaded

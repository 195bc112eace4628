# Names, and what is configured.
t modprobe nosuch
t modprobe -q nosuch
t modprobe -a dummy nosuch loop
loaded
t modprobe -r -a dummy loop
cat > /etc/modprobe.d/case.conf <<'END'
alias mine dummy
options dummy numdummies=3
install nbd echo instead of nbd
blacklist loop
softdep veth pre: dummy
END
t modprobe mine
ls /sys/class/net
t modprobe -r mine
t modprobe nbd
t modprobe -i nbd
t modprobe -b loop
t modprobe block-major-7-0
loaded
t modprobe veth
loaded
t modprobe -n -v tun
t modprobe -v tun
t modprobe -r -v tun
t modprobe -r nbd veth dummy
rm /etc/modprobe.d/case.conf
t modprobe zram num_devices=x
loaded

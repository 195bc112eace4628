c# of Debian
alias net-pf-[1-2] some-module
alias sound-slot-* snd-card-%d
blacklist a-b
options c x=1	y="2 3" \
  z=4
install d /bin/false $CMDLINE_OPTS
remove d true
softdep e pre: f-g h post: i
weakdep e k l
deny m* too old
allow a b*
include /etc/x
nonsense

# A module without an exit: it stays, so this is the last case of the folder.
insmod /built/stays.ko 2> /dev/null
t insmod /built/stays.ko
t rmmod stays
t rmmod -f nosuch

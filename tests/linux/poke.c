/* Asks the kernel for things that modules are loaded for, each by its own system call. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ended(int result)
{
	puts(result < 0 ? strerror(errno) : "ok");
	return result < 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int number[3] = { 0 };

	for (int i = 2; i < argc && i < 5; i++)
		number[i - 2] = atoi(argv[i]);
	if (!strcmp(what, "socket"))
		return ended(socket(number[0], number[1], number[2]));
	if (!strcmp(what, "ldisc")) {
		/* A pseudo-terminal is a terminal everywhere. */
		int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);

		return ended(fd < 0 ? fd : ioctl(fd, TIOCSETD, &number[0]));
	}
	if (!strcmp(what, "alg") && argc > 3) {
		struct sockaddr_alg name = { .salg_family = AF_ALG };
		int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);

		strncpy((char *)name.salg_type, argv[2], sizeof(name.salg_type) - 1);
		strncpy((char *)name.salg_name, argv[3], sizeof(name.salg_name) - 1);
		return ended(fd < 0 ? fd : bind(fd, (void *)&name, sizeof(name)));
	}
	if (!strcmp(what, "open") && argc > 2)
		return ended(open(argv[2], O_RDONLY | O_NONBLOCK));
	fputs("poke socket FAMILY TYPE PROTOCOL | ldisc N | alg TYPE NAME | open FILE\n", stderr);
	return 2;
}

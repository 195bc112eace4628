/*
 * mapper FILE: opens FILE to be changed, waits for a line of input, and then says what
 * becomes of each way to change it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void say(const char *what, long result)
{
	printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

int main(int argc, char **argv)
{
	int file = open(argv[argc - 1], O_RDWR);
	char line[16];
	void *at;

	if (file < 0)
		return 1;
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	say("mmap", at == MAP_FAILED ? -1 : 0);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	say("write", write(file, "x", 1));
	say("pwrite", pwrite(file, "x", 1, 1 << 20));
	say("ftruncate", ftruncate(file, 0));
	say("fallocate", posix_fallocate(file, 0, 1 << 20) ? (errno = EOPNOTSUPP, -1) : 0);
	return 0;
}

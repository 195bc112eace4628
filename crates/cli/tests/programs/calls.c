/*
 * calls: makes the module system calls of Linux 2.4 and of today that its input says, a line each, and
 * prints what each answers: a number, or the name of the errno. Numbers are as strtoul(3) reads them;
 * @N is the address of the module that was created last, and N.
 *
 *   create NAME SIZE        create_module
 *   other                   takes the one before for the last, and the last for the one before
 *   image NAME SIZE RESULT  prepares an image of this size, whose init returns RESULT
 *   layout NAME SYMBOLS STRINGS DEPENDENCIES CODE
 *                           where the image after this one has what; CODE: init, and 16 further on cleanup
 *   set OFFSET NUMBER       changes a word of it
 *   int OFFSET NUMBER       changes an int of it
 *   text OFFSET TEXT        changes what is there to a string
 *   dep NAME                has it depend on a module
 *   init NAME               init_module of it
 *   delete NAME             delete_module
 *   query NAME WHICH SIZE   query_module; a SIZE of -1 is no buffer, -2 one that can only be read
 *   syms [SIZE]             get_kernel_syms, of NULL, or of a table of so many entries
 *   finit FILE FLAGS PARAM  today's finit_module
 *   load FILE PARAM         today's init_module
 *   remove NAME FLAGS       today's delete_module
 *   write FILE TEXT         into what is there
 *   cat FILE, stat FILE     what others see of it
 *   chdir DIRECTORY         chdir(2)
 *   from DIRECTORY          where a path that begins with no / begins, instead of where the program is
 *   user NUMBER             setuid(2)
 *   raw NUMBER A B C D E    any of them
 *
 *   exec FILE ...           execve(2)
 *   undumpable              nobody may look into the program any more
 *   pipe                    finit_module of a pipe
 *   stuck                   a thread opens a path that cannot be read, until the program ends
 *
 * A NAME of CLOSED is in a page that may not be read, NULL is no address, BAD one where nothing is, LONG a name without an end, EMPTY "", EDGE a name that
 * ends where nothing is mapped any more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HEADER = 184 };

static unsigned long name_at = 184, syms_at = 256, strings_at = 320, deps_at = 512, code_at = 768;
static unsigned long address, other;
static int directory = AT_FDCWD;
static unsigned char image[1 << 16];
static unsigned char buffer[1 << 16];

static void told(const char *what, long result)
{
	if (result < 0 && result >= -4095)
		printf("%s: %s\n", what, strerrorname_np(-result));
	else
		printf("%s: %ld\n", what, result);
}

static long call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
		 unsigned long e)
{
	long result = syscall(number, a, b, c, d, e);

	return result == -1 ? -errno : result;
}

/* Where nothing is mapped, after a page where something is. */
static char *edge(void)
{
	static char *pages;

	if (!pages) {
		pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(pages + 4096, 4096);
	}
	return pages + 4096;
}

static unsigned long name_of(char *word)
{
	static char longest[8192];

	if (!word || !strcmp(word, "NULL"))
		return 0;
	if (!strcmp(word, "BAD"))
		return 1;
	if (!strcmp(word, "EMPTY"))
		return (unsigned long)"";
	if (!strcmp(word, "LONG"))
		return (unsigned long)memset(longest, 'x', sizeof(longest));
	if (!strcmp(word, "OPEN"))
		return (unsigned long)memset(edge() - 3, 'x', 3);
	if (!strcmp(word, "CLOSED")) {
		char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		strcpy(page, "closed");
		mprotect(page, 4096, PROT_NONE);
		return (unsigned long)page;
	}
	if (!strcmp(word, "EDGE"))
		return (unsigned long)strcpy(edge() - 5, "edge");
	return (unsigned long)word;
}

static unsigned long number(const char *word)
{
	if (!word)
		return 0;
	return *word == '@' ? address + strtoul(word + 1, NULL, 0) : strtoul(word, NULL, 0);
}

static void put(unsigned offset, const void *from, unsigned size)
{
	if (offset + size <= sizeof(image))
		memcpy(image + offset, from, size);
}

static void word(unsigned offset, uint64_t value)
{
	put(offset, &value, 8);
}

static void make(const char *name, unsigned long size, int result)
{
	unsigned char code[] = { 0xb8, 0, 0, 0, 0, 0xc3 };
	unsigned char leave[] = { 0xc3 };

	memset(image, 0, sizeof(image));
	word(0, HEADER);
	word(16, address + name_at);
	word(24, size);
	word(80, address + code_at);
	word(88, address + code_at + 16);
	put(name_at, name, strlen(name) + 1);
	memcpy(code + 1, &result, 4);
	put(code_at, code, sizeof(code));
	put(code_at + 16, leave, sizeof(leave));
}

static void symbol(const char *name, unsigned long value)
{
	uint32_t count;
	static unsigned strings;

	memcpy(&count, image + 48, 4);
	if (!count)
		strings = strings_at;
	word(syms_at + count * 16, value);
	word(syms_at + count * 16 + 8, address + strings);
	put(strings, name, strlen(name) + 1);
	strings += strlen(name) + 1;
	count++;
	put(48, &count, 4);
	word(56, address + syms_at);
}

static void depend(const char *name)
{
	uint64_t info[4], ret;
	uint32_t count;

	call(178, (unsigned long)name, 5, (unsigned long)info, sizeof(info), (unsigned long)&ret);
	memcpy(&count, image + 52, 4);
	word(deps_at + count * 24, info[0]);
	count++;
	put(52, &count, 4);
	word(64, address + deps_at);
}

static void query(char *name, unsigned long which, long size)
{
	uint64_t ret = 0xdead, values[4];
	static char *constant;

	if (!constant)
		constant = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long to = size == -2 ? (unsigned long)constant : size < 0 ? 1 : (unsigned long)buffer;
	unsigned long room = size < 0 ? sizeof(buffer) : size;
	long result;
	uint64_t at;

	result = call(178, name_of(name), which, to, room, (unsigned long)&ret);
	printf("query %s %lu: ", name, which);
	if (result < 0) {
		printf("%s", strerrorname_np(-result));
		if (result == -ENOSPC)
			printf(" %lu", ret);
		printf("\n");
		return;
	}
	if (which == 0) {
		printf("%ld\n", result);
		return;
	}
	printf("%lu", ret);
	if (which == 5) {
		memcpy(values, buffer, sizeof(values));
		printf(" address %s size %lu flags %lu usecount %ld",
		       values[0] == address ? "@0" : "other", values[1], values[2], (long)values[3]);
	} else if (which == 4) {
		for (at = 0; at < ret && at < 8; at++) {
			memcpy(values, buffer + 16 * at, 16);
			printf(" %s", buffer + values[1]);
			if (values[0] >= address && values[0] < address + sizeof(image))
				printf("@%lu", values[0] - address);
		}
	} else {
		for (at = 0, to = 0; at < ret; at++) {
			printf(" %s", buffer + to);
			to += strlen((char *)buffer + to) + 1;
		}
	}
	printf("\n");
}

static void table(unsigned long entries)
{
	struct {
		uint64_t value;
		char name[60];
		char pad[4];
	} *entry = (void *)buffer;
	long count, at;

	if (!entries) {
		told("syms", call(177, 0, 0, 0, 0, 0));
		return;
	}
	/* It ends where nothing is mapped. */
	char *to = edge() - entries * 72;

	count = call(177, (unsigned long)to, 0, 0, 0, 0);
	printf("syms: %ld", count);
	for (at = 0; at < count && at < 8; at++) {
		entry = (void *)(to + at * 72);
		printf(" %s", entry->name);
	}
	printf("\n");
}

static void show(const char *file)
{
	int in = openat(directory, file, O_RDONLY);
	ssize_t got;

	if (in < 0) {
		told(file, -errno);
		return;
	}
	while ((got = read(in, buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, got, stdout);
	close(in);
}

static void load(char *file, char *parameters)
{
	struct stat stat;
	int in = open(file, O_RDONLY);
	void *at;

	if (in < 0 || fstat(in, &stat))
		return;
	at = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, in, 0);
	told("load", call(175, (unsigned long)at, stat.st_size, (unsigned long)parameters, 0, 0));
	munmap(at, stat.st_size);
	close(in);
}

static void *opens(void *path)
{
	call(SYS_open, (unsigned long)path, O_RDONLY, 0, 0, 0);
	printf("not stuck\n");
	return NULL;
}

/* Memory whose reader waits until somebody says what is there (userfaultfd(2)): nobody does. */
static void stuck(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register page = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	long fault = call(SYS_userfaultfd, O_CLOEXEC, 0, 0, 0, 0);
	char *path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	page.range.start = (unsigned long)path;
	page.range.len = 4096;
	if (fault < 0 || ioctl(fault, UFFDIO_API, &api) || ioctl(fault, UFFDIO_REGISTER, &page)) {
		told("stuck", fault < 0 ? fault : -errno);
		return;
	}
	pthread_create(&thread, NULL, opens, path);
	usleep(100000);
	printf("stuck: 0\n");
}

static void line(char *text)
{
	char *words[8] = { 0 }, *what;
	int count = 0, in;

	for (what = strtok(text, " \n"); what && count < 7; what = strtok(NULL, " \n"))
		words[count++] = what;
	if (!count)
		return;
	what = words[0];
	if (!strcmp(what, "create")) {
		long at = call(174, name_of(words[1]), number(words[2]), 0, 0, 0);

		if (at < 0 && at >= -4095) {
			told("create", at);
		} else {
			other = address;
			address = at;
			printf("create: @0\n");
		}
	} else if (!strcmp(what, "other")) {
		unsigned long last = address;

		address = other;
		other = last;
	} else if (!strcmp(what, "image")) {
		make(words[1], number(words[2]), (int)strtol(words[3], NULL, 0));
	} else if (!strcmp(what, "layout")) {
		name_at = number(words[1]);
		syms_at = number(words[2]);
		strings_at = number(words[3]);
		deps_at = number(words[4]);
		code_at = number(words[5]);
	} else if (!strcmp(what, "symbol")) {
		symbol(words[1], number(words[2]));
	} else if (!strcmp(what, "set")) {
		word(number(words[1]), number(words[2]));
	} else if (!strcmp(what, "int")) {
		int value = number(words[2]);

		put(number(words[1]), &value, 4);
	} else if (!strcmp(what, "text")) {
		put(number(words[1]), words[2], strlen(words[2]) + 1);
	} else if (!strcmp(what, "code")) {
		unsigned char byte;
		unsigned at = number(words[1]), to;

		for (to = 0; words[2][to] && words[2][to + 1]; to += 2) {
			sscanf(words[2] + to, "%2hhx", &byte);
			put(at++, &byte, 1);
		}
	} else if (!strcmp(what, "dep")) {
		depend(words[1]);
	} else if (!strcmp(what, "init")) {
		told("init", call(175, name_of(words[1]), (unsigned long)image, 0, 0, 0));
	} else if (!strcmp(what, "initat")) {
		/* The image where nothing follows it. */
		unsigned long room = number(words[2]);

		memcpy(edge() - room, image, room);
		told("init", call(175, name_of(words[1]), (unsigned long)edge() - room, 0, 0, 0));
	} else if (!strcmp(what, "delete")) {
		told("delete", call(176, name_of(words[1]), 0, 0, 0, 0));
	} else if (!strcmp(what, "query")) {
		query(words[1], number(words[2]), words[3] ? strtol(words[3], NULL, 0) : 65536);
	} else if (!strcmp(what, "syms")) {
		table(number(words[1]));
	} else if (!strcmp(what, "finit")) {
		in = open(words[1], O_RDONLY);
		told("finit", call(313, in, (unsigned long)(words[3] ? words[3] : ""),
				   number(words[2]), 0, 0));
		close(in);
	} else if (!strcmp(what, "load")) {
		load(words[1], words[2] ? words[2] : "");
	} else if (!strcmp(what, "remove")) {
		told("remove", call(176, name_of(words[1]), number(words[2]), 0, 0, 0));
	} else if (!strcmp(what, "cat")) {
		show(words[1]);
	} else if (!strcmp(what, "stat")) {
		struct stat stat;

		if (fstatat(directory, words[1], &stat, 0))
			told("stat", -errno);
		else
			printf("stat: %o %ld\n", stat.st_mode, (long)stat.st_size);
	} else if (!strcmp(what, "chdir")) {
		told("chdir", chdir(words[1]) ? -errno : 0);
	} else if (!strcmp(what, "from")) {
		directory = open(words[1], O_PATH | O_DIRECTORY);
	} else if (!strcmp(what, "user")) {
		told("user", call(SYS_setuid, number(words[1]), 0, 0, 0, 0));
	} else if (!strcmp(what, "exec")) {
		execvp(words[1], words + 1);
		told("exec", -errno);
	} else if (!strcmp(what, "undumpable")) {
		prctl(PR_SET_DUMPABLE, 0);
	} else if (!strcmp(what, "write")) {
		in = open(words[1], O_WRONLY);
		told("write", in < 0 ? -errno : call(SYS_write, in, (unsigned long)words[2], strlen(words[2]), 0, 0));
	} else if (!strcmp(what, "pipe")) {
		int ends[2];

		if (!pipe(ends))
			told("pipe", call(313, ends[0], (unsigned long)"", 0, 0, 0));
	} else if (!strcmp(what, "stuck")) {
		stuck();
	} else if (!strcmp(what, "raw")) {
		told("raw", call(number(words[1]), number(words[2]), number(words[3]), number(words[4]),
				 number(words[5]), number(words[6])));
	} else {
		printf("what is %s?\n", what);
	}
	fflush(stdout);
}

int main(void)
{
	char text[512];

	while (fgets(text, sizeof(text), stdin))
		line(text);
	return 0;
}

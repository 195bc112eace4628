/*
 * listing32: a program of 32 bits, without a library, that makes the calls of 2.4 and prints what they answer.
 */
static long call(long number, long a, long b, long c, long d, long e)
{
	long result;

	asm volatile("int $0x80"
		     : "=a"(result)
		     : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory");
	return result;
}

static void put(const char *text)
{
	long length = 0;

	while (text[length])
		length++;
	call(4, 1, (long)text, length, 0, 0);
}

static void in_base(long value, unsigned base)
{
	char digits[16];
	int at = 15;
	unsigned long left = value < 0 ? -value : value;

	digits[at] = 0;
	do {
		digits[--at] = '0' + left % base;
		left /= base;
	} while (left);
	if (value < 0)
		digits[--at] = '-';
	put(digits + at);
	put(" ");
}

static void number(long value)
{
	in_base(value, 10);
}

static void octal(long value)
{
	in_base(value, 8);
}

static char buffer[65536];

void _start(void)
{
	unsigned int ret = 0;
	unsigned int *words = (unsigned int *)buffer;
	long got, at;

	number(call(167, 0, 0, 0, 0, 0));
	number(call(167, 0, 1, (long)buffer, sizeof(buffer), (long)&ret));
	number(ret);
	put(buffer);
	put("\n");
	number(call(167, (long)"hello", 5, (long)buffer, 16, (long)&ret));
	number(ret);
	number(words[1]);
	number(words[2]);
	number(words[3]);
	put("\n");
	number(call(167, 0, 4, (long)buffer, sizeof(buffer), (long)&ret));
	put(buffer + words[1]);
	put("\n");
	got = call(130, (long)buffer, 0, 0, 0, 0);
	number(got == call(130, 0, 0, 0, 0, 0));
	put(buffer + 4);
	put("\n");
	number(call(127, (long)"x", 4096, 0, 0, 0));
	number(call(128, (long)"x", (long)buffer, 0, 0, 0));
	number(call(350, 0, (long)"", 0, 0, 0));
	number(call(129, (long)"x", 0, 0, 0, 0));
	put("\n");
	got = call(5, (long)"/proc/modules", 0, 0, 0, 0);
	at = call(3, got, (long)buffer, 20, 0, 0);
	buffer[at > 0 ? at : 0] = 0;
	put(buffer);
	put("|\n");
	/* stat64, access, readlink, chdir. */
	number(call(195, (long)"/sys/module/hello", (long)buffer, 0, 0, 0));
	octal(words[4]);
	number(call(195, (long)"/sys/module/hello/refcnt", (long)buffer, 0, 0, 0));
	octal(words[4]);
	number(words[11]);
	number(call(195, (long)"/sys/module/nothing", (long)buffer, 0, 0, 0));
	number(call(33, (long)"/sys/module/hello", 4, 0, 0, 0));
	number(call(33, (long)"/sys/module/hello/refcnt", 1, 0, 0, 0));
	number(call(85, (long)"/sys/module/hello", (long)buffer, sizeof(buffer), 0, 0));
	number(call(12, (long)"/sys", 0, 0, 0, 0));
	got = call(5, (long)"module/hello/initstate", 0, 0, 0, 0);
	at = call(3, got, (long)buffer, 20, 0, 0);
	number(at);
	buffer[at > 0 ? at : 0] = 0;
	put(buffer);
	call(1, 0, 0, 0, 0, 0);
}

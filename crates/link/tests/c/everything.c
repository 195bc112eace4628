/* One of each thing that compilers make sections, symbols and relocations for. */

typedef unsigned long size_t;

extern int host_add(int a, int b);
extern void host_log(const char *text, ...);
extern int host_counter;
extern int host_table[8];
extern int maybe(int x) __attribute__((weak));
extern int maybe_data __attribute__((weak));
extern char __this_module[];

struct pair {
	const char *name;
	int (*call)(int a, int b);
};

int tentative[20];
int tentative_too;
int initialised = 42;
static int calls;
static int kept[2000];
const int constant = 1234567;
static const char message[] = "a message of some length";
const double scale = 2.5;

static int own(int a, int b)
{
	return a * b + calls;
}

/* Constants that relocation writes, and variables that it writes. */
const struct pair pairs[] = {
	{ "add", host_add },
	{ "own", own },
	{ message, 0 },
};
struct pair current = { "current", own };
int *outside = &host_counter;
int *inside = &kept[100];
int *past = &host_table[5];
char *self = __this_module;
int *maybe_pointer = &maybe_data;

__attribute__((noinline)) static double scaled(int x)
{
	return x * scale + 0.125;
}

/* A table of jumps. */
__attribute__((noinline)) int choose(int n)
{
	switch (n) {
	case 0: return host_add(1, 2);
	case 1: return host_counter;
	case 2: return own(n, 7);
	case 3: host_log("three %d", n); return 3;
	case 4: return initialised++;
	case 5: return kept[n + 9];
	case 6: return tentative[n] + tentative_too;
	case 7: return (int)scaled(n);
	case 8: return maybe ? maybe(n) : -1;
	default: return 99;
	}
}

static void early(void) __attribute__((constructor(200)));
static void earlier(void) __attribute__((constructor(150)));
static void late(void) __attribute__((constructor));
static void leave(void) __attribute__((destructor));

static void early(void)
{
	calls += 2;
}

static void earlier(void)
{
	calls += 1;
}

static void late(void)
{
	calls += 3;
}

static void leave(void)
{
	host_log("leaving");
}

static int once __attribute__((section(".init.data"))) = 5;
static const int once_constant[2] __attribute__((section(".init.rodata"), used)) = { 8, 9 };

__attribute__((section(".init.text"))) int begin(int n)
{
	once += n;
	calls = once + once_constant[n & 1];
	host_log(message, pairs[n].name, self);
	return current.call(n, host_table[n]);
}

int finish(void)
{
	const volatile struct pair *last = &pairs[2];

	return *outside + *inside + *past + last->name[0] + (maybe_pointer != 0) +
	       choose(calls);
}

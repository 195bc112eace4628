/* Functions and data for others. */
#include <linux/export.h>
#include <linux/module.h>

int shared_add(int a, int b);
void shared_stop(void);
extern int shared_value;
extern const char shared_text[];

int shared_value = 3;
EXPORT_SYMBOL(shared_value);

const char shared_text[] = "text";
EXPORT_SYMBOL(shared_text);

int shared_add(int a, int b)
{
	return a + b;
}
EXPORT_SYMBOL(shared_add);

void shared_stop(void)
{
}
EXPORT_SYMBOL_GPL(shared_stop);

MODULE_LICENSE("GPL");

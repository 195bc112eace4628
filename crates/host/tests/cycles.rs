//! A module that comes and goes 100 000 times leaves nothing behind: not a byte.
//!
//! The only test of its program: others would change what is counted.

mod common;

use common::memory::{Counting, allocated, cycles, held, resident_kib};
use common::{Build, exit, function, host, init, map, unmap};
use modfs_host::{Host, Level};

#[global_allocator]
static COUNTING: Counting = Counting;

const WARM_UP: u32 = 1000;
/// Of a module that prints: until its lines have taken the place of all others in the log twice.
/// They come between what is short-lived in malloc's heap, which takes its final shape by then.
const WARM_UP_LOUD: u32 = 10_000;

/// With an import, a parameter of each kind of memory, an export, an init part, constructors.
const MODULE: &str = r#"
    static long base = 1;
    module_param(base, long, 0644);
    static bool loud;
    module_param(loud, bool, 0444);
    static char *name = "none";
    module_param(name, charp, 0444);
    static long zeros[512];
    static int __initdata early = 3;
    static void __attribute__((__constructor__)) made(void) { zeros[0] = 1; }
    static void __attribute__((__destructor__)) unmade(void) { zeros[0] = 0; }
    long cycle_call(long n);
    long cycle_call(long n) { return n + base + zeros[0]; }
    EXPORT_SYMBOL(cycle_call);
    static int __init begin(void)
    {
        if (loud)
            printk(KERN_INFO "begins with %s\n", name);
        return early - 3;
    }
    static void __exit end(void)
    {
        if (loud)
            printk(KERN_INFO "ends with %s\n", name);
    }
    module_init(begin);
    module_exit(end);
    MODULE_LICENSE("GPL");
"#;

/// Uses what the module exports.
const USER: &str = "
    extern long cycle_call(long n);
    int init_module(void) { return cycle_call(40) == 42 ? 0 : -EINVAL; }
    void cleanup_module(void) {}
";

fn cycle(host: &Host, objects: &[Vec<u8>; 2], loud: bool) {
    let [module, user] = objects;
    let loud = if loud { "loud=1" } else { "loud=0" };
    map(host, "cycle", module).expect("map");
    init(host, "cycle", &["base=1", "name=moon", loud]).expect("init");
    assert_eq!(function(host, "cycle_call")(1), 3);
    map(host, "user", user).expect("map");
    init(host, "user", &[]).expect("init");
    exit(host, "user").expect("exit");
    unmap(host, "user").expect("unmap");
    exit(host, "cycle").expect("exit");
    unmap(host, "cycle").expect("unmap");
}

fn leaves_nothing(host: &Host, objects: &[Vec<u8>; 2], loud: bool, warm_up: u32, cycles: u32) {
    for _ in 0..warm_up {
        cycle(host, objects, loud);
    }
    let before = (allocated(), held(), resident_kib());
    for _ in 0..cycles {
        cycle(host, objects, loud);
    }
    let after = (allocated(), held(), resident_kib());
    assert_eq!(after.0 - before.0, 0, "bytes allocated and not freed");
    assert_eq!(after.1, before.1);
    let growth = after.2.saturating_sub(before.2);
    assert!(growth <= 4, "{growth} KiB more are resident");
}

#[test]
fn a_hundred_thousand_cycles_leave_nothing() {
    let user = Build::usual().text(USER).object();
    let objects = [common::module(MODULE), user];
    let host = host();
    leaves_nothing(&host, &objects, false, WARM_UP, cycles());
    // The log is full from the start, of lines as long as those that the module prints.
    for _ in 0..WARM_UP_LOUD {
        host.print(Level::Info, "begins with moon");
        host.print(Level::Info, "ends with moon");
    }
    leaves_nothing(&host, &objects, true, WARM_UP_LOUD, cycles());
}

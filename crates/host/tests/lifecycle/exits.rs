//! Exit: what keeps a module from it, and what its code can still do.

use crate::common::{self, device, exit, host, load, logged, record, refused, state, unload};
use modfs_core::{Errno, State};

const COUNTS: &str = r#"
    #include <linux/fs.h>
    extern void record(const char *what, long value);
    static ssize_t counts_write(struct file *file __maybe_unused, const char *from,
                                size_t n, loff_t *pos __maybe_unused)
    {
        if (*from == '+')
            MOD_INC_USE_COUNT;
        else
            MOD_DEC_USE_COUNT;
        return n;
    }
    static const struct file_operations fops = { .owner = THIS_MODULE, .write = counts_write };
    static int major;
    int init_module(void)
    {
        major = register_chrdev(0, "counts", &fops);
        record("in use during init", MOD_IN_USE);
        MOD_INC_USE_COUNT;
        return 0;
    }
    void cleanup_module(void)
    {
        unregister_chrdev(major, "counts");
        record("a use in exit", try_module_get(THIS_MODULE));
        record("uses in exit", module_refcount(THIS_MODULE));
        record("the kernel", try_module_get(NULL));
        module_put(NULL);
        module_put(THIS_MODULE);
        module_put((struct module *)8);
    }
"#;

#[test]
fn a_count_that_the_module_holds_blocks_exit() {
    let host = host();
    record::export(&host);
    load(&host, "counts", &common::module(COUNTS), &[]);
    refused(exit(&host, "counts"), Errno::EBUSY, "in use once");
    let device = device::open(&host, "counts").expect("open");
    refused(exit(&host, "counts"), Errno::EBUSY, "in use 2 times");
    assert_eq!(device::write(&*device, "+"), Ok(1));
    refused(exit(&host, "counts"), Errno::EBUSY, "in use 3 times");
    for _ in 0..2 {
        assert_eq!(device::write(&*device, "-"), Ok(1));
    }
    refused(exit(&host, "counts"), Errno::EBUSY, "in use once");
    assert_eq!(state(&host, "counts"), State::Running);
    drop(device);
    unload(&host, "counts");
    let expected = [
        ("in use during init", 1),
        ("a use in exit", 0),
        ("uses in exit", 0),
        ("the kernel", 1),
    ];
    let found = record::take();
    let found: Vec<(&str, i64)> = found.iter().map(|(s, n)| (s.as_str(), *n)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_put_without_a_get_is_logged() {
    let host = host();
    record::export(&host);
    load(&host, "counts", &common::module(COUNTS), &[]);
    let device = device::open(&host, "counts").expect("open");
    assert_eq!(device::write(&*device, "-"), Ok(1));
    drop(device);
    assert!(!logged(&host, "module_put without"));
    unload(&host, "counts");
    let text = "counts: module_put without a use to give back";
    let lines = host.log().into_iter().filter(|line| line.text == text);
    // By exit: of its own, of which there is none, and of a pointer to nothing.
    assert_eq!(lines.count(), 2, "{}", common::log_text(&host));
}

#[test]
fn what_a_module_forgot_to_take_back() {
    const FORGETS: &str = r#"
        #include <linux/fs.h>
        #include <linux/proc_fs.h>
        static const struct file_operations fops = { .owner = THIS_MODULE };
        static int show(struct seq_file *seq __maybe_unused, void *data __maybe_unused)
        {
            return 0;
        }
        int init_module(void)
        {
            return register_chrdev(77, "forgotten", &fops) ||
                   !modfs_proc_create("forgotten", 0444, show, NULL, NULL);
        }
    "#;
    let host = host();
    let object = common::module(FORGETS);
    for _ in 0..2 {
        load(&host, "forgets", &object, &[]);
        drop(device::open(&host, "forgotten").expect("open"));
        unload(&host, "forgets");
        assert_eq!(device::open(&host, "forgotten").err(), Some(Errno::ENOENT));
        assert_eq!(device::open(&host, "c-77-0").err(), Some(Errno::ENXIO));
    }
    assert!(logged(&host, "left character device 77 forgotten"));
    assert!(logged(&host, "left virtual file forgotten"));
}

#[test]
fn all_are_unloaded_users_first() {
    const CHAIN: &str = r#"
        extern void record(const char *what, long value);
        #if NUMBER > 0
        extern int PREVIOUS;
        int THIS_ONE;
        int *pointer = &PREVIOUS;
        #else
        int THIS_ONE;
        #endif
        EXPORT_SYMBOL(THIS_ONE);
        void cleanup_module(void) { record("exit", NUMBER); }
    "#;
    let host = host();
    record::export(&host);
    for number in 0..5 {
        let definitions = format!(
            "#define NUMBER {number}\n#define THIS_ONE link{number}\n#define PREVIOUS link{}\n",
            number - 1
        );
        let object = common::module(&format!("{definitions}{CHAIN}"));
        load(&host, &format!("chain{number}"), &object, &[]);
    }
    let held = common::module("int init_module(void) { MOD_INC_USE_COUNT; return 0; }");
    load(&host, "held", &held, &[]);
    common::map(&host, "mapped", &held).expect("map");
    let left = host.unload_all();
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].0.as_str(), left[0].1.errno),
        ("held", Errno::EBUSY)
    );
    assert_eq!(host.names(), ["held"]);
    let order: Vec<i64> = record::take().into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, [4, 3, 2, 1, 0]);
}

#[test]
fn a_virtual_file_removes_itself() {
    const ONCE: &str = r#"
        #include <modfs/proc.h>
        static struct proc_dir_entry *entry;
        static int show(struct seq_file *seq, void *data __maybe_unused)
        {
            proc_remove(entry);
            seq_puts(seq, "once\n");
            return 0;
        }
        int init_module(void)
        {
            entry = modfs_proc_create("once", 0, show, NULL, NULL);
            return entry ? 0 : -EEXIST;
        }
    "#;
    let host = host();
    load(&host, "once", &common::module(ONCE), &[]);
    let file = device::open_in(&host, "proc", "once").expect("open");
    assert_eq!(device::read_all(&*file).as_deref(), Ok("once\n"));
    let again = device::open_in(&host, "proc", "once");
    assert_eq!(again.err(), Some(Errno::ENOENT));
    drop(file);
    unload(&host, "once");
    assert!(!logged(&host, "left virtual file once"));
}

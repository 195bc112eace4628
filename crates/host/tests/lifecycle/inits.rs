//! Init: that fails, that is tried again, that is missing.

use crate::common::{self, device, host, init, load, logged, map, refused, state, status, unmap};
use modfs_core::{Errno, State};
use modfs_host::HostExport;
use std::sync::Barrier;

const FAILS: &str = r#"
    static int how = -19;
    module_param(how, int, 0644);
    static int fresh = 1;
    static int zero;
    int init_module(void)
    {
        if (fresh != 1 || zero != 0)
            return -EIO;
        fresh = 2;
        zero = 3;
        return how;
    }
"#;

#[test]
fn a_failed_init_leaves_the_module_mapped() {
    let host = host();
    map(&host, "fails", &common::module(FAILS)).expect("map");
    refused(
        init(&host, "fails", &[]),
        Errno::ENODEV,
        "init returned -19",
    );
    let failed = status(&host, "fails");
    assert_eq!(failed.state, State::Uninitialized);
    assert_eq!((failed.address, failed.size, failed.usecount), (0, 0, 0));
    refused(common::exit(&host, "fails"), Errno::EINVAL, "not running");
    unmap(&host, "fails").expect("unmap");
    assert!(host.kernel().status("fails").is_none());
}

#[test]
fn a_positive_value_is_ebusy() {
    let host = host();
    map(&host, "fails", &common::module(FAILS)).expect("map");
    for value in ["1", "5", "2147483647"] {
        let parameter = format!("how={value}");
        let text = format!("init returned {value}");
        refused(init(&host, "fails", &[&parameter]), Errno::EBUSY, &text);
    }
    refused(
        init(&host, "fails", &["how=-2147483648"]),
        Errno::EINVAL,
        "init returned",
    );
}

#[test]
fn a_second_init_finds_fresh_variables() {
    let host = host();
    map(&host, "fails", &common::module(FAILS)).expect("map");
    for _ in 0..3 {
        refused(init(&host, "fails", &["how=-12"]), Errno::ENOMEM, "-12");
    }
    // What the failed ones were given is forgotten.
    refused(init(&host, "fails", &[]), Errno::ENODEV, "-19");
    init(&host, "fails", &["how=0"]).expect("init");
    assert_eq!(state(&host, "fails"), State::Running);
    refused(init(&host, "fails", &[]), Errno::EEXIST, "running already");
    refused(unmap(&host, "fails"), Errno::EBUSY, "write `exit` first");
    common::unload(&host, "fails");
}

#[test]
fn load_leaves_nothing_of_a_failed_init() {
    let host = host();
    let result = host.load("fails", common::module(FAILS), &[]);
    refused(result, Errno::ENODEV, "init returned -19");
    assert_eq!(host.names(), [""; 0]);
}

#[test]
fn neither_init_nor_exit() {
    let host = host();
    load(&host, "quiet", &common::module("int quiet;"), &[]);
    assert_eq!(state(&host, "quiet"), State::Running);
    common::exit(&host, "quiet").expect("exit");
    assert_eq!(state(&host, "quiet"), State::Deleted);
    refused(init(&host, "quiet", &[]), Errno::EINVAL, "has exited");
    unmap(&host, "quiet").expect("unmap");
}

/// A dependency's references are given back when init fails, and taken anew by the next.
#[test]
fn references_of_a_failed_init() {
    const LIBRARY: &str = "
        long answer(long n);
        long answer(long n) { return n + 42; }
        EXPORT_SYMBOL(answer);
    ";
    const USER: &str = "
        extern long answer(long n);
        static int works;
        module_param(works, int, 0444);
        int init_module(void) { return works && answer(0) == 42 ? 0 : -EPERM; }
    ";
    let host = host();
    load(&host, "library", &common::module(LIBRARY), &[]);
    map(&host, "user", &common::module(USER)).expect("map");
    assert_eq!(status(&host, "library").refs, ["user"]);
    refused(init(&host, "user", &[]), Errno::EPERM, "");
    assert_eq!(status(&host, "library").refs, [""; 0]);
    init(&host, "user", &["works=1"]).expect("init");
    assert_eq!(status(&host, "library").refs, ["user"]);
    common::unload(&host, "user");

    // Without it, the next init cannot be linked.
    map(&host, "user", &common::module(USER)).expect("map");
    refused(init(&host, "user", &[]), Errno::EPERM, "");
    common::unload(&host, "library");
    refused(
        init(&host, "user", &["works=1"]),
        Errno::ENOENT,
        "unresolved symbol answer",
    );
    assert_eq!(state(&host, "user"), State::Uninitialized);
    unmap(&host, "user").expect("unmap");
}

/// Init and the test meet here twice.
static MEETING: Barrier = Barrier::new(2);

extern "C" fn meet() {
    MEETING.wait();
    MEETING.wait();
}

/// A device that was opened before init failed is still open after: what it stands on must stay.
#[test]
fn a_failed_init_whose_device_is_open() {
    const DRAINS: &str = r#"
        #include <linux/fs.h>
        extern void meet(void);
        static int fail = 1;
        module_param(fail, int, 0444);
        static int fresh = 1;
        static ssize_t drains_read(struct file *file __maybe_unused, char *to,
                                   size_t n __maybe_unused, loff_t *pos __maybe_unused)
        {
            to[0] = '0' + fresh;
            return 1;
        }
        static const struct file_operations fops = { .owner = THIS_MODULE, .read = drains_read };
        int init_module(void)
        {
            int major = register_chrdev(0, "drains", &fops);

            if (major < 0 || fresh != 1)
                return -EIO;
            fresh = 2;
            if (!fail)
                return 0;
            meet();
            return -ENODEV;
        }
    "#;
    let host = host();
    host.export(&[HostExport::function("meet", meet as *const ())])
        .expect("export");
    map(&host, "drains", &common::module(DRAINS)).expect("map");
    let device = std::thread::scope(|scope| {
        let starting = scope.spawn(|| init(&host, "drains", &[]));
        MEETING.wait();
        assert_eq!(state(&host, "drains"), State::Initializing);
        let device = device::open(&host, "drains").expect("open during init");
        assert_eq!(device::read(&*device), Ok(b"2".to_vec()));
        MEETING.wait();
        refused(starting.join().expect("join"), Errno::ENODEV, "-19");
        device
    });
    assert!(logged(&host, "left character device 254 drains registered"));
    assert_eq!(device::open(&host, "drains").err(), Some(Errno::ENOENT));
    let draining = status(&host, "drains");
    assert_eq!(
        (draining.state, draining.usecount),
        (State::Uninitialized, 1)
    );
    assert_ne!(draining.address, 0);
    refused(init(&host, "drains", &[]), Errno::EBUSY, "still used");
    refused(unmap(&host, "drains"), Errno::EBUSY, "still used");
    assert_eq!(device::read(&*device), Err(Errno::EIO));
    drop(device);
    init(&host, "drains", &["fail=0"]).expect("init");
    let device = device::open(&host, "drains").expect("open");
    assert_eq!(device::read(&*device), Ok(b"2".to_vec()));
    drop(device);
    common::unload(&host, "drains");
}

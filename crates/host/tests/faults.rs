//! Modules that fault: it is reported, the module stays, marked, and the host goes on.

mod common;

use common::{
    Build, child, exit, function, host, init, load, log_text, logged, map, refused, state, unload,
    unmap,
};
use modfs_core::{Errno, State};
use modfs_host::{Host, HostExport};
use std::os::unix::process::ExitStatusExt;
use std::sync::Barrier;

const STACK_OVERFLOW: i32 = 5;

/// A way to fault, what the report calls it, and the function of the module it is in (`None`:
/// the module called something of the host).
const WAYS: [(i32, &str, Option<&str>); 24] = [
    (1, "NULL pointer dereference", Some("do_fault")),
    (2, "division by zero", Some("do_fault")),
    (3, "jump to where there is no code", None),
    (4, "invalid instruction", Some("do_fault")),
    (STACK_OVERFLOW, "bad memory access", Some("recurse")),
    (6, "NULL pointer dereference", Some("do_fault")),
    (7, "trap", Some("do_fault")),
    (8, "bad memory access", Some("do_fault")),
    (9, "jump to", None),
    (
        10,
        "access beyond the end of mapped memory, or misaligned",
        Some("do_fault"),
    ),
    (11, "general protection fault", Some("do_fault")),
    (12, "general protection fault", Some("do_fault")),
    (20, "NULL pointer dereference", None),
    (21, "NULL pointer dereference", None),
    (22, "NULL pointer dereference", None),
    (23, "NULL pointer dereference", None),
    (24, "NULL pointer dereference", None),
    (25, "NULL pointer dereference", None),
    (26, "NULL pointer dereference", None),
    (27, "NULL pointer dereference", None),
    (28, "NULL pointer dereference", None),
    (30, "bad memory access", None),
    (31, "bad memory access", None),
    (32, "bad memory access", None),
];

fn faulty(place: i32) -> Vec<u8> {
    Build::usual()
        .flags([format!("-DWHERE={place}"), "-fno-builtin".into()])
        .fixture("faults.c")
        .object()
}

/// A module that works.
fn sound() -> Vec<u8> {
    common::module(
        "static int runs; long sound(long n); long sound(long n) { return n + ++runs; }
         EXPORT_SYMBOL(sound); int init_module(void) { printk(\"sound\\n\"); return 0; }",
    )
}

/// The host goes on, on this thread and on others.
fn goes_on(host: &Host, sound: &[u8]) {
    let works = || {
        load(host, "sound", sound, &[]);
        assert_eq!(function(host, "sound")(1), 2);
        unload(host, "sound");
    };
    works();
    std::thread::scope(|scope| {
        let other = scope.spawn(works);
        other.join().expect("another thread");
    });
}

/// A module that faulted is refused everything.
fn is_stuck(host: &Host, name: &str) {
    assert_eq!(state(host, name), State::Faulted);
    refused(exit(host, name), Errno::EBUSY, "faulted");
    refused(unmap(host, name), Errno::EBUSY, "faulted");
    refused(init(host, name, &[]), Errno::EBUSY, "faulted");
    refused(map(host, name, &[]), Errno::EEXIST, "faulted");
}

#[test]
fn every_way_in_init() {
    let host = host();
    let (object, sound) = (faulty(1), sound());
    for (at, (how, what, function)) in WAYS.into_iter().enumerate() {
        let name = format!("faulty{how}");
        map(&host, &name, &object).expect("map");
        let result = init(&host, &name, &[&format!("how={how}")]);
        let text = format!("{name}: {what}");
        refused(result.clone(), Errno::EFAULT, &text);
        refused(result.clone(), Errno::EFAULT, "until the host ends");
        let log = log_text(&host);
        assert!(log.contains("Oops: #"), "{log}");
        assert!(log.contains(&format!(", in a call into {name}")), "{log}");
        if let Some(function) = function {
            let place = format!(" at {function}+0x");
            refused(result, Errno::EFAULT, &place);
        }
        // The chain of calls is told by frame pointers, but not across the host's code.
        let calls = log.rsplit("Call Trace:").next().unwrap_or_default();
        let trace = format!("[{name}]");
        assert!(calls.contains(&trace), "{how}: {log}");
        assert!(calls.contains("Modules linked in: faulty"), "{log}");
        is_stuck(&host, &name);
        goes_on(&host, &sound);
        assert_eq!(host.names().len(), at + 1);
    }
}

#[test]
fn in_a_constructor() {
    let host = host();
    let sound = sound();
    for how in [1, STACK_OVERFLOW, 20] {
        let flags = ["-DWHERE=2".to_owned(), format!("-DHOW={how}")];
        let build = Build::usual().flags(flags).flags(["-fno-builtin"]);
        let name = format!("faulty{how}");
        map(&host, &name, &build.fixture("faults.c").object()).expect("map");
        refused(init(&host, &name, &[]), Errno::EFAULT, "faulty");
        is_stuck(&host, &name);
        goes_on(&host, &sound);
    }
}

#[test]
fn in_exit() {
    let host = host();
    let (object, sound) = (faulty(3), sound());
    for how in [1, 2, STACK_OVERFLOW, 21] {
        let name = format!("faulty{how}");
        load(&host, &name, &object, &[&format!("how={how}")]);
        refused(exit(&host, &name), Errno::EFAULT, "");
        is_stuck(&host, &name);
        goes_on(&host, &sound);
    }
    let left = host.unload_all();
    assert_eq!(left.len(), 4, "{left:?}");
}

/// `user` calls `middle`, which calls `library`, where it happens: whoever was called or had its
/// code on the stack is not to be trusted any more.
#[test]
fn in_a_function_of_another_module() {
    const MIDDLE: &str = "
        extern int do_fault(int way);
        noinline int in_between(int way);
        noinline int in_between(int way) { int n = do_fault(way); barrier(); return n + 1; }
        EXPORT_SYMBOL(in_between);
    ";
    const USER: &str = "
        extern int in_between(int way);
        static int how;
        module_param(how, int, 0444);
        int init_module(void) { int n = in_between(how); barrier(); return n + 1; }
    ";
    let library = Build::usual()
        .flags(["-DLIBRARY", "-fno-builtin"])
        .fixture("faults.c")
        .object();
    let (middle, user) = (common::module(MIDDLE), common::module(USER));
    for how in ["how=1", "how=5", "how=20"] {
        let host = host();
        load(&host, "library", &library, &[]);
        load(&host, "middle", &middle, &[]);
        map(&host, "user", &user).expect("map");
        refused(init(&host, "user", &[how]), Errno::EFAULT, "user: ");
        let log = log_text(&host);
        let names: &[&str] = match how {
            // The stack is full of this one.
            "how=5" => &["recurse+0x"],
            _ => &["do_fault+0x", "in_between+0x", "init_module+0x"],
        };
        for name in names {
            assert!(log.contains(name), "{how}: {name} is not in: {log}");
        }
        is_stuck(&host, "user");
        is_stuck(&host, "library");
        // Behind a recursion, or frames of the host, it may be out of sight, but it is in use.
        if how == "how=1" {
            is_stuck(&host, "middle");
        }
        refused(exit(&host, "middle"), Errno::EBUSY, "");
        goes_on(&host, &sound());
    }
}

/// A registered device of a faulted module answers EIO, and so does one that is open.
#[test]
fn in_a_device() {
    const DEVICE: &str = r#"
        #include <linux/fs.h>
        static volatile int zero;
        static ssize_t bad_read(struct file *file __maybe_unused, char *to __maybe_unused,
                                size_t n, loff_t *pos __maybe_unused)
        {
            return n / zero;
        }
        static const struct file_operations fops = { .owner = THIS_MODULE, .read = bad_read };
        int init_module(void) { return register_chrdev(88, "bad", &fops); }
    "#;
    let host = host();
    load(&host, "bad", &common::module(DEVICE), &[]);
    let device = common::device::open(&host, "bad").expect("open");
    let second = common::device::open(&host, "bad").expect("open");
    assert_eq!(common::device::read(&*device), Err(Errno::EIO));
    assert!(logged(&host, "division by zero"), "{}", log_text(&host));
    assert!(log_text(&host).contains("bad_read+0x"));
    assert_eq!(common::device::read(&*device), Err(Errno::EIO));
    assert_eq!(common::device::read(&*second), Err(Errno::EIO));
    drop((device, second));
    assert_eq!(common::device::open(&host, "bad").err(), Some(Errno::ENXIO));
    is_stuck(&host, "bad");
    goes_on(&host, &sound());
}

static MEETING: Barrier = Barrier::new(2);

extern "C" fn meet() {
    MEETING.wait();
    MEETING.wait();
}

/// A device of the module faults on another thread while its init runs, which then succeeds.
#[test]
fn in_a_device_while_init_runs() {
    const DEVICE: &str = r#"
        #include <linux/fs.h>
        extern void meet(void);
        static volatile int zero;
        static ssize_t bad_read(struct file *file __maybe_unused, char *to __maybe_unused,
                                size_t n, loff_t *pos __maybe_unused)
        {
            return n / zero;
        }
        static const struct file_operations fops = { .owner = THIS_MODULE, .read = bad_read };
        int init_module(void)
        {
            int error = register_chrdev(89, "early", &fops);

            meet();
            return error;
        }
    "#;
    let host = host();
    host.export(&[HostExport::function("meet", meet as *const ())])
        .expect("export");
    map(&host, "early", &common::module(DEVICE)).expect("map");
    let device = std::thread::scope(|scope| {
        let starting = scope.spawn(|| init(&host, "early", &[]));
        MEETING.wait();
        let device = common::device::open(&host, "early").expect("open");
        assert_eq!(common::device::read(&*device), Err(Errno::EIO));
        MEETING.wait();
        let result = starting.join().expect("join");
        refused(result, Errno::EFAULT, "faulted on another thread");
        device
    });
    assert_eq!(common::status(&host, "early").usecount, 1);
    drop(device);
    assert_eq!(common::status(&host, "early").usecount, 0);
    is_stuck(&host, "early");
}

/// Faults on many threads at once, each reported once.
#[test]
fn on_several_threads_at_once() {
    let host = host();
    let object = faulty(1);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (host, object) = (&host, &object);
            scope.spawn(move || {
                for round in 0..10 {
                    let name = format!("faulty{thread}.{round}");
                    let how = WAYS[(thread * 10 + round) % WAYS.len()].0;
                    map(host, &name, object).expect("map");
                    let result = init(host, &name, &[&format!("how={how}")]);
                    refused(result, Errno::EFAULT, &name);
                }
            });
        }
    });
    assert_eq!(host.names().len(), 40);
    goes_on(&host, &sound());
}

#[inline(never)]
fn overflow(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if frame[1] == u64::MAX {
        return 0;
    }
    overflow(n + 1) + frame[(n % 64) as usize]
}

fn send_sigill() {
    // SAFETY: sends this process a signal.
    unsafe { libc::kill(libc::getpid(), libc::SIGILL) };
    std::thread::sleep(std::time::Duration::from_secs(1));
}

/// What children of `the_hosts_own_fault_kills_it` do.
fn own_fault(role: &str) {
    let host = host();
    load(&host, "sound", &sound(), &[]);
    match role {
        "wild read" => {
            // SAFETY: none; the process ends here, which the test is about.
            unsafe { std::ptr::read_volatile(std::ptr::without_provenance::<u8>(8)) };
        }
        "stack overflow" => {
            std::hint::black_box(overflow(0));
        }
        "after a module's" => {
            map(&host, "faulty", &faulty(1)).expect("map");
            refused(init(&host, "faulty", &["how=1"]), Errno::EFAULT, "");
            // SAFETY: none, as above.
            unsafe { std::ptr::read_volatile(std::ptr::without_provenance::<u8>(8)) };
        }
        "while something is held" => {
            let text = "#include <linux/slab.h>
                int init_module(void) { kfree((void *)16); return 0; }";
            let _ = host.load("frees", common::module(text), &[]);
        }
        "overwritten stack" => {
            let text = "static void smash(volatile char *at) {
                    for (int i = 0; i < 6000; i++) at[i] = 0; }
                int init_module(void) { char b[16]; smash(b); return b[3]; }";
            let _ = host.load("smashes", common::module(text), &[]);
        }
        "damaged heap" => {
            let text = "#include <linux/slab.h>
                int init_module(void) { void *p = kmalloc(4000, 0); kfree(p); kfree(p); return 0; }";
            let _ = host.load("frees", common::module(text), &[]);
        }
        // Rust's own handler of SIGSEGV does not end the process for one that was sent; of SIGILL
        // it has none.
        "sent" => send_sigill(),
        other => panic!("{other}?"),
    }
    panic!("{role}: still alive");
}

/// What the program ignored before there was a host, it ignores still.
#[test]
fn an_ignored_signal_is_still_ignored() {
    if child::role().is_none() {
        let ended = child::play("an_ignored_signal_is_still_ignored", "");
        assert!(ended.status.success(), "{ended:?}");
        return;
    }
    // SAFETY: ignoring a signal has no preconditions.
    unsafe { libc::signal(libc::SIGILL, libc::SIG_IGN) };
    let host = host();
    send_sigill();
    map(&host, "faulty", &faulty(1)).expect("map");
    refused(init(&host, "faulty", &["how=4"]), Errno::EFAULT, "invalid");
}

#[test]
fn the_hosts_own_fault_kills_it() {
    if let Some(role) = child::role() {
        return own_fault(&role);
    }
    for (role, signal, text) in [
        ("wild read", libc::SIGSEGV, ""),
        ("stack overflow", libc::SIGABRT, "has overflowed its stack"),
        ("after a module's", libc::SIGSEGV, ""),
        (
            "while something is held",
            libc::SIGSEGV,
            "the host cannot go on",
        ),
        (
            "overwritten stack",
            libc::SIGSEGV,
            "the stack was overwritten",
        ),
        ("damaged heap", libc::SIGABRT, "in a call into frees"),
        ("sent", libc::SIGILL, ""),
    ] {
        let ended = child::play("the_hosts_own_fault_kills_it", role);
        assert_eq!(ended.status.signal(), Some(signal), "{role}: {ended:?}");
        assert!(ended.said.contains(text), "{role}: {ended:?}");
        // A host in the background has no standard error.
        if text.contains("the host") || text.contains("in a call") {
            assert!(ended.crash.contains(text), "{role}: {ended:?}");
        }
    }
}

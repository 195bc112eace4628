//! Modules in Rust that come and go leave nothing behind: not a byte. With all that makes a
//! library stay for good that was loaded by dlopen: a thread-local variable with a destructor, a
//! panic with a call trace, memory.
//!
//! The only test of its program: others would change what is counted.

mod common;

use common::memory::{Counting, allocated_by_all, cycles, held, malloced, resident_kib};
use common::rust::rust;
use common::{call, exit, function, host, init, map, refused, unmap};
use modfs_core::Errno;
use modfs_host::{Host, Level};
use std::sync::mpsc::{Receiver, Sender, channel};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Until the lines of the panics have taken the place of all others in the log.
const WARM_UP: u32 = 3000;

/// Another thread, whose thread-local values have to go too.
struct Other {
    asked: Sender<()>,
    done: Receiver<()>,
}

impl Other {
    fn start(host: &Host) -> Other {
        let (asked, was_asked) = channel();
        let (is_done, done) = channel();
        let host = host.clone();
        std::thread::spawn(move || {
            while was_asked.recv().is_ok() {
                uses(&host);
                if is_done.send(()).is_err() {
                    return;
                }
            }
        });
        Other { asked, done }
    }
}

/// Has a thread-local value made and used.
fn uses(host: &Host) {
    for n in 1..=3 {
        assert_eq!(call(host, "grower_word", n).expect("call"), n);
    }
}

fn cycle(host: &Host, other: &Other, object: &[u8]) {
    map(host, "grower", object).expect("map");
    init(host, "grower", &["name=moon"]).expect("init");
    uses(host);
    other.asked.send(()).expect("the other thread");
    other.done.recv().expect("the other thread");
    let panicked = call(host, "grower_panic", 1);
    refused(panicked, Errno::EIO, "100 held");
    let _ = function(host, "grower_word");
    exit(host, "grower").expect("exit");
    unmap(host, "grower").expect("unmap");
}

#[test]
fn a_hundred_thousand_cycles_of_a_module_in_rust_leave_nothing() {
    let object = rust("grower");
    let host = host();
    let other = Other::start(&host);
    // The log is full from the start.
    for _ in 0..20_000 {
        host.print(
            Level::Info,
            "a line about as long as those of a call trace are, or longer",
        );
    }
    for _ in 0..WARM_UP {
        cycle(&host, &other, &object);
    }
    let before = (allocated_by_all(), held(), resident_kib(), malloced());
    for _ in 0..cycles() {
        cycle(&host, &other, &object);
    }
    let after = (allocated_by_all(), held(), resident_kib(), malloced());
    assert_eq!(after.0 - before.0, 0, "bytes allocated and not freed");
    assert_eq!(after.1, before.1);
    let more = after.3.saturating_sub(before.3);
    // What two threads free of each other, malloc has here or there.
    assert!(more < cycles() as usize, "{more} bytes of malloc");
    let growth = after.2.saturating_sub(before.2);
    eprintln!("{} cycles, {growth} KiB of growth", cycles());
    assert!(growth <= 4, "{growth} KiB more are resident");
}

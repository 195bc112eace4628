//! Panics of modules in Rust: each ends the call it is in, destructors run, the caller gets an
//! error with the text and the place, and the host goes on.

mod common;

use common::device::{self, open_in};
use common::rust::rust;
use common::{call, exit, host, init, load, log_text, logged, map, refused, state, unload, unmap};
use modfs_core::{Errno, Refusal, State};
use modfs_host::{Host, HostExport};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn kit(host: &Host, parameters: &[&str]) {
    load(host, "kit", &rust("kit"), parameters);
}

#[track_caller]
fn number(host: &Host, name: &str) -> i64 {
    call(host, name, 0).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

/// Nothing is left of a panic in the host, on this thread or on others.
#[track_caller]
fn host_is_untouched() {
    assert!(!std::thread::panicking());
    let own = catch_unwind(|| std::panic::resume_unwind(Box::new(7)));
    assert_eq!(own.expect_err("panics").downcast_ref(), Some(&7));
    assert!(!std::thread::panicking());
}

/// What was panicked in works, and goes.
#[track_caller]
fn works_and_goes(host: &Host) {
    host_is_untouched();
    assert_eq!(state(host, "kit"), State::Running);
    assert_eq!(call(host, "kit_twice", 21).expect("call"), 42);
    unload(host, "kit");
    assert_eq!(host.names(), [""; 0]);
    assert!(!log_text(host).contains("faulted"), "{}", log_text(host));
}

#[test]
fn every_kind_of_panic() {
    let host = host();
    kit(&host, &[]);
    for (way, text) in [
        (1, "a text, and a number: 42"),
        (2, "index out of bounds: the len is 3 but the index is 7"),
        (3, "called `Option::unwrap()` on a `None` value"),
        (4, "no error: Errno(5)"),
        (5, "attempt to divide by zero"),
        (7, &"long ".repeat(100)),
        (8, "not a char boundary"),
        (9, "already"),
    ] {
        let before = number(&host, "kit_drops");
        let result = call(&host, "kit_panic", way);
        refused(result.clone(), Errno::EIO, text);
        let whole = result.expect_err("refused").to_string();
        let place = whole.split("kit panicked at src/panics.rs:").nth(1);
        let line = place.and_then(|rest| rest.split(':').next()?.parse::<u32>().ok());
        assert!(line.is_some_and(|line| line > 10), "{whole}");
        assert_eq!(number(&host, "kit_drops"), before + 6, "{way}: destructors");
        host_is_untouched();
    }
    works_and_goes(&host);
}

#[test]
fn the_log_has_a_call_trace_with_plain_names() {
    let host = host();
    kit(&host, &[]);
    refused(call(&host, "kit_panic", 1), Errno::EIO, "");
    let log = log_text(&host);
    assert!(log.contains("kit: panicked at src/panics.rs:"), "{log}");
    let trace = log.split("Call Trace:\n").nth(1).expect("a trace");
    let names: Vec<&str> = trace
        .lines()
        .filter_map(|line| line.split("] ").last()?.trim().split("+0x").next())
        .collect();
    assert!(trace.contains("kit::panics::deep+0x"), "{log}");
    assert!(trace.contains("core::panicking::panic_fmt+0x"), "{log}");
    let last = trace.lines().rfind(|line| line.contains("[kit]"));
    assert!(
        last.is_some_and(|line| line.contains("kit_panic+0x")),
        "{log}"
    );
    assert!(
        names
            .iter()
            .filter(|n| n.ends_with("kit::panics::deep"))
            .count()
            >= 2,
        "{log}"
    );
    assert!(!log.contains("_ZN") && !log.contains("_R"), "{log}");
    works_and_goes(&host);
}

#[test]
fn in_init() {
    let host = host();
    let object = rust("kit");
    map(&host, "kit", &object).expect("map");
    for _ in 0..3 {
        let result = init(&host, "kit", &["at=init"]);
        refused(result.clone(), Errno::EIO, "kit panicked at src/lib.rs:");
        refused(result, Errno::EIO, "as asked, in init");
        assert_eq!(state(&host, "kit"), State::Uninitialized);
        assert_eq!(open_in(&host, "proc", "kit").err(), Some(Errno::ENOENT));
    }
    init(&host, "kit", &[]).expect("init");
    works_and_goes(&host);
    let result = host.load("kit", object, &["at=init"]);
    refused(result, Errno::EIO, "as asked, in init");
    assert_eq!(host.names(), [""; 0]);
}

/// The module has exited all the same: its fields are dropped, its file is taken back.
#[test]
fn in_exit() {
    let host = host();
    kit(&host, &["at=exit"]);
    let result = exit(&host, "kit");
    refused(result, Errno::EIO, "as asked, in exit");
    assert_eq!(state(&host, "kit"), State::Deleted);
    assert_eq!(open_in(&host, "proc", "kit").err(), Some(Errno::ENOENT));
    assert!(!logged(&host, "left"), "{}", log_text(&host));
    unmap(&host, "kit").expect("unmap");
    host_is_untouched();
    kit(&host, &[]);
    works_and_goes(&host);
}

/// Unloading in one step gets as far, and tells of it.
#[test]
fn in_exit_of_a_module_that_is_unloaded() {
    let host = host();
    kit(&host, &["at=exit"]);
    refused(host.unload("kit"), Errno::EIO, "as asked, in exit");
    assert_eq!(host.names(), Vec::<String>::new());
}

#[test]
fn in_a_device_and_a_file() {
    for place in ["open", "read", "write", "release", "show", "store"] {
        let host = host();
        kit(&host, &[&format!("at={place}")]);
        for _ in 0..2 {
            let before = number(&host, "kit_drops");
            let device = device::open(&host, "kit");
            if place == "open" {
                assert_eq!(device.err(), Some(Errno::EIO));
            } else {
                let device = device.expect("open");
                let eio = |is| if is { Err(Errno::EIO) } else { Ok(()) };
                assert_eq!(device::read(&*device).map(drop), eio(place == "read"));
                let written = device::write(&*device, "x").map(drop);
                assert_eq!(written, eio(place == "write"));
                // Another try is as good.
                assert_eq!(device::read(&*device).map(drop), eio(place == "read"));
                drop(device);
            }
            let file = open_in(&host, "proc", "kit");
            if place == "show" {
                assert_eq!(file.err(), Some(Errno::EIO));
            } else {
                let file = file.expect("open");
                assert_eq!(device::write(&*file, "x").is_err(), place == "store");
            }
            let dropped = number(&host, "kit_drops") - before;
            assert!(dropped > 0, "{place}: {dropped}");
            assert_eq!(number(&host, "kit_opens"), 0, "{place}");
        }
        assert!(logged(&host, &format!("as asked, in {place}")));
        works_and_goes(&host);
    }
}

#[test]
fn in_a_thread_local_variable() {
    let host = host();
    kit(&host, &["at=local-make"]);
    for _ in 0..2 {
        let before = number(&host, "kit_drops");
        let result = call(&host, "kit_local", 0);
        refused(result, Errno::EIO, "as asked, in local-make");
        assert_eq!(number(&host, "kit_drops"), before + 1);
    }
    works_and_goes(&host);

    // When a thread ends there is nobody to tell but the log.
    kit(&host, &["at=local-drop"]);
    let before = number(&host, "kit_drops");
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(number(&host, "kit_local"), 1));
    });
    // A scope ends before the last words of its threads do.
    common::eventually(|| logged(&host, "as asked, in local-drop"));
    assert_eq!(number(&host, "kit_drops"), before + 1);
    assert_eq!(number(&host, "kit_local"), 1);
    works_and_goes(&host);
}

/// Not all destructors can be run: the module stays, and says why.
#[test]
fn in_a_destructor_while_unwinding() {
    let host = host();
    kit(&host, &[]);
    let result = call(&host, "kit_panic", 6);
    refused(result.clone(), Errno::EIO, "the first one");
    refused(
        result.clone(),
        Errno::EIO,
        "; and while unwinding: src/panics.rs:",
    );
    refused(result.clone(), Errno::EIO, "the second one");
    refused(
        result,
        Errno::EIO,
        "not all of its destructors could be run",
    );
    stays(&host, "kit");
    host_is_untouched();
    // It is not entered again, and another works beside it.
    assert_eq!(device::open(&host, "kit").err(), Some(Errno::ENXIO));
    load(&host, "grower", &rust("grower"), &[]);
    refused(call(&host, "grower_panic", 1), Errno::EIO, "100 held");
    unload(&host, "grower");
    assert_eq!(host.names(), ["kit"]);
}

#[track_caller]
fn stays(host: &Host, name: &str) {
    assert_eq!(state(host, name), State::Faulted, "{name}");
    refused(exit(host, name), Errno::EBUSY, "faulted");
    refused(unmap(host, name), Errno::EBUSY, "faulted");
}

thread_local! {
    static NESTED: RefCell<Option<(Host, Option<Refusal>)>> = const { RefCell::new(None) };
}

/// Calls a module in turn, and tells whether that panicked.
extern "C" fn nest(n: i64) -> i64 {
    let host = NESTED.with_borrow(|nested| nested.as_ref().map(|(host, _)| host.clone()));
    let host = host.expect("a host");
    let result = call(&host, "kit_panic", n);
    NESTED.with_borrow_mut(|nested| *nested = Some((host, result.clone().err())));
    result.unwrap_or(-1)
}

fn chain(flags: &[&str]) -> Host {
    const MID: &str = "
        extern long kit_panic(long n);
        long mid(long n);
        long mid(long n) { long got = kit_panic(n); barrier(); return got + 1; }
        EXPORT_SYMBOL(mid);
    ";
    let host = host();
    host.export(&[HostExport::function("nest", nest as *const ())])
        .expect("export");
    kit(&host, &[]);
    let mid = common::Build::usual().text(MID).flags(flags).object();
    load(&host, "mid", &mid, &[]);
    load(&host, "chain", &rust("chain"), &[]);
    host
}

/// Frames of C cannot be unwound: all whose code was cut short stay.
#[test]
fn through_a_function_in_c() {
    for flags in [&[][..], &["-fasynchronous-unwind-tables"]] {
        let host = chain(flags);
        assert_eq!(call(&host, "outer", 0).expect("call"), 7);
        let result = call(&host, "outer", 1);
        refused(result.clone(), Errno::EIO, "a text, and a number: 42");
        refused(
            result,
            Errno::EIO,
            "not all of its destructors could be run",
        );
        stays(&host, "chain");
        stays(&host, "mid");
        host_is_untouched();
        load(&host, "grower", &rust("grower"), &[]);
        refused(call(&host, "grower_panic", 1), Errno::EIO, "100 held");
        unload(&host, "grower");
    }
}

/// A call within a call: the inner panic ends the inner call.
#[test]
fn in_a_call_that_the_host_makes_for_a_module() {
    let host = chain(&[]);
    NESTED.set(Some((host.clone(), None)));
    let device = device::open(&host, "chain").expect("open");
    assert_eq!(device::read(&*device), Ok(b"0".to_vec()), "-1 and 1");
    let (_, told) = NESTED.take().expect("nested");
    refused(told.map_or(Ok(()), Err), Errno::EIO, "a number: 42");
    assert_eq!(number(&host, "outer_drops"), 1);
    assert_eq!(number(&host, "kit_drops"), 6);
    drop(device);
    for name in ["chain", "mid"] {
        unload(&host, name);
    }
    works_and_goes(&host);
}

/// The host's own panics are as ever, before and after, and within a call.
#[test]
fn beside_the_hosts_own() {
    let host = host();
    kit(&host, &[]);
    for _ in 0..100 {
        let own = catch_unwind(AssertUnwindSafe(|| {
            refused(call(&host, "kit_panic", 1), Errno::EIO, "");
            assert!(!std::thread::panicking());
            std::panic::resume_unwind(Box::new("own"));
        }));
        assert_eq!(own.expect_err("panics").downcast_ref(), Some(&"own"));
        struct Calls<'a>(&'a Host);
        impl Drop for Calls<'_> {
            fn drop(&mut self) {
                assert!(std::thread::panicking());
                refused(call(self.0, "kit_panic", 3), Errno::EIO, "");
                assert!(std::thread::panicking());
            }
        }
        // A module that panics while the host unwinds.
        let own = catch_unwind(AssertUnwindSafe(|| {
            let _calls = Calls(&host);
            std::panic::resume_unwind(Box::new(8));
        }));
        assert_eq!(own.expect_err("panics").downcast_ref(), Some(&8));
    }
    works_and_goes(&host);
}

/// Threads that panic at once, while others load and unload modules that unwind.
#[test]
fn on_many_threads_at_once() {
    const TIMES: u32 = 1000;
    const THREADS: u32 = 4;
    let host = host();
    kit(&host, &[]);
    let grower = rust("grower");
    let done = AtomicBool::new(false);
    let cycles = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let loader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                load(&host, "grower", &grower, &[]);
                refused(call(&host, "grower_panic", 1), Errno::EIO, "100 held");
                unload(&host, "grower");
                cycles.fetch_add(1, Ordering::Relaxed);
            }
        });
        let panics: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..TIMES {
                        refused(call(&host, "kit_panic", 1), Errno::EIO, "a number: 42");
                        assert!(!std::thread::panicking());
                    }
                })
            })
            .collect();
        for thread in panics {
            thread.join().expect("no panic of the host's own");
        }
        done.store(true, Ordering::Relaxed);
        loader.join().expect("no panic of the host's own");
    });
    assert_eq!(number(&host, "kit_drops"), i64::from(TIMES * THREADS * 6));
    assert!(cycles.into_inner() > 10);
    works_and_goes(&host);
}

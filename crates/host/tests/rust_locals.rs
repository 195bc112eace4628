//! Thread-local variables of modules in Rust: each is dropped once, with its thread or with its
//! module.

mod common;

use common::rust::rust;
use common::{call, exit, host, load, log_text, unload, unmap};
use modfs_core::Errno;
use modfs_host::Host;
use std::sync::Barrier;

fn kit(parameters: &[&str]) -> Host {
    let host = host();
    load(&host, "kit", &rust("kit"), parameters);
    host
}

#[track_caller]
fn number(host: &Host, name: &str) -> i64 {
    call(host, name, 0).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

fn dropped(host: &Host) -> usize {
    log_text(host).matches("calls is dropped").count()
}

#[test]
fn each_thread_has_its_own_until_it_ends() {
    let host = kit(&[]);
    assert_eq!(
        (number(&host, "kit_local"), number(&host, "kit_local")),
        (1, 2)
    );
    for threads in 1..4 {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for calls in 1..=threads {
                        assert_eq!(number(&host, "kit_local"), calls);
                    }
                });
            }
        });
        // A scope ends before the last words of its threads do.
        common::eventually(|| dropped(&host) == 3 * threads as usize);
        let text = format!("kit: a value with {threads} calls is dropped");
        assert_eq!(log_text(&host).matches(&text).count(), 3);
    }
    assert_eq!(
        number(&host, "kit_local"),
        3,
        "this thread's is still there"
    );
    unload(&host, "kit");
    assert_eq!(dropped(&host), 10);
}

/// Values of threads that live go with the module, and a new one begins anew.
#[test]
fn all_go_with_their_module() {
    const THREADS: usize = 4;
    let host = kit(&[]);
    let (made, gone) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                assert_eq!(number(&host, "kit_local"), 1);
                made.wait();
                gone.wait();
                assert_eq!(number(&host, "kit_local"), 1, "of the second");
                made.wait();
            });
        }
        made.wait();
        exit(&host, "kit").expect("exit");
        assert_eq!(dropped(&host), THREADS);
        unmap(&host, "kit").expect("unmap");
        load(&host, "kit", &rust("kit"), &[]);
        gone.wait();
        made.wait();
    });
    common::eventually(|| dropped(&host) == 2 * THREADS);
    unload(&host, "kit");
    assert_eq!(dropped(&host), 2 * THREADS);
}

/// The value is that of the module that declares it, whoever's call it is.
#[test]
fn a_variable_is_its_own_modules() {
    const USER: &str = "
        extern long kit_local(void);
        long user_local(void);
        long user_local(void) { return kit_local(); }
        EXPORT_SYMBOL(user_local);
        int init_module(void) { return kit_local() == 2 ? 0 : -EIO; }
    ";
    let host = kit(&[]);
    assert_eq!(number(&host, "kit_local"), 1);
    load(&host, "user", &common::module(USER), &[]);
    assert_eq!(number(&host, "user_local"), 3);
    unload(&host, "user");
    assert_eq!(dropped(&host), 0);
    assert_eq!(number(&host, "kit_local"), 4);
    unload(&host, "kit");
    assert!(log_text(&host).contains("a value with 4 calls is dropped"));
}

/// Making one makes another of the same: there is one in the end, and nothing is lost.
#[test]
fn made_while_it_is_made() {
    let host = kit(&[]);
    let first = number(&host, "kit_deep");
    assert_eq!(first, number(&host, "kit_deep"));
    assert_eq!(number(&host, "kit_drops"), 2);
    unload(&host, "kit");
}

/// A destructor that uses another variable when the module exits.
#[test]
fn made_while_others_are_dropped() {
    let host = kit(&["at=local-again"]);
    let step = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            number(&host, "kit_local");
            step.wait();
            step.wait();
        });
        number(&host, "kit_local");
        step.wait();
        exit(&host, "kit").expect("exit");
        unmap(&host, "kit").expect("unmap");
        step.wait();
    });
    assert_eq!(dropped(&host), 2);
    // A thread that ends later finds nothing of a module that is gone.
    load(&host, "kit", &rust("kit"), &[]);
    unload(&host, "kit");
}

/// A thread ends while the module exits: its value is dropped once, by one of them.
#[test]
fn a_thread_that_ends_while_the_module_exits() {
    const TIMES: usize = 1000;
    let object = rust("kit");
    for round in 0..TIMES {
        let host = host();
        load(&host, "kit", &object, &[]);
        let made = Barrier::new(2);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                number(&host, "kit_local");
                made.wait();
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
            });
            made.wait();
            // While the thread drops its value the module is in use.
            while let Err(refusal) = exit(&host, "kit") {
                assert_eq!(refusal.errno, Errno::EBUSY, "{refusal}");
            }
            thread.join().expect("the thread");
        });
        unmap(&host, "kit").expect("unmap");
        assert_eq!(dropped(&host), 1, "round {round}: {}", log_text(&host));
    }
}

//! A process with modules forks: the child keeps the code it had, whatever the parent does.

mod common;

use common::{Random, function, host, load, unload};
use modfs_host::Host;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
const SPAWNS: usize = 1000;

/// With code, constants, variables, and calls of the host.
const MODULE: &str = r#"
    #include <linux/string.h>
    static long calls;
    static const char *const words[] = { "zero", "one", "two", "three", "four" };
    long NAME(long n);
    long NAME(long n)
    {
        calls++;
        switch (n % 5) {
        case 0: return NUMBER + n;
        case 1: return NUMBER + n * 2;
        case 2: return NUMBER + strlen(words[n % 5]);
        case 3: return strcmp(words[1], "one") == 0 ? NUMBER : -1;
        }
        return NUMBER + words[n % 5][0];
    }
    EXPORT_SYMBOL(NAME);
"#;

fn module(name: &str, number: i64) -> Vec<u8> {
    common::module(&format!(
        "#define NAME {name}\n#define NUMBER {number}\n{MODULE}"
    ))
}

fn is_right(call: extern "C" fn(i64) -> i64, number: i64) -> bool {
    (0..200).all(|n| {
        let more = [n, n * 2, 3, 0, i64::from(b'f')][n as usize % 5];
        call(n) == number + more
    })
}

/// A pipe's ends, as plain numbers: they are used between fork and the child's end.
fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    // SAFETY: room for two numbers.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    ends
}

fn close(end: i32) {
    // SAFETY: it is ours, and not used any more.
    unsafe { libc::close(end) };
}

/// Waits until the other end is closed by all who have it.
fn wait_for(end: i32) {
    let mut byte = 0u8;
    // SAFETY: reads into `byte`.
    unsafe { libc::read(end, (&raw mut byte).cast(), 1) };
}

/// Forks; the child runs `child` and ends with 0 if that is true.
fn fork(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child only calls code of modules, and of the host as far as it is ready for
    // that after fork, and ends without running anything of this test program.
    match unsafe { libc::fork() } {
        0 => {
            let code = i32::from(!child());
            // SAFETY: _exit(2) has no preconditions.
            unsafe { libc::_exit(code) }
        }
        pid => {
            assert!(pid > 0, "fork: {}", std::io::Error::last_os_error());
            pid
        }
    }
}

fn ended_well(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: room for a status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    waited == pid && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

#[test]
fn a_child_is_unharmed_by_what_the_parent_loads() {
    let host = host();
    let old = module("forked", 1000);
    let new: Vec<_> = (0..20)
        .map(|n| module(&format!("new{n}"), 2000 * n))
        .collect();
    for _ in 0..10 {
        load(&host, "forked", &old, &[]);
        let call = function(&host, "forked");
        assert!(is_right(call, 1000));
        let [ready, go] = pipe();
        let child = fork(|| {
            close(go);
            wait_for(ready);
            // And so is its own child.
            is_right(call, 1000) && ended_well(fork(|| is_right(call, 1000)))
        });
        close(ready);
        unload(&host, "forked");
        for (n, object) in new.iter().enumerate() {
            load(&host, &format!("new{n}"), object, &[]);
        }
        close(go);
        assert!(ended_well(child));
        for n in 0..new.len() {
            assert!(is_right(
                function(&host, &format!("new{n}")),
                2000 * n as i64
            ));
            unload(&host, &format!("new{n}"));
        }
    }
}

#[test]
fn a_parent_is_unharmed_by_what_a_child_loads() {
    let host = host();
    load(&host, "old", &module("old", 7), &[]);
    let new = module("new", 9);
    for _ in 0..10 {
        let [ready, go] = pipe();
        let child = fork(|| {
            close(ready);
            let done = host.unload("old").is_ok()
                && host.load("new", new.clone(), &[]).is_ok()
                && is_right(function(&host, "new"), 9);
            close(go);
            done
        });
        close(go);
        wait_for(ready);
        close(ready);
        assert!(is_right(function(&host, "old"), 7));
        assert!(host.symbol("new").is_none());
        assert!(ended_well(child));
    }
    unload(&host, "old");
}

/// Loads and unloads until it is told to stop.
fn load_and_unload(host: &Host, seed: u64, stop: &AtomicBool) {
    let mut random = Random(seed);
    let names: Vec<String> = (0..8).map(|n| format!("module{seed}_{n}")).collect();
    let objects: Vec<_> = names.iter().map(|name| module(name, 5)).collect();
    let mut loaded = [false; 8];
    while !stop.load(Ordering::Relaxed) {
        let n = random.below(8);
        if loaded[n] {
            assert!(is_right(function(host, &names[n]), 5));
            unload(host, &names[n]);
        } else {
            load(host, &names[n], &objects[n], &[]);
        }
        loaded[n] = !loaded[n];
    }
}

fn spawn(forks: bool) {
    let mut command = Command::new("true");
    if forks {
        // SAFETY: does nothing; but with it std forks instead of calling posix_spawn(3).
        unsafe { command.pre_exec(|| Ok(())) };
    }
    let status = command.status().expect("true(1)");
    assert!(status.success(), "{status}");
}

/// Runs it on a thread of its own and fails if that does not end.
fn in_time(what: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        what();
        let _ = done.send(());
    });
    let waited = wait.recv_timeout(PATIENCE);
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "a deadlock");
    thread.join().expect("join");
}

#[test]
fn programs_are_started_while_others_load() {
    in_time(|| {
        let host = host();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let loaders: Vec<_> = (0..2)
                .map(|seed| {
                    scope.spawn({
                        let (host, stop) = (&host, &stop);
                        move || load_and_unload(host, seed, stop)
                    })
                })
                .collect();
            let starters: Vec<_> = [true, false]
                .map(|forks| scope.spawn(move || (0..SPAWNS).for_each(|_| spawn(forks))))
                .into_iter()
                .collect();
            for starter in starters {
                starter.join().expect("join");
            }
            stop.store(true, Ordering::Relaxed);
            for loader in loaders {
                loader.join().expect("join");
            }
        });
        assert!(host.unload_all().is_empty());
    });
}

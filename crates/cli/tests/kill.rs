//! The host is killed while a shell works.
//!
//! `MODFS_KILLS` says how often (10), `MODFS_KILL_SEED` makes a run again.

mod common;

use common::{Kernel, PATIENCE, Random, Running, Setup, eventually, setting};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// Works until there is no host, or a command takes a mount for dead.
const WORK: &str = "
    while [ -e $M/kernel/version ]; do
        insmod $KO/lib.ko
        insmod $KO/user.ko a=40 b=2
        insmod $KO/echo.ko
        echo hello > $K/dev/echo
        cat $K/dev/echo $M/*/* $K/proc/kmsg
        mkdir $M/hello
        cp $KO/hello.ko $M/hello
        echo map > $M/hello/control
        echo init > $M/hello/control
        echo exit > $M/hello/control
        echo unmap > $M/hello/control
        rm $M/hello/hello.ko
        rmdir $M/hello
        rmmod user lib echo
    done > /dev/null 2>&1";

fn kernel(seconds: u64) -> Kernel {
    Kernel::stopped(Setup {
        modules: vec!["lib", "user", "echo", "hello"],
        seconds,
        ..Setup::default()
    })
}

#[test]
fn the_host_is_killed_at_random_moments() {
    let kills = setting("MODFS_KILLS", 10);
    let mut random = Random::from_setting("MODFS_KILL_SEED");
    let mut kernel = kernel(60 + kills);
    for _ in 0..kills {
        // Where the host before was killed.
        kernel.boot();
        let shells: Vec<Running> = (0..2).map(|_| kernel.background(WORK)).collect();
        std::thread::sleep(Duration::from_millis(random.below(150)));
        let ran = kernel.stop(Signal::KILL);
        assert_eq!(ran.signal, Some(Signal::KILL.as_raw()), "{ran:#?}");
        for shell in shells {
            shell.wait(PATIENCE);
        }
    }
    kernel.boot();
    kernel
        .sh("insmod ko/lib.ko && insmod ko/user.ko && rmmod user lib")
        .ok();
    let ran = kernel.stop(Signal::TERM);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(!kernel.is_up());
}

/// Before, while and after it mounts.
#[test]
fn the_host_is_killed_while_it_starts() {
    let mut random = Random::from_setting("MODFS_KILL_SEED");
    let mut kernel = kernel(60);
    for _ in 0..setting("MODFS_KILLS", 10) {
        let host = kernel.background("exec modfs host --foreground k");
        std::thread::sleep(Duration::from_micros(random.below(12_000)));
        host.signal(Signal::KILL);
        host.wait(PATIENCE);
    }
    kernel.boot();
    kernel.load("hello", "hello");
    assert_eq!(kernel.stop(Signal::TERM).code, Some(0));
}

/// The id of the host in the background that serves this kernel's mount.
fn background_host(kernel: &Kernel) -> Option<Pid> {
    let mount = kernel.path("k").display().to_string();
    let all = std::fs::read_dir("/proc").expect("readdir");
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that has ended has no words, though nobody may have waited for it yet.
    let serves = |id: &i32| {
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words: Vec<_> = command.split('\0').collect();
        words.contains(&"host") && words.contains(&mount.as_str())
    };
    Pid::from_raw(ids.into_iter().find(serves)?)
}

/// A host in the background goes the same way, and by all the ways there are to end it.
#[test]
fn the_next_start_finds_the_place_usable() {
    let kernel = kernel(60);
    let ends = [
        Some(Signal::KILL),
        Some(Signal::TERM),
        Some(Signal::INT),
        None,
    ];
    for end in ends.into_iter().chain(ends) {
        kernel
            .sh("modfs host $PWD/k && insmod ko/hello.ko && [ -e k/dev ]")
            .ok();
        let host = background_host(&kernel).expect("a host in the background");
        match end {
            Some(signal) => kill_process(host, signal).expect("kill"),
            None => drop(kernel.sh("umount k || fusermount3 -u k").ok()),
        }
        eventually("the host has ended", || background_host(&kernel).is_none());
        kernel.sh("[ ! -e k/dev ]").ok();
    }
}

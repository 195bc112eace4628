//! Module code that does not return: everything else goes on.

mod common;

use common::{Kernel, PATIENCE, Running, eventually};
use modfs_core::Errno;
use rustix::process::Signal;
use std::time::{Duration, Instant};

const HOWS: [&str; 2] = ["sleep", "spin"];
/// Soon, for one who waits.
const SOON: Duration = Duration::from_secs(3);

/// A host with the module mapped, and if it is to hang in exit, running.
fn start(seconds: &str, hangs_in: &str, how: &str) -> Kernel {
    let kernel = Kernel::with(&["stuck", "hello", "echo"], &["--init-timeout", seconds]);
    kernel.place("stuck", "stuck");
    assert_eq!(kernel.control("stuck", "map"), Ok(()));
    if hangs_in == "exit" {
        let init = format!("init module in=exit how={how}");
        assert_eq!(kernel.control("stuck", &init), Ok(()));
    }
    kernel
}

fn command(hangs_in: &str, how: &str) -> String {
    match hangs_in {
        "exit" => "exit".to_owned(),
        _ => format!("init module how={how}"),
    }
}

fn word(hangs_in: &str) -> &'static str {
    if hangs_in == "exit" {
        "exiting"
    } else {
        "initializing"
    }
}

/// One process that writes the command, and nothing else; it is in the write when this returns.
fn writer(kernel: &Kernel, hangs_in: &str, how: &str) -> Running {
    let script = format!(
        "exec printf '{}' > k/modules/stuck/control",
        command(hangs_in, how)
    );
    let writer = kernel.background(&script);
    eventually("it hangs", || kernel.state("stuck") == word(hangs_in));
    writer
}

/// What must work while another module hangs.
fn the_rest_works(kernel: &Kernel) {
    let begun = Instant::now();
    kernel.sh("ls -lR k; lsmod").ok();
    kernel.sh("insmod ko/hello.ko && insmod ko/echo.ko").ok();
    let echoed = kernel.sh("echo hi > k/dev/echo && cat k/dev/echo");
    assert_eq!(echoed.ok(), "hi\n");
    kernel.sh("rmmod hello echo").ok();
    for command in ["init", "exit", "unmap"] {
        assert_eq!(
            kernel.control("stuck", command),
            Err(Errno::EBUSY),
            "{command}"
        );
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

fn times_out(hangs_in: &str, how: &str) {
    let kernel = start("1", hangs_in, how);
    let begun = Instant::now();
    let told = kernel.control("stuck", &command(hangs_in, how));
    assert_eq!(told, Err(Errno::ETIMEDOUT), "{hangs_in} {how}");
    assert!(begun.elapsed() >= Duration::from_millis(900));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(kernel.state("stuck"), word(hangs_in));
    let said = kernel.said("stuck");
    let running = format!("state: {}\nrunning: {hangs_in} module", word(hangs_in));
    assert!(said.starts_with(&running), "{said}");
    the_rest_works(&kernel);
    let said = kernel.sh("rmmod stuck").fails();
    assert!(said.contains("has not returned"), "{said}");
}

#[test]
fn init_that_does_not_return_times_out() {
    for how in HOWS {
        times_out("init", how);
    }
}

#[test]
fn exit_that_does_not_return_times_out() {
    for how in HOWS {
        times_out("exit", how);
    }
}

/// Before its time is over, too, whoever waits for it can be ended.
fn dies(hangs_in: &str, how: &str, signal: Signal) {
    let kernel = start("30", hangs_in, how);
    let writer = writer(&kernel, hangs_in, how);
    let begun = Instant::now();
    writer.signal(signal);
    let ran = writer.wait(SOON);
    assert!(begun.elapsed() < SOON);
    assert_eq!(
        ran.signal,
        Some(signal.as_raw()),
        "{hangs_in} {how}: {ran:#?}"
    );
    assert_eq!(kernel.state("stuck"), word(hangs_in));
    the_rest_works(&kernel);
}

#[test]
fn who_waits_for_init_can_be_killed() {
    dies("init", "sleep", Signal::KILL);
    dies("init", "spin", Signal::KILL);
}

#[test]
fn who_waits_for_init_can_be_interrupted() {
    dies("init", "sleep", Signal::INT);
    dies("init", "spin", Signal::TERM);
}

#[test]
fn who_waits_for_exit_can_be_ended() {
    dies("exit", "sleep", Signal::KILL);
    dies("exit", "spin", Signal::INT);
}

/// What took too long is not undone: the module runs when its init has returned after all.
#[test]
fn a_late_init_counts() {
    let kernel = start("0.2", "init", "");
    assert_eq!(
        kernel.control("stuck", "init ms=700 in=init\nexit"),
        Err(Errno::ETIMEDOUT)
    );
    assert_eq!(kernel.state("stuck"), "initializing");
    eventually("init returns", || kernel.state("stuck") == "running");
    // The line after it, for which nobody waits any more, is not run.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(kernel.state("stuck"), "running");
    assert!(
        kernel
            .said("stuck")
            .ends_with("last: init module ms=700 in=init: ok\n")
    );
    kernel.sh("rmmod stuck").ok();
}

/// An insmod that gives up says so; the module stays, as its init may still return.
#[test]
fn insmod_of_a_module_whose_init_takes_too_long() {
    let kernel = Kernel::with(&["stuck"], &["--init-timeout", "0.2"]);
    let said = kernel.sh("insmod ko/stuck.ko ms=700").fails();
    assert!(said.contains("Connection timed out"), "{said}");
    assert_eq!(kernel.state("stuck"), "initializing");
    eventually("init returns", || kernel.state("stuck") == "running");
    kernel.sh("rmmod stuck").ok();
}

/// The host itself ends, and the place can be used again.
#[test]
fn the_host_can_be_ended() {
    for (signal, how) in [
        (Signal::KILL, "sleep"),
        (Signal::TERM, "spin"),
        (Signal::TERM, "sleep"),
    ] {
        let mut kernel = start("30", "init", how);
        let writer = writer(&kernel, "init", how);
        let begun = Instant::now();
        let ran = kernel.stop(signal);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        if signal == Signal::TERM {
            assert_eq!(ran.code, Some(1), "{ran:#?}");
            assert!(
                ran.err.contains("ended with modules in it:\n  stuck: "),
                "{}",
                ran.err
            );
        }
        assert_ne!(writer.wait(PATIENCE).code, Some(0));
        kernel.boot();
        kernel.load("hello", "hello");
    }
}

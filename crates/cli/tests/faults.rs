//! Modules that do wrong: the host reports it and goes on.

mod common;

use common::{Kernel, PATIENCE, eventually};
use modfs_core::Errno;
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};

/// The other modules work as before, and what faulted stays, marked.
fn only_the_faulty_one_is_lost(kernel: &mut Kernel, name: &str) {
    assert_eq!(kernel.state(name), "faulted");
    for command in ["exit", "init", "unmap"] {
        assert_eq!(
            kernel.control(name, command),
            Err(Errno::EBUSY),
            "{command}"
        );
    }
    assert!(
        kernel
            .sh(&format!("rmmod {name}"))
            .fails()
            .contains("its code faulted")
    );
    assert!(kernel.sh("lsmod").ok().contains("(faulted)"));
    kernel.sh("insmod ko/hello.ko && rmmod hello").ok();
    assert_eq!(
        kernel.sh("echo on > k/dev/echo && cat k/dev/echo").ok(),
        "on\n"
    );
    kernel.assert_alive();
}

/// The report of the one fault there was: what happened, where, how it came to that.
fn report(kernel: &Kernel, what: &str) {
    let log = kernel.log();
    assert_eq!(log.matches("Oops: #").count(), 1, "{log}");
    let oops = &log[log.find("BUG: ").expect("a report")..];
    assert!(oops.starts_with(&format!("BUG: {what}")), "{oops}");
    // Where: a symbol, how far into it, and the module.
    let trace = &oops[oops.find("Call Trace:\n").expect("a trace")..];
    let place = trace.lines().find(|line| line.contains(" crash"));
    let place = place
        .unwrap_or_else(|| panic!("{oops}"))
        .trim_start_matches([' ', '?']);
    let (symbol, rest) = place.split_once("+0x").unwrap_or_else(|| panic!("{place}"));
    assert!(
        ["crash", "crash_read", "crash_init"].contains(&symbol),
        "{place}"
    );
    assert!(
        rest.contains("/0x") && rest.ends_with(" [crash]"),
        "{place}"
    );
    let linked = trace
        .lines()
        .find_map(|line| line.strip_prefix("Modules linked in: "));
    assert_eq!(linked, Some("crash echo"), "{oops}");
    assert!(oops.contains("RIP: ") && oops.contains("RAX: "), "{oops}");
}

#[test]
fn a_fault_in_a_read() {
    for (how, what) in [
        (1, "NULL pointer dereference, address 0x0"),
        (2, "division by zero"),
        (3, "jump to where there is no code, address 0xdead0000"),
    ] {
        let mut kernel = Kernel::start(&["crash", "echo", "hello"]);
        kernel
            .sh(&format!(
                "insmod ko/echo.ko && insmod ko/crash.ko how={how}"
            ))
            .ok();
        let said = kernel.sh("cat k/dev/crash").fails();
        assert!(said.contains("Input/output error"), "{said}");
        report(&kernel, what);
        // It is not entered a second time.
        assert!(kernel.sh("cat k/dev/crash").code != Some(0));
        assert_eq!(kernel.log().matches("Oops: #").count(), 1);
        only_the_faulty_one_is_lost(&mut kernel, "crash");
    }
}

#[test]
fn a_fault_in_init() {
    let mut kernel = Kernel::start(&["crash", "echo", "hello"]);
    let said = kernel
        .sh("insmod ko/echo.ko && insmod ko/crash.ko how=4")
        .fails();
    assert!(
        said.contains("Bad address\n  crash: NULL pointer dereference"),
        "{said}"
    );
    assert!(
        said.contains("crash+0x") && said.contains("[crash]"),
        "{said}"
    );
    report(&kernel, "NULL pointer dereference, address 0x0");
    only_the_faulty_one_is_lost(&mut kernel, "crash");
}

/// With a faulted module in it the host ends all the same, and says what was left.
#[test]
fn the_host_ends_with_a_faulted_module() {
    let mut kernel = Kernel::start(&["crash", "hello"]);
    kernel.sh("insmod ko/hello.ko && insmod ko/crash.ko").ok();
    kernel.sh("cat k/dev/crash").fails();
    let ran = kernel.stop(Signal::TERM);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(
        ran.err.contains("ended with modules in it:\n  crash: "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("Goodbye, world!"), "{}", ran.err);
    kernel.boot();
    kernel.load("crash", "crash");
}

/// While its cleanup runs a module takes no new user; what it forgot is taken back.
#[test]
fn a_device_that_is_opened_while_its_module_exits() {
    let kernel = Kernel::start(&["leaver"]);
    kernel
        .sh("insmod ko/leaver.ko ms=500 && cat k/dev/leaver k/dev/c-77-5")
        .ok();
    assert_eq!(kernel.sh("cat k/proc/leaver").ok(), "still here\n");
    let exit = kernel.background("exec rmmod leaver");
    eventually("it exits", || kernel.state("leaver") == "exiting");
    let said = kernel.sh("cat k/dev/leaver").fails();
    assert!(said.contains("No such device or address"), "{said}");
    let said = kernel.sh("cat k/proc/leaver").fails();
    assert!(said.contains("No such file"), "{said}");
    assert_eq!(
        kernel.state("leaver"),
        "exiting",
        "all that was while it exits"
    );
    exit.wait(PATIENCE).ok();
    assert_eq!(kernel.names(), Vec::<String>::new());

    for file in ["k/dev/leaver", "k/proc/leaver"] {
        assert!(
            kernel
                .sh(&format!("cat {file}"))
                .fails()
                .contains("No such file")
        );
    }
    assert!(
        kernel
            .sh("cat k/dev/c-77-0")
            .fails()
            .contains("No such device or address")
    );
    assert_eq!(
        kernel.sh("ls k/dev k/proc").ok(),
        "k/dev:\n\nk/proc:\nkmsg\nksyms\nmodules\n"
    );
    let log = kernel.log();
    for what in ["character device 77 leaver", "virtual file leaver"] {
        let text = format!("leaver: left {what} registered: taken back\n");
        assert!(log.contains(&text), "{log}");
    }
    kernel.sh("insmod ko/leaver.ko && rmmod leaver").ok();
}

/// A device that stays open keeps its module, also by way of a shell's descriptor, until it goes.
#[test]
fn an_open_device_keeps_its_module() {
    let kernel = Kernel::start(&["echo"]);
    kernel.sh("insmod ko/echo.ko").ok();
    let holder = kernel.background("exec 3< k/dev/echo 4> k/dev/echo; echo held > held; sleep 60");
    eventually("it is open", || kernel.path("held").exists());
    assert_eq!(kernel.get("echo/usecount"), Ok("2\n".into()));
    assert!(kernel.sh("lsmod").ok().contains(" 2\n"));
    assert_eq!(kernel.control("echo", "exit"), Err(Errno::EBUSY));
    let said = kernel.said("echo");
    assert!(said.contains("echo is in use 2 times"), "{said}");
    drop(holder);
    eventually("it is closed", || {
        kernel.get("echo/usecount") == Ok("0\n".into())
    });
    kernel.sh("rmmod echo").ok();
    assert!(
        kernel.log().contains("echo: 2 opens, 2 releases\n"),
        "{}",
        kernel.log()
    );
}

/// No page of the host is writable and executable, and of the memory that executes there is no
/// second view that can be written to: not before, while, or after modules are loaded.
#[test]
fn no_memory_is_writable_and_executable() {
    const MODULES: u32 = 20;
    let kernel = Kernel::start(&["hello", "lib", "echo"]);
    let check = || {
        let maps = kernel.proc("maps");
        let mut code = 0;
        for line in maps.lines() {
            let rights = line.split_whitespace().nth(1).expect("rights");
            let (write, execute) = (rights.contains('w'), rights.contains('x'));
            assert!(!(write && execute), "{line}");
            if line.contains("memfd:") {
                assert!(!write, "{line}");
                code += usize::from(execute);
            }
        }
        assert!(code > 0, "{maps}");
        maps.lines().count()
    };
    let before = check();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            for i in 0..MODULES {
                kernel.load(&format!("hello{i}"), "hello");
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) && !load.is_finished() {
            check();
        }
    });
    kernel
        .sh("insmod ko/lib.ko && insmod ko/echo.ko && echo x > k/dev/echo")
        .ok();
    // What they share costs no mapping for each. (A thread's stack is one, or two.)
    let grown = check().saturating_sub(before);
    assert!(grown < MODULES as usize, "{grown} mappings more");
    for i in 0..MODULES {
        assert_eq!(kernel.control(&format!("hello{i}"), "exit\nunmap"), Ok(()));
    }
    check();
}

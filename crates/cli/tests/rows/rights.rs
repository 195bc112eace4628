//! Who may do what.

use crate::common::{Kernel, NOBODY, Setup, need_root};
use rustix::process::Signal;
use std::os::unix::fs::MetadataExt;

fn for_others(modules: &[&'static str]) -> Kernel {
    need_root("it needs a mount for two users");
    Kernel::with(modules, &["--allow-other"])
}

fn refused(kernel: &Kernel, script: &str, why: &str) {
    let ran = kernel.sh_as(NOBODY, script);
    assert!(ran.code != Some(0) && ran.err.contains(why), "{ran:#?}");
}

const EPERM: &str = "Operation not permitted";
const EACCES: &str = "Permission denied";
/// dd, unlike a shell, says which errno it got.
const PUT: &str = "dd conv=notrunc status=none";

/// Others have what the permission bits give them, and no command.
#[test]
fn row_07_only_the_owner_commands() {
    let kernel = for_others(&["hello", "lib"]);
    kernel.load("hello", "hello");
    kernel.place("lib", "lib");
    for (script, why) in [
        ("mkdir k/modules/x", EACCES),
        ("rmdir k/modules/lib", EACCES),
        ("rm -f k/modules/lib/module", EACCES),
        ("echo x > k/modules/lib/new", EACCES),
        ("chmod 777 k/modules/hello", EPERM),
        ("chmod 666 k/modules/hello/control", EPERM),
        ("chown 65534 k/modules/hello/module", EPERM),
        (
            "echo map | dd of=k/modules/lib/control conv=notrunc",
            EACCES,
        ),
        ("echo 2 > k/modules/hello/parameters/times", EACCES),
        ("echo autoclean > k/modules/kernel/control", EACCES),
        ("echo /bin/sh > k/modules/kernel/modprobe", EACCES),
        ("echo 'add x 1' > k/modules/hello/symbols", EACCES),
        ("insmod ko/lib.ko", EACCES),
        ("rmmod hello", "Module hello"),
        ("cat k/proc/kmsg", EACCES),
    ] {
        refused(&kernel, script, why);
    }

    // Whatever the bits say, a command is for the mount's owner.
    kernel
        .sh("chmod 666 k/modules/hello/control k/modules/lib/control && chmod 777 k/modules/lib")
        .ok();
    for text in ["map", "frob"] {
        let script = format!("printf {text} | {PUT} of=k/modules/lib/control");
        refused(&kernel, &script, EPERM);
    }
    refused(
        &kernel,
        &format!("printf exit | {PUT} of=k/modules/hello/control"),
        EPERM,
    );
    assert_eq!(kernel.state("lib"), "unmapped");
    assert_eq!(kernel.state("hello"), "running");
    assert!(!kernel.said("lib").contains("frob"), "it leaves no trace");

    // A directory that others may write to takes their files, which stay theirs.
    kernel
        .sh_as(NOBODY, "umask 077; cp ko/hello.ko k/modules/lib/own")
        .ok();
    let owned = std::fs::metadata(kernel.tree("lib/own")).expect("stat");
    assert_eq!((owned.uid(), owned.mode() & 0o777), (NOBODY, 0o600));
    refused(
        &kernel,
        &format!("printf 'map own' | {PUT} of=k/modules/lib/control"),
        EPERM,
    );

    // Reading is as the bits say, too.
    kernel.sh("chmod 600 k/modules/hello/module").ok();
    refused(&kernel, "cat k/modules/hello/module", EACCES);
    assert_eq!(
        kernel.sh_as(NOBODY, "cat k/modules/hello/state").ok(),
        "running\n"
    );
}

/// Without --allow-other nobody else is let in.
#[test]
fn row_07_others_are_kept_out() {
    need_root("it becomes another user");
    let kernel = Kernel::start(&["hello"]);
    kernel.load("hello", "hello");
    for script in [
        "ls k",
        "cat k/modules/hello/state",
        "echo exit > k/modules/hello/control",
    ] {
        refused(&kernel, script, EACCES);
    }
}

/// Addresses are for the owner.
#[test]
fn row_16_addresses_are_hidden() {
    let kernel = for_others(&["lib"]);
    kernel.load("lib", "lib");
    kernel.sh("chmod 644 k/modules/lib/module").ok();
    let own = kernel
        .sh("cat k/modules/lib/module k/modules/lib/symbols")
        .ok();
    assert!(own.starts_with("unused\n0x0000"), "{own}");
    assert_eq!(own.matches("0x0000000000000000").count(), 0, "{own}");
    let files = "k/modules/lib/module k/modules/lib/symbols k/modules/kernel/symbols";
    let theirs = kernel.sh_as(NOBODY, &format!("cat {files}")).ok();
    let mut lines = theirs.lines();
    assert_eq!(lines.next(), Some("unused"));
    for line in lines {
        assert!(line.starts_with("0x0000000000000000 "), "{line}");
    }
    assert!(
        theirs.contains(" lib_add\n") && theirs.contains(" printk\n"),
        "{theirs}"
    );
    // Not by the length either.
    let sizes = |script| kernel.sh_as(NOBODY, script).ok();
    assert_eq!(
        sizes("cat k/modules/lib/symbols | wc -c"),
        kernel.sh("cat k/modules/lib/symbols | wc -c").ok()
    );
}

/// A mount that cannot be is an error that says why, and the tools say that there is none.
#[test]
fn row_20_no_mount() {
    let kernel = Kernel::stopped(Setup {
        modules: vec!["hello"],
        ..Setup::default()
    });
    std::fs::write(kernel.path("file"), "").expect("write");
    for (at, why) in [("nowhere", "No such file"), ("file", "not a directory")] {
        for mode in ["", "--foreground"] {
            let said = kernel.sh(&format!("modfs host {mode} {at}")).fails();
            assert!(said.starts_with("host: ") && said.contains(why), "{said}");
        }
    }
    for command in ["insmod ko/hello.ko", "rmmod hello", "lsmod", "modfs log"] {
        let said = kernel.sh(command).fails();
        assert!(said.contains("is no tree of modules"), "{command}: {said}");
    }
}

/// The root belongs to the mount's owner, who alone changes it; and nobody renames or links.
#[test]
fn row_24_the_root_is_its_owners() {
    let mut kernel = for_others(&["hello"]);
    kernel.load("hello", "hello");
    let owner = rustix::process::getuid().as_raw();
    for path in ["k", "k/modules", "k/modules/kernel"] {
        let attr = std::fs::metadata(kernel.path(path)).expect("stat");
        assert_eq!((attr.uid(), attr.mode() & 0o022), (owner, 0), "{path}");
    }
    refused(&kernel, "mkdir k/modules/x", EACCES);
    refused(&kernel, "rmdir k/modules/hello", EACCES);
    refused(&kernel, "mkdir k/x", EACCES);
    for script in [
        "mv k/modules/hello k/modules/other",
        "mv k/modules/hello/module k/modules/hello/other",
        "ln k/modules/hello/module k/modules/hello/other",
        "ln -s module k/modules/hello/other",
        "mkfifo k/modules/hello/other",
        "echo x > k/modules/other",
        "mkdir k/other",
        "chmod 777 k/modules",
        "rmdir k/modules/kernel",
    ] {
        let said = kernel.sh(&format!("bash -c '{script}'")).fails();
        assert!(said.contains(EPERM), "{script}: {said}");
    }
    assert_eq!(kernel.names(), ["hello"]);
    assert_eq!(kernel.stop(Signal::TERM).code, Some(0));
}

//! `modfs ld`: images linked outside, in a host that keeps pages from being both writable and executable.

use crate::common::{Kernel, PATIENCE, eventually};
use modfs_core::Errno;
use std::fs;

/// A host as it is by default.
fn host(modules: &[&'static str]) -> Kernel {
    Kernel::start(modules)
}

/// No page of the host is writable and executable, and what is executable is mapped nowhere else.
#[track_caller]
fn keeps_w_xor_x(kernel: &Kernel) {
    let maps = kernel.proc("maps");
    let wrong: Vec<&str> = maps
        .lines()
        .filter(|line| {
            line.split(' ')
                .nth(1)
                .is_some_and(|rights| rights[1..3] == *"wx")
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let code = maps
        .lines()
        .filter(|line| line.contains("memfd:modfs-code"));
    assert_eq!(code.count(), 1, "{maps}");
}

#[test]
fn modules_come_and_go() {
    let kernel = host(&["lib", "user", "hello"]);
    kernel
        .sh("modfs ld ko/lib.ko ko/user.ko ko/hello.ko whom=ld && insmod -o hello2 ko/hello.ko")
        .ok();
    keeps_w_xor_x(&kernel);
    assert_eq!(kernel.get("user/deps"), Ok("lib\n".into()));
    assert_eq!(kernel.get("lib/refs"), Ok("user\n".into()));
    assert!(kernel.log().contains("Hello, ld!"), "{}", kernel.log());
    assert!(kernel.log().contains("user: 1 + 1 = 2"), "{}", kernel.log());
    // What was for init only is given back; the rest cannot be changed.
    assert!(!kernel.tree("lib/init.text").exists());
    assert_eq!(kernel.put("lib/text", "x"), Err(Errno::EPERM));
    assert_eq!(kernel.put("lib/data", "x"), Err(Errno::EPERM));
    let busy = kernel.sh("rmmod lib").fails();
    assert!(busy.contains("in use by: user"), "{busy}");
    kernel.sh("rmmod user lib hello hello2").ok();
    assert_eq!(kernel.names(), [""; 0]);
}

/// Constructors, destructors, the module's own structure, parameters of all kinds.
#[test]
fn all_that_linking_in_the_host_does() {
    let kernel = host(&["holder"]);
    kernel
        .sh("modfs ld ko/holder.ko uses=2 word='\"a b\"' list=1,2,7 nosuch=1")
        .ok();
    let log = kernel.log();
    assert!(
        log.contains("holder: constructed 1, uses 3, word a b, list 7 of 3"),
        "{log}"
    );
    assert_eq!(kernel.get("holder/usecount"), Ok("0\n".into()));
    kernel.sh("rmmod holder").ok();
    let log = kernel.log();
    let (goes, gone) = (log.find("holder: goes"), log.find("holder: destroyed"));
    assert!(goes.is_some() && goes < gone, "{log}");
}

/// A module in Rust: a panic of it unwinds, by the table of frames that the header names.
#[test]
fn a_panic_unwinds() {
    let kernel = host(&["lib", "tally"]);
    kernel.sh("modfs ld ko/lib.ko ko/tally.ko").ok();
    kernel.sh("echo x > k/dev/tally").fails();
    kernel.sh("echo 5 > k/dev/tally").ok();
    assert_eq!(kernel.sh("cat k/proc/tally").ok(), "count: 5\n");
    let log = kernel.log();
    assert!(log.contains("tally: panicked at"), "{log}");
    keeps_w_xor_x(&kernel);
    kernel.sh("rmmod tally lib").ok();
    assert!(
        kernel.log().contains("tally: 5 at the end"),
        "{}",
        kernel.log()
    );
}

/// Whatever is wrong is said, and nothing is left.
#[test]
fn refusals() {
    let kernel = host(&["user", "failing", "lib", "hello"]);
    fs::write(kernel.path("junk"), "junk").unwrap();
    for (command, why) in [
        ("modfs ld ko/user.ko", "unresolved symbol lib_add"),
        ("modfs ld junk", "not an ELF object"),
        ("modfs ld nosuch.ko", "No such file"),
        ("modfs ld ko/hello.ko times=x", "parameter times"),
        ("modfs ld -o a/b ko/hello.ko", "slash"),
        ("modfs ld -o kernel ko/hello.ko", "File exists"),
        ("insmod ko/lib.ko && modfs ld ko/lib.ko", "File exists"),
        (
            "insmod ko/lib.ko && modfs ld ko/failing.ko result=-5",
            "init returned -5",
        ),
        ("modfs ld --tree x ko/lib.ko", "no tree of modules"),
        (
            "modfs ld -o x ko/lib.ko ko/hello.ko",
            "--name is for one module",
        ),
    ] {
        let ran = kernel.sh(command);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(why), "{command}: {ran:?}");
        kernel.sh("rmmod lib || true").ok();
        assert_eq!(kernel.names(), [""; 0], "{command}");
    }
    let map = kernel.sh("modfs ld -m ko/lib.ko").ok();
    assert!(
        map.starts_with("Sections:       Size      Address           Align\n.text "),
        "{map}"
    );
    assert!(
        map.contains("\n\nSymbols:\n") && map.contains(" T lib_add\n"),
        "{map}"
    );
}

/// Its init fails while a call into it is under way: nothing of it goes before that has returned, and then all
/// of it can go, or be tried again.
#[test]
fn an_init_that_fails_while_it_is_used() {
    let kernel = host(&["drainer"]);
    let ld = kernel.background("exec modfs ld ko/drainer.ko");
    eventually("the device is there", || {
        kernel.path("k/dev/drainer").exists()
    });
    let reader = kernel.background("exec cat k/dev/drainer");
    let said = ld.wait(PATIENCE).fails();
    assert!(said.contains("init returned -19"), "{said}");
    assert_eq!(kernel.state("drainer"), "uninitialized");
    assert_eq!(kernel.control("drainer", "unmap text"), Err(Errno::EBUSY));
    assert_eq!(kernel.control("drainer", "init data"), Err(Errno::EBUSY));
    assert!(
        kernel.said("drainer").contains("still used 1 times"),
        "{}",
        kernel.said("drainer")
    );
    reader.wait(PATIENCE);
    assert!(!kernel.log().contains("Oops"), "{}", kernel.log());
    // Its place is kept.
    assert_ne!(
        kernel.get("drainer/address"),
        Ok("0x0000000000000000\n".into())
    );
    assert_eq!(kernel.control("drainer", "init data"), Err(Errno::ENODEV));
    kernel.sh("rmmod drainer").ok();
    assert_eq!(kernel.names(), [""; 0]);
}

/// What is needed later is not in a file that goes.
#[test]
fn an_image_that_would_lose_its_header() {
    let kernel = Kernel::with(&[], &["--allow-wx"]);
    kernel.sh("mkdir k/modules/x && install -m 600 /dev/null k/modules/x/init && truncate -s 4096 k/modules/x/init").ok();
    assert_eq!(kernel.control("x", "map init"), Ok(()));
    let address = kernel.get("x/address").unwrap();
    let address = u64::from_str_radix(&address.trim()[2..], 16).unwrap();
    let mut image = vec![0; 4096];
    for (at, value) in [(0, 184), (16, address + 184), (24, 4096)] {
        image[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    image[184] = b'x';
    fs::write(kernel.path("image"), image).unwrap();
    kernel
        .sh("dd if=image of=k/modules/x/init conv=notrunc 2>/dev/null")
        .ok();
    assert_eq!(kernel.control("x", "init init"), Err(Errno::EINVAL));
    assert!(
        kernel
            .said("x")
            .contains("the header is in a file for init only")
    );
    kernel.sh("rmmod x").ok();
}

/// 2.4's listing of symbols.
#[test]
fn ksyms() {
    let kernel = host(&["lib"]);
    kernel.sh("modfs ld ko/lib.ko").ok();
    let said = kernel.sh("modfs ksyms -m").ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[0],
        "Address           Symbol                            Defined by"
    );
    assert_eq!(&lines[1][16..], "  (1k)                              [lib]");
    // In the order of the object's own table.
    assert_eq!(&lines[2][16..], "  GPLONLY_lib_greeting              [lib]");
    assert_eq!(&lines[3][16..], "  lib_add                           [lib]");
    assert_eq!(lines.len(), 4);
    let all = kernel.sh("modfs ksyms -a -h").ok();
    assert!(
        all.lines()
            .any(|line| line.ends_with("  printk                            ")),
        "{all}"
    );
    assert!(!all.contains("Defined by"));
}

/// Not even by hand: a file that is both writable and executable is refused by its name.
#[test]
fn a_file_that_is_both() {
    let kernel = host(&[]);
    kernel.sh("mkdir k/modules/x && install -m 700 /dev/null k/modules/x/both && truncate -s 4096 k/modules/x/both").ok();
    assert_eq!(kernel.control("x", "map both"), Err(Errno::EPERM));
    let said = kernel.said("x");
    assert!(
        said.contains("both is both writable and executable") && said.contains("--allow-wx"),
        "{said}"
    );
    keeps_w_xor_x(&kernel);
    // It may be given another mode.
    kernel.sh("chmod 600 k/modules/x/both").ok();
    assert_eq!(kernel.control("x", "map both"), Ok(()));
    // Its place is kept: it can be written, and not made longer or shorter.
    kernel
        .sh("printf x | dd of=k/modules/x/both conv=notrunc 2>/dev/null")
        .ok();
    for command in ["truncate -s 8192", "truncate -s 0", "rm"] {
        kernel.sh(&format!("{command} k/modules/x/both")).fails();
    }
    assert_eq!(kernel.control("x", "init both"), Err(Errno::EINVAL));
    assert!(
        kernel.said("x").contains("header: size is 0"),
        "{}",
        kernel.said("x")
    );
    assert_eq!(kernel.control("x", "unmap both"), Ok(()));
    kernel.sh("rm k/modules/x/both && rmdir k/modules/x").ok();
}

/// An init part, several files, the order in which they go: by hand, as a loader would.
#[test]
fn files_of_one_image() {
    let kernel = host(&[]);
    kernel.sh("mkdir k/modules/x && cd k/modules/x && for f in a b; do install -m 600 /dev/null $f && truncate -s 4096 $f; done").ok();
    assert_eq!(kernel.control("x", "map a\nmap b"), Ok(()));
    assert_eq!(kernel.control("x", "map a"), Err(Errno::EEXIST));
    assert_eq!(kernel.get("x/size"), Ok("8192\n".into()));
    let state = |file: &str| kernel.get(&format!("x/{file}")).unwrap();
    assert!(
        state("a").starts_with("uninitialized\n0x"),
        "{}",
        state("a")
    );
    assert_ne!(state("a"), state("b"));
    // Neither has a header.
    assert_eq!(kernel.control("x", "init a"), Err(Errno::EINVAL));
    assert_eq!(kernel.control("x", "exit a"), Err(Errno::EINVAL));
    assert_eq!(kernel.control("x", "unmap a"), Ok(()));
    assert_eq!(kernel.get("x/a"), Ok("unmapped\n".into()));
    assert_eq!(kernel.get("x/size"), Ok("4096\n".into()));
    assert_eq!(kernel.control("x", "unmap b"), Ok(()));
    kernel
        .sh("rm k/modules/x/a k/modules/x/b && rmdir k/modules/x")
        .ok();
}

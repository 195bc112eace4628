//! Directories and files.

use crate::common::{Kernel, PATIENCE, eventually, program, quoted, run, told};
use modfs_core::Errno;
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn mkdir(kernel: &Kernel, name: &str) -> Result<(), Errno> {
    told(fs::create_dir(kernel.tree(name)))
}

fn rmdir(kernel: &Kernel, name: &str) -> Result<(), Errno> {
    told(fs::remove_dir(kernel.tree(name)))
}

fn rm(kernel: &Kernel, path: &str) -> Result<(), Errno> {
    told(fs::remove_file(kernel.tree(path)))
}

/// Nobody ever sees a module's directory without its `control`.
#[test]
fn row_03_a_directory_appears_with_its_control() {
    let kernel = Kernel::start(&[]);
    let done = AtomicBool::new(false);
    let mut seen = 0;
    thread::scope(|scope| {
        let maker = scope.spawn(|| {
            for _ in 0..300 {
                assert_eq!(mkdir(&kernel, "x"), Ok(()));
                assert_eq!(rmdir(&kernel, "x"), Ok(()));
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) && !maker.is_finished() {
            // One open and one list of names: as it was at one moment.
            let Ok(entries) = fs::read_dir(kernel.tree("x")) else {
                continue;
            };
            let names: Vec<_> = entries.map(|e| e.expect("readdir").file_name()).collect();
            // A directory that was removed after it was opened has no names at all.
            let whole = names.iter().any(|name| name == "control");
            assert!(whole || names.is_empty(), "{names:?}");
            seen += usize::from(whole);
        }
    });
    assert!(seen > 0, "never seen");
}

/// Names of the tree's own cannot be taken, and each file of a module is known by itself.
#[test]
fn row_05_reserved_names_and_several_files() {
    let kernel = Kernel::start(&["hello"]);
    mkdir(&kernel, "m").expect("mkdir");
    let make = |name: &str| told(File::create_new(kernel.tree(name)).map(drop));
    for name in [
        "usecount",
        "flags",
        "address",
        "size",
        "deps",
        "refs",
        "symbols",
        "info",
        "parameters",
    ] {
        assert_eq!(make(&format!("m/{name}")), Err(Errno::EPERM), "{name}");
    }
    for name in ["control", "state"] {
        assert_eq!(make(&format!("m/{name}")), Err(Errno::EEXIST), "{name}");
    }
    assert_eq!(rm(&kernel, "m/state"), Err(Errno::EPERM));
    assert_eq!(mkdir(&kernel, "m/nested"), Err(Errno::EPERM));
    let hello = fs::read(kernel.ko("hello")).expect("read");
    assert_eq!(kernel.put("m/core", &hello), Ok(()));
    assert_eq!(kernel.put("m/other", "nothing"), Ok(()));
    assert_eq!(kernel.control("m", "map"), Err(Errno::EINVAL));
    let said = kernel.said("m");
    assert!(
        said.contains("say which file: there are core, other"),
        "{said}"
    );
    assert_eq!(kernel.control("m", "map core"), Ok(()));
    assert_eq!(rm(&kernel, "m/other"), Ok(()));
    assert_eq!(rm(&kernel, "m/core"), Err(Errno::EBUSY));
    assert_eq!(kernel.get("m/other"), Err(Errno::ENOENT));
    assert_eq!(kernel.control("m", "unmap"), Ok(()));
    assert_eq!(rm(&kernel, "m/core"), Ok(()));
}

/// What is too large is told as such, not as a disk that is full.
#[test]
fn row_06_no_room_is_enomem() {
    let mut kernel = Kernel::start(&["huge", "hello"]);
    let mut told = Ok(());
    for name in ["a", "b", "c"] {
        kernel.place(name, "huge");
        told = told.and(kernel.control(name, "map"));
    }
    assert_eq!(told, Err(Errno::ENOMEM), "{}", kernel.said("c"));
    kernel.assert_alive();
    kernel.load("hello", "hello");
}

/// A file that is mapped cannot be changed in any way, also by who had it open before.
#[test]
fn row_08_mapped_files_are_frozen() {
    let kernel = Kernel::start(&["hello"]);
    kernel.place("hello", "hello");
    let mut before = File::options()
        .write(true)
        .open(kernel.tree("hello/module"))
        .expect("open");
    let mapper = quoted(&program("mapper").to_string_lossy());
    let changes = kernel.sh(&format!(
        "mkfifo gate; {mapper} k/modules/hello/module < gate & exec 4> gate
         echo map > k/modules/hello/control && echo go >&4 && wait"
    ));
    let changes = changes.ok();
    let mut lines = changes.lines();
    // Not every kernel can have a file of this kind mapped. If it can, it is a private matter.
    assert!(lines.next().is_some_and(|line| line.starts_with("mmap ")));
    let rest: Vec<_> = lines.collect();
    assert_eq!(
        rest,
        [
            "write EPERM",
            "pwrite EPERM",
            "ftruncate EPERM",
            "fallocate EOPNOTSUPP"
        ]
    );
    assert_eq!(told(before.write_all(b"x")), Err(Errno::EPERM));
    assert_eq!(told(before.set_len(1 << 20)), Err(Errno::EPERM));
    assert_eq!(kernel.put("hello/module", "x"), Err(Errno::EPERM));
    assert_eq!(rm(&kernel, "hello/module"), Err(Errno::EBUSY));
    assert_eq!(kernel.control("hello", "init"), Ok(()));
    assert_eq!(told(before.write_all(b"x")), Err(Errno::EPERM));
    assert_eq!(kernel.control("hello", "exit\nunmap"), Ok(()));
    assert_eq!(told(before.write_all(b"x")), Ok(()));
    assert_eq!(kernel.control("hello", "map"), Err(Errno::ENOEXEC));
}

/// Every name is taken whole, or refused with the right errno.
#[test]
fn row_17_names() {
    let kernel = Kernel::start(&["hello"]);
    for (name, errno) in [
        (".", Errno::EEXIST),
        ("..", Errno::EEXIST),
        ("", Errno::EEXIST),
        ("a/b", Errno::ENOENT),
        ("a\nb", Errno::EINVAL),
        ("kernel", Errno::EEXIST),
        (&"x".repeat(256), Errno::ENAMETOOLONG),
    ] {
        assert_eq!(mkdir(&kernel, name), Err(errno), "{name:?}");
    }
    let odd = ["a b", "-x", "\u{fc}ber", &"x".repeat(255)];
    for name in odd {
        kernel.load(name, "hello");
        assert_eq!(mkdir(&kernel, name), Err(Errno::EEXIST), "{name:?}");
    }
    let mut names = kernel.names();
    names.reverse();
    assert_eq!(names, odd);
}

/// A module is in the list as soon as it is mapped, with a whole address.
#[test]
fn row_17_a_module_is_there_before_its_init() {
    let kernel = Kernel::start(&["hello"]);
    kernel.place("hello", "hello");
    assert_eq!(kernel.sh("lsmod").ok().lines().count(), 1);
    assert_eq!(kernel.control("hello", "map"), Ok(()));
    let list = kernel.sh("lsmod").ok();
    assert!(
        list.contains("\nhello ") && list.contains("(uninitialized)"),
        "{list}"
    );
    let text = kernel.get("hello/module").expect("read");
    let address = text.strip_prefix("uninitialized\n0x").map(str::trim_end);
    let address = u64::from_str_radix(address.expect("an address"), 16).expect("hexadecimal");
    assert!((0x1_0000..0x8000_0000).contains(&address), "{address:#x}");
}

/// A directory that was made by hand is no module.
#[test]
fn row_21_a_leftover_directory_is_taken_over() {
    let kernel = Kernel::start(&["hello"]);
    kernel
        .sh("mkdir k/modules/hello && echo rubbish > k/modules/hello/module")
        .ok();
    assert_eq!(kernel.state("hello"), "unmapped");
    assert_eq!(kernel.sh("lsmod").ok().lines().count(), 1);
    kernel.sh("insmod ko/hello.ko").ok();
    assert_eq!(kernel.state("hello"), "running");
    kernel.sh("rmmod hello").ok();
    assert_eq!(kernel.names(), Vec::<String>::new());
}

/// Making and removing leaves nothing behind in the host.
#[test]
fn row_22_nothing_is_left_of_what_is_removed() {
    let kernel = Kernel::start(&["hello"]);
    let resident = || {
        let status = kernel.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        number.expect("VmRSS").parse::<u64>().expect("a number")
    };
    let threads = || fs::read_dir(format!("/proc/{}/task", kernel.process().id()));
    let content = vec![b'x'; 64 * 1024];
    let cycles = |from: u32, to: u32| {
        for i in from..to {
            let name = format!("m{i}");
            mkdir(&kernel, &name).expect("mkdir");
            kernel
                .put(&format!("{name}/file"), &content)
                .expect("write");
            if i % 2 == 0 {
                rm(&kernel, &format!("{name}/file")).expect("rm");
            }
            rmdir(&kernel, &name).expect("rmdir");
        }
    };
    let before_threads = threads().expect("readdir").count();
    cycles(0, 200);
    let before = resident();
    cycles(200, 1200);
    // 1000 times 64 KiB would be 62 MiB.
    let grown = resident().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB");
    eventually("its threads are gone", || {
        threads().expect("readdir").count() <= before_threads
    });
}

/// `control` goes with the directory, and what it was for is no longer possible after it.
#[test]
fn row_23_control_and_its_directory() {
    let kernel = Kernel::start(&["hello"]);
    mkdir(&kernel, "a").expect("mkdir");
    assert_eq!(rmdir(&kernel, "a"), Ok(()), "with its control");

    mkdir(&kernel, "b").expect("mkdir");
    assert_eq!(kernel.put("b/file", "x"), Ok(()));
    assert_eq!(rm(&kernel, "b/control"), Err(Errno::EBUSY));
    assert_eq!(rm(&kernel, "b/file"), Ok(()));
    assert_eq!(rm(&kernel, "b/control"), Ok(()));
    assert_eq!(rm(&kernel, "b/control"), Err(Errno::ENOENT));
    assert_eq!(kernel.put("b/file", "x"), Err(Errno::EPERM));
    assert_eq!(rmdir(&kernel, "b"), Ok(()));

    kernel.load("c", "hello");
    assert_eq!(rmdir(&kernel, "c"), Err(Errno::EBUSY));
    assert_eq!(rm(&kernel, "c/control"), Err(Errno::EBUSY));
    assert_eq!(kernel.control("c", "exit\nunmap"), Ok(()));
    assert_eq!(
        rmdir(&kernel, "c"),
        Ok(()),
        "with a file that is not mapped"
    );
    assert_eq!(kernel.names(), Vec::<String>::new());
}

/// A shell that sits in a removed directory, or has it open, keeps no zombie alive.
#[test]
fn row_19_a_removed_directory_is_gone_for_all() {
    let kernel = Kernel::start(&["hello"]);
    let script = "
        insmod ko/hello.ko && cd k/modules/hello && exec 3< module 4> control || exit 1
        rmmod hello || exit 1
        cat control; ls; (echo map >&4)
        cd ../../.. && insmod ko/hello.ko && (echo exit >&4)
        cat k/modules/hello/state";
    let ran = run(kernel.shell(script), PATIENCE);
    assert_eq!(ran.out, "running\n", "{ran:#?}");
    assert_eq!(ran.err.matches("No such file").count(), 2, "{ran:#?}");
    assert_eq!(kernel.sh("rmmod hello").ok(), "");
}

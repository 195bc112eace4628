//! What is written to `control`.

use crate::common::{Kernel, told};
use modfs_core::Errno;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Barrier;
use std::thread;

/// Commands from many at once: one of them wins, and the others are told.
#[test]
fn row_09_one_of_many_wins() {
    const MANY: usize = 8;
    let mut kernel = Kernel::start(&["hello"]);
    kernel.place("hello", "hello");
    for (command, lost) in [
        ("map", [Errno::EEXIST, Errno::EEXIST]),
        ("init", [Errno::EBUSY, Errno::EEXIST]),
        ("exit", [Errno::EBUSY, Errno::EINVAL]),
        ("unmap", [Errno::ENOENT, Errno::ENOENT]),
    ] {
        let barrier = Barrier::new(MANY);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let one = || {
                barrier.wait();
                kernel.control("hello", command)
            };
            let threads: Vec<_> = (0..MANY).map(|_| scope.spawn(one)).collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("join"))
                .collect()
        });
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{command}: {outcomes:?}");
        for errno in outcomes.into_iter().filter_map(Result::err) {
            assert!(lost.contains(&errno), "{command}: {errno:?}");
        }
    }
    assert_eq!(kernel.log().matches("Hello").count(), 1);
    kernel.assert_alive();
}

/// The end of the text ends a command, and a NUL is no end.
#[test]
fn row_10_the_end_of_a_command() {
    let kernel = Kernel::start(&["hello"]);
    kernel.place("hello", "hello");
    for bad in [
        &b"mapx"[..],
        b"map\0",
        b"map module\0",
        b"map modul",
        b"map module x",
    ] {
        let errno = if bad == b"map modul" {
            Errno::ENOENT
        } else {
            Errno::EINVAL
        };
        assert_eq!(kernel.put("hello/control", bad), Err(errno), "{bad:?}");
    }
    assert_eq!(kernel.state("hello"), "unmapped");
    assert_eq!(kernel.control("hello", "map module"), Ok(()));
    let long = format!("exit {}", "x".repeat(4096));
    assert_eq!(kernel.control("hello", &long), Err(Errno::ENOENT));
    assert_eq!(kernel.control("hello", "init"), Ok(()));
}

/// The result of a command is that of the write; each write is a text of its own.
#[test]
fn row_11_writes_tell_what_came_of_them() {
    let kernel = Kernel::start(&["hello"]);
    kernel.place("hello", "hello");
    for bad in [
        "frob",
        "MAP",
        "map \"module",
        "\u{1}",
        "unmap module module",
    ] {
        assert_eq!(kernel.control("hello", bad), Err(Errno::EINVAL), "{bad:?}");
    }
    let said = kernel.said("hello");
    assert!(said.contains("last: unmap module module: EINVAL"), "{said}");
    let too_long = "\n".repeat(64 * 1024 + 1);
    assert_eq!(kernel.control("hello", &too_long), Err(Errno::E2BIG));

    // Lines run in order, up to the first that fails.
    assert_eq!(
        kernel.control("hello", "map\nexit\ninit\n"),
        Err(Errno::EINVAL)
    );
    assert_eq!(kernel.state("hello"), "uninitialized");
    assert_eq!(kernel.control("hello", "\n\n  init  \n\n"), Ok(()));

    // One descriptor, used in turn.
    let open = File::options()
        .read(true)
        .write(true)
        .open(kernel.tree("hello/control"));
    let mut control = open.expect("open");
    assert_eq!(told(control.write(b"exit\n")), Ok(5));
    assert_eq!(told(control.write(b"exit\n")), Err(Errno::EINVAL));
    assert_eq!(told(control.write(b"unmap\n")), Ok(6));
    let mut text = String::new();
    control.rewind().expect("lseek");
    control.read_to_string(&mut text).expect("read");
    assert_eq!(text, "state: unmapped\nlast: unmap module: ok\n");

    // The same from outside: a program sees the errno.
    let script = "dd if=/dev/zero of=k/modules/hello/control bs=70000 count=1 conv=notrunc";
    assert!(kernel.sh(script).fails().contains("Argument list too long"));
}

/// Every line of a long text is a command: nothing is cut off in silence.
#[test]
fn row_11_a_long_write_is_whole() {
    let kernel = Kernel::start(&["hello"]);
    kernel.place("hello", "hello");
    let cycle = "map\ninit\nexit\nunmap\n";
    let many = (64 * 1024) / cycle.len();
    assert_eq!(kernel.control("hello", &cycle.repeat(many / 8)), Ok(()));
    assert!(kernel.log().matches("Goodbye").count() > 100);
    let blank = "\n".repeat(60_000) + "map";
    assert_eq!(kernel.control("hello", &blank), Ok(()));
    assert_eq!(kernel.state("hello"), "uninitialized");
}

/// What is given to a loader's eye must be a module, whole.
#[test]
fn row_18_results_of_writing_and_of_init() {
    let kernel = Kernel::start(&["hello", "lib", "failing"]);
    let object = std::fs::read(kernel.ko("hello")).expect("read");
    kernel.place("hello", "hello");
    // A copy that stopped half-way.
    for length in [0, 1, 63, 64, object.len() / 2, object.len() - 1] {
        assert_eq!(kernel.put("hello/module", &object[..length]), Ok(()));
        assert_eq!(
            kernel.control("hello", "map"),
            Err(Errno::ENOEXEC),
            "{length}"
        );
        let said = kernel.said("hello");
        assert!(said.lines().count() > 2, "no reason: {said}");
    }
    kernel.load("lib", "lib");
    kernel.place("failing", "failing");
    assert_eq!(kernel.control("failing", "map"), Ok(()));
    for (result, errno) in [
        ("-19", Errno::ENODEV),
        ("-5", Errno::EIO),
        ("-1", Errno::EPERM),
        // A positive value is no success.
        ("1", Errno::EBUSY),
        ("2147483647", Errno::EBUSY),
    ] {
        let init = format!("init module result={result}");
        assert_eq!(kernel.control("failing", &init), Err(errno), "{init}");
        let said = kernel.said("failing");
        assert!(said.contains(&format!("init returned {result}")), "{said}");
    }
    assert_eq!(kernel.control("failing", "init"), Ok(()));
}

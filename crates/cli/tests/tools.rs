//! insmod, rmmod, lsmod, log and headers: what they print and how they end.

mod common;

use common::{Kernel, MODFS, PATIENCE, Running, Setup, eventually, quoted, run, sh};
use rustix::process::Signal;
use std::process::Command;
use std::time::{Duration, Instant};

/// A demo builds modules in C and in Rust.
const DEMO: Duration = Duration::from_secs(60);

#[test]
fn names_of_the_program() {
    let kernel = Kernel::start(&["hello"]);
    for (typed, tool) in [
        ("insmod --help", "insert a module"),
        ("modfs insmod --help", "insert a module"),
        ("bin/rmmod --help", "remove modules"),
        ("lsmod --help", "list the modules"),
    ] {
        let help = kernel.sh(typed).ok();
        assert!(help.to_lowercase().contains(tool), "{typed}: {help}");
    }
    assert!(kernel.sh("modfs --version").ok().starts_with("modfs "));
    // Used wrongly they end with 1, as kmod's do, and say how they are used.
    for wrong in [
        "insmod",
        "rmmod",
        "lsmod x",
        "modfs",
        "modfs frob",
        "modfs host --init-timeout 0 k",
    ] {
        let said = kernel.sh(wrong).fails();
        assert!(
            said.contains("Usage") || said.contains("error:"),
            "{wrong}: {said}"
        );
    }
}

#[test]
fn the_tree_must_be_one() {
    let kernel = Kernel::start(&["hello"]);
    for tool in ["insmod ko/hello.ko", "rmmod hello", "lsmod", "modfs log"] {
        // Without one, the others are of the running Linux (tests/linux).
        if tool == "modfs log" {
            let said = kernel.sh(&format!("unset MODFS_TREE; {tool}")).fails();
            assert!(
                said.contains("no tree: give --tree DIR or set MODFS_TREE"),
                "{said}"
            );
        }
        let said = kernel.sh(&format!("MODFS_TREE=$K {tool}")).fails();
        assert!(
            said.contains("did you mean") && said.contains("/k/modules?"),
            "{said}"
        );
        let said = kernel
            .sh(&format!("MODFS_TREE=/nonexistent {tool}"))
            .fails();
        assert!(
            said.contains("/nonexistent is no tree of modules"),
            "{said}"
        );
    }
    kernel
        .sh("unset MODFS_TREE; insmod --tree k/modules ko/hello.ko")
        .ok();
    kernel
        .sh("unset MODFS_TREE; cd k && rmmod --tree modules hello")
        .ok();
}

#[test]
fn insmod_and_lsmod() {
    let kernel = Kernel::start(&["lib", "user", "hello"]);
    assert_eq!(
        kernel.sh("lsmod").ok(),
        "Module                  Size  Used by\n"
    );
    assert_eq!(
        kernel
            .sh("insmod ko/lib.ko && insmod ko/user.ko a=40 b=2")
            .ok(),
        ""
    );
    assert_eq!(
        kernel
            .sh("insmod -o greeter ko/hello.ko 'whom=all of you' times=2")
            .ok(),
        ""
    );
    kernel.sh("mkdir k/modules/empty").ok();
    let list = kernel.sh("lsmod").ok();
    let rows: Vec<Vec<&str>> = list
        .lines()
        .skip(1)
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 3, "{list}");
    for (row, expected) in
        rows.iter()
            .zip([&["greeter", "0"][..], &["user", "0"], &["lib", "1", "user"]])
    {
        assert_eq!([&row[..1], &row[2..]].concat(), expected, "{list}");
        let size: u32 = row[1].parse().expect("a number");
        assert!((16..100_000).contains(&size), "{list}");
    }
    let log = kernel.log();
    assert_eq!(log.matches("Hello, all of you!\n").count(), 2, "{log}");
    assert!(log.contains("user: 40 + 2 = 42\n"), "{log}");
    // What is used is counted.
    let used = "exec 3< k/proc/kmsg 4< k/modules/greeter/control; lsmod | grep greeter";
    assert!(
        kernel.sh(used).ok().ends_with(" 0\n"),
        "files of the tree are no use"
    );
    // A dash in a file's name is an underscore in the module's.
    kernel
        .sh("cp ko/hello.ko ko/my-own.o && insmod ko/my-own.o && rmmod my-own")
        .ok();
}

#[test]
fn insmod_says_why_not_and_leaves_nothing() {
    let kernel = Kernel::start(&["lib", "user", "hello", "failing"]);
    kernel
        .sh("head -c 500 ko/hello.ko > ko/cut.ko; echo text > ko/text.ko; : > ko/empty.ko")
        .ok();
    for (typed, why) in [
        (
            "insmod ko/nothing.ko",
            "could not load module ko/nothing.ko: No such file or directory",
        ),
        ("insmod ko", "could not load module ko: Is a directory"),
        (
            "insmod ko/text.ko",
            "could not insert module ko/text.ko: Invalid module format\n  ",
        ),
        ("insmod ko/empty.ko", "Invalid module format\n  "),
        ("insmod ko/cut.ko", "Invalid module format\n  truncated"),
        (
            "insmod bin/modfs",
            "Invalid module format\n  this is a shared object or a program",
        ),
        (
            "insmod ko/user.ko",
            "could not insert module ko/user.ko: Unknown symbol in module\n  \
             unresolved symbol lib_add\n  lib_add is exported by ko/lib.ko: insert it first",
        ),
        (
            "cd ko && insmod user.ko",
            "lib_add is exported by ./lib.ko: insert it first",
        ),
        (
            "insmod ko/hello.ko times=many",
            "Invalid parameters\n  parameter times: \"many\" is not a number",
        ),
        (
            "insmod ko/hello.ko times=-1",
            "Invalid parameters\n  hello: init returned -22",
        ),
        (
            "insmod -o kernel ko/hello.ko",
            "File exists: that is the kernel's own name",
        ),
        (
            "insmod -o a/b ko/hello.ko",
            "it has a slash; give one with --name",
        ),
        ("insmod -o ../../esc ko/hello.ko", "it has a slash"),
        (
            "insmod -o .. ko/hello.ko",
            "\"..\" cannot be a module's name",
        ),
        ("insmod -o . ko/hello.ko", "\".\" cannot be a module's name"),
        ("insmod -o '' ko/hello.ko", "it is empty"),
        (
            "insmod -o \"$(printf 'a\\tb')\" ko/hello.ko",
            "it has a control character",
        ),
        (
            "insmod -o $(printf %0256d 0) ko/hello.ko",
            "it is longer than 255 bytes",
        ),
        (
            "mkfifo ko/fifo.ko; insmod ko/fifo.ko",
            "could not load module ko/fifo.ko: it is not a regular file",
        ),
        (
            // A FIFO beside it does not keep it from the hint.
            "insmod ko/user.ko",
            "lib_add is exported by ko/lib.ko: insert it first",
        ),
    ] {
        let said = kernel.sh(typed).fails();
        assert!(said.starts_with("insmod: ERROR: could not "), "{said}");
        assert!(said.contains(why), "{typed}: {said}");
        assert_eq!(kernel.names(), Vec::<String>::new(), "{typed}");
    }
    assert!(!kernel.path("esc").exists());
    kernel.sh("insmod ko/lib.ko").ok();
    let said = kernel.sh("insmod ko/failing.ko result=-19").fails();
    assert!(
        said.contains("No such device\n  failing: init returned -19"),
        "{said}"
    );
    assert_eq!(kernel.names(), ["lib"]);

    // A parameter that there is not is no error, as in Linux; it is in the log.
    kernel.sh("insmod ko/hello.ko frob=1").ok();
    assert!(
        kernel
            .log()
            .contains("hello: unknown parameter 'frob' ignored\n")
    );
    let said = kernel.sh("insmod ko/hello.ko").fails();
    assert!(
        said.contains("could not insert module ko/hello.ko: File exists"),
        "{said}"
    );
    assert_eq!(kernel.state("hello"), "running");
}

/// Each parameter is one word of one command, whatever is in it.
#[test]
fn parameters_of_insmod() {
    let kernel = Kernel::start(&["hello"]);
    for (parameter, why) in [
        ("$(printf 'whom=x\\nexit')", "parameter whom: a control"),
        ("$(printf 'whom=x\\ry')", "parameter whom: a control"),
        ("$(printf 'a\\033b')", r"parameter a\u{1b}b: a control"),
        ("whom=x \\\"y", "parameter whom: blanks and a double quote"),
        (r#"whom=\"x\" y\""#, "parameter whom: blanks and a double"),
        ("wh om=\\\"x\\\"", "parameter wh om: blanks and a double"),
    ] {
        let said = kernel
            .sh(&format!("insmod ko/hello.ko \"{parameter}\""))
            .fails();
        assert!(said.contains("Invalid parameters\n  "), "{said}");
        assert!(said.contains(why), "{parameter}: {said}");
        assert_eq!(kernel.names(), Vec::<String>::new(), "{parameter}");
    }
    assert!(!kernel.log().contains("Hello"), "{}", kernel.log());
    for (parameter, whom) in [
        (r#"whom="x y""#, "x y"),
        ("whom=x  y", "x  y"),
        (r#""whom=a b""#, "a b"),
        (r#"whom=x"y"#, r#"x"y"#),
        (r#"whom="z""#, "z"),
    ] {
        kernel
            .sh(&format!("insmod ko/hello.ko {}", quoted(parameter)))
            .ok();
        let is = kernel.get("hello/parameters/whom");
        assert_eq!(is, Ok(format!("{whom}\n")), "{parameter}");
        kernel.sh("rmmod hello").ok();
    }
    kernel.sh("insmod ko/hello.ko 'wh om=x'").ok();
    let log = kernel.log();
    assert!(
        log.contains("hello: unknown parameter 'wh om' ignored\n"),
        "{log}"
    );
}

/// To insert the exporter first would not help a module that may not use what it exports.
#[test]
fn no_hint_at_what_is_for_others() {
    let kernel = Kernel::start(&["lib"]);
    let source = "#include <linux/module.h>
        const char *lib_greeting(void);
        int lib_add(int a, int b);
        int init_module(void) { return !lib_greeting() + lib_add(0, 0); }
        MODULE_LICENSE(LICENSE);\n";
    std::fs::write(kernel.path("guest.c"), source).expect("write");
    for (license, hinted) in [("Proprietary", false), ("GPL", true)] {
        let build = format!("modfs build '--cflag=-DLICENSE=\"{license}\"' -o ko/guest.ko guest.c");
        kernel.sh(&build).ok();
        let said = kernel.sh("insmod ko/guest.ko").fails();
        assert!(said.contains("lib_add is exported by ko/lib.ko"), "{said}");
        let hint = said.contains("lib_greeting is exported by");
        assert_eq!(hint, hinted, "{license}: {said}");
    }
}

/// What was in a directory that was there before is not removed with what insmod put there.
#[test]
fn insmod_into_a_directory_that_is_there() {
    let kernel = Kernel::start(&["hello"]);
    kernel
        .sh("mkdir k/modules/hello && insmod ko/hello.ko times=many")
        .fails();
    assert_eq!(kernel.names(), ["hello"]);
    assert_eq!(kernel.state("hello"), "unmapped");
    kernel.sh("insmod ko/hello.ko && rmmod hello").ok();
    assert_eq!(kernel.names(), Vec::<String>::new());
    // Mapped by hand, it is a module already.
    kernel.place("hello", "hello");
    assert_eq!(kernel.control("hello", "map"), Ok(()));
    assert!(
        kernel
            .sh("insmod ko/hello.ko")
            .fails()
            .contains("File exists")
    );
    assert_eq!(kernel.state("hello"), "uninitialized");
}

#[test]
fn rmmod_says_why_not() {
    let kernel = Kernel::start(&["lib", "user", "hello", "echo", "crash"]);
    kernel
        .sh("insmod ko/lib.ko && insmod ko/user.ko && insmod ko/echo.ko && insmod ko/hello.ko")
        .ok();
    for (typed, why) in [
        ("rmmod nothing", "Module nothing is not currently loaded"),
        ("rmmod lib", "Module lib is in use by: user"),
        (
            "exec 3< k/dev/echo; rmmod echo",
            "Module echo is in use: echo is in use once",
        ),
        ("rmmod kernel", "the kernel itself cannot be removed"),
        ("rmmod ''", "not currently loaded"),
        ("rmmod ..", "not currently loaded"),
    ] {
        let said = kernel.sh(typed).fails();
        assert!(
            said.starts_with("rmmod: ERROR: ") && said.contains(why),
            "{typed}: {said}"
        );
    }
    assert_eq!(kernel.names(), ["hello", "echo", "user", "lib"]);
    // One that cannot go does not keep the others; and users go first when they are named first.
    let said = kernel.sh("rmmod hello nothing ko/echo.ko").fails();
    assert_eq!(
        said,
        "rmmod: ERROR: Module nothing is not currently loaded\n"
    );
    kernel.sh("rmmod user lib").ok();
    assert_eq!(kernel.names(), Vec::<String>::new());

    kernel.sh("insmod ko/crash.ko").ok();
    kernel.sh("cat k/dev/crash").fails();
    assert!(
        kernel
            .sh("rmmod crash")
            .fails()
            .contains("its code faulted")
    );
    assert!(kernel.sh("lsmod").ok().contains("(faulted)"));
}

/// The name that a module has comes before the one that insmod would have made of it.
#[test]
fn rmmod_takes_the_name_as_it_is() {
    let kernel = Kernel::start(&["hello"]);
    for name in ["a-b", "x.ko", "y.o"] {
        kernel
            .sh(&format!(
                "insmod -o {name} ko/hello.ko && rmmod {name} && [ ! -e k/modules/{name} ]"
            ))
            .ok();
    }
    kernel
        .sh("insmod -o a-b ko/hello.ko && insmod -o a_b ko/hello.ko && rmmod a-b")
        .ok();
    assert_eq!(kernel.names(), ["a_b"]);
    kernel.sh("rmmod a-b").ok();
    assert_eq!(kernel.names(), Vec::<String>::new());
    // A path is never one into the tree.
    kernel.sh("insmod ko/hello.ko && mkdir k/modules/sub").ok();
    for outside in ["../modules", "hello/..", "hello/.", "../../ko"] {
        let said = kernel.sh(&format!("rmmod {outside}")).code;
        // The last part of `hello/.` is `hello`, as of the path of a file.
        assert_eq!(said == Some(0), outside == "hello/.", "{outside}");
    }
    assert!(kernel.path("ko").exists());
    kernel.sh("rmmod sub").ok();
}

/// A use ends with the close(2): who removes a module right after it is not refused.
#[test]
fn rmmod_right_after_the_last_use() {
    let kernel = Kernel::start(&["echo"]);
    for _ in 0..10 {
        kernel
            .sh("insmod ko/echo.ko && echo hi > k/dev/echo && cat k/dev/echo && rmmod echo")
            .ok();
        kernel.sh("insmod ko/echo.ko && read x < k/dev/echo; echo exit > k/modules/echo/control && rmmod echo").ok();
    }
}

#[test]
fn log_prints_what_modules_printed() {
    let kernel = Kernel::start(&["hello"]);
    kernel.sh("insmod ko/hello.ko && rmmod hello").ok();
    let log = kernel.sh("modfs log").ok();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (line, text) in
        lines
            .iter()
            .zip(["modfs host ready at ", "Hello, world!", "Goodbye, world!"])
    {
        let time = line.strip_prefix('[').and_then(|l| l.split_once("] "));
        let (time, rest) = time.expect("a time");
        assert!(time.trim().parse::<f64>().is_ok_and(|s| s < 60.0), "{line}");
        assert!(rest.starts_with(text), "{line}");
    }
    // Somebody who reads only a part of it is no error.
    assert_eq!(
        kernel
            .sh("modfs log | head -n 1 | wc -l; lsmod | head -c 1")
            .ok(),
        "1\nM"
    );
    let raw = kernel.sh("cat k/proc/kmsg").ok();
    assert!(raw.lines().all(|line| line.starts_with("<6>[")), "{raw}");
}

#[test]
fn headers_are_written() {
    let kernel = Kernel::stopped(Setup::default());
    kernel
        .sh("modfs headers include/here && [ -s include/here/linux/module.h ]")
        .ok();
    kernel.sh("modfs headers include/here").ok();
    let said = kernel.sh("modfs headers bin/modfs").fails();
    assert!(
        said.starts_with("headers: cannot write to bin/modfs: "),
        "{said}"
    );
}

/// The host in the background is a process of its own, and says when it cannot be.
#[test]
fn host_in_the_background() {
    let kernel = Kernel::start(&["hello"]);
    let said = kernel.sh("modfs host nowhere").fails();
    assert!(said.starts_with("host: nowhere: No such file"), "{said}");
    // Another one beside this one.
    let script = "
        mkdir other && modfs host other && export MODFS_TREE=$PWD/other/modules || exit 1
        insmod ko/hello.ko; modfs log; umount other 2> /dev/null || fusermount3 -u other";
    let log = kernel.sh(script).ok();
    assert!(log.contains("Hello, world!"), "{log}");
    assert_eq!(kernel.names(), Vec::<String>::new());
}

/// Twenty at once: one module, and nineteen that are told.
#[test]
fn insmod_twenty_times_at_once() {
    let kernel = Kernel::start(&["hello"]);
    for round in 0..3 {
        let all: Vec<Running> = (0..20)
            .map(|_| kernel.background("exec insmod ko/hello.ko"))
            .collect();
        let ran: Vec<_> = all.into_iter().map(|one| one.wait(PATIENCE)).collect();
        let won = ran.iter().filter(|ran| ran.code == Some(0)).count();
        assert_eq!(won, 1, "round {round}: {ran:#?}");
        for lost in ran.into_iter().filter(|ran| ran.code != Some(0)) {
            let said = lost.fails();
            assert!(
                said.starts_with("insmod: ERROR: could not insert")
                    && said.ends_with("File exists: a module named hello is there already\n"),
                "{said}"
            );
        }
        assert_eq!(kernel.state("hello"), "running", "round {round}");
        assert_eq!(kernel.log().matches("Hello").count(), round + 1);
        // The same the other way round.
        let all: Vec<Running> = (0..20)
            .map(|_| kernel.background("exec rmmod hello"))
            .collect();
        let ran: Vec<_> = all.into_iter().map(|one| one.wait(PATIENCE)).collect();
        assert!(ran.iter().any(|ran| ran.code == Some(0)), "{ran:#?}");
        for lost in ran.into_iter().filter(|ran| ran.code != Some(0)) {
            assert_eq!(
                lost.fails(),
                "rmmod: ERROR: Module hello is not currently loaded\n"
            );
        }
        assert_eq!(kernel.names(), Vec::<String>::new());
    }
}

/// Of several that insert one module none takes away what another has written.
#[test]
fn one_at_a_time_fills_a_directory() {
    common::need("flock", "util-linux");
    let kernel = Kernel::start(&["hello"]);
    let holder = kernel.background("mkdir $K/modules/hello; exec flock $K/modules/hello sleep 1");
    eventually("it is locked", || {
        kernel.sh("! flock -n $K/modules/hello true").code == Some(0)
    });
    let insmod = kernel.background("exec insmod ko/hello.ko");
    kernel
        .sh("sleep 0.3; [ ! -e $K/modules/hello/module ]")
        .ok();
    holder.wait(PATIENCE).ok();
    insmod.wait(PATIENCE).ok();
    assert_eq!(kernel.state("hello"), "running");
}

/// A mount would hide what is there.
#[test]
fn host_at_a_directory_with_something_in_it() {
    let kernel = Kernel::start(&["hello"]);
    for args in ["", "--foreground"] {
        let said = kernel
            .sh(&format!("exec modfs host {args} $PWD/ko"))
            .fails();
        assert!(said.contains("/ko: the directory is not empty"), "{said}");
    }
    assert!(kernel.ko("hello").exists());
}

/// What is too long for `ulimit -f` is an error, and not a signal that ends the host.
#[test]
fn host_under_a_limit_of_file_sizes() {
    let kernel = Kernel::stopped(Setup::default());
    for args in ["", "--foreground"] {
        let said = kernel
            .sh(&format!("ulimit -f 1; exec modfs host {args} k"))
            .fails();
        assert_eq!(said, "host: cannot start: File too large (os error 27)\n");
    }
}

/// Processes that were started with this in their environment.
fn processes_with(setting: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("readdir");
    all.filter_map(|entry| {
        let entry = entry.ok()?.path();
        let environment = std::fs::read(entry.join("environ")).ok()?;
        let has = environment
            .split(|&b| b == 0)
            .any(|one| one == setting.as_bytes());
        has.then(|| std::fs::read_to_string(entry.join("cmdline")).unwrap_or_default())
    })
    .collect()
}

/// Nothing is left, whether it was building or had a host with modules in it.
#[test]
fn demo_is_interrupted() {
    let kernel = Kernel::stopped(Setup::default());
    for (round, (signal, until)) in [
        (Signal::INT, None),
        (Signal::TERM, Some("$ insmod ko/lib.ko")),
    ]
    .into_iter()
    .enumerate()
    {
        let place = kernel.path(&format!("tmp{round}"));
        std::fs::create_dir(&place).expect("mkdir");
        let mut command = kernel.command("modfs");
        command.arg("demo").env("TMPDIR", &place);
        let demo = Running::start(command);
        match until {
            None => std::thread::sleep(Duration::from_millis(800)),
            Some(line) => {
                let deadline = Instant::now() + DEMO;
                while !demo.printed().0.contains(line) {
                    assert!(Instant::now() < deadline && !demo.is_over(), "{demo:?}");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        demo.signal(signal);
        let said = demo.wait(DEMO).fails();
        assert!(said.ends_with("demo: interrupted\n"), "{said}");
        let left = std::fs::read_dir(&place).expect("readdir").count();
        assert_eq!(left, 0, "{}", place.display());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        assert!(!mounts.contains(&*place.to_string_lossy()), "{mounts}");
        let setting = format!("TMPDIR={}", place.display());
        eventually("no process of it is left", || {
            processes_with(&setting).is_empty()
        });
    }
}

#[test]
fn without_dev_fuse_one_is_told_how_to_get_it() {
    common::need("unshare", "util-linux");
    common::need_root("it makes a /dev without fuse for one process");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let place = quoted(&dir.path().to_string_lossy());
    for typed in ["host $0", "demo"] {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg(format!(
            "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec {} {typed}",
            quoted(MODFS)
        ));
        command.arg(dir.path());
        let said = run(command, PATIENCE).fails();
        assert!(
            said.contains("/dev/fuse") && said.contains("modprobe fuse"),
            "{said}"
        );
        assert!(said.contains("--device /dev/fuse"), "{said}");
    }
    run(
        sh(&format!("rmdir {place}/* 2> /dev/null; ls {place}")),
        PATIENCE,
    )
    .ok();
}

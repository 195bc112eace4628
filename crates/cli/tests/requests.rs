//! Modules that are asked for: by other modules, by opening a device, by hand.

mod common;

use common::{Kernel, PATIENCE, run};
use modfs_core::Errno;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

/// The program that is asked. `$4` is the name of what is wanted; what it does with it is `then`.
/// All it has are its arguments, MODFS_TREE, and the PATH of 2.4.
fn helper(kernel: &Kernel, then: &str) {
    let at = kernel.path("modprobe");
    let place = kernel.path("").display().to_string();
    let text = format!(
        "#!/bin/sh\n\
         here={place} KO={place}/ko\n\
         echo \"$*\" >> $here/asked\n\
         load() {{ # FILE NAME ARGUMENTS\n\
         mkdir \"$MODFS_TREE/$2\" && cp \"$KO/$1.ko\" \"$MODFS_TREE/$2/module\" &&\n\
         echo map > \"$MODFS_TREE/$2/control\" &&\n\
         echo \"init -k module $3\" > \"$MODFS_TREE/$2/control\"\n\
         }}\n\
         {then}\n"
    );
    // It is renamed into place: a program that is still written to cannot be run.
    let new = kernel.path("modprobe.new");
    fs::write(&new, text).expect("write");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::rename(&new, &at).expect("rename");
    let path = at.display().to_string();
    assert_eq!(kernel.put("kernel/modprobe", format!("{path}\n")), Ok(()));
    assert_eq!(kernel.get("kernel/modprobe"), Ok(format!("{path}\n")));
}

/// What the helper was asked, a line each time.
fn asked(kernel: &Kernel) -> String {
    fs::read_to_string(kernel.path("asked")).unwrap_or_default()
}

#[test]
fn an_init_has_another_module_loaded() {
    let kernel = Kernel::start(&["asker", "lib", "user"]);
    helper(&kernel, "[ \"$4\" = lib ] && load lib lib");
    kernel.sh("insmod ko/asker.ko name=lib").ok();
    assert_eq!(asked(&kernel), "-s -k -- lib\n");
    assert_eq!(
        (kernel.state("lib"), kernel.state("asker")),
        ("running".into(), "running".into())
    );
    assert!(kernel.log().contains("asker: lib: 0\n"), "{}", kernel.log());
    let state = kernel.get("lib/module").expect("read");
    assert!(state.starts_with("autoclean\nunused\n"), "{state}");

    // The sweep takes it once it has been used, and no more is.
    kernel.sh("echo autoclean > k/modules/kernel/control").ok();
    assert_eq!(kernel.state("lib"), "running", "not used yet");
    kernel
        .sh("insmod ko/user.ko && echo autoclean > k/modules/kernel/control")
        .ok();
    assert_eq!(kernel.state("lib"), "running", "in use");
    kernel
        .sh("rmmod user && echo autoclean > k/modules/kernel/control")
        .ok();
    assert_eq!(kernel.names(), ["asker"]);
}

#[test]
fn an_init_learns_that_there_is_no_such_module() {
    let kernel = Kernel::start(&["asker"]);
    kernel.place("asker", "asker");
    let init = |name: &str| kernel.control("asker", &format!("init module name={name}"));
    assert_eq!(kernel.control("asker", "map"), Ok(()));
    // Nobody to ask.
    assert_eq!(init("x"), Err(Errno::ENOENT));
    assert!(kernel.log().contains("asker: x: -2\n"), "{}", kernel.log());
    // A helper that is none; one that has no such module: as in 2.4, whoever asks looks again.
    let again = || {
        assert_eq!(init("x"), Ok(()));
        for command in ["exit", "unmap", "map"] {
            assert_eq!(kernel.control("asker", command), Ok(()));
        }
    };
    assert_eq!(
        kernel.put("kernel/modprobe", "/nonexistent/modprobe"),
        Ok(())
    );
    again();
    assert!(kernel.log().contains("cannot run /nonexistent/modprobe"));
    helper(&kernel, "exit 1");
    again();
    assert_eq!(asked(&kernel), "-s -k -- x\n");
    let log = kernel.log();
    assert_eq!(log.matches("asker: x: 0\n").count(), 2, "{log}");
    assert!(log.contains("exit status: 1"), "{log}");
    // By hand it is a failure.
    assert_eq!(
        kernel.put("kernel/control", "request y"),
        Err(Errno::ENOENT)
    );
    let said = kernel.get("kernel/control").expect("control");
    assert!(
        said.starts_with("last: request y: ENOENT") && said.contains("exit status: 1"),
        "{said}"
    );
}

#[test]
fn the_helper_has_the_environment_of_2_4() {
    let kernel = Kernel::with(&[], &["--modprobe", "/bin/true"]);
    assert_eq!(kernel.get("kernel/modprobe"), Ok("/bin/true\n".into()));
    helper(
        &kernel,
        "env | sort > $here/env; pwd > $here/cwd; exec cat > $here/input",
    );
    assert_eq!(kernel.put("kernel/control", "request \"any name\""), Ok(()));
    assert_eq!(asked(&kernel), "-s -k -- any name\n");
    let env = fs::read_to_string(kernel.path("env")).expect("read");
    let names = env.lines().filter_map(|line| line.split_once('='));
    // Those that sh sets by itself are no matter.
    let given: Vec<_> = names
        .filter(|(name, _)| !["PWD", "_", "OLDPWD", "SHLVL"].contains(name))
        .collect();
    let tree = kernel.tree("").display().to_string();
    assert_eq!(
        given,
        [
            ("HOME", "/"),
            ("MODFS_TREE", tree.trim_end_matches('/')),
            ("PATH", "/sbin:/usr/sbin:/bin:/usr/bin"),
            ("TERM", "linux"),
        ]
    );
    assert_eq!(fs::read_to_string(kernel.path("cwd")).expect("read"), "/\n");
    assert_eq!(fs::read_to_string(kernel.path("input")).expect("read"), "");
}

#[test]
fn opening_an_unknown_device_asks_for_it() {
    let kernel = Kernel::start(&["echo"]);
    helper(&kernel, "exit 1");
    let said = kernel.sh("cat k/dev/c-77-3").fails();
    assert!(said.contains("No such device or address"), "{said}");
    assert_eq!(
        asked(&kernel),
        "-s -k -- char-major-77-3\n-s -k -- char-major-77\n"
    );

    // The second name gives a module; what was opened is its device.
    helper(
        &kernel,
        "[ \"$4\" = char-major-77 ] && load echo echo major=77",
    );
    assert_eq!(
        kernel.sh("echo hello > k/dev/c-77-0; cat k/dev/echo").ok(),
        "hello\n"
    );
    assert_eq!(asked(&kernel).lines().count(), 4);
    // It is there now: nobody is asked again.
    assert_eq!(kernel.sh("cat k/dev/c-77-9").ok(), "hello\n");
    assert_eq!(asked(&kernel).lines().count(), 4);

    // It was used a moment ago: it survives one sweep, and not the next.
    kernel.sh("rmmod -a").ok();
    assert_eq!(kernel.names(), ["echo"]);
    kernel.sh("rmmod -a").ok();
    assert_eq!(kernel.names(), Vec::<String>::new());

    // A look at a name that can be a device asks nobody; and other names there are not.
    kernel.sh("ls -l k/dev/c-88-1 k/dev").ok();
    assert!(kernel.sh("ls k/dev/nonsense").code != Some(0));
    assert_eq!(asked(&kernel).lines().count(), 4);
}

/// A helper that asks for what it is asked for comes to an end, and so does everybody else.
#[test]
fn a_loop_of_requests_is_stopped() {
    let mut kernel = Kernel::start(&["hello"]);
    helper(
        &kernel,
        "echo \"request $4\" > $MODFS_TREE/kernel/control || { cat $MODFS_TREE/kernel/control >> $here/said; exit 1; }",
    );
    let begun = Instant::now();
    assert_eq!(
        kernel.put("kernel/control", "request loop"),
        Err(Errno::ENOENT)
    );
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(asked(&kernel).lines().count(), 50);
    let said = fs::read_to_string(kernel.path("said")).expect("read");
    assert!(said.contains("last: request loop: ENOMEM"), "{said}");
    let stopped = "loop: runaway modprobe loop assumed and stopped";
    assert!(said.contains(stopped), "{said}");
    assert!(kernel.log().contains(stopped));
    kernel.assert_alive();
    kernel.load("hello", "hello");
    helper(&kernel, "exit 0");
    assert_eq!(
        kernel.put("kernel/control", "request loop"),
        Ok(()),
        "it is over"
    );
}

/// A module's code is a part of the host: what it wants of the host's own files, nobody is free
/// to answer. It is told so, and does not hang.
#[test]
fn a_module_that_touches_its_own_mount_gets_edeadlk() {
    let mut kernel = Kernel::start(&["toucher", "hello"]);
    kernel.place("toucher", "toucher");
    assert_eq!(kernel.control("toucher", "map"), Ok(()));
    for path in [
        "k/modules/hello",
        "k/modules/toucher/control",
        "k/proc/kmsg",
        "k",
    ] {
        let init = format!("init module path={}", kernel.path(path).display());
        assert_eq!(
            kernel.control("toucher", &init),
            Err(Errno::EDEADLK),
            "{path}"
        );
    }
    kernel.assert_alive();
    // What is elsewhere it may touch.
    assert_eq!(
        kernel.control("toucher", "init module path=/dev/null"),
        Ok(())
    );
    let log = run(kernel.shell("modfs log"), PATIENCE).ok();
    assert_eq!(log.matches("toucher: -35\n").count(), 4, "{log}");
    kernel.load("hello", "hello");
}

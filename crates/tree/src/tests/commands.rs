//! What `control` takes, and what it tells.

use super::{HELLO, OWNER, World};
use crate::double::Double;
use crate::{Caller, MAX_WRITE};
use modfs_core::Errno;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Releases what hangs, so that a test that fails ends.
struct Release<'a>(&'a Double);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[test]
fn a_module_lives() {
    let world = World::hello();
    let control = || world.read("hello/control").expect("read");
    assert_eq!(control(), "state: unmapped\n");
    world.control("hello", "map\n").expect("map");
    assert_eq!(control(), "state: uninitialized\nlast: map module: ok\n");
    let file = world.read("hello/module").expect("read");
    assert_eq!(file, "uninitialized\n0x000000007f000000\n");
    world
        .control("hello", "init debug=\"1 2\"\n")
        .expect("init");
    assert_eq!(
        control(),
        "state: running\nlast: init module debug=1 2: ok\n"
    );
    let stranger = world.as_user(7);
    assert_eq!(stranger.read("hello/module").as_deref(), Ok("unused\n"));
    world.control("hello", "exit\nunmap").expect("unmap");
    assert_eq!(control(), "state: unmapped\nlast: unmap module: ok\n");
}

#[test]
fn row_11_outcomes_are_told() {
    let world = World::new();
    world.module("user", b"module\nimport a\nimport b\n");
    assert_eq!(world.control("user", "map"), Err(Errno::ENOENT));
    assert_eq!(
        world.read("user/control").as_deref(),
        Ok("state: unmapped\n\
            last: map module: ENOENT No such file or directory\n  \
            unresolved symbol a\n  unresolved symbol b\n")
    );
    assert_eq!(world.control("user", "unmap"), Err(Errno::ENOENT));
    assert_eq!(
        world.read("user/control").as_deref(),
        Ok("state: unmapped\nlast: unmap module: ENOENT No such file or directory\n")
    );
    assert_eq!(world.control("user", "frob\tx"), Err(Errno::EINVAL));
    let told = world.read("user/control").expect("read");
    assert!(
        told.contains("last: frob\\tx: EINVAL Invalid argument\n"),
        "{told}"
    );
    assert_eq!(world.write("user/control", b"map \xff"), Err(Errno::EINVAL));
}

#[test]
fn row_11_several_commands_stop_at_the_first_error() {
    let world = World::hello();
    let lines = "\n map \n\nmap\ninit\n";
    assert_eq!(world.control("hello", lines), Err(Errno::EEXIST));
    let told = world.read("hello/control").expect("read");
    assert!(
        told.starts_with("state: uninitialized\nlast: map module: EEXIST"),
        "{told}"
    );
    assert_eq!(world.control("hello", ""), Ok(()));
    assert_eq!(world.control("hello", " \n\n"), Ok(()));
}

#[test]
fn row_11_a_long_write_is_refused_not_clipped() {
    let world = World::hello();
    let long = "\n".repeat(MAX_WRITE);
    assert_eq!(world.control("hello", &long), Ok(()));
    let longer = long + "\n";
    assert_eq!(world.control("hello", &longer), Err(Errno::E2BIG));
}

#[test]
fn row_13_unmap_of_a_running_module_is_refused() {
    let world = World::hello();
    world.control("hello", "map\ninit").expect("init");
    assert_eq!(world.control("hello", "unmap"), Err(Errno::EBUSY));
    assert_eq!(world.write("hello/module", b"x"), Err(Errno::EPERM));
    assert_eq!(world.rmdir("hello"), Err(Errno::EBUSY));
}

#[test]
fn row_15_exit_of_a_used_module_says_so() {
    let world = World::hello();
    world.control("hello", "map\ninit").expect("init");
    world.module("user", b"module\nimport hello\n");
    world.control("user", "map").expect("map");
    assert_eq!(world.control("hello", "exit"), Err(Errno::EBUSY));
    let told = world.read("hello/control").expect("read");
    assert!(told.starts_with("state: running\n"), "{told}");
    assert!(told.ends_with("\n  used by module user\n"), "{told}");
}

#[test]
fn row_18_what_init_returns_is_the_errno() {
    let world = World::new();
    world.module("m", b"module\ninit -19\n");
    assert_eq!(world.control("m", "map\ninit"), Err(Errno::ENODEV));
    let told = world.read("m/control").expect("read");
    assert!(
        told.contains("last: init module: ENODEV No such device\n"),
        "{told}"
    );
    assert_eq!(world.read("m/state").as_deref(), Ok("uninitialized\n"));
}

#[test]
fn which_file() {
    let world = World::new();
    world.mkdir("m").expect("mkdir");
    assert_eq!(world.control("m", "map"), Err(Errno::ENOENT));
    for name in ["core", "init part"] {
        world.create("m", name).expect("create");
        world.write(&format!("m/{name}"), HELLO).expect("write");
    }
    assert_eq!(world.control("m", "map"), Err(Errno::EINVAL));
    let told = world.read("m/control").expect("read");
    assert!(told.contains("core, init part"), "{told}");
    assert_eq!(world.control("m", "map other"), Err(Errno::ENOENT));
    assert_eq!(world.control("m", "map \"init part\""), Ok(()));
    assert_eq!(world.control("m", "init core"), Err(Errno::ENOENT));
    assert_eq!(world.control("m", "init debug=1"), Err(Errno::EINVAL));
    assert_eq!(world.control("m", "init -k \"init part\" debug=1"), Ok(()));
    assert_eq!(world.read("m/parameters/debug").as_deref(), Ok("1\n"));
    let text = world.read("m/init part").expect("read");
    assert!(text.starts_with("autoclean\nunused\n"), "{text}");
}

#[test]
fn row_07_commands_are_for_the_owner() {
    let world = World::hello();
    let stranger = world.as_user(7);
    world.control("hello", "map").expect("map");
    assert_eq!(stranger.control("hello", "unmap"), Err(Errno::EPERM));
    let told = world.read("hello/control").expect("read");
    assert_eq!(told, "state: uninitialized\nlast: map module: ok\n");
    assert_eq!(world.as_user(0).control("hello", "unmap"), Ok(()));
    let kernel = stranger.write("kernel/control", b"request known");
    assert_eq!(kernel, Err(Errno::EPERM));
    assert_eq!(stranger.write("kernel/modprobe", b"/x"), Err(Errno::EPERM));
}

#[test]
fn truncating_control_changes_nothing() {
    let world = World::hello();
    world.control("hello", "map").expect("map");
    assert_eq!(world.truncate("hello/control", 0), Ok(()));
    let told = world.read("hello/control").expect("read");
    assert_eq!(told, "state: uninitialized\nlast: map module: ok\n");
}

#[test]
fn the_cancelled_stop_between_lines() {
    let world = World::hello();
    world.caller.cancelled.store(true, Ordering::Relaxed);
    assert_eq!(world.control("hello", "map"), Err(Errno::EINTR));
    assert_eq!(
        world.read("hello/control").as_deref(),
        Ok("state: unmapped\n")
    );
}

#[test]
fn row_09_nothing_is_locked_while_init_runs() {
    let world = World::new();
    world.module("slow", b"module\nhang\n");
    world.control("slow", "map").expect("map");
    std::thread::scope(|scope| {
        let _release = Release(&world.kernel);
        let init = scope.spawn(|| world.control("slow", "init"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while world.read("slow/state").as_deref() != Ok("initializing\n") {
            assert!(Instant::now() < deadline, "init does not begin");
            std::thread::yield_now();
        }
        let told = world.read("slow/control").expect("read");
        assert!(told.contains("running: init module\n"), "{told}");
        assert_eq!(world.rmdir("slow"), Err(Errno::EBUSY));
        assert_eq!(world.control("slow", "unmap"), Err(Errno::EBUSY));
        world.module("other", HELLO);
        assert_eq!(world.control("other", "map\ninit\nexit\nunmap"), Ok(()));
        assert_eq!(world.names(""), ["kernel/", "other/", "slow/"]);
        world.kernel.release();
        assert_eq!(init.join().ok(), Some(Ok(())));
    });
    let told = world.read("slow/control").expect("read");
    assert_eq!(told, "state: running\nlast: init module: ok\n");
}

#[test]
fn row_09_what_is_being_mapped_stays_as_it_is() {
    let world = World::new();
    world.module("m", b"module\nlinger\n");
    let running = |commands: usize| {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let told = world.read("m/control").expect("read");
            if told.matches("running:").count() == commands {
                break;
            }
            assert!(Instant::now() < deadline, "{told}");
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let _release = Release(&world.kernel);
        let first = scope.spawn(|| world.control("m", "map"));
        running(1);
        // The command is noted before its file is frozen.
        let deadline = Instant::now() + Duration::from_secs(10);
        while world.write("m/module", b"module\nlinger\n") != Err(Errno::EPERM) {
            assert!(Instant::now() < deadline, "the file is not frozen");
        }
        assert_eq!(world.truncate("m/module", 0), Err(Errno::EPERM));
        assert_eq!(world.unlink("m", "module"), Err(Errno::EBUSY));
        assert_eq!(world.rmdir("m"), Err(Errno::EBUSY));
        // It waits for its turn: by then there is something to unmap.
        let second = scope.spawn(|| world.control("m", "unmap"));
        running(2);
        let cancelled = Caller::new(OWNER, OWNER);
        let open = world.open("m/control", false, true).expect("open");
        std::thread::scope(|scope| {
            let third = scope.spawn(|| open.write(&cancelled, 0, b"map"));
            running(3);
            cancelled.cancelled.store(true, Ordering::Relaxed);
            assert_eq!(third.join().ok(), Some(Err(Errno::EINTR)));
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished());
        world.kernel.release();
        assert_eq!(first.join().ok(), Some(Ok(())));
        assert_eq!(second.join().ok(), Some(Ok(())));
    });
    assert_eq!(world.write("m/module", b"x"), Ok(()));
    assert_eq!(world.rmdir("m"), Ok(()));
}

#[test]
fn the_kernels_directory() {
    let world = World::new();
    let files = [
        "symbols", "control", "version", "rustc", "tainted", "modprobe",
    ];
    assert_eq!(world.names("kernel"), files);
    assert_eq!(world.read("kernel/version").as_deref(), Ok("double 1\n"));
    assert!(
        world
            .read("kernel/symbols")
            .is_ok_and(|s| s.contains(" printk\n"))
    );
    assert_eq!(world.write("kernel/modprobe", b"/sbin/modprobe\n"), Ok(()));
    assert_eq!(
        world.read("kernel/modprobe").as_deref(),
        Ok("/sbin/modprobe\n")
    );
    assert_eq!(world.write("kernel/control", b"request known\n"), Ok(()));
    assert_eq!(
        world.read("kernel/control").as_deref(),
        Ok("last: request known: ok\n")
    );
    assert_eq!(
        world.write("kernel/control", b"request x\n"),
        Err(Errno::ENOENT)
    );
    let told = world.read("kernel/control").expect("read");
    assert!(told.ends_with("\n  no module x\n"), "{told}");
    assert_eq!(world.write("kernel/control", b"frob"), Err(Errno::EINVAL));
    assert_eq!(world.truncate("kernel/control", 0), Ok(()));
}

#[test]
fn row_19_autoclean_removes_directories() {
    let world = World::hello();
    world.control("hello", "map\ninit -k").expect("init");
    world.module("kept", HELLO);
    world.control("kept", "map\ninit").expect("init");
    world
        .write("kernel/control", b"autoclean")
        .expect("autoclean");
    assert_eq!(world.names(""), ["kernel/", "kept/"]);
}

//! Calls that take long, callers that are killed, and the host's own requests.

mod support;

use modfs_core::Errno;
use modfs_fuse::Options;
use modfs_tree::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{World, command, eventually, kill, mounted, ran};

const SLOW: &str = "module\\nhang\\n";
const EDEADLK: Option<i32> = Some(Errno::EDEADLK.raw());

/// A module whose init hangs, and the process that waits for it.
fn hanging(world: &World) -> Child {
    world.module("slow", SLOW);
    world.ok("echo map > $M/slow/control");
    // Without timeout(1): the child is to be the writer itself.
    let mut writer = std::process::Command::new("sh");
    writer.args(["-c", "exec printf init > $M/slow/control"]);
    writer.env("M", world.mount.at());
    let child = writer.stdin(Stdio::null()).spawn().expect("sh");
    world.wait_for("cat $M/slow/state", "initializing\n");
    child
}

#[test]
fn a_killed_writer_ends_while_its_init_goes_on() {
    let world = World::new();
    let writer = hanging(&world);
    std::thread::sleep(Duration::from_millis(200));
    kill(writer);
    assert_eq!(world.ok("cat $M/slow/state"), "initializing\n");
    let told = world.ok("cat $M/slow/control");
    assert!(told.contains("\nrunning: init module\n"), "{told}");
    world.kernel.release();
    world.wait_for("cat $M/slow/state", "running\n");
}

#[test]
fn a_writer_can_be_terminated_and_interrupted() {
    let world = World::new();
    let writer = hanging(&world);
    let pid = writer.id();
    world.ok(&format!("kill -TERM {pid}"));
    let mut writer = writer;
    eventually("a terminated process ends", || {
        writer.try_wait().expect("wait").is_some()
    });
}

#[test]
fn others_go_on_while_an_init_hangs() {
    let world = World::new();
    let writer = hanging(&world);
    let begun = Instant::now();
    assert_eq!(world.ok("ls -U $M"), "kernel\nslow\n");
    world.ok("ls -lR $M > /dev/null");
    // The inode's lock is held over a write: this would wait if control had one number.
    let put = world.put("slow/control", "unmap");
    assert!(put.err.contains("busy"), "{put:?}");
    world.module("other", "module\\n");
    world.ok("printf 'map\\ninit\\nexit\\nunmap\\n' > $M/other/control && rmdir $M/other");
    assert!(begun.elapsed() < Duration::from_secs(10));
    kill(writer);
}

#[test]
fn a_write_to_control_times_out() {
    let options = Options {
        init_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let world = World::with(&options);
    world.module("slow", SLOW);
    let begun = Instant::now();
    let put = world.put("slow/control", "map\\ninit\\nexit\\n");
    assert!(put.err.contains("timed out"), "{put:?}");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(world.ok("cat $M/slow/state"), "initializing\n");
    world.kernel.release();
    // The line after the one that took too long is not run.
    world.wait_for("cat $M/slow/state", "running\n");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(world.ok("cat $M/slow/state"), "running\n");
}

#[test]
fn the_hosts_own_requests_are_refused() {
    let world = World::new();
    let at = world.mount.at().to_owned();
    let list = || std::fs::read_dir(&at).map(drop).err();
    let errno = |error: Option<std::io::Error>| error.and_then(|e| e.raw_os_error());
    assert_eq!(errno(list()), EDEADLK);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| errno(list()));
        assert_eq!(thread.join().ok(), Some(EDEADLK));
    });
    assert_eq!(errno(std::fs::create_dir(at.join("x")).err()), EDEADLK);
    assert_eq!(world.ok("ls $M"), "kernel\n");
}

/// A directory with a device: `wait` is open and read for as long as it likes, `panic` panics.
struct Root(Arc<Device>);

#[derive(Default)]
struct Device {
    opened: AtomicUsize,
    dropped: AtomicUsize,
    /// Whether open itself waits, rather than read.
    slow_open: bool,
}

struct File {
    id: NodeId,
    device: Arc<Device>,
    name: &'static str,
}

struct Opened(Arc<Device>);

impl Node for Root {
    fn id(&self) -> Option<NodeId> {
        None
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(attr(Kind::Dir))
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let names = ["wait", "panic-blocking", "panic"];
        let name = names.into_iter().find(|n| *n == name);
        Ok(Arc::new(File {
            id: NodeId::fresh(),
            device: Arc::clone(&self.0),
            name: name.ok_or(Errno::ENOENT)?,
        }))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        Ok(vec![("wait".to_owned(), Kind::File)])
    }
}

fn attr(kind: Kind) -> Attr {
    Attr {
        kind,
        mode: 0o777,
        uid: 0,
        gid: 0,
        size: 0,
    }
}

impl Node for File {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(attr(Kind::File))
    }

    fn blocks(&self) -> bool {
        self.name != "panic"
    }

    fn open(&self, caller: &Caller, _: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        assert_eq!(self.name, "wait", "meant to panic");
        self.device.opened.fetch_add(1, Ordering::SeqCst);
        if self.device.slow_open {
            wait(caller);
        }
        Ok(Box::new(Opened(Arc::clone(&self.device))))
    }
}

fn wait(caller: &Caller) {
    while !caller.is_cancelled() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Handle for Opened {
    fn read(&self, caller: &Caller, _: u64, _: usize) -> Result<Vec<u8>, Errno> {
        wait(caller);
        Err(Errno::EINTR)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Reads the device, is killed, and leaves nothing open.
fn device_reader(slow_open: bool) {
    let device = Arc::new(Device {
        slow_open,
        ..Device::default()
    });
    let options = Options {
        init_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let (_dir, mount) = mounted(Arc::new(Root(Arc::clone(&device))), &options);
    let mut reader = std::process::Command::new("cat")
        .arg(mount.at().join("wait"))
        .spawn()
        .expect("cat");
    eventually("the device is opened", || {
        device.opened.load(Ordering::SeqCst) == 1
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(reader.try_wait().expect("wait"), None, "a device waits");
    assert_eq!(ran(&mut command(&mount, "ls $M")).out, "wait\n");
    kill(reader);
    eventually("the device is released", || {
        device.dropped.load(Ordering::SeqCst) == 1
    });
}

#[test]
fn a_device_waits_for_as_long_as_its_reader_lives() {
    device_reader(false);
}

#[test]
fn an_open_that_nobody_waits_for_is_released() {
    device_reader(true);
}

#[test]
fn a_panic_is_the_callers_error_only() {
    let device = Arc::new(Device::default());
    let (_dir, mount) = mounted(Arc::new(Root(device)), &Options::default());
    for name in ["panic", "panic-blocking", "panic"] {
        let ran = ran(&mut command(&mount, &format!("cat $M/{name}")));
        assert!(ran.err.contains("Input/output error"), "{ran:?}");
    }
    assert_eq!(ran(&mut command(&mount, "ls $M")).out, "wait\n");
}

//! Mounts come and go.

mod support;

use modfs_fuse::{Options, clear_stale, mount};
use modfs_tree::ModuleTree;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{Double, World, at, eventually, mounted};

/// Set for a child of this program that is to mount there and wait to be killed.
const HOST_AT: &str = "MODFS_TEST_HOST_AT";
const READY: &str = "mounted";

fn root() -> std::sync::Arc<dyn modfs_tree::Node> {
    ModuleTree::new(Double::new(), 0, 0).root()
}

#[test]
fn unmounted_from_outside() {
    let world = World::new();
    assert!(!world.mount.is_over());
    world.ok("umount $M");
    eventually("the session ends", || world.mount.is_over());
    let (dir, mount) = mounted(root(), &Options::default());
    let umount = Command::new("umount").arg(mount.at()).status();
    assert!(umount.is_ok_and(|status| status.success()));
    mount.join().expect("join");
    assert!(
        at(&dir)
            .read_dir()
            .is_ok_and(|mut dir| dir.next().is_none())
    );
}

#[test]
fn unmount_is_refused_while_something_is_open() {
    let mut world = World::new();
    let mut open = Command::new("sh")
        .args(["-c", "exec 3< $M/kernel/version; echo open; exec sleep 60"])
        .env("M", world.mount.at())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut line = String::new();
    let stdout = open.stdout.take().expect("stdout");
    BufReader::new(stdout).read_line(&mut line).expect("read");
    let error = world.mount.unmount().expect_err("must be busy");
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert_eq!(world.ok("ls $M"), "kernel\n");
    open.kill().expect("kill");
    open.wait().expect("wait");
    world.mount.unmount().expect("unmount");
}

#[test]
fn unmount_and_mount_again() {
    let mut world = World::new();
    world.mount.unmount().expect("unmount");
    world.mount.unmount().expect("a second time");
    assert!(world.mount.is_over());
    let again = mount(root(), &at(&world.dir), &Options::default()).expect("mount");
    assert!(!again.is_over());
    drop(again);
    assert!(
        at(&world.dir)
            .read_dir()
            .is_ok_and(|mut dir| dir.next().is_none())
    );
}

#[test]
fn where_nothing_can_be_mounted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("write");
    for (path, kind) in [
        (dir.path().join("none"), std::io::ErrorKind::NotFound),
        (file, std::io::ErrorKind::NotADirectory),
    ] {
        let error = mount(root(), &path, &Options::default()).expect_err("must fail");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

/// Not a test by itself: the host that `what_a_killed_host_left_is_cleared` kills.
#[test]
fn host() {
    let Some(path) = std::env::var_os(HOST_AT) else {
        return;
    };
    let mount = mount(root(), Path::new(&path), &Options::default()).expect("mount");
    eprintln!("{READY}");
    mount.join().expect("join");
}

fn host_at(path: &Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut host = Command::new(program)
        .args(["--exact", "host", "--nocapture"])
        .env(HOST_AT, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program");
    let mut lines = BufReader::new(host.stderr.take().expect("stderr")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains(READY))));
    host
}

#[test]
fn what_a_killed_host_left_is_cleared() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = at(&dir);
    std::fs::create_dir(&at).expect("mkdir");
    assert!(!clear_stale(&at).expect("clear"));
    // Two mounts, one on the other.
    let mut hosts = [host_at(&at), host_at(&at)];
    for host in &mut hosts {
        host.kill().expect("kill");
        host.wait().expect("wait");
    }
    let error = std::fs::metadata(&at).expect_err("must be stale");
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    assert!(clear_stale(&at).expect("clear"));
    assert!(at.read_dir().is_ok_and(|mut dir| dir.next().is_none()));
    assert!(!clear_stale(&at).expect("clear"));

    let mut host = host_at(&at);
    host.kill().expect("kill");
    host.wait().expect("wait");
    let mount = mount(root(), &at, &Options::default()).expect("mount over a stale one");
    let ls = support::ran(&mut support::command(&mount, "ls $M"));
    assert_eq!(ls.out, "kernel\n");
}

//! `modfs mount`, on whatever Linux runs the tests. What needs modules that can be loaded is in
//! tests/linux.

mod common;

use common::{MODFS, PATIENCE, Ran, Running, eventually, need};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

fn run(command: Command) -> Ran {
    common::run(command, PATIENCE)
}

/// A directory, with `m` in it to mount on.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        assert!(
            fs::exists("/dev/fuse").unwrap_or(false),
            "these tests need /dev/fuse: run `modprobe fuse` as root"
        );
        let dir = TempDir::new().expect("a folder");
        fs::create_dir(dir.path().join("m")).expect("mkdir");
        Place(dir)
    }

    fn m(&self) -> PathBuf {
        self.0.path().join("m")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(MODFS);
        command.arg("mount").args(args).arg(self.m());
        command
    }

    fn is_up(&self) -> bool {
        self.m().join("kernel/version").exists()
    }

    fn unmount(&self) -> Ran {
        let mut command = Command::new("umount");
        command.arg(self.m());
        run(command)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Of a test that failed.
        if self.is_up() {
            let _ = Command::new("umount").arg("-l").arg(self.m()).status();
        }
    }
}

#[test]
fn the_running_kernel_is_there() {
    need("umount", "mount");
    let place = Place::new();
    run(place.command(&[])).ok();
    let version = fs::read_to_string(place.m().join("kernel/version")).expect("read");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("read");
    assert!(version.starts_with(release.trim()), "{version}");
    // One directory for each module, and the kernel's own.
    eventually("all modules are there", || {
        let entries = fs::read_dir(place.m()).expect("readdir");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        let loaded = fs::read_to_string("/proc/modules").unwrap_or_default();
        let modules = loaded.lines().filter_map(|line| line.split(' ').next());
        let mut wanted: Vec<&str> = modules.chain(["kernel"]).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        names == wanted
    });
    let said = run(place.command(&[])).fails();
    assert!(said.contains("is running there already"), "{said}");
    place.unmount().ok();
    eventually("it is gone", || !place.is_up());
}

#[test]
fn what_is_no_module_is_refused_in_words() {
    let place = Place::new();
    run(place.command(&[])).ok();
    let dir = place.m().join("modfs_test");
    let file = dir.join("module");
    fs::create_dir(&dir).expect("mkdir");
    for (bad, why) in [
        (Vec::new(), "0 bytes"),
        (vec![0x5a; 70 << 10], "not an ELF object"),
        (fs::read(MODFS).expect("read")[..5000].to_vec(), "truncated"),
        (fs::read(MODFS).expect("read"), "no relocatable object"),
    ] {
        fs::write(&file, bad).expect("write");
        let error = fs::write(dir.join("control"), "map").expect_err("it is refused");
        assert_eq!(error.raw_os_error(), Some(8), "{why}: {error}");
        let said = fs::read_to_string(dir.join("control")).expect("read");
        assert!(said.contains("ENOEXEC") && said.contains(why), "{said}");
        assert_eq!(
            fs::read_to_string(dir.join("state")).expect("read"),
            "unmapped\n"
        );
    }
    fs::remove_file(file).expect("unlink");
    fs::remove_dir(&dir).expect("rmdir");
    place.unmount().ok();
}

#[test]
fn ended_by_a_signal_nothing_is_left() {
    let place = Place::new();
    for signal in [Signal::TERM, Signal::KILL] {
        let running = Running::start(place.command(&["--foreground"]));
        eventually("it is up", || place.is_up());
        rustix::process::kill_process(running.pid(), signal).expect("kill");
        running.wait(PATIENCE);
        eventually("it is gone", || !place.is_up());
        let mounts = fs::read_to_string("/proc/self/mounts").expect("read");
        let is_mounted = mounts.contains(&place.m().display().to_string());
        // What was killed is cleared by the next.
        assert_eq!(is_mounted, signal == Signal::KILL);
    }
    run(place.command(&[])).ok();
    place.unmount().ok();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("read");
    assert!(!mounts.contains(&place.m().display().to_string()));
}

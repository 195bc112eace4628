//! A module that touches the mount that shows it: its own process serves that mount, and would
//! wait for itself.

mod common;

use common::{child, host};
use modfs_fuse::{Mount, Options, mount};
use modfs_host::{Host, HostExport, ReferenceKernel};
use std::ffi::{CStr, CString, c_char, c_int};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TEST: &str = "an_init_that_opens_its_own_mount_gets_edeadlk";

/// `int try_open(const char *path)`: what open(2) says, negative.
extern "C" fn try_open(path: *const c_char) -> c_int {
    // SAFETY: the module passes a string.
    let opened = unsafe { libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC) };
    if opened < 0 {
        return -std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    }
    // SAFETY: it was just opened.
    unsafe { libc::close(opened) };
    0
}

/// `int child_can_list(const char *path)`: a child process may do what this one may not.
extern "C" fn child_can_list(path: *const c_char) -> c_int {
    // SAFETY: the module passes a string.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    c_int::from(ls(Path::new(&*path)).is_some())
}

const MODULE: &str = r#"
    extern int try_open(const char *path);
    extern int child_can_list(const char *path);
    static char *path;
    module_param(path, charp, 0444);
    int init_module(void)
    {
        int error = try_open(path);

        if (!child_can_list(path))
            return -EIO;
        return error;
    }
"#;

/// What `ls` of a child process prints; `None` when it fails or does not end.
fn ls(path: &Path) -> Option<String> {
    let output = Command::new("timeout")
        .args(["-k", "1", "10", "ls"])
        .arg(path)
        .output()
        .expect("timeout(1)");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(printed)
}

/// Runs a script on the mount, which must succeed.
fn sh(mount: &Mount, script: &str) -> Result<String, String> {
    let output = Command::new("timeout")
        .args(["-k", "1", "20", "bash", "-c", script])
        .env("M", mount.at())
        .output()
        .expect("timeout(1) and bash(1)");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

fn mounted(host: &Host, at: &Path) -> Mount {
    // SAFETY: these have no preconditions.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let root = ReferenceKernel::new(host, uid, gid);
    mount(root, at, &Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// What the child does: it is the host.
fn serve() {
    let host = host();
    host.export(&[
        HostExport::function("try_open", try_open as *const ()),
        HostExport::function("child_can_list", child_can_list as *const ()),
    ])
    .expect("export");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = dir.path().join("mount");
    std::fs::create_dir(&at).expect("mkdir");
    let object = dir.path().join("touchy.ko");
    std::fs::write(&object, common::module(MODULE)).expect("write");
    let mut mount = mounted(&host, &at);

    let began = Instant::now();
    for path in ["modules", "modules/kernel/version", "proc/kmsg", "dev"] {
        // By the library, on this thread.
        let path = CString::new(at.join(path).as_os_str().as_encoded_bytes()).expect("a path");
        assert_eq!(try_open(path.as_ptr()), -libc::EDEADLK, "{path:?}");
    }
    let map = format!(
        "mkdir $M/modules/touchy && cp {} $M/modules/touchy/module && \
         echo map module > $M/modules/touchy/control",
        object.display()
    );
    sh(&mount, &map).expect("map");
    // By the files, on a thread of the mount.
    let init = "echo init module path=$M/modules > $M/modules/touchy/control";
    let error = sh(&mount, init).expect_err("must fail");
    assert!(error.contains("Resource deadlock avoided"), "{error}");
    let control = sh(&mount, "cat $M/modules/touchy/control").expect("cat");
    assert!(control.contains("init returned -35"), "{control}");
    assert!(began.elapsed() < Duration::from_secs(10), "not at once");

    let names = sh(&mount, "ls $M/modules").expect("ls");
    assert_eq!(names, "kernel\ntouchy\n");
    let end = "echo unmap module > $M/modules/touchy/control && rmdir $M/modules/touchy";
    sh(&mount, end).expect("unmap");
    mount.unmount().expect("unmount");
}

#[test]
fn an_init_that_opens_its_own_mount_gets_edeadlk() {
    if child::role().is_some() {
        return serve();
    }
    // Should it hang, it is killed, and the mount goes with it.
    let ended = child::play(TEST, "host");
    assert!(ended.status.success(), "{}", ended.said);
}

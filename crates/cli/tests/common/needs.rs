//! What a test needs of the machine. What is missing fails it, with what to do about it.

use std::path::Path;

/// Fails unless there is a program of this name.
#[track_caller]
pub(crate) fn need(program: &str, package: &str) {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).any(|dir| dir.join(program).is_file());
    assert!(
        found,
        "this test needs {program}: install the package {package} (apt install {package})"
    );
}

/// Fails unless modules can be shown as files at all.
#[track_caller]
pub(crate) fn need_fuse() {
    assert!(
        Path::new("/dev/fuse").exists(),
        "these tests need /dev/fuse: run `modprobe fuse` as root; in a container, start it with \
         --device /dev/fuse --cap-add SYS_ADMIN"
    );
    need("setpriv", "util-linux");
    if !is_root() {
        need("fusermount3", "fuse3");
    }
}

/// Fails unless this is root.
#[track_caller]
pub(crate) fn need_root(why: &str) {
    assert!(is_root(), "this test needs to be run by root: {why}");
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

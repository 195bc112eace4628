//! Unmounting.

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// More mounts than that are not stacked by accident.
const STACKED: usize = 64;

/// Unmounts what a killed host left at `at`: mounts that answer ENOTCONN ("Transport endpoint
/// is not connected"), also several on top of each other. Returns whether there were any.
///
/// # Errors
/// They cannot be unmounted (EPERM for other users' mounts).
pub fn clear_stale(at: &Path) -> io::Result<bool> {
    let mut cleared = false;
    for _ in 0..STACKED {
        match rustix::fs::stat(at) {
            Err(Errno::NOTCONN) => detach(at, true)?,
            _ => break,
        }
        cleared = true;
    }
    Ok(cleared)
}

/// Unmounts; `lazy`ly even when something in it is open.
///
/// # Errors
/// EBUSY: something is open. EINVAL: nothing is mounted there. EPERM: not one's own.
pub(crate) fn detach(at: &Path, lazy: bool) -> io::Result<()> {
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, lazy);
    match unmount(at, flags) {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => detach_as_user(at, lazy),
        Err(errno) => Err(errno.into()),
    }
}

/// Ordinary users unmount by a set-uid program.
fn detach_as_user(at: &Path, lazy: bool) -> io::Result<()> {
    let mut error = io::Error::from(Errno::PERM);
    for program in ["fusermount3", "fusermount"] {
        let mut command = Command::new(program);
        command.arg("-u").args(lazy.then_some("-z"));
        let output = command.arg("--").arg(at).stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                error = io::Error::new(io::ErrorKind::PermissionDenied, said.trim().to_owned());
                break;
            }
            Err(_) => {}
        }
    }
    Err(error)
}

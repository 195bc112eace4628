//! Calls that name a file: those about modules are answered by the host's files.

use crate::memory::Memory;
use crate::seccomp::{Answer, I386, Listener, Notification};
use crate::supervisor::Supervisor;
use crate::target::{Process, Target};
use crate::{listing, stat};
use modfs_core::Errno;
use rustix::fs::{Access, MemfdFlags, Mode, OFlags, Stat};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The calls, and which of their arguments is the path.
pub(crate) const CALLS: [(i64, usize); 13] = [
    (libc::SYS_open, 0),
    (libc::SYS_creat, 0),
    (libc::SYS_openat, 1),
    (libc::SYS_openat2, 1),
    (libc::SYS_stat, 0),
    (libc::SYS_lstat, 0),
    (libc::SYS_newfstatat, 1),
    (libc::SYS_statx, 1),
    (libc::SYS_access, 0),
    (libc::SYS_faccessat, 1),
    (libc::SYS_faccessat2, 1),
    (libc::SYS_readlink, 0),
    (libc::SYS_readlinkat, 1),
];

/// The same of i386: those that open.
pub(crate) const CALLS_I386: [(i64, usize); 4] = [(5, 0), (8, 0), (295, 1), (437, 1)];

/// No path is longer (`PATH_MAX`).
const LONGEST: usize = 4096;

/// What a path means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// `/proc/modules`.
    Modules,
    /// A file of the host, from its root on.
    Host(PathBuf),
}

/// What is meant by a path; `None`: nothing of ours.
pub(crate) fn meant(path: &[u8]) -> Option<Meant> {
    let rest = path.strip_prefix(b"/")?;
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in rest.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            // Nothing of ours is a link.
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    match &parts[..] {
        [b"proc", b"modules"] => Some(Meant::Modules),
        [b"proc", b"ksyms"] => Some(Meant::Host("proc/ksyms".into())),
        [b"sys", b"module", ..] => {
            let parts = parts.iter().map(|part| OsStr::from_bytes(part));
            Some(Meant::Host(parts.collect()))
        }
        _ => None,
    }
}

fn told(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// What is meant by the path of a call.
pub(crate) fn of_call(target: &Target, call: &Notification) -> Option<Meant> {
    let calls = match call.architecture {
        I386 => &CALLS_I386[..],
        _ => &CALLS[..],
    };
    let (_, at) = calls.iter().find(|(number, _)| *number == call.number)?;
    let path = target.string(call.arguments[*at], LONGEST).ok()?;
    meant(&path)
}

/// Answers a call about a file of ours.
pub(crate) fn answer(
    supervisor: &Supervisor,
    listener: &Listener,
    target: &Target,
    call: &Notification,
    what: &Meant,
) {
    let answer = target.process().and_then(|process| {
        let Some(flags) = flags(target, call) else {
            return look(supervisor, target, &process, call, what).map(Some);
        };
        let flags = flags?;
        let file = open(supervisor, &process, what, flags)?;
        listener.answer_file(call, file.as_fd(), flags.contains(OFlags::CLOEXEC))?;
        Ok(None)
    });
    match answer {
        Ok(None) => {}
        Ok(Some(value)) => listener.answer(call, Answer::Value(value)),
        Err(errno) => listener.answer(call, Answer::Error(errno)),
    }
}

/// How a call wants to open; `None`: it does not open.
fn flags(target: &Target, call: &Notification) -> Option<Result<OFlags, Errno>> {
    /// The numbers that i386 has for what x86_64 calls so.
    const SAME: [(i64, i64); 4] = [
        (5, libc::SYS_open),
        (8, libc::SYS_creat),
        (295, libc::SYS_openat),
        (437, libc::SYS_openat2),
    ];
    let number = match call.architecture {
        I386 => SAME.iter().find(|(i386, _)| *i386 == call.number)?.1,
        _ => call.number,
    };
    let bits = match number {
        libc::SYS_open => Ok(call.arguments[1]),
        libc::SYS_openat => Ok(call.arguments[2]),
        libc::SYS_creat => Ok((libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64),
        // The first word of `struct open_how`.
        libc::SYS_openat2 => {
            let mut flags = [0; 8];
            let read = target.read(call.arguments[2], &mut flags);
            read.map(|()| u64::from_le_bytes(flags))
        }
        _ => return None,
    };
    Some(bits.map(|bits| OFlags::from_bits_retain(bits as u32)))
}

fn open(
    supervisor: &Supervisor,
    process: &Process,
    what: &Meant,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    // Nothing can be made there.
    if flags.contains(OFlags::CREATE | OFlags::EXCL) {
        return Err(Errno::EEXIST);
    }
    let wanted = match flags & OFlags::ACCMODE {
        OFlags::WRONLY => Access::WRITE_OK,
        OFlags::RDWR => Access::READ_OK | Access::WRITE_OK,
        _ => Access::READ_OK,
    };
    let path = path(supervisor, what);
    let found = rustix::fs::stat(&path).map_err(told)?;
    may(process, &found, wanted)?;
    let is_listing = |name: &str| *what == Meant::Host(name.into());
    match what {
        Meant::Modules if wanted != Access::READ_OK => Err(Errno::EACCES),
        Meant::Modules if !supervisor.old_ones().has(process) => {
            text(&listing::proc_modules(supervisor.tree()), flags)
        }
        // Addresses are for those who could read them themselves.
        Meant::Host(_) if is_listing("proc/ksyms") && !process.is_privileged() => {
            let own = std::fs::read_to_string(&path).map_err(|_| Errno::EIO)?;
            let hidden = own.lines().filter_map(|line| line.get(16..));
            let lines = hidden.map(|rest| format!("{:016x}{rest}\n", 0));
            text(&lines.collect::<String>(), flags)
        }
        _ => {
            let flags = flags - OFlags::CREATE;
            rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(told)
        }
    }
}

/// Where something of ours is.
fn path(supervisor: &Supervisor, what: &Meant) -> PathBuf {
    supervisor.host().join(match what {
        Meant::Modules => "proc/modules".as_ref(),
        Meant::Host(path) => path.as_path(),
    })
}

/// Whether a program may use a file so: we open it, but with no more rights than its own.
fn may(process: &Process, found: &Stat, wanted: Access) -> Result<(), Errno> {
    let bits = found.st_mode & 0o7;
    let allowed = |access: Access, bit: u32| !wanted.contains(access) || bits & bit != 0;
    let all =
        allowed(Access::READ_OK, 4) && allowed(Access::WRITE_OK, 2) && allowed(Access::EXEC_OK, 1);
    match process.is_privileged() || all {
        true => Ok(()),
        false => Err(Errno::EACCES),
    }
}

/// A file of this text, open to be read.
fn text(text: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    if flags.contains(OFlags::DIRECTORY) {
        return Err(Errno::ENOTDIR);
    }
    let file = rustix::fs::memfd_create("modules", MemfdFlags::CLOEXEC).map_err(told)?;
    let mut file = File::from(file);
    file.write_all(text.as_bytes()).map_err(|_| Errno::ENOMEM)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o444)).map_err(told)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(told)
}

/// What stat(2), access(2) and readlink(2) say.
fn look(
    supervisor: &Supervisor,
    target: &Target,
    process: &Process,
    call: &Notification,
    what: &Meant,
) -> Result<i64, Errno> {
    let found = rustix::fs::lstat(path(supervisor, what)).map_err(told)?;
    let argument = |at: usize| call.arguments[at];
    let access = |mode: u64| {
        let mode = Access::from_bits_truncate(mode as u32);
        // Root may all but run what nobody may.
        may(process, &found, mode)
    };
    match call.number {
        libc::SYS_access => access(argument(1))?,
        libc::SYS_faccessat | libc::SYS_faccessat2 => access(argument(2))?,
        libc::SYS_stat | libc::SYS_lstat => target.write(argument(1), &stat::stat(&found))?,
        libc::SYS_newfstatat => target.write(argument(2), &stat::stat(&found))?,
        libc::SYS_statx => target.write(argument(4), &stat::statx(&found))?,
        // Nothing of ours is a link.
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_ours() {
        let host = |path: &str| Some(Meant::Host(path.into()));
        for (path, expected) in [
            ("/proc/modules", Some(Meant::Modules)),
            ("//proc/./modules", Some(Meant::Modules)),
            ("/proc/ksyms", host("proc/ksyms")),
            ("/sys/module", host("sys/module")),
            ("/sys/module/", host("sys/module")),
            ("/sys/module/a/holders", host("sys/module/a/holders")),
            ("/sys/module/a/..", host("sys/module")),
            ("/sys/module/../x", None),
            ("/../sys/module/.", host("sys/module")),
            ("/sys/modules", None),
            ("/proc/modules/x", None),
            ("proc/modules", None),
            ("/proc", None),
            ("", None),
        ] {
            assert_eq!(meant(path.as_bytes()), expected, "{path}");
        }
    }
}

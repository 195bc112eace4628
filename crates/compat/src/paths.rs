//! Calls that name a file: those about modules are answered by the host's files.

use crate::memory::Memory;
use crate::seccomp::{Answer, I386, Listener, Notification};
use crate::supervisor::Supervisor;
use crate::target::{Process, Target};
use crate::{listing, stat};
use modfs_core::{Errno, KERNEL};
use rustix::fs::{Access, FileType, MemfdFlags, Mode, OFlags, Stat};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A call that names a file.
#[derive(Clone, Copy, Debug)]
struct PathCall {
    /// Its numbers: on x86_64, on i386.
    numbers: [i64; 2],
    /// Which argument is the directory that a path begins at.
    directory: Option<usize>,
    /// Which is the path.
    path: usize,
    does: Does,
}

/// What a call does with a file, and which of its arguments says how.
#[derive(Clone, Copy, Debug)]
enum Does {
    Open { flags: usize },
    Create,
    OpenHow { how: usize },
    Stat { into: usize },
    Statx { into: usize },
    Access { mode: usize },
    ReadLink,
    Enter,
}

/// A call with a path alone.
const fn plain(numbers: [i64; 2], does: Does) -> PathCall {
    PathCall {
        numbers,
        directory: None,
        path: 0,
        does,
    }
}

/// A call with a directory and a path.
const fn at(numbers: [i64; 2], does: Does) -> PathCall {
    PathCall {
        numbers,
        directory: Some(0),
        path: 1,
        does,
    }
}

const CALLS: [PathCall; 14] = [
    plain([libc::SYS_open, 5], Does::Open { flags: 1 }),
    plain([libc::SYS_creat, 8], Does::Create),
    at([libc::SYS_openat, 295], Does::Open { flags: 2 }),
    at([libc::SYS_openat2, 437], Does::OpenHow { how: 2 }),
    plain([libc::SYS_stat, 195], Does::Stat { into: 1 }),
    plain([libc::SYS_lstat, 196], Does::Stat { into: 1 }),
    at([libc::SYS_newfstatat, 300], Does::Stat { into: 2 }),
    at([libc::SYS_statx, 383], Does::Statx { into: 4 }),
    plain([libc::SYS_access, 33], Does::Access { mode: 1 }),
    at([libc::SYS_faccessat, 307], Does::Access { mode: 2 }),
    at([libc::SYS_faccessat2, 439], Does::Access { mode: 2 }),
    plain([libc::SYS_readlink, 85], Does::ReadLink),
    at([libc::SYS_readlinkat, 305], Does::ReadLink),
    plain([libc::SYS_chdir, 12], Does::Enter),
];

/// The calls' numbers on x86_64, and on i386.
pub(crate) fn numbers() -> [Vec<i64>; 2] {
    [0, 1].map(|at| CALLS.iter().map(|call| call.numbers[at]).collect())
}

/// No path is longer (`PATH_MAX`).
const LONGEST: usize = 4096;

/// A call about a file of ours.
#[derive(Clone, Debug)]
pub(crate) struct OnOurs {
    does: Does,
    what: Meant,
}

/// What a path means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// `/proc/modules`.
    Modules,
    /// `/proc/sys/kernel/tainted`.
    Tainted,
    /// A file of the host, from its root on.
    Host(PathBuf),
}

impl Meant {
    /// From the root on.
    fn path(&self) -> &Path {
        match self {
            Meant::Modules => Path::new("proc/modules"),
            Meant::Tainted => Path::new("proc/sys/kernel/tainted"),
            Meant::Host(path) => path,
        }
    }
}

/// What is meant by an absolute path; `None`: nothing of ours.
fn meant(path: &[u8]) -> Option<Meant> {
    let rest = path.strip_prefix(b"/")?;
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in rest.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            // Nothing of ours is a link.
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
        if let [b"proc", b"self" | b"thread-self", b"root"] = parts[..] {
            parts.clear();
        }
    }
    match &parts[..] {
        // 2.4's insmod reads and writes it.
        [b"proc", b"sys", b"kernel", b"tainted"] => Some(Meant::Tainted),
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

/// What a call does to a file of ours; `None`: to none of them.
pub(crate) fn of_call(target: &Target, call: &Notification) -> Option<OnOurs> {
    let architecture = usize::from(call.architecture == I386);
    let is_it = |known: &&PathCall| known.numbers[architecture] == call.number;
    let known = CALLS.iter().find(is_it)?;
    let path = target.string(call.arguments[known.path], LONGEST).ok()?;
    let what = match path.first()? {
        b'/' => meant(&path)?,
        _ => {
            // Of 64 bits the lower 32 are the descriptor.
            let descriptor = known.directory.map(|at| call.arguments[at] as i32);
            let descriptor = descriptor.filter(|number| *number != libc::AT_FDCWD);
            let mut whole = target.directory(descriptor)?.into_os_string().into_vec();
            whole.push(b'/');
            whole.extend(path);
            meant(&whole)?
        }
    };
    let does = known.does;
    Some(OnOurs { does, what })
}

/// Answers a call about a file of ours.
pub(crate) fn answer(
    supervisor: &Supervisor,
    listener: &Listener,
    target: &Target,
    call: &Notification,
    on: &OnOurs,
) {
    let answer = target.process().and_then(|process| {
        let Some(flags) = flags(target, call, on.does) else {
            return look(supervisor, target, &process, call, on);
        };
        let flags = flags?;
        let file = open(supervisor, &process, &on.what, flags)?;
        listener.answer_file(call, file.as_fd(), flags.contains(OFlags::CLOEXEC))?;
        Ok(None)
    });
    match answer {
        Ok(None) => {}
        Ok(Some(answer)) => listener.answer(call, answer),
        Err(errno) => listener.answer(call, Answer::Error(errno)),
    }
}

/// How a call wants to open; `None`: it does not open.
fn flags(target: &Target, call: &Notification, does: Does) -> Option<Result<OFlags, Errno>> {
    let bits = match does {
        Does::Open { flags } => Ok(call.arguments[flags]),
        Does::Create => Ok((libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64),
        // The first word of `struct open_how`.
        Does::OpenHow { how } => {
            let mut flags = [0; 8];
            let read = target.read(call.arguments[how], &mut flags);
            read.map(|()| u64::from_le_bytes(flags))
        }
        Does::Stat { .. }
        | Does::Statx { .. }
        | Does::Access { .. }
        | Does::ReadLink
        | Does::Enter => return None,
    };
    Some(bits.map(|bits| OFlags::from_bits_retain(bits as u32)))
}

fn open(
    supervisor: &Supervisor,
    process: &Process,
    what: &Meant,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    // The kernel hands on no descriptor that only names: one to read from does as well.
    let flags = match flags.contains(OFlags::PATH) {
        true => flags - OFlags::PATH - OFlags::ACCMODE,
        false => flags,
    };
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
    match what {
        Meant::Tainted => supervisor.tree().path(KERNEL, "tainted"),
        what => supervisor.host().join(what.path()),
    }
}

/// Whether a program may use a file so: we open it, but with no more rights than its own.
fn may(process: &Process, found: &Stat, wanted: Access) -> Result<(), Errno> {
    let bits = found.st_mode & 0o7;
    let allowed = |access: Access, bit: u32| !wanted.contains(access) || bits & bit != 0;
    let all =
        allowed(Access::READ_OK, 4) && allowed(Access::WRITE_OK, 2) && allowed(Access::EXEC_OK, 1);
    // Root may all but run what nobody may.
    let runs = !wanted.contains(Access::EXEC_OK) || found.st_mode & 0o111 != 0;
    match all || process.is_privileged() && runs {
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

/// What stat(2), access(2), readlink(2) and chdir(2) say.
fn look(
    supervisor: &Supervisor,
    target: &Target,
    process: &Process,
    call: &Notification,
    on: &OnOurs,
) -> Result<Option<Answer>, Errno> {
    let found = rustix::fs::lstat(path(supervisor, &on.what)).map_err(told)?;
    let argument = |at: usize| call.arguments[at];
    match on.does {
        Does::Access { mode } => {
            let mode = Access::from_bits_truncate(argument(mode) as u32);
            may(process, &found, mode)?;
        }
        Does::Stat { into } if call.architecture == I386 => {
            target.write(argument(into), &stat::stat64_i386(&found))?;
        }
        Does::Stat { into } => target.write(argument(into), &stat::stat(&found))?,
        Does::Statx { into } => target.write(argument(into), &stat::statx(&found))?,
        Does::Enter => {
            // Only the kernel can take a program somewhere, and only to what it has itself.
            let own = Path::new("/").join(on.what.path());
            if FileType::from_raw_mode(found.st_mode).is_dir() && !own.is_dir() {
                supervisor.say(&format!(
                    "chdir: {} is the host's, not this machine's: list it and open what is in it by its whole path",
                    own.display()
                ));
            }
            return Ok(Some(Answer::Continue));
        }
        // Nothing of ours is a link.
        Does::ReadLink | Does::Open { .. } | Does::Create | Does::OpenHow { .. } => {
            return Err(Errno::EINVAL);
        }
    }
    Ok(Some(Answer::Value(0)))
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
            ("/proc/sys/kernel/tainted", Some(Meant::Tainted)),
            ("/proc/sys/kernel", None),
            ("/sys/module", host("sys/module")),
            ("/sys/module/", host("sys/module")),
            ("/sys/module/a/holders", host("sys/module/a/holders")),
            ("/sys/module/a/..", host("sys/module")),
            ("/sys/module/../x", None),
            ("/../sys/module/.", host("sys/module")),
            ("/proc/self/root/sys/module", host("sys/module")),
            ("/proc/thread-self/root/proc/modules", Some(Meant::Modules)),
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

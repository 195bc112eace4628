//! The program whose call it is: its memory, its files, who it is.

use crate::memory::Memory;
use crate::seccomp::{Listener, Notification};
use crate::vm;
use modfs_core::Errno;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who made a call, for as long as the call waits.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    listener: Arc<Listener>,
    call: Notification,
}

/// Whose call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) program: Program,
    /// Effective.
    pub(crate) uid: u32,
}

/// What runs in a process, from one execve(2) to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// When the process began, in clock ticks since boot.
    began: u64,
    file: PathBuf,
}

/// Why something of /proc cannot be opened.
fn gone(error: io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::NotFound => Errno::ESRCH,
        _ => Errno::EPERM,
    }
}

impl Target {
    /// Who made a call.
    pub(crate) fn of(listener: &Arc<Listener>, call: Notification) -> Target {
        Target {
            listener: Arc::clone(listener),
            call,
        }
    }

    /// Whether what has just been found out is of the thread that made the call, and not of another that has
    /// its number by now.
    fn still(&self) -> Result<(), Errno> {
        match self.listener.waits(&self.call) {
            true => Ok(()),
            false => Err(Errno::ESRCH),
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.call.thread)
    }

    /// The process that made the call.
    ///
    /// # Errors
    /// ESRCH: it is gone.
    pub(crate) fn process(&self) -> Result<Process, Errno> {
        let status = fs::read_to_string(self.proc("status")).map_err(gone)?;
        let field = |name: &str, at: usize| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().nth(at)?.parse().ok()
        };
        let id = field("Tgid:", 0).ok_or(Errno::ESRCH)?;
        let process = Process {
            id,
            program: Program::of(id).ok_or(Errno::ESRCH)?,
            uid: field("Uid:", 1).ok_or(Errno::ESRCH)?,
        };
        self.still()?;
        Ok(process)
    }

    /// One of its open files, to be read from its beginning.
    ///
    /// # Errors
    /// EBADF: there is none of this number, or it is not open to be read. EINVAL: it is no regular file.
    pub(crate) fn file(&self, number: i32) -> Result<File, Errno> {
        let info = fs::read_to_string(self.proc(&format!("fdinfo/{number}")));
        let info = info.map_err(|_| Errno::EBADF)?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        let flags = flags.ok_or(Errno::EBADF)?;
        if flags & libc::O_ACCMODE == libc::O_WRONLY || flags & libc::O_PATH != 0 {
            return Err(Errno::EBADF);
        }
        let path = self.proc(&format!("fd/{number}"));
        let kind = fs::metadata(&path).map_err(|_| Errno::EBADF)?.file_type();
        if !kind.is_file() || kind.is_fifo() {
            return Err(Errno::EINVAL);
        }
        let mut options = File::options();
        let options = options.read(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open(path);
        let file = file.map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))?;
        self.still()?;
        Ok(file)
    }

    /// Where its relative paths begin: at one of its open files, or where it is; as it names that itself.
    pub(crate) fn directory(&self, number: Option<i32>) -> Option<PathBuf> {
        let directory = match number {
            Some(number) => self.path_of(number)?,
            None => fs::read_link(self.proc("cwd")).ok()?,
        };
        let root = fs::read_link(self.proc("root")).ok()?;
        self.still().ok()?;
        Some(Path::new("/").join(directory.strip_prefix(root).ok()?))
    }

    /// Where one of its open files is.
    pub(crate) fn path_of(&self, number: i32) -> Option<PathBuf> {
        fs::read_link(self.proc(&format!("fd/{number}"))).ok()
    }
}

impl Memory for Target {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        vm::read(self.call.thread, address, bytes)?;
        self.still()
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.still()?;
        vm::write(self.call.thread, address, bytes)
    }
}

impl Process {
    /// Whether it may do what we may: the rights are ours, and only for who has them too.
    pub(crate) fn is_privileged(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }
}

impl Program {
    /// What runs in a process; `None`: there is none.
    pub(crate) fn of(process: u32) -> Option<Program> {
        // proc(5), /proc/PID/stat, field 22.
        let text = fs::read(format!("/proc/{process}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The second field, the program's name, may hold anything.
        let (_, after) = text.rsplit_once(')')?;
        let began = after.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let file = fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
        Some(Program { began, file })
    }
}

//! The program whose call it is: its memory, its files, who it is.

use crate::memory::Memory;
use crate::seccomp::{Listener, Notification};
use modfs_core::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// Who made a call, for as long as the call waits.
#[derive(Debug)]
pub(crate) struct Target {
    memory: File,
    thread: u32,
}

/// Whose call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) id: u32,
    /// When it began, in clock ticks since boot.
    pub(crate) began: u64,
    /// Effective.
    pub(crate) uid: u32,
}

/// Why something of /proc cannot be opened.
fn gone(error: io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::NotFound => Errno::ESRCH,
        _ => Errno::EPERM,
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

impl Target {
    /// Who made a call.
    ///
    /// # Errors
    /// ESRCH: it is gone. EPERM: it may not be looked into.
    pub(crate) fn of(listener: &Listener, call: &Notification) -> Result<Target, Errno> {
        let mut options = File::options();
        let options = options.read(true).write(true);
        let memory = options.open(format!("/proc/{}/mem", call.thread));
        let target = Target {
            memory: memory.map_err(gone)?,
            thread: call.thread,
        };
        // Only now it is certain whose memory this is.
        match listener.waits(call) {
            true => Ok(target),
            false => Err(Errno::ESRCH),
        }
    }

    /// The process that made a call.
    ///
    /// # Errors
    /// ESRCH: it is gone.
    pub(crate) fn process(
        &self,
        listener: &Listener,
        call: &Notification,
    ) -> Result<Process, Errno> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.thread));
        let status = status.map_err(gone)?;
        let field = |name: &str, at: usize| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().nth(at)?.parse().ok()
        };
        let id = field("Tgid:", 0).ok_or(Errno::ESRCH)?;
        let process = Process {
            id,
            began: Process::began(id).ok_or(Errno::ESRCH)?,
            uid: field("Uid:", 1).ok_or(Errno::ESRCH)?,
        };
        match listener.waits(call) {
            true => Ok(process),
            false => Err(Errno::ESRCH),
        }
    }
}

impl Memory for Target {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let read = self.memory.read_exact_at(bytes, address);
        read.map_err(|_| Errno::EFAULT)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let written = self.memory.write_all_at(bytes, address);
        written.map_err(|_| Errno::EFAULT)
    }
}

impl Process {
    /// When a process began (proc(5), /proc/PID/stat, field 22); `None`: there is none.
    pub(crate) fn began(id: u32) -> Option<u64> {
        let text = fs::read(format!("/proc/{id}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The second field, the program's name, may hold anything.
        let (_, after) = text.rsplit_once(')')?;
        after.split_ascii_whitespace().nth(19)?.parse().ok()
    }

    /// One of its open files.
    ///
    /// # Errors
    /// EBADF: there is none of this number.
    pub(crate) fn file(&self, number: i32) -> Result<File, Errno> {
        if number < 0 {
            return Err(Errno::EBADF);
        }
        let process = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let process = process.ok_or(Errno::ESRCH)?;
        let told = |error: rustix::io::Errno| errno(&error.into());
        let process = pidfd_open(process, PidfdFlags::empty()).map_err(told)?;
        let file = pidfd_getfd(process, number, PidfdGetfdFlags::empty()).map_err(told)?;
        Ok(File::from(file))
    }

    /// Where one of its open files is.
    pub(crate) fn path_of(&self, number: i32) -> Option<std::path::PathBuf> {
        fs::read_link(format!("/proc/{}/fd/{number}", self.id)).ok()
    }
}

//! The program whose call it is: its memory, its files, who it is.

use crate::seccomp::{Listener, Notification};
use modfs_core::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// A page: strings are read up to its end, so that what is behind it need not be there.
const PAGE: u64 = 4096;

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

    /// Fills `bytes` from its memory.
    ///
    /// # Errors
    /// EFAULT: not all of it is there.
    pub(crate) fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let read = self.memory.read_exact_at(bytes, address);
        read.map_err(|_| Errno::EFAULT)
    }

    /// `length` bytes of its memory.
    ///
    /// # Errors
    /// EFAULT: not all of it is there. ENOMEM: too many.
    pub(crate) fn bytes(&self, address: u64, length: u64) -> Result<Vec<u8>, Errno> {
        let length = usize::try_from(length).map_err(|_| Errno::ENOMEM)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(length, 0);
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes to its memory.
    ///
    /// # Errors
    /// EFAULT: not all of it is there, or may be written.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let written = self.memory.write_all_at(bytes, address);
        written.map_err(|_| Errno::EFAULT)
    }

    /// A string that ends with a NUL, without it.
    ///
    /// # Errors
    /// EFAULT: not all of it is there. ENAMETOOLONG: no NUL within `most` bytes.
    pub(crate) fn string(&self, address: u64, most: usize) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        let mut piece = [0; PAGE as usize];
        let mut at = address;
        while string.len() < most {
            let left = most - string.len();
            let length = left.min((PAGE - at % PAGE) as usize);
            let piece = &mut piece[..length];
            self.read(at, piece)?;
            match piece.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    string.extend_from_slice(&piece[..end]);
                    return Ok(string);
                }
                None => string.extend_from_slice(piece),
            }
            at = at.checked_add(length as u64).ok_or(Errno::EFAULT)?;
        }
        Err(Errno::ENAMETOOLONG)
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

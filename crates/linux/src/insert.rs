//! Loading a module.

use crate::kmsg::Kmsg;
use crate::{Linux, why};
use modfs_core::Force;
use modfs_object::{Container, Unpacker};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

/// `MODULE_INIT_IGNORE_MODVERSIONS` and so on (Linux, uapi/linux/module.h).
const IGNORE_MODVERSIONS: i32 = 1;
const IGNORE_VERMAGIC: i32 = 2;
const COMPRESSED_FILE: i32 = 4;

/// Why a module was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// Its file cannot be read.
    #[error("{0}")]
    Read(#[source] io::Error),
    /// Its file cannot be unpacked, or is no module; or the parameters cannot be given.
    #[error("{0}")]
    File(String),
    /// The kernel refused it.
    #[error("{errno}")]
    Kernel {
        /// What it said.
        errno: Errno,
        /// What it logged meanwhile.
        log: Vec<String>,
        /// What can be seen of the file.
        why: Vec<String>,
    },
}

impl InsertError {
    /// What is known of a refusal besides its errno: what the kernel said, and what can be seen.
    pub fn reasons(&self) -> Vec<String> {
        let InsertError::Kernel { log, why, .. } = self else {
            return Vec::new();
        };
        let said = log.iter().map(|line| format!("the kernel says: {line}"));
        said.chain(why.iter().cloned()).collect()
    }
}

fn ignoring(force: Force) -> i32 {
    let flag = |is: bool, flag: i32| if is { flag } else { 0 };
    flag(force.modversions, IGNORE_MODVERSIONS) | flag(force.vermagic, IGNORE_VERMAGIC)
}

impl Linux {
    /// Loads a module file with parameters, `NAME=VALUE` with blanks in between: as it is where the
    /// kernel can unpack it (`finit_module(2)`), or else unpacked.
    ///
    /// # Errors
    /// [`InsertError`]; EEXIST: it is loaded. ENOEXEC: it is no module, or one for another kernel.
    /// ENOENT: a symbol is missing. EINVAL, ERANGE: a parameter is wrong, or a symbol's checksum.
    /// EKEYREJECTED: its signature is not accepted. EPERM: who asks may not, the kernel is locked
    /// down, or its command line forbids the module. ENODEV, EBUSY and others: what its init says.
    pub fn insert(&self, file: &Path, parameters: &str, force: Force) -> Result<(), InsertError> {
        let parameters = c_string(parameters)?;
        // Not to wait for somebody who writes into a FIFO.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(file, flags, Mode::empty());
        let opened = File::from(opened.map_err(|e| InsertError::Read(e.into()))?);
        let kind = opened.metadata().map_err(InsertError::Read)?;
        if kind.is_dir() {
            return Err(InsertError::Read(Errno::ISDIR.into()));
        }
        if !kind.is_file() {
            return Err(InsertError::File("it is not a regular file".into()));
        }
        let mut head = [0; 8];
        let read = rustix::io::pread(&opened, &mut head, 0);
        let length = read.map_err(|e| InsertError::Read(e.into()))?;
        let container = Container::of(&head[..length]);
        let by_kernel = self.unpacks().is_some_and(|name| name == container.name());
        let packed = container != Container::Plain;
        let unpacked = || {
            let mut bytes = Vec::new();
            (&opened)
                .read_to_end(&mut bytes)
                .map_err(|e| e.to_string())?;
            let mut unpacker = Unpacker::new();
            let image = unpacker.unpack(&bytes).map_err(|e| e.to_string())?;
            Ok::<_, String>(image.to_vec())
        };
        if packed && !by_kernel {
            let image = unpacked().map_err(InsertError::File)?;
            return self.start(&image, &parameters, force, Kmsg::from_now());
        }
        let kmsg = Kmsg::from_now();
        let flags = ignoring(force) | if packed { COMPRESSED_FILE } else { 0 };
        let errno = match rustix::system::finit_module(&opened, &parameters, flags) {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        // As before Linux 3.8.
        if errno == Errno::NOSYS && force == Force::default() {
            let image = unpacked().map_err(InsertError::File)?;
            return self.start(&image, &parameters, force, kmsg);
        }
        Err(self.refused(errno, unpacked, kmsg))
    }

    /// Loads an unpacked module from memory (`init_module(2)`), with parameters as for
    /// [`Linux::insert`]; by force from a file in memory (`finit_module(2)`).
    ///
    /// # Errors
    /// As for [`Linux::insert`].
    pub fn insert_image(
        &self,
        image: &[u8],
        parameters: &str,
        force: Force,
    ) -> Result<(), InsertError> {
        self.start(image, &c_string(parameters)?, force, Kmsg::from_now())
    }

    fn start(
        &self,
        image: &[u8],
        parameters: &CStr,
        force: Force,
        kmsg: Kmsg,
    ) -> Result<(), InsertError> {
        // Only of a file is the kernel told what not to look at.
        let done = match ignoring(force) {
            0 => rustix::system::init_module(image, parameters),
            flags => in_memory(image)
                .and_then(|file| rustix::system::finit_module(file, parameters, flags)),
        };
        done.map_err(|errno| self.refused(errno, || Ok(image.to_vec()), kmsg))
    }

    fn refused(
        &self,
        errno: Errno,
        image: impl FnOnce() -> Result<Vec<u8>, String>,
        mut kmsg: Kmsg,
    ) -> InsertError {
        let mut log = kmsg.lines();
        // That it is there already, or that its device is not, has nothing to do with the file.
        let why = match errno {
            Errno::EXIST | Errno::NODEV => Vec::new(),
            _ => match image() {
                Ok(image) => why::refused(self, errno, &mut log, &image),
                Err(unreadable) => vec![unreadable],
            },
        };
        log.truncate(why::MOST);
        InsertError::Kernel { errno, log, why }
    }
}

/// A file of these bytes, open to be read.
fn in_memory(bytes: &[u8]) -> Result<File, Errno> {
    let made = rustix::fs::memfd_create("module", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut made = File::from(made);
    let written = made.write_all(bytes);
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // The kernel takes a module from nobody who could write it meanwhile.
    let path = format!("/proc/self/fd/{}", made.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

fn c_string(parameters: &str) -> Result<CString, InsertError> {
    CString::new(parameters).map_err(|_| InsertError::File("a parameter has a NUL".into()))
}

//! Loading a module.

use crate::kmsg::Kmsg;
use crate::{Linux, why};
use modfs_object::{Container, Unpacker};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What of a module is not to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Force {
    /// The checksums of symbols.
    pub modversion: bool,
    /// The version of the kernel.
    pub vermagic: bool,
}

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

impl Force {
    fn flags(self) -> i32 {
        let flag = |is: bool, flag: i32| if is { flag } else { 0 };
        flag(self.modversion, IGNORE_MODVERSIONS) | flag(self.vermagic, IGNORE_VERMAGIC)
    }
}

impl Linux {
    /// Loads a module file with parameters, `NAME=VALUE` with blanks in between: as it is where the
    /// kernel can unpack it (`finit_module(2)`), or else unpacked.
    ///
    /// # Errors
    /// [`InsertError`]; EEXIST: it is loaded. ENOEXEC: it is no module, or one for another kernel.
    /// ENOENT: a symbol is missing. EKEYREJECTED: its signature is not accepted.
    pub fn insert(&self, file: &Path, parameters: &str, force: Force) -> Result<(), InsertError> {
        let parameters = c_string(parameters)?;
        // Not to wait for somebody who writes into a FIFO.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(file, flags, Mode::empty());
        let mut opened = File::from(opened.map_err(|e| InsertError::Read(e.into()))?);
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
        let mut kmsg = Kmsg::from_now();
        let mut bytes = Vec::new();
        let mut unpacker = Unpacker::new();
        let done = if container == Container::Plain || by_kernel {
            let packed = match container {
                Container::Plain => 0,
                _ => COMPRESSED_FILE,
            };
            rustix::system::finit_module(&opened, &parameters, force.flags() | packed)
        } else {
            Err(Errno::NOSYS)
        };
        let errno = match done {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        if !why::can_tell(errno) {
            return Err(InsertError::Kernel {
                errno,
                log: kmsg.lines(),
                why: Vec::new(),
            });
        }
        // For what follows the file is wanted, whole and unpacked.
        opened.read_to_end(&mut bytes).map_err(InsertError::Read)?;
        let unpacked = unpacker.unpack(&bytes);
        let image = unpacked.map_err(|e| InsertError::File(e.to_string()))?;
        match errno {
            // As before Linux 3.8, or a container that it does not know.
            Errno::NOSYS if force == Force::default() => self.start(image, &parameters, kmsg),
            errno => Err(self.refused(errno, image, kmsg)),
        }
    }

    /// Loads an unpacked module from memory (`init_module(2)`), with parameters as for
    /// [`Linux::insert`].
    ///
    /// # Errors
    /// As for [`Linux::insert`].
    pub fn insert_image(&self, image: &[u8], parameters: &str) -> Result<(), InsertError> {
        self.start(image, &c_string(parameters)?, Kmsg::from_now())
    }

    fn start(&self, image: &[u8], parameters: &CStr, kmsg: Kmsg) -> Result<(), InsertError> {
        let done = rustix::system::init_module(image, parameters);
        done.map_err(|errno| self.refused(errno, image, kmsg))
    }

    fn refused(&self, errno: Errno, image: &[u8], mut kmsg: Kmsg) -> InsertError {
        let log = kmsg.lines();
        let why = why::refused(self, errno, &log, image);
        InsertError::Kernel { errno, log, why }
    }
}

fn c_string(parameters: &str) -> Result<CString, InsertError> {
    CString::new(parameters).map_err(|_| InsertError::File("a parameter has a NUL".into()))
}

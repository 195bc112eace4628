//! Reading module files.

use modfs_object::{UnpackError, Unpacker};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads module files, one after the other; its buffers are kept from one to the next.
#[derive(Debug, Default)]
pub struct Reader {
    unpacker: Unpacker,
    file: Vec<u8>,
}

/// Why a module file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's reason.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is a directory, a device, a FIFO.
    #[error("it is not a regular file")]
    NotRegular,
    /// It is compressed, and cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It is no module.
    #[error(transparent)]
    Object(#[from] modfs_object::Error),
}

impl Reader {
    /// The bytes of a module file, unpacked.
    ///
    /// # Errors
    /// [`ReadError`]; never [`ReadError::Object`].
    pub fn read(&mut self, path: &Path) -> Result<&[u8], ReadError> {
        // Not to wait for somebody who writes into a FIFO.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let mut file = File::from(opened.map_err(io::Error::from)?);
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::Error::from(rustix::io::Errno::ISDIR).into());
        }
        if !kind.is_file() {
            return Err(ReadError::NotRegular);
        }
        self.file.clear();
        file.read_to_end(&mut self.file)?;
        Ok(self.unpacker.unpack(&self.file)?)
    }
}

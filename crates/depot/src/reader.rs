//! Reading module files.

use modfs_object::{UnpackError, Unpacker};
use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// No module file is larger: 1 GiB, as when it is unpacked. A file of holes can be of any size.
const LIMIT: u64 = 1 << 30;

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
        let file = opened.map_err(io::Error::from)?;
        let stat = rustix::fs::fstat(&file).map_err(io::Error::from)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(io::Error::from(Errno::ISDIR).into()),
            _ => return Err(ReadError::NotRegular),
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > LIMIT {
            return Err(UnpackError::TooLarge.into());
        }
        self.file.clear();
        // One more, to see the end: then most files are read at once.
        self.file.reserve(size as usize + 1);
        loop {
            match rustix::io::read(&file, spare_capacity(&mut self.file)) {
                Ok(0) => break,
                Ok(_) if self.file.len() < self.file.capacity() => {}
                // It has grown since.
                Ok(_) if self.file.len() as u64 > LIMIT => return Err(UnpackError::TooLarge.into()),
                Ok(len) => self.file.reserve(len),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(self.unpacker.unpack(&self.file)?)
    }
}

//! Reading module files.

use modfs_object::{Container, UnpackError, Unpacker};
use object::read::{ReadCache, ReadCacheOps};
use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::Path;

/// No module file is larger: 1 GiB, as when it is unpacked. A file of holes can be of any size.
const LIMIT: u64 = 1 << 30;

/// Files of which pieces are read: a smaller one is read faster at once, and of a larger one that is
/// hostile the pieces could be many times as large.
const PIECES: RangeInclusive<u64> = 48 << 10..=64 << 20;
/// What is read at once of the beginning.
const HEAD: usize = 64;

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
        let (file, size) = open(path)?;
        self.whole(&file, size)
    }

    /// A module file, of which pieces are enough: of one that is not packed, and not small, only
    /// what is asked for is read.
    pub(crate) fn open(&mut self, path: &Path) -> Result<Opened<'_>, ReadError> {
        let (file, size) = open(path)?;
        if !PIECES.contains(&size) {
            return Ok(Opened::Whole(self.whole(&file, size)?));
        }
        let mut pieces = Pieces {
            file,
            size,
            head: [0; HEAD],
            at: 0,
            failed: None,
        };
        match pread(&pieces.file, &mut pieces.head, 0) {
            Ok(true) if Container::of(&pieces.head) == Container::Plain => {
                Ok(Opened::Pieces(ReadCache::new(pieces)))
            }
            Ok(_) => Ok(Opened::Whole(self.whole(&pieces.file, size)?)),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn whole(&mut self, file: &OwnedFd, size: u64) -> Result<&[u8], ReadError> {
        if size > LIMIT {
            return Err(UnpackError::TooLarge.into());
        }
        self.file.clear();
        // One more, to see the end: then most files are read at once.
        self.file.reserve(size as usize + 1);
        loop {
            match rustix::io::read(file, spare_capacity(&mut self.file)) {
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

fn open(path: &Path) -> Result<(OwnedFd, u64), ReadError> {
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
    Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
}

/// Opens a file that has to be a regular one.
pub(crate) fn regular(path: &Path) -> io::Result<File> {
    match open(path) {
        Ok((file, _)) => Ok(File::from(file)),
        Err(ReadError::Io(error)) => Err(error),
        Err(other) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            other.to_string(),
        )),
    }
}

/// The bytes of a file that has to be a regular one.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = regular(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fills a buffer from a place in a file; `false`: the file ends before.
fn pread(file: &OwnedFd, mut buffer: &mut [u8], mut at: u64) -> Result<bool, Errno> {
    while !buffer.is_empty() {
        match rustix::io::pread(file, &mut *buffer, at) {
            Ok(0) => return Ok(false),
            Ok(len) => {
                buffer = &mut buffer[len..];
                at += len as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A module file that was opened.
pub(crate) enum Opened<'a> {
    /// All of it, unpacked.
    Whole(&'a [u8]),
    /// What reads pieces of it.
    Pieces(ReadCache<Pieces>),
}

/// Reads pieces of a file.
pub(crate) struct Pieces {
    file: OwnedFd,
    size: u64,
    head: [u8; HEAD],
    at: u64,
    failed: Option<Errno>,
}

impl Pieces {
    /// What went wrong; otherwise a piece that was not read was not there.
    pub(crate) fn failure(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |errno| Err(errno.into()))
    }
}

impl ReadCacheOps for Pieces {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.size)
    }

    fn seek(&mut self, at: u64) -> Result<u64, ()> {
        self.at = at;
        Ok(at)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let len = buffer
            .len()
            .min((self.size - self.at.min(self.size)) as usize);
        self.read_exact(&mut buffer[..len])?;
        self.at += len as u64;
        Ok(len)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        let start = usize::try_from(self.at).map_err(|_| ())?;
        let end = start.checked_add(buffer.len()).ok_or(())?;
        if let Some(bytes) = self.head.get(start..end) {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        match pread(&self.file, buffer, self.at) {
            Ok(true) => Ok(()),
            Ok(false) => Err(()),
            Err(errno) => {
                self.failed = Some(errno);
                Err(())
            }
        }
    }
}

//! Block devices that somebody has open: bytes at any offset, made of whole sectors.

use crate::call::Pin;
use crate::chrdev::FMODE;
use crate::cstruct::{ForC, peek_words};
use crate::device::Device;
use crate::host::Shared;
use modfs_core::Errno;
use modfs_tree::{Caller, Handle, OpenMode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// `struct block_device_operations` of `modfs/blkdev.h`, as addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockOperations {
    /// Where the module keeps them.
    address: u64,
    open: u64,
    release: u64,
    read: u64,
    write: u64,
}

impl BlockOperations {
    /// Copies the structure from a module's memory; `None` when it is not there.
    pub(crate) fn at(address: u64) -> Option<BlockOperations> {
        let [_owner, open, release, read, write] = peek_words(address)?;
        Some(BlockOperations {
            address,
            open,
            release,
            read,
            write,
        })
    }
}

/// A minor of a block device.
#[derive(Debug, Default)]
pub(crate) struct Minor {
    /// Changed by who holds `whole` for writing; who only wants to know does not wait.
    sectors: AtomicU64,
    /// Held for reading while sectors are moved, and for writing while they are changed in part,
    /// or their number is.
    whole: RwLock<()>,
}

impl Minor {
    /// More sectors have more bytes than a file can have.
    pub(crate) const MOST: u64 = i64::MAX as u64 / SECTOR;

    /// Changes how many sectors there are, when none is being moved by another thread. Of the
    /// module's own functions none may be under way on this one.
    pub(crate) fn set(&self, sectors: u64) {
        let _alone = self.alone();
        self.sectors.store(sectors, Ordering::Release);
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.sectors.load(Ordering::Acquire) * SECTOR
    }

    fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.whole.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.whole.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `struct block_device` of `modfs/blkdev.h`.
#[repr(C)]
#[derive(Debug)]
struct CBlockDevice {
    device: u32,
    mode: u32,
    private: u64,
    operations: u64,
}

/// A block device that somebody has open: the module is in use until it is dropped.
pub(crate) struct OpenBlock {
    host: Arc<Shared>,
    pin: Pin,
    operations: BlockOperations,
    minor: Arc<Minor>,
    device: ForC<CBlockDevice>,
    opened: bool,
}

/// The sectors that bytes are in, and where in them these are.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    first: u64,
    count: u64,
    /// Bytes in the first sector before them.
    skip: usize,
    len: usize,
}

impl Span {
    /// As many of `len` bytes at `offset` as there are in `size`; `None`: none.
    fn of(offset: u64, len: usize, size: u64) -> Option<Span> {
        let len = len.min(usize::try_from(size.checked_sub(offset)?).unwrap_or(usize::MAX));
        if len == 0 {
            return None;
        }
        let first = offset / SECTOR;
        let end = (offset + len as u64).div_ceil(SECTOR);
        Some(Span {
            first,
            count: end - first,
            skip: (offset % SECTOR) as usize,
            len,
        })
    }

    fn bytes(&self) -> usize {
        (self.count * SECTOR) as usize
    }
}

impl OpenBlock {
    /// What an open of the device needs; nobody has been asked yet.
    pub(crate) fn new(
        host: &Arc<Shared>,
        pin: Pin,
        operations: BlockOperations,
        minor: Arc<Minor>,
        number: u32,
        mode: OpenMode,
    ) -> OpenBlock {
        let bits = [mode.read, mode.write].into_iter().zip(FMODE);
        OpenBlock {
            host: host.clone(),
            pin,
            operations,
            minor,
            device: ForC::new(CBlockDevice {
                device: number,
                mode: bits.map(|(on, bit)| if on { bit } else { 0 }).sum(),
                private: 0,
                operations: operations.address,
            }),
            opened: false,
        }
    }

    /// Asks the device.
    ///
    /// # Errors
    /// ENXIO: it goes away. Otherwise what its `open` returned.
    pub(crate) fn open(mut self, device: &Device) -> Result<OpenBlock, Errno> {
        if self.operations.open != 0 {
            let _opening = device.opens.enter().ok_or(Errno::ENXIO)?;
            self.done(self.operations.open, [0; 3])?;
        }
        self.opened = true;
        Ok(self)
    }

    /// Calls an operation that returns 0 or an error.
    fn done(&self, function: u64, [a, b, c]: [u64; 3]) -> Result<(), Errno> {
        let owner = self.pin.owner();
        if owner.is_dead() {
            return Err(Errno::EIO);
        }
        let arguments = [self.device.address(), a, b, c, 0];
        // SAFETY: an operation of the device, with the arguments its prototype says, each valid
        // during the call; `pin` keeps the module mapped.
        let called = unsafe { self.host.call(owner, function, arguments) };
        match Errno::from_init(called.map_err(|_| Errno::EIO)? as i32) {
            None => Ok(()),
            Some(errno) => Err(errno),
        }
    }

    /// Reads whole sectors.
    fn read_sectors(&self, first: u64, to: &mut [u8]) -> Result<(), Errno> {
        if self.operations.read == 0 {
            return Err(Errno::EINVAL);
        }
        let count = to.len() as u64 / SECTOR;
        let at = to.as_mut_ptr().expose_provenance() as u64;
        self.done(self.operations.read, [at, first, count])
    }

    /// Writes whole sectors.
    fn write_sectors(&self, first: u64, from: &[u8]) -> Result<(), Errno> {
        let count = from.len() as u64 / SECTOR;
        let at = from.as_ptr().expose_provenance() as u64;
        self.done(self.operations.write, [at, first, count])
    }
}

impl Handle for OpenBlock {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let _others = self.minor.shared();
        let Some(span) = Span::of(offset, size, self.minor.size()) else {
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; span.bytes()];
        self.read_sectors(span.first, &mut bytes)?;
        bytes.truncate(span.skip + span.len);
        bytes.drain(..span.skip);
        Ok(bytes)
    }

    fn write(&self, _: &Caller, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        if self.operations.write == 0 {
            return Err(Errno::EROFS);
        }
        let whole = || Span::of(offset, data.len(), self.minor.size()).ok_or(Errno::ENOSPC);
        let others = self.minor.shared();
        let span = whole()?;
        if span.bytes() == span.len {
            self.write_sectors(span.first, &data[..span.len])?;
            return Ok(span.len);
        }
        drop(others);
        let _alone = self.minor.alone();
        let span = whole()?;
        let mut bytes = vec![0; span.bytes()];
        self.read_sectors(span.first, &mut bytes)?;
        bytes[span.skip..span.skip + span.len].copy_from_slice(&data[..span.len]);
        self.write_sectors(span.first, &bytes)?;
        Ok(span.len)
    }
}

impl Drop for OpenBlock {
    fn drop(&mut self) {
        if self.opened && self.operations.release != 0 {
            // It returns nothing.
            let _ = self.done(self.operations.release, [0; 3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_of_the_header() {
        assert_eq!(size_of::<CBlockDevice>(), 24);
        assert_eq!(std::mem::offset_of!(CBlockDevice, private), 8);
    }

    #[test]
    fn spans() {
        let span = |first, count, skip, len| {
            Some(Span {
                first,
                count,
                skip,
                len,
            })
        };
        assert_eq!(Span::of(0, 512, 1024), span(0, 1, 0, 512));
        assert_eq!(Span::of(511, 2, 1024), span(0, 2, 511, 2));
        assert_eq!(Span::of(1000, 4096, 1024), span(1, 1, 488, 24));
        for (offset, len) in [(1024, 1), (5000, 1), (u64::MAX, 9), (0, 0)] {
            assert_eq!(Span::of(offset, len, 1024), None);
        }
    }
}

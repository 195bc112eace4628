//! Character devices that somebody has open.

use crate::call::Pin;
use crate::cstruct::{CFile, CInode, FileOperations, ForC};
use crate::device::Device;
use crate::host::Shared;
use modfs_core::Errno;
use modfs_tree::{Attr, Caller, Handle, OpenMode};
use std::sync::Arc;

/// As the kernel passes it on.
const O_APPEND: u32 = libc::O_APPEND.cast_unsigned();
/// FMODE_READ and FMODE_WRITE.
pub(crate) const FMODE: [u32; 2] = [1, 2];

/// A device that somebody has open: the module is in use until it is dropped.
pub(crate) struct OpenChar {
    host: Arc<Shared>,
    pin: Pin,
    operations: FileOperations,
    file: ForC<CFile>,
    inode: Arc<ForC<CInode>>,
    append: bool,
    opened: bool,
}

impl OpenChar {
    /// What an open of the device needs; nobody has been asked yet.
    pub(crate) fn new(
        host: &Arc<Shared>,
        pin: Pin,
        operations: FileOperations,
        address: u64,
        inode: Arc<ForC<CInode>>,
        mode: OpenMode,
    ) -> OpenChar {
        let bits = [mode.read, mode.write].into_iter().zip(FMODE);
        let file = ForC::new(CFile {
            private_data: 0,
            flags: mode.flags,
            mode: bits.map(|(on, bit)| if on { bit } else { 0 }).sum(),
            position: 0,
            operations: address,
            inode: inode.address(),
        });
        OpenChar {
            host: host.clone(),
            pin,
            operations,
            file,
            inode,
            append: mode.flags & O_APPEND != 0,
            opened: false,
        }
    }

    /// Asks the device.
    ///
    /// # Errors
    /// ENXIO: it goes away. Otherwise what its `open` returned.
    pub(crate) fn open(mut self, device: &Device) -> Result<OpenChar, Errno> {
        if self.operations.open != 0 {
            let _opening = device.opens.enter().ok_or(Errno::ENXIO)?;
            let arguments = [self.inode.address(), self.file.address(), 0, 0, 0];
            let returned = self.call(self.operations.open, arguments)? as i32;
            if let Some(errno) = Errno::from_init(returned) {
                return Err(errno);
            }
        }
        self.opened = true;
        Ok(self)
    }

    fn call(&self, function: u64, arguments: [u64; 5]) -> Result<u64, Errno> {
        let owner = self.pin.owner();
        if owner.is_dead() {
            return Err(Errno::EIO);
        }
        // SAFETY: an operation of the device, with the arguments its prototype says, each valid
        // during the call; `pin` keeps the module mapped.
        let called = unsafe { self.host.call(owner, function, arguments) };
        called.map_err(|_| Errno::EIO)
    }

    /// What read or write returned, as a length of at most `most`.
    fn length(&self, returned: u64, most: usize) -> Result<usize, Errno> {
        let returned = returned as i64;
        if returned < 0 {
            return Err(Errno::from_raw(
                returned.unsigned_abs().try_into().unwrap_or(0),
            ));
        }
        usize::try_from(returned)
            .ok()
            .filter(|n| *n <= most)
            .ok_or_else(|| {
                let text = format!(
                    "{}: returned {returned} bytes of {most} that were asked for",
                    self.pin.owner().name
                );
                self.host.log.write(crate::Level::Err, &text);
                Errno::EIO
            })
    }
}

impl Handle for OpenChar {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        if self.operations.read == 0 {
            return Err(Errno::EINVAL);
        }
        let position = ForC::new(i64::try_from(offset).map_err(|_| Errno::EINVAL)?);
        let mut buffer = vec![0u8; size];
        let to = buffer.as_mut_ptr().expose_provenance() as u64;
        let arguments = [self.file.address(), to, size as u64, position.address(), 0];
        let length = self.length(self.call(self.operations.read, arguments)?, size)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    fn write(&self, _: &Caller, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        if self.operations.write == 0 {
            return Err(Errno::EINVAL);
        }
        // To append, the kernel begins where it was told that the file ends.
        let offset = match self.append {
            true => offset.saturating_sub(Attr::UNKNOWN_SIZE),
            false => offset,
        };
        let position = ForC::new(i64::try_from(offset).map_err(|_| Errno::EINVAL)?);
        let from = data.as_ptr().expose_provenance() as u64;
        let arguments = [
            self.file.address(),
            from,
            data.len() as u64,
            position.address(),
            0,
        ];
        self.length(self.call(self.operations.write, arguments)?, data.len())
    }
}

impl Drop for OpenChar {
    fn drop(&mut self) {
        if self.opened && self.operations.release != 0 {
            let arguments = [self.inode.address(), self.file.address(), 0, 0, 0];
            // What release returns, close(2) does not tell.
            let _ = self.call(self.operations.release, arguments);
        }
    }
}

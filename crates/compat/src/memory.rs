//! The memory of whoever makes a call.

use modfs_core::Errno;

/// A page: strings are read up to its end, so that what is behind it need not be there.
const PAGE: u64 = 4096;

/// Memory that is read and written by address.
pub trait Memory {
    /// Fills `bytes` from what is at an address.
    ///
    /// # Errors
    /// EFAULT: not all of it is there.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Writes to an address.
    ///
    /// # Errors
    /// EFAULT: not all of it is there, or may be written.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// So many bytes of it.
    ///
    /// # Errors
    /// EFAULT: not all of it is there. ENOMEM: too many.
    fn bytes(&self, address: u64, length: u64) -> Result<Vec<u8>, Errno> {
        let length = usize::try_from(length).map_err(|_| Errno::ENOMEM)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(length, 0);
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A string that ends with a NUL, without it.
    ///
    /// # Errors
    /// EFAULT: not all of it is there. ENAMETOOLONG: no NUL within `most` bytes.
    fn string(&self, address: u64, most: usize) -> Result<Vec<u8>, Errno> {
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

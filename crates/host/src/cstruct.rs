//! The structures that modules and the host share, as `include/modfs` lays them out.

use crate::fault::peek;
use std::cell::UnsafeCell;

/// `struct module`: its id and its name.
pub(crate) const MODULE_SIZE: u64 = 64;

/// The bytes of a module's own `struct module`.
pub(crate) fn module_struct(id: u64, name: &str) -> [u8; MODULE_SIZE as usize] {
    let mut bytes = [0; MODULE_SIZE as usize];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    // The last byte stays 0: a longer name is cut.
    for (byte, of_name) in bytes[8..63].iter_mut().zip(name.bytes()) {
        *byte = of_name;
    }
    bytes
}

/// A value that module code reads and writes through its address.
#[derive(Debug)]
pub(crate) struct ForC<T>(Box<UnsafeCell<T>>);

// SAFETY: the host never touches the value once it is made; it only hands its address out.
unsafe impl<T: Send> Send for ForC<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for ForC<T> {}

impl<T> ForC<T> {
    pub(crate) fn new(value: T) -> ForC<T> {
        ForC(Box::new(UnsafeCell::new(value)))
    }

    /// Where the value is, for as long as this lives.
    pub(crate) fn address(&self) -> u64 {
        self.0.get().expose_provenance() as u64
    }

    /// The value, once no module code can reach it any more.
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// `struct inode` of `modfs/chrdev.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct CInode {
    pub(crate) device: u32,
    pub(crate) private: u64,
}

/// `struct file` of `modfs/chrdev.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct CFile {
    pub(crate) private_data: u64,
    pub(crate) flags: u32,
    pub(crate) mode: u32,
    pub(crate) position: i64,
    pub(crate) operations: u64,
    pub(crate) inode: u64,
}

/// `struct file_operations` of `modfs/chrdev.h`, as addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileOperations {
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) open: u64,
    pub(crate) release: u64,
}

impl FileOperations {
    /// Copies the structure from a module's memory; `None` when it is not there.
    pub(crate) fn at(address: u64) -> Option<FileOperations> {
        let words = peek_words::<6>(address)?;
        Some(FileOperations {
            read: words[2],
            write: words[3],
            open: words[4],
            release: words[5],
        })
    }
}

/// `struct seq_file` of `modfs/proc.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct CSeqFile {
    pub(crate) buffer: *mut u8,
    pub(crate) size: usize,
    pub(crate) count: usize,
    pub(crate) private: u64,
}

impl CSeqFile {
    /// Adds `bytes`; `false`, and `count` says that it is full, when they do not fit.
    ///
    /// # Safety
    /// `buffer` is valid for `size` bytes.
    pub(crate) unsafe fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.size.saturating_sub(self.count);
        if bytes.len() >= room {
            self.count = self.size;
            return false;
        }
        // SAFETY: the caller's; the bytes fit.
        unsafe {
            std::ptr::copy(bytes.as_ptr(), self.buffer.add(self.count), bytes.len());
        }
        self.count += bytes.len();
        true
    }
}

pub(crate) fn peek_words<const N: usize>(address: u64) -> Option<[u64; N]> {
    let mut words = [0; N];
    for (i, word) in words.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        if peek(address.checked_add(8 * i as u64)?, &mut bytes) != 8 {
            return None;
        }
        *word = u64::from_le_bytes(bytes);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_the_headers() {
        assert_eq!(size_of::<CInode>(), 16);
        assert_eq!(size_of::<CFile>(), 40);
        assert_eq!(std::mem::offset_of!(CFile, position), 16);
        assert_eq!(std::mem::offset_of!(CFile, inode), 32);
        assert_eq!(size_of::<CSeqFile>(), 32);
    }

    #[test]
    fn a_wild_pointer_is_no_structure() {
        assert!(FileOperations::at(0).is_none());
        assert!(FileOperations::at(u64::MAX - 3).is_none());
        assert!(FileOperations::at(0xdead_0000_0000).is_none());
    }
}

//! Block devices.

use crate::error::status;
use crate::sys::{self, BlockDevice, BlockOperations};
use crate::{Errno, Result};
use alloc_crate::ffi::CString;
use alloc_crate::sync::Arc;
use core::ffi::c_int;
use core::{fmt, slice};

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// What a block device does. Calls come from several threads at once.
pub trait Disk: Send + Sync + 'static {
    /// Reads whole sectors of a minor, from sector `first` on, all of them within its capacity.
    ///
    /// # Errors
    /// What read(2) is to say.
    fn read(&self, minor: u32, first: u64, to: &mut [u8]) -> Result;

    /// Writes whole sectors of a minor, from sector `first` on, all of them within its capacity.
    ///
    /// # Errors
    /// What write(2) is to say; EROFS unless the device says otherwise.
    fn write(&self, minor: u32, first: u64, from: &[u8]) -> Result {
        let _ = (minor, first, from);
        Err(Errno::EROFS)
    }
}

/// The operations come first: a `struct block_device` points at them, and so at the disk.
#[repr(C)]
struct Registered<D> {
    operations: BlockOperations,
    disk: D,
}

// SAFETY: the operations are constants; the rest is the disk's own.
unsafe impl<D: Send> Send for Registered<D> {}
// SAFETY: as above.
unsafe impl<D: Sync> Sync for Registered<D> {}

/// A registered block device; dropping it takes the registration back. Who has it open keeps it.
pub struct Blkdev<D: Disk> {
    registered: Arc<Registered<D>>,
    name: CString,
    major: u32,
}

impl<D: Disk> Blkdev<D> {
    /// Registers a device under a name and a major number; 0 asks for one. It has no minors yet.
    ///
    /// # Errors
    /// EINVAL: the name or the number. EBUSY: the name or the number is taken.
    pub fn register(major: u32, name: &str, disk: D) -> Result<Blkdev<D>> {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let registered = Arc::new(Registered {
            operations: BlockOperations {
                owner: &raw const sys::__this_module,
                open: Some(open::<D>),
                release: Some(release::<D>),
                read: Some(read::<D>),
                write: Some(write::<D>),
            },
            disk,
        });
        // SAFETY: the operations stay for as long as the registration: `Drop` takes it back.
        let returned = unsafe {
            // The device is reached by it, so it is the whole's, which begins with the operations.
            let operations = Arc::as_ptr(&registered).cast::<BlockOperations>();
            sys::register_blkdev(major, name.as_ptr(), operations)
        };
        let chosen = Errno::check(returned)?.unsigned_abs();
        Ok(Blkdev {
            registered,
            name,
            major: if major == 0 { chosen } else { major },
        })
    }

    /// Says how many sectors a minor has; 0: there is no such minor. When it returns, nobody is in
    /// the disk's functions for sectors beyond them; so it must not be called from these.
    ///
    /// # Errors
    /// EINVAL: the minor, or more bytes than a file can have.
    pub fn set_capacity(&self, minor: u32, sectors: u64) -> Result {
        // SAFETY: numbers.
        let set = unsafe { sys::modfs_set_capacity(self.major, minor, sectors) };
        Errno::check(set).map(drop)
    }

    /// Its major number.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The disk itself.
    pub fn disk(&self) -> &D {
        &self.registered.disk
    }
}

impl<D: Disk> Drop for Blkdev<D> {
    fn drop(&mut self) {
        // SAFETY: what `register` registered; when it returns no open is under way.
        unsafe { sys::unregister_blkdev(self.major, self.name.as_ptr()) }
    }
}

impl<D: Disk> fmt::Debug for Blkdev<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blkdev")
            .field("name", &self.name)
            .field("major", &self.major)
            .finish()
    }
}

/// Who has it open keeps it: a count for each, which `release` gives back.
unsafe extern "C-unwind" fn open<D: Disk>(device: *mut BlockDevice) -> c_int {
    // SAFETY: the host's promise: the operations are those of a `Registered`, of which the
    // registration, that keeps one, is not taken back during an open.
    unsafe { Arc::increment_strong_count((*device).operations.cast::<Registered<D>>()) };
    0
}

unsafe extern "C-unwind" fn release<D: Disk>(device: *mut BlockDevice) {
    // SAFETY: the count that `open` took; the last call for this open.
    unsafe { Arc::decrement_strong_count((*device).operations.cast::<Registered<D>>()) };
}

/// # Safety
/// `device` is one that `open` was called for, and `release` was not.
unsafe fn disk<'a, D: Disk>(device: *mut BlockDevice) -> (&'a D, u32) {
    // SAFETY: the caller's.
    unsafe {
        let registered = (*device).operations.cast::<Registered<D>>();
        (&(*registered).disk, (*device).device & 0xf_ffff)
    }
}

unsafe extern "C-unwind" fn read<D: Disk>(
    device: *mut BlockDevice,
    to: *mut u8,
    first: u64,
    count: u64,
) -> c_int {
    // SAFETY: the host's promise: an open device, and a buffer of `count` sectors, initialised,
    // that is nobody else's.
    let ((disk, minor), to) = unsafe {
        let bytes = count as usize * SECTOR;
        (disk::<D>(device), slice::from_raw_parts_mut(to, bytes))
    };
    status(disk.read(minor, first, to))
}

unsafe extern "C-unwind" fn write<D: Disk>(
    device: *mut BlockDevice,
    from: *const u8,
    first: u64,
    count: u64,
) -> c_int {
    // SAFETY: as of `read`.
    let ((disk, minor), from) = unsafe {
        let bytes = count as usize * SECTOR;
        (disk::<D>(device), slice::from_raw_parts(from, bytes))
    };
    status(disk.write(minor, first, from))
}

//! Character devices.

use crate::error::length;
use crate::sys::{self, File, FileOperations, Inode};
use crate::{Errno, Result};
use alloc_crate::boxed::Box;
use alloc_crate::ffi::CString;
use alloc_crate::sync::Arc;
use core::ffi::{c_int, c_void};
use core::{fmt, ptr, slice};

/// How a device is being opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenFile {
    /// The minor number.
    pub minor: u32,
    /// To be read.
    pub read: bool,
    /// To be written.
    pub write: bool,
    /// The flags of open(2).
    pub flags: u32,
}

/// What a device does. Calls come from several threads at once.
pub trait Device: Send + Sync + 'static {
    /// What is kept for each who has it open; dropping it is the release.
    type Open: Send + Sync;

    /// Opens the device.
    ///
    /// # Errors
    /// What open(2) is to say.
    fn open(&self, file: OpenFile) -> Result<Self::Open>;

    /// Reads to `to` from position `at`; returns how many bytes, 0 for the end.
    ///
    /// # Errors
    /// What read(2) is to say; EINVAL unless the device says otherwise.
    fn read(&self, open: &Self::Open, at: u64, to: &mut [u8]) -> Result<usize> {
        let _ = (open, at, to);
        Err(Errno::EINVAL)
    }

    /// Writes `from` at position `at`; returns how many bytes were taken.
    ///
    /// # Errors
    /// What write(2) is to say; EINVAL unless the device says otherwise.
    fn write(&self, open: &Self::Open, at: u64, from: &[u8]) -> Result<usize> {
        let _ = (open, at, from);
        Err(Errno::EINVAL)
    }
}

/// The operations come first: a `struct file` points at them, and so at the device.
#[repr(C)]
struct Registered<D> {
    operations: FileOperations,
    device: D,
}

// SAFETY: the operations are constants; the rest is the device's own.
unsafe impl<D: Send> Send for Registered<D> {}
// SAFETY: as above.
unsafe impl<D: Sync> Sync for Registered<D> {}

/// What a `struct file` keeps for the module.
struct Opened<D: Device> {
    open: D::Open,
    registered: Arc<Registered<D>>,
}

/// A registered device; dropping it takes the registration back. Who has it open keeps it.
pub struct Chrdev<D: Device> {
    registered: Arc<Registered<D>>,
    name: CString,
    major: u32,
}

impl<D: Device> Chrdev<D> {
    /// Registers a device under a name and a major number; 0 asks for one.
    ///
    /// # Errors
    /// EINVAL: the name or the number. EBUSY: the name or the number is taken.
    pub fn register(major: u32, name: &str, device: D) -> Result<Chrdev<D>> {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let registered = Arc::new(Registered {
            operations: FileOperations {
                owner: &raw const sys::__this_module,
                llseek: ptr::null(),
                read: Some(read::<D>),
                write: Some(write::<D>),
                open: Some(open::<D>),
                release: Some(release::<D>),
            },
            device,
        });
        // SAFETY: the operations stay for as long as the registration: `Drop` takes it back.
        let returned = unsafe {
            // The device is reached by it, so it is the whole's, which begins with the operations.
            let operations = Arc::as_ptr(&registered).cast::<FileOperations>();
            sys::register_chrdev(major, name.as_ptr(), operations)
        };
        let chosen = Errno::check(returned)?.unsigned_abs();
        Ok(Chrdev {
            registered,
            name,
            major: if major == 0 { chosen } else { major },
        })
    }

    /// Its major number.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The device itself.
    pub fn device(&self) -> &D {
        &self.registered.device
    }
}

impl<D: Device> Drop for Chrdev<D> {
    fn drop(&mut self) {
        // SAFETY: what `register` registered; when it returns no open is under way.
        unsafe { sys::unregister_chrdev(self.major, self.name.as_ptr()) }
    }
}

impl<D: Device> fmt::Debug for Chrdev<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chrdev")
            .field("name", &self.name)
            .field("major", &self.major)
            .finish()
    }
}

unsafe extern "C-unwind" fn open<D: Device>(inode: *mut Inode, file: *mut File) -> c_int {
    // SAFETY: the host's promise: both are valid; the operations are those of a `Registered`,
    // of which the registration, that keeps one, is not taken back during an open.
    let (registered, how) = unsafe {
        let registered = (*file).operations.cast::<Registered<D>>();
        Arc::increment_strong_count(registered);
        let how = OpenFile {
            minor: (*inode).device & 0xf_ffff,
            read: (*file).mode & 1 != 0,
            write: (*file).mode & 2 != 0,
            flags: (*file).flags,
        };
        (Arc::from_raw(registered), how)
    };
    match registered.device.open(how) {
        Ok(open) => {
            let opened: Box<Opened<D>> = Box::new(Opened { open, registered });
            // SAFETY: as above; the host has not handed the file out yet.
            unsafe { (*file).private = Box::into_raw(opened).cast::<c_void>() };
            0
        }
        Err(errno) => -errno.raw(),
    }
}

/// # Safety
/// `file` is one that `open` returned 0 for.
unsafe fn opened<'a, D: Device>(file: *mut File) -> &'a Opened<D> {
    // SAFETY: `open` put it there; `release`, which comes last, takes it away.
    unsafe { &*(*file).private.cast::<Opened<D>>() }
}

unsafe extern "C-unwind" fn read<D: Device>(
    file: *mut File,
    to: *mut u8,
    size: usize,
    position: *mut i64,
) -> isize {
    // SAFETY: the host's promise: an open file, a buffer of `size` initialised bytes that is
    // nobody else's, a position.
    let (opened, to, at) = unsafe {
        (
            opened::<D>(file),
            slice::from_raw_parts_mut(to, size),
            (*position).unsigned_abs(),
        )
    };
    length(opened.registered.device.read(&opened.open, at, to))
}

unsafe extern "C-unwind" fn write<D: Device>(
    file: *mut File,
    from: *const u8,
    size: usize,
    position: *mut i64,
) -> isize {
    // SAFETY: as of `read`.
    let (opened, from, at) = unsafe {
        (
            opened::<D>(file),
            slice::from_raw_parts(from, size),
            (*position).unsigned_abs(),
        )
    };
    length(opened.registered.device.write(&opened.open, at, from))
}

unsafe extern "C-unwind" fn release<D: Device>(_inode: *mut Inode, file: *mut File) -> c_int {
    // SAFETY: the host's promise: the last call for this file.
    drop(unsafe { Box::from_raw((*file).private.cast::<Opened<D>>()) });
    0
}

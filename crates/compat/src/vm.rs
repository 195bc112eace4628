//! process_vm_readv(2) and process_vm_writev(2): memory as its owner may use it, unlike /proc/PID/mem.

use modfs_core::Errno;
use std::ffi::c_void;
use std::io;
use std::ptr;

/// Fills `bytes` from an address in a thread's process.
///
/// # Errors
/// EFAULT: not all of it is there, or may be read. ESRCH: it is gone. EPERM: it may not be looked into.
pub(crate) fn read(thread: u32, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let there = there(address, bytes.len())?;
    // SAFETY: `local` is `bytes`, which nobody else uses; both arrays have one element.
    let done = unsafe {
        libc::process_vm_readv(
            thread as libc::pid_t,
            &raw const local,
            1,
            &raw const there,
            1,
            0,
        )
    };
    all(done, bytes.len())
}

/// Writes `bytes` to an address in a thread's process.
///
/// # Errors
/// As [`read`].
pub(crate) fn write(thread: u32, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let there = there(address, bytes.len())?;
    // SAFETY: `local` is `bytes`, which is only read; both arrays have one element.
    let done = unsafe {
        libc::process_vm_writev(
            thread as libc::pid_t,
            &raw const local,
            1,
            &raw const there,
            1,
            0,
        )
    };
    all(done, bytes.len())
}

/// A range of the other process; it is never followed here.
fn there(address: u64, length: usize) -> Result<libc::iovec, Errno> {
    let address = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
    Ok(libc::iovec {
        iov_base: ptr::without_provenance_mut::<c_void>(address),
        iov_len: length,
    })
}

fn all(done: isize, length: usize) -> Result<(), Errno> {
    match usize::try_from(done) {
        Ok(done) if done == length => Ok(()),
        Ok(_) => Err(Errno::EFAULT),
        Err(_) => {
            let error = io::Error::last_os_error();
            Err(Errno::from_raw(error.raw_os_error().unwrap_or(0)))
        }
    }
}

//! Panics: what [`module!`](crate::module!) makes the module's panic handler.

use crate::print::Buffer;
use crate::sys;
use core::fmt::Write;
use core::panic::PanicInfo;

/// Hands a panic to the host, which ends the call into the module that it is in: destructors
/// run, and the caller gets an error with the text and the place.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let mut text = Buffer::<512>::new();
    // The buffer takes everything, or cuts it.
    let _ = write!(text, "{}", info.message());
    let (file, line, column) = info
        .location()
        .map_or(("?", 0, 0), |at| (at.file(), at.line(), at.column()));
    let text = text.bytes();
    // SAFETY: the host copies both texts before it unwinds.
    unsafe {
        sys::modfs_panic(
            text.as_ptr(),
            text.len(),
            file.as_ptr(),
            file.len(),
            line,
            column,
        )
    }
}

//! Memory: `modfs/slab.h`, and the `mem` functions of `modfs/string.h`.

use super::{HostExport, exports};
use crate::call::HostSection;
use std::ffi::{c_char, c_void};
use std::ptr;

/// `__GFP_ZERO` of `modfs/slab.h`.
const GFP_ZERO: u32 = 0x100;

pub(super) fn table() -> impl IntoIterator<Item = HostExport> {
    exports![
        "kmalloc" = kmalloc,
        "kzalloc" = kzalloc,
        "kcalloc" = kcalloc,
        "krealloc" = krealloc,
        "kfree" = kfree,
        "kstrdup" = kstrdup,
        "vmalloc" = vmalloc,
        "vfree" = kfree,
        // They hold nothing: libc's own are as good.
        "memcpy" = libc::memcpy,
        "memmove" = libc::memmove,
        "memset" = libc::memset,
        "memcmp" = libc::memcmp,
        "bcmp" = libc::memcmp,
        "memchr" = libc::memchr,
    ]
}

extern "C" fn kmalloc(size: usize, flags: u32) -> *mut c_void {
    let _section = HostSection::enter();
    // SAFETY: allocates. A size of 0 gives a pointer that can be freed, as kmalloc's does.
    unsafe {
        if flags & GFP_ZERO != 0 {
            libc::calloc(1, size.max(1))
        } else {
            libc::malloc(size.max(1))
        }
    }
}

extern "C" fn kzalloc(size: usize, flags: u32) -> *mut c_void {
    kmalloc(size, flags | GFP_ZERO)
}

extern "C" fn kcalloc(count: usize, size: usize, flags: u32) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => kmalloc(bytes, flags | GFP_ZERO),
        None => ptr::null_mut(),
    }
}

extern "C" fn vmalloc(size: usize) -> *mut c_void {
    kmalloc(size, 0)
}

extern "C" fn krealloc(old: *mut c_void, size: usize, _flags: u32) -> *mut c_void {
    let _section = HostSection::enter();
    // SAFETY: `old` is NULL or came from here (the module's promise).
    unsafe { libc::realloc(old, size.max(1)) }
}

extern "C" fn kfree(old: *mut c_void) {
    let _section = HostSection::enter();
    // SAFETY: `old` is NULL or came from here (the module's promise).
    unsafe { libc::free(old) }
}

extern "C" fn kstrdup(text: *const c_char, flags: u32) -> *mut c_char {
    if text.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: a string (the module's promise); read before anything is held.
    let bytes = unsafe { std::ffi::CStr::from_ptr(text) }.to_bytes_with_nul();
    let copy = kmalloc(bytes.len(), flags).cast::<c_char>();
    if !copy.is_null() {
        // SAFETY: as many bytes were allocated.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), copy, bytes.len()) };
    }
    copy
}

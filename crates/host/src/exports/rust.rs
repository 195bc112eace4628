//! What Rust modules use: `crates/module/src/sys.rs`.

use super::{HostExport, exports};
use crate::call::{HostSection, with_current};
use crate::unwind;
use std::ffi::c_void;
use std::{ptr, slice};

/// What malloc(3) aligns to.
const MALLOC_ALIGN: usize = 16;

pub(super) fn table() -> impl IntoIterator<Item = HostExport> {
    let unwinding = unwind::functions().map(|(name, at)| HostExport::function(name, at));
    exports![
        "modfs_alloc" = modfs_alloc,
        "modfs_alloc_zeroed" = modfs_alloc_zeroed,
        "modfs_realloc" = modfs_realloc,
        "modfs_free" = modfs_free,
        "modfs_panic" = modfs_panic,
        "modfs_local" = modfs_local,
        "modfs_alloc_error" = modfs_alloc_error,
    ]
    .into_iter()
    .chain(unwinding)
}

extern "C" fn modfs_alloc(size: usize, align: usize) -> *mut c_void {
    let _section = HostSection::enter();
    // SAFETY: allocates.
    unsafe {
        if align <= MALLOC_ALIGN {
            return libc::malloc(size);
        }
        let mut memory = ptr::null_mut();
        match libc::posix_memalign(&raw mut memory, align, size) {
            0 => memory,
            _ => ptr::null_mut(),
        }
    }
}

extern "C" fn modfs_alloc_zeroed(size: usize, align: usize) -> *mut c_void {
    if align <= MALLOC_ALIGN {
        let _section = HostSection::enter();
        // SAFETY: allocates.
        return unsafe { libc::calloc(1, size) };
    }
    let memory = modfs_alloc(size, align);
    if !memory.is_null() {
        // SAFETY: as many bytes were allocated.
        unsafe { ptr::write_bytes(memory.cast::<u8>(), 0, size) };
    }
    memory
}

extern "C" fn modfs_realloc(
    old: *mut c_void,
    size: usize,
    align: usize,
    new: usize,
) -> *mut c_void {
    if align <= MALLOC_ALIGN {
        let _section = HostSection::enter();
        // SAFETY: `old` came from here (the module's promise).
        return unsafe { libc::realloc(old, new) };
    }
    let memory = modfs_alloc(new, align);
    if !memory.is_null() {
        // SAFETY: `old` has `size` bytes (the module's promise), the new block `new`.
        unsafe { ptr::copy_nonoverlapping(old.cast::<u8>(), memory.cast(), size.min(new)) };
        modfs_free(old);
    }
    memory
}

extern "C" fn modfs_free(old: *mut c_void) {
    let _section = HostSection::enter();
    // SAFETY: `old` came from here (the module's promise).
    unsafe { libc::free(old) }
}

unsafe extern "C-unwind" fn modfs_alloc_error(size: usize, align: usize) -> ! {
    let text = format!("out of memory: {size} bytes, aligned to {align}, cannot be had");
    // SAFETY: called by module code.
    unsafe { give_up(text) }
}

unsafe extern "C-unwind" fn modfs_panic(
    text: *const u8,
    length: usize,
    file: *const u8,
    file_length: usize,
    line: u32,
    column: u32,
) -> ! {
    // SAFETY: the module's promise.
    let (text, file) = unsafe {
        (
            slice::from_raw_parts(text, length),
            slice::from_raw_parts(file, file_length),
        )
    };
    let text = {
        let _section = HostSection::enter();
        let (text, file) = (String::from_utf8_lossy(text), String::from_utf8_lossy(file));
        format!("{file}:{line}:{column}: {text}")
    };
    // SAFETY: called by module code.
    unsafe { give_up(text) }
}

/// # Safety
/// Called by an export that module code called.
unsafe fn give_up(text: String) -> ! {
    // The text goes with the panic: what is on this stack is not dropped.
    // SAFETY: the caller's.
    with_current(|host, _| unsafe { unwind::panic(host, text) });
    // No call into a module is under way, so there is nobody to return to.
    std::process::abort()
}

/// This thread's value for a key of the module `id`: not that of the call, which another module
/// may have begun.
unsafe extern "C-unwind" fn modfs_local(
    id: u64,
    key: u64,
    make: unsafe extern "C-unwind" fn() -> u64,
    free: unsafe extern "C-unwind" fn(u64),
) -> u64 {
    let found = {
        let _section = HostSection::enter();
        with_current(|host, _| host.locals.get(id, key))
    };
    if let Some(Some(value)) = found {
        return value;
    }
    // SAFETY: the module's promise; nothing is held, so it may panic or fault.
    let value = unsafe { make() };
    let there = {
        let _section = HostSection::enter();
        with_current(|host, current| {
            let owner = host.owner(current, id)?;
            let free = free as *const () as u64;
            host.locals.put(host, &owner, key, value, free)
        })
    };
    let Some(Some(there)) = there else {
        return value;
    };
    // SAFETY: what `make` made, and nobody has seen.
    unsafe { free(value) };
    there
}

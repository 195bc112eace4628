//! `modfs/chrdev.h`, `modfs/blkdev.h`, `modfs/filesystem.h` and
//! `modfs/proc.h`.

use super::variadic::{VaArgs, VaList, variadic};
use super::{HostExport, c_bytes, exports};
use crate::call::{HostSection, with_current};
use crate::cstruct::CSeqFile;
use crate::device::Class;
use crate::filesystem::{self, DirContext};
use crate::format::format;
use std::ffi::{c_char, c_int, c_uint};

pub(super) fn table() -> impl IntoIterator<Item = HostExport> {
    exports![
        "register_chrdev" = register_chrdev,
        "unregister_chrdev" = unregister_chrdev,
        "register_blkdev" = register_blkdev,
        "unregister_blkdev" = unregister_blkdev,
        "modfs_set_capacity" = modfs_set_capacity,
        "register_filesystem" = register_filesystem,
        "unregister_filesystem" = unregister_filesystem,
        "modfs_dir_emit" = modfs_dir_emit,
        "modfs_proc_create" = modfs_proc_create,
        "remove_proc_entry" = remove_proc_entry,
        "proc_remove" = proc_remove,
        "seq_printf" = seq_printf,
        "seq_puts" = seq_puts,
        "seq_putc" = seq_putc,
        "seq_write" = seq_write,
    ]
}

variadic!(seq_printf, 2, "rdx", seq_vprintf);

/// A name argument, copied.
///
/// # Safety
/// `name` is NULL or a string.
unsafe fn name_of(name: *const c_char) -> Option<String> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's.
    let bytes = unsafe { c_bytes(name) };
    let _section = HostSection::enter();
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// # Safety
/// `name` is NULL or a string.
unsafe fn register(class: Class, major: c_uint, name: *const c_char, ops: u64) -> c_int {
    // SAFETY: the caller's.
    let Some(name) = (unsafe { name_of(name) }) else {
        return -libc::EINVAL;
    };
    let _section = HostSection::enter();
    let number = (class, major);
    let result = with_current(|host, owner| host.devices.register(owner, number, &name, ops));
    match result {
        Some(Ok(major)) => major as c_int,
        Some(Err(errno)) => -errno.raw(),
        None => -libc::EINVAL,
    }
}

/// # Safety
/// `name` is NULL or a string.
unsafe fn unregister(class: Class, major: c_uint, name: *const c_char) {
    // SAFETY: the caller's.
    let Some(name) = (unsafe { name_of(name) }) else {
        return;
    };
    let _section = HostSection::enter();
    with_current(|host, owner| {
        if !host.devices.unregister(owner, (class, major), &name) {
            let text = format!(
                "{}: no {} device {major} {name} to unregister",
                owner.name,
                class.word()
            );
            host.log.write(crate::Level::Warning, &text);
        }
    });
}

unsafe extern "C" fn register_chrdev(major: c_uint, name: *const c_char, ops: u64) -> c_int {
    // SAFETY: the module's promise.
    unsafe { register(Class::Char, major, name, ops) }
}

unsafe extern "C" fn unregister_chrdev(major: c_uint, name: *const c_char) {
    // SAFETY: the module's promise.
    unsafe { unregister(Class::Char, major, name) }
}

unsafe extern "C" fn register_blkdev(major: c_uint, name: *const c_char, ops: u64) -> c_int {
    // SAFETY: the module's promise.
    unsafe { register(Class::Block, major, name, ops) }
}

unsafe extern "C" fn unregister_blkdev(major: c_uint, name: *const c_char) {
    // SAFETY: the module's promise.
    unsafe { unregister(Class::Block, major, name) }
}

extern "C" fn modfs_set_capacity(major: c_uint, minor: c_uint, sectors: u64) -> c_int {
    let _section = HostSection::enter();
    let set = with_current(|host, owner| host.devices.set_capacity(owner, major, minor, sectors));
    match set {
        Some(Ok(())) => 0,
        Some(Err(errno)) => -errno.raw(),
        None => -libc::EINVAL,
    }
}

extern "C" fn register_filesystem(fs: u64) -> c_int {
    let _section = HostSection::enter();
    let Some(name) = filesystem::name_at(fs) else {
        return -libc::EINVAL;
    };
    match with_current(|host, owner| host.filesystems.register(owner, &name, fs)) {
        Some(Ok(())) => 0,
        Some(Err(errno)) => -errno.raw(),
        None => -libc::EINVAL,
    }
}

extern "C" fn unregister_filesystem(fs: u64) -> c_int {
    let _section = HostSection::enter();
    match with_current(|host, owner| host.filesystems.unregister(owner, fs)) {
        Some(Ok(())) => 0,
        Some(Err(errno)) => -errno.raw(),
        None => -libc::EINVAL,
    }
}

unsafe extern "C" fn modfs_dir_emit(
    context: *const DirContext,
    name: *const c_char,
    mode: c_uint,
) -> bool {
    // SAFETY: the module's promise.
    let Some(name) = (unsafe { name_of(name) }) else {
        return false;
    };
    let _section = HostSection::enter();
    // SAFETY: what `readdir` was given, on the thread that it was given to (the module's promise).
    unsafe { (*context).add(&name, mode) }
}

unsafe extern "C" fn modfs_proc_create(
    name: *const c_char,
    mode: u16,
    show: u64,
    store: u64,
    data: u64,
) -> u64 {
    // SAFETY: the module's promise.
    let Some(name) = (unsafe { name_of(name) }) else {
        return 0;
    };
    let _section = HostSection::enter();
    let functions = [show, store, data];
    with_current(|host, owner| host.procs.register(owner, &name, mode.into(), functions))
        .and_then(Result::ok)
        .unwrap_or(0)
}

unsafe extern "C" fn remove_proc_entry(name: *const c_char, _parent: u64) {
    // SAFETY: the module's promise.
    let Some(name) = (unsafe { name_of(name) }) else {
        return;
    };
    let _section = HostSection::enter();
    with_current(|host, _| host.procs.remove(Err(&name)));
}

extern "C" fn proc_remove(entry: u64) {
    let _section = HostSection::enter();
    with_current(|host, _| host.procs.remove(Ok(entry)));
}

unsafe extern "C" fn seq_vprintf(seq: *mut CSeqFile, fmt: *const c_char, list: *mut VaList) {
    // SAFETY: the module's promise: the structure that `show` was given.
    unsafe {
        format(c_bytes(fmt), &mut VaArgs::new(list), &mut |piece| {
            (*seq).push(piece);
        });
    }
}

unsafe extern "C" fn seq_puts(seq: *mut CSeqFile, text: *const c_char) {
    // SAFETY: as of `seq_vprintf`.
    unsafe {
        (*seq).push(c_bytes(text));
    }
}

unsafe extern "C" fn seq_putc(seq: *mut CSeqFile, byte: c_char) {
    // SAFETY: as of `seq_vprintf`.
    unsafe {
        (*seq).push(&[byte as u8]);
    }
}

unsafe extern "C" fn seq_write(seq: *mut CSeqFile, data: *const u8, length: usize) -> c_int {
    // SAFETY: as of `seq_vprintf`; `data` is valid for `length` bytes (the module's promise).
    let fits = unsafe { (*seq).push(std::slice::from_raw_parts(data, length)) };
    if fits { 0 } else { -libc::ENOSPC }
}

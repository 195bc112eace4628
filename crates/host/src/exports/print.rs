//! `modfs/printk.h` and the `printf` family of `modfs/kernel.h`.

use super::variadic::{VaArgs, VaList, variadic};
use super::{HostExport, c_bytes, exports};
use crate::call::{HostSection, with_current};
use crate::format::format;
use std::ffi::{c_char, c_int};

/// The longest message; the rest is cut (Linux: LOG_LINE_MAX).
const MESSAGE_MAX: usize = 1024;

pub(super) fn table() -> impl IntoIterator<Item = HostExport> {
    exports![
        "printk" = printk,
        "vprintk" = vprintk,
        "sprintf" = sprintf,
        "snprintf" = snprintf,
        "scnprintf" = scnprintf,
        "vsnprintf" = vsnprintf,
    ]
}

variadic!(printk, 1, "rsi", vprintk);
variadic!(sprintf, 2, "rdx", vsprintf);
variadic!(snprintf, 3, "rcx", vsnprintf);
variadic!(scnprintf, 3, "rcx", vscnprintf);

/// A message being put together, without allocating.
pub(super) struct Message {
    bytes: [u8; MESSAGE_MAX],
    length: usize,
}

impl Message {
    /// # Safety
    /// `fmt` and `list` are those of a call of a function of the printf family.
    pub(super) unsafe fn of(fmt: *const c_char, list: *mut VaList) -> Message {
        let mut message = Message {
            bytes: [0; MESSAGE_MAX],
            length: 0,
        };
        // SAFETY: the caller's.
        unsafe {
            format(c_bytes(fmt), &mut VaArgs::new(list), &mut |piece| {
                let taken = piece.len().min(MESSAGE_MAX - message.length);
                message.bytes[message.length..message.length + taken]
                    .copy_from_slice(&piece[..taken]);
                message.length += taken;
            });
        }
        message
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

unsafe extern "C" fn vprintk(fmt: *const c_char, list: *mut VaList) -> c_int {
    // SAFETY: the module's promise.
    let message = unsafe { Message::of(fmt, list) };
    let _section = HostSection::enter();
    with_current(|host, _| host.log.printk(message.bytes()));
    message.length as c_int
}

/// Formats into a buffer; returns how long the whole text is.
///
/// # Safety
/// `to` is valid for `size` bytes; `fmt` and `list` as of [`Message::of`].
unsafe fn print(to: *mut c_char, size: usize, fmt: *const c_char, list: *mut VaList) -> usize {
    let mut length = 0;
    // SAFETY: the caller's; no byte at or beyond `size - 1` is written but the NUL.
    unsafe {
        let whole = format(c_bytes(fmt), &mut VaArgs::new(list), &mut |piece| {
            let room = size.saturating_sub(1).saturating_sub(length);
            let taken = piece.len().min(room);
            std::ptr::copy(piece.as_ptr(), to.cast::<u8>().add(length), taken);
            length += taken;
        });
        if size > 0 {
            *to.add(length) = 0;
        }
        whole
    }
}

unsafe extern "C" fn vsnprintf(
    to: *mut c_char,
    size: usize,
    fmt: *const c_char,
    list: *mut VaList,
) -> c_int {
    // SAFETY: the module's promise.
    unsafe { print(to, size, fmt, list) as c_int }
}

unsafe extern "C" fn vscnprintf(
    to: *mut c_char,
    size: usize,
    fmt: *const c_char,
    list: *mut VaList,
) -> c_int {
    // SAFETY: the module's promise.
    unsafe { print(to, size, fmt, list).min(size.saturating_sub(1)) as c_int }
}

unsafe extern "C" fn vsprintf(to: *mut c_char, fmt: *const c_char, list: *mut VaList) -> c_int {
    // SAFETY: the module's promise: the buffer is long enough.
    unsafe { print(to, usize::MAX >> 1, fmt, list) as c_int }
}

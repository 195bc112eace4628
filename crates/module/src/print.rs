//! The log.

use crate::sys;
use core::fmt::{self, Write};

/// The longest message; the rest is cut, as by the host.
const MESSAGE_MAX: usize = 1000;

/// A message being put together, without allocating.
pub(crate) struct Buffer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Buffer<N> {
    pub(crate) const fn new() -> Buffer<N> {
        Buffer {
            bytes: [0; N],
            length: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<const N: usize> Write for Buffer<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let taken = text.len().min(N - self.length);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}

/// Writes a line of a level, 0 (emergency) to 7 (debug), to the log; the macros are handier.
pub fn line(level: u8, text: fmt::Arguments<'_>) {
    let mut buffer = Buffer::<MESSAGE_MAX>::new();
    // The buffer takes everything, or cuts it.
    let _ = buffer.write_fmt(text);
    let bytes = buffer.bytes();
    // SAFETY: the format takes a character, a length and as many bytes.
    unsafe {
        sys::printk(
            c"\x01%c%.*s\n".as_ptr(),
            i32::from(b'0' + level.min(7)),
            bytes.len() as i32,
            bytes.as_ptr(),
        );
    }
}

/// Writes a line of a level to the log: `printk!(6, "{x}")`.
#[macro_export]
macro_rules! printk {
    ($level:expr, $($text:tt)*) => { $crate::print::line($level, ::core::format_args!($($text)*)) };
}

/// Writes an error to the log.
#[macro_export]
macro_rules! err { ($($text:tt)*) => { $crate::printk!(3, $($text)*) }; }

/// Writes a warning to the log.
#[macro_export]
macro_rules! warn { ($($text:tt)*) => { $crate::printk!(4, $($text)*) }; }

/// Writes something notable to the log.
#[macro_export]
macro_rules! notice { ($($text:tt)*) => { $crate::printk!(5, $($text)*) }; }

/// Writes for information to the log.
#[macro_export]
macro_rules! info { ($($text:tt)*) => { $crate::printk!(6, $($text)*) }; }

/// Writes for debugging to the log.
#[macro_export]
macro_rules! debug { ($($text:tt)*) => { $crate::printk!(7, $($text)*) }; }

//! The binary indexes: a trie in a file (kmod's `libkmod-index`).
//!
//! All numbers are big-endian. The file begins with the magic, the version, and the place of the
//! root. The place of a node is its offset in the low 28 bits, and in the high four what it has:
//!
//! | flag | the node has |
//! |------|--------------|
//! | 0x8000_0000 | a prefix: bytes ended by a NUL |
//! | 0x4000_0000 | values: their number, then each one's priority and bytes ended by a NUL |
//! | 0x2000_0000 | children: the first and the last byte of a range, then a place for each byte in it, 0 for none |
//!
//! in the order prefix, children, values. A key is what the prefixes and the bytes between them
//! spell. Keys are 7-bit ASCII.

mod read;
mod write;

pub use read::{Index, ReadError, Value};
pub use write::{IndexError, KEY_MAX, Writer};

pub(crate) const MAGIC: u32 = 0xb007_f457;
pub(crate) const VERSION: u32 = 0x0002_0001;
pub(crate) const PREFIX: u32 = 0x8000_0000;
pub(crate) const VALUES: u32 = 0x4000_0000;
pub(crate) const CHILDREN: u32 = 0x2000_0000;
pub(crate) const OFFSET: u32 = 0x0fff_ffff;

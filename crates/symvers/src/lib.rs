//! Checksums of what objects export: of the declaration behind each symbol, with every type that it reaches.
//!
//! The declarations are those of the object's DWARF, so they can be of any language. [`read`] turns them into
//! [`Symtypes`], a text with a line for each symbol and each type that has a name:
//!
//! ```text
//! s#point struct point { int x @0 ; int y @4 ; } size 8
//! length double ( const s#point * )
//! ```
//!
//! A type is read from left to right: `int [3] *` is a pointer to an array of three. The checksum of a symbol is the
//! CRC-32 of its line, in which each type stands where it is reached first ([`Symtypes::expanded`]). Of two such
//! texts [`difference`] says where they part.
//!
//! What makes no difference to who uses a symbol is not in it: names of parameters, qualifiers of parameters
//! themselves, where the source is; nor is what compilers do not say. The types of the C language are called alike
//! for all compilers; one that is not as usual has its size and encoding behind its name.

#![forbid(unsafe_code)]

mod carried;
mod describe;
mod difference;
mod dwarf;
mod find;
mod interface;
mod naming;
mod symtypes;
mod table;

pub use carried::{Carried, SECTION};
pub use describe::read;
pub use difference::{Difference, difference};
pub use interface::{Exported, InterfaceError, Interfaces};
pub use symtypes::{BadLine, Checksums, Symtypes};
pub use table::{Table, Version};

/// Why the declarations of an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no ELF file, or one that is damaged.
    #[error("not an object that can be read: {0}")]
    Object(#[from] object::Error),
    /// It says nothing of its types.
    #[error("there is no DWARF in it: compile with -g, and do not strip it")]
    NoDwarf,
    /// It says it in a way that is not read.
    #[error("its {0} is compressed: objcopy --decompress-debug-sections undoes that")]
    Compressed(&'static str),
    /// The DWARF is damaged.
    #[error("its DWARF is damaged: {0}")]
    Dwarf(#[from] gimli::Error),
    /// A type has more parts than any program's.
    #[error("its DWARF is damaged: a type of {0} has no end")]
    Endless(String),
    /// Types are in units of their own.
    #[error("its types are in sections of their own: compile without -fdebug-types-section")]
    TypeUnits,
}

#[cfg(test)]
mod tests;

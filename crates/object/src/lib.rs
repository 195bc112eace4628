//! What a module file says: sections, symbols and relocations of a relocatable ELF object, its
//! modinfo, its exports and imports.
//!
//! [`Object::parse`] checks everything that later stages rely on, so that they need not: each
//! section lies within the file, no two overlap, every symbol and relocation names what exists.
//! It never panics and allocates in proportion to the number of sections and symbols that the
//! file really has room for.
//!
//! [`ModuleFile`] is for tools that only read a module, of whatever machine; with the feature
//! `containers`, [`Unpacker`] unpacks compressed ones.
//!
//! `no_std` without that feature; needs `alloc`. Source: the ELF specification (gABI), chapters 4 and 5.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "containers")]
extern crate std;

#[cfg(feature = "containers")]
mod container;
mod elf;
mod error;
pub mod image;
mod info;
mod module_file;
#[cfg(feature = "signatures")]
mod signer;

#[cfg(feature = "containers")]
pub use container::{Container, UnpackError, Unpacker};
pub use elf::{Bind, Object, Place, Relocation, Section, SectionKind, Symbol, SymbolKind};
pub use error::Error;
pub use info::{Export, Modinfo, gpl_compatible};
pub use module_file::{
    ExportTerms, Exported, Imported, ModuleFile, SIGNATURE_MAGIC, Signature, modinfo, signature,
};
pub use object::read::ReadRef;
#[cfg(feature = "signatures")]
pub use signer::{BadSignature, Signer};

/// `e_machine` of x86_64 (psABI).
pub const EM_X86_64: u16 = 62;

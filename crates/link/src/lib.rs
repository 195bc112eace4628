//! An object plus symbol values plus addresses gives an image.
//!
//! Linking has two steps. [`Layout::new`] decides where each section goes: into one of six
//! [`Part`]s of the image, which differ in how they are mapped and how long they live. With a
//! base address for each part and a value for each import, [`link`](link()) then writes the
//! image's bytes into a [`Staging`]. Nothing is ever written outside of it.
//!
//! What differs between machines is one file each behind the trait [`Arch`].
//!
//! `no_std`; needs `alloc`. Assumes an [`Object`](modfs_object::Object) that was checked by its parser.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod arch;
mod error;
mod layout;
mod link;
mod params;

pub use arch::{Apply, Arch, Need, Values, x86_64};
pub use error::Error;
pub use layout::{Extent, Layout, PARTS, Part, Provided};
pub use link::{GOT, Import, Staging, SymbolValue, link};
pub use params::{Param, ParamError, Type, Value};

//! A mounted tree of modules, as programs use it: with nothing but files.
//!
//! Programs that insert and remove by this crate keep out of each other's way: they lock the module's
//! directory (flock(2)) while they do.

#![forbid(unsafe_code)]

mod insert;
mod remove;
mod tree;

pub use insert::{InsertError, Start};
pub use remove::RemoveError;
pub use tree::{Claim, NoTree, Refused, Tree, check_name, module_name};

//! Modules on disk: everything that is decided from files.
//!
//! A *version directory* (`/lib/modules/VERSION`) holds module files and the indexes that depmod
//! makes of them. [`depmod`] reads the files and writes the indexes; [`index`] is their format.
//! The contract is kmod's behaviour: the same files, in the same order, byte for byte where
//! people read them.

#![forbid(unsafe_code)]

pub mod board;
mod cache;
pub mod carry;
pub mod config;
pub mod depmod;
mod deps;
mod facts;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
pub mod glob;
pub mod index;
mod info;
mod kernel;
mod mark;
mod name;
mod order;
pub mod probe;
mod reader;
pub mod search;
mod store;
mod texts;
mod walk;

pub use info::{Export, ModuleInfo, Parameter};
pub use kernel::KernelSymbols;
pub use mark::{is_mixed, warn_if_mixed};
pub use name::{extension, module_name, normalize_alias};
pub use reader::{ReadError, Reader};

/// How bad what is reported is, as kmod's tools call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was not done.
    Error,
    /// Something is odd.
    Warning,
    /// Said only when asked for more.
    Info,
}

/// Takes what there is to report while work goes on.
pub trait Report: Sync {
    /// Takes a message, which ends without a line feed.
    fn report(&self, level: Level, text: &str);

    /// Takes how many modules have been read, of how many. It is called often, by many threads.
    fn progress(&self, done: usize, of: usize) {
        let _ = (done, of);
    }
}

impl<F: Fn(Level, &str) + Sync> Report for F {
    fn report(&self, level: Level, text: &str) {
        self(level, text);
    }
}

//! The module list of modfs, for any kernel: module states, use counts, dependencies and
//! references, the symbol table, and the [`Kernel`] trait that the file tree drives.
//!
//! The list is a plain data structure: it runs no module code, takes no lock and does no I/O.
//! An operation that lets module code run is split into a `begin` and a `finish`, so a kernel
//! holds its own lock around each half and none while the module runs. What must be cheap and
//! lock-free, taking and giving back a use count, is in [`Gate`].
//!
//! `no_std`; needs `alloc`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod errno;
mod gate;
mod kernel;
mod modules;
mod refusal;
mod state;
mod symbols;

pub use errno::Errno;
pub use gate::{Flags, Gate};
pub use kernel::{
    Address, Force, InitArgs, Kernel, MapArgs, Parameter, Piece, Status, SymbolLine, taint,
};
pub use modules::{Export, Id, Module, Modules, NewModule, Owner, Sweep};
pub use refusal::Refusal;
pub use state::{Command, State, TABLE, verdict};
pub use symbols::{Resolved, Unresolved};

/// The name of the kernel's own directory; no module may bear it.
pub const KERNEL: &str = "kernel";

/// The longest module name in bytes: what a directory entry of the tree can hold (`NAME_MAX`).
pub const NAME_MAX: usize = 255;

//! modfs as a model: directories, files, commands, errno.
//!
//! The tree knows kernels only by the trait [`modfs_core::Kernel`] and views only by the traits
//! [`Node`] and [`Handle`]. It runs no module code itself and holds no lock while the kernel
//! maps, or runs an init or an exit.
//!
//! Locks, in the order they are taken: the root's list of directories, then one directory, then
//! whatever the kernel takes inside a query. A kernel never calls back into the tree.

#![forbid(unsafe_code)]

pub mod command;
mod control;
mod insert;
mod kernel_dir;
mod module_dir;
mod module_file;
mod node;
mod outcome;
mod root;
mod run;
mod snapshot;
mod status;
mod symbols;

#[cfg(test)]
#[path = "../tests/support/double.rs"]
mod double;
#[cfg(test)]
mod tests;

pub use command::MAX_WRITE;
pub use module_file::MAX_OBJECT;
pub use node::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode, SetAttr};
pub use root::ModuleTree;
pub use snapshot::Snapshot;
pub use status::is_reserved;

use modfs_core::Kernel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What every node of a tree needs to know of it.
struct Shared {
    kernel: Arc<dyn Kernel>,
    uid: u32,
    gid: u32,
}

impl Shared {
    /// Whether the caller may run commands and see addresses: the mount's owner, and root.
    fn privileged(&self, caller: &Caller) -> bool {
        caller.uid == 0 || caller.uid == self.uid
    }
}

/// Locks. A panic elsewhere must not take the tree down with it: all that is done under a lock
/// leaves the data consistent at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

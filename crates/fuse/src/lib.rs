//! A modfs tree, mounted.
//!
//! Any [`Node`] can be mounted; the kernel checks permission bits and ownership
//! (`default_permissions`). Nothing is cached: entries and attributes have no lifetime, and files
//! are read and written directly.
//!
//! # What keeps it from hanging
//!
//! * Requests of this very process are answered EDEADLK at once: a thread that waits on its
//!   own mount could not even be killed.
//! * Nodes that block ([`Node::blocks`]) are called on threads of their own.
//! * A caller that got a signal is answered EINTR while its call goes on; the kernel would
//!   otherwise keep even a killed process until the answer.
//! * Calls on nodes that say so ([`Node::times_out`]) are answered ETIMEDOUT after
//!   [`Options::init_timeout`].

#![forbid(unsafe_code)]

mod call;
mod files;
mod fs;
mod handles;
mod inodes;
mod known;
mod mounting;
mod releases;
mod stale;
mod task;

pub use mounting::{Mount, Options, mount};
pub use stale::clear_stale;

#[cfg(doc)]
use modfs_tree::Node;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what is kept under the locks here is consistent at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The kernel's module system calls, answered by a tree of modules, for unmodified programs.
//!
//! A [`Supervisor`] runs a program whose calls about modules it is told of (seccomp user notification,
//! seccomp_unotify(2), Linux 5.14 and later): it does in the tree what they ask for and gives the answers. It
//! reads and writes of the program's memory only what the arguments of such a call name. The program needs
//! no privilege; what is done in the tree is done by the supervisor, for a program of root or of its own user.
//!
//! A file is found by its path, also from a directory that is open or that the program is in, but not through a
//! symbolic link elsewhere; and a program cannot chdir(2) to a module that the machine's own kernel does not have.
//! This is not a sandbox. A path that another thread of the program exchanges during the call is looked up by
//! the kernel as it then is.

#![deny(unsafe_code)]

mod calls;
mod listing;
mod memory;
mod modern;
mod old;
mod paths;
#[allow(unsafe_code)]
mod seccomp;
mod stat;
mod supervisor;
mod target;
#[allow(unsafe_code)]
mod vm;

pub use memory::Memory;
pub use old::{OldCalls, Word};
pub use supervisor::Supervisor;

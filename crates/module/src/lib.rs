//! What module authors use: the Rust SDK, and the C headers in `include/`.
//!
//! A Rust module is a `no_std` crate with `alloc` that says what it is with [`module!`]:
//!
//! ```text
//! #![no_std]
//! use modfs_module::prelude::*;
//!
//! module! {
//!     type: Hello,
//!     license: "Dual MIT/GPL",
//!     description: "Says hello",
//!     params: {
//!         /// Whom to greet
//!         whom: str = "world", 0o444;
//!     },
//! }
//!
//! struct Hello;
//!
//! impl Module for Hello {
//!     fn init() -> Result<Hello> {
//!         info!("Hello, {}!", whom.get());
//!         Ok(Hello)
//!     }
//! }
//!
//! impl Drop for Hello {
//!     fn drop(&mut self) {
//!         info!("Goodbye!");
//!     }
//! }
//! ```
//!
//! `modfs build` links it with `core` and `alloc` into a module that uses the host's exports and
//! nothing else; that is what makes unloading it sound: no thread-local of `std`, no
//! destructor registered with a libc, no allocator of its own can outlive it.
//!
//! A panic ends the call it is in: destructors run, the caller gets an error, the host goes on.
//!
//! # Unsafe code
//! This crate is the safe top of the host's C interface: `sys` declares that, and the other
//! modules call it. Each block says why it may.

#![no_std]

extern crate alloc as alloc_crate;

mod alloc;
pub mod blkdev;
pub mod chrdev;
mod error;
mod export;
pub mod filesystem;
mod headers;
mod local;
mod module;
pub mod panicking;
pub mod param;
pub mod print;
pub mod proc;
pub mod sync;
pub mod sys;

pub use alloc::HostAlloc;
pub use error::{Errno, Result};
pub use headers::{HEADERS, KERNEL_SYMTYPES};
pub use local::LocalKey;
pub use module::{InPlace, Module, bytes, request_module};

/// What a module usually needs.
pub mod prelude {
    pub use crate::blkdev::{Blkdev, Disk, SECTOR};
    pub use crate::chrdev::{Chrdev, Device, OpenFile};
    pub use crate::filesystem::{Attr, Change, Entries, FileKind, Filesystem, FsType};
    pub use crate::proc::{ProcFile, Text};
    pub use crate::sync::Lock;
    pub use crate::{Errno, Module, Result};
    pub use crate::{debug, err, export, host_local, info, module, notice, printk, warn};
    pub use alloc_crate::borrow::ToOwned;
    pub use alloc_crate::boxed::Box;
    pub use alloc_crate::string::{String, ToString};
    pub use alloc_crate::sync::Arc;
    pub use alloc_crate::vec::Vec;
    pub use alloc_crate::{format, vec};
}

/// The version of the interface between host and module: of the layouts in the headers.
pub const ABI: &str = "modfs-1";

/// The vermagic string of modules built with these headers for this machine's architecture.
///
/// A host takes a module only if this is its own string too.
pub const VERMAGIC: &str = vermagic();

const fn vermagic() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return "modfs-1 x86_64";
    #[cfg(target_arch = "aarch64")]
    return "modfs-1 aarch64";
    #[cfg(target_arch = "riscv64")]
    return "modfs-1 riscv64";
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )))]
    return "modfs-1 unknown";
}

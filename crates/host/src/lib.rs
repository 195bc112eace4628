//! A program as a kernel.
//!
//! A [`Host`] takes modules into the process it lives in: it links them against its exports,
//! starts them, counts who uses them, stops them and lets them go again. It is the
//! [`Kernel`](modfs_core::Kernel) behind the file tree; a program can as well drive it directly:
//!
//! ```
//! use modfs_host::Host;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // SAFETY: the modules that will be loaded are trusted as the program itself is.
//! let host = unsafe { Host::new()? };
//! assert!(host.load("nonsense", b"not an object".to_vec(), &[]).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # Unsafe code
//! Module code is entered in `call`, calls back in `exports`, shares structures in `cstruct`, and
//! its faults are caught in `fault` and its panics in `unwind`; `kernel`, `chrdev`, `blkdev`, `filesystem`, `procfs` and
//! `locals` call functions that a module gave them. All else is safe Rust. What makes it sound is the contract of [`Host::new`]: a module is trusted as
//! the program's own code is. Every fault it commits is reported, and survived where that is
//! sound, but nothing can keep it from writing where it should not.

#![deny(unsafe_code)]

#[cfg(feature = "autoload")]
mod autoload;
#[allow(unsafe_code)]
mod blkdev;
#[allow(unsafe_code)]
mod call;
#[allow(unsafe_code)]
mod chrdev;
#[allow(unsafe_code)]
mod cstruct;
#[allow(unsafe_code)]
mod debug;
mod device;
#[allow(unsafe_code)]
mod exports;
#[allow(unsafe_code)]
mod fault;
#[allow(unsafe_code)]
mod filesystem;
mod format;
mod functions;
#[doc(hidden)]
pub mod fuzz;
mod helper;
mod host;
mod image;
mod in_flight;
#[allow(unsafe_code)]
mod kernel;
mod linked;
mod listing;
#[allow(unsafe_code)]
mod locals;
mod log;
mod oops;
mod params;
#[allow(unsafe_code)]
mod procfs;
mod reference;
mod stubs;
mod sysfs;
#[allow(unsafe_code)]
mod unwind;
mod versions;

#[cfg(feature = "autoload")]
pub use autoload::Autoload;
pub use exports::HostExport;
pub use host::Host;
pub use log::{Level, Record};
pub use reference::ReferenceKernel;

/// The interface version that modules are compared with when they carry no checksums: what
/// `modfs build` writes as vermagic.
pub const VERMAGIC: &str = modfs_module::VERMAGIC;

/// The compiler that this host is built by. A module in Rust must be built by the same: what
/// rustc makes calls of has no stable interface.
pub const RUSTC: &str = env!("MODFS_RUSTC");

//! What the whole-tool tests share: the real program, run as a user would run it.
//!
//! Nothing here can hang for good. A child process is killed, with its process group, when its
//! time is over; and a host is killed when its test takes too long, so that whatever waits on its
//! mount gets an error.

// Not every test file uses all of it.
#![allow(dead_code, unused_imports)]

mod kernel;
mod modules;
mod needs;
mod process;
mod random;
mod root;

pub(crate) use kernel::{Kernel, NOBODY, Setup};
pub(crate) use modules::{module, program, program32, static_program};
pub(crate) use needs::{need, need_root};
pub(crate) use process::{Ran, Running, eventually, quoted, run, sh};
pub(crate) use random::Random;
pub(crate) use root::{Root, VERSION, fails, ok, pack, three};

use modfs_core::Errno;
use std::io;
use std::time::Duration;

/// Longer than anything in here takes, on a slow machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program that is tested.
pub(crate) const MODFS: &str = env!("CARGO_BIN_EXE_modfs");

/// Copies the program that is tested. Another process does it: a child that is forked meanwhile would have
/// the file open for writing too, and to run it would be ETXTBSY.
pub(crate) fn copy_program(to: &std::path::Path) {
    let mut cp = std::process::Command::new("cp");
    let done = cp.arg(MODFS).arg(to).status().expect("cp");
    assert!(done.success(), "cp {MODFS} {}", to.display());
}

/// The errno of what a system call said.
pub(crate) fn told<T>(result: io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| match error.raw_os_error() {
        Some(number) => Errno::from_raw(number),
        None => panic!("no errno: {error}"),
    })
}

/// A number from the environment, for longer runs.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
        Err(_) => otherwise,
    }
}

//! A program that can be started with nothing open and no `/dev`.
//!
//! The kernel starts its helper with descriptors 0 to 2 closed (Linux, `kernel/umh.c`), perhaps before
//! there is a `/dev`. Rust's runtime then opens `/dev/null` three times, and aborts the process when there
//! is none. Whoever links this crate has something open there before the runtime looks.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, IntoRawFd};

/// Called by libc before `main` (ELF gABI, "Initialization and Termination Functions").
// SAFETY: the section holds pointers to functions of this type, and nothing else.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = open_standard_streams;

/// Gives each of the descriptors 0 to 2 that is closed a directory: to write to it is EBADF, which is no
/// error to Rust's standard streams.
extern "C" fn open_standard_streams() {
    for number in 0..3 {
        // SAFETY: it is only asked whether the descriptor is open.
        let stream = unsafe { BorrowedFd::borrow_raw(number) };
        if rustix::io::fcntl_getfd(stream) != Err(Errno::BADF) {
            continue;
        }
        // The lowest that is free: this one. It stays open, and children have it too.
        if let Ok(opened) = rustix::fs::open("/", OFlags::RDONLY, Mode::empty()) {
            let _ = opened.into_raw_fd();
        }
    }
}

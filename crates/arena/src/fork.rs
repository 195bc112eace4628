//! A private copy for a forked child.
//!
//! fork(2) shares a shared mapping. The child gets memfds of its own, mapped over the shared
//! ones at the same addresses, and the parent holds its lock, so that nothing is freed, until
//! the child has them.

use crate::{Arena, Kind, PAGE, Region, RegionState, memfd, protection, write_all};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, read};
use rustix::mm::{MapFlags, mmap};
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::RefCell;
use std::sync::MutexGuard;
use std::{io, ptr, slice};

/// What fork holds between its handlers, on the thread that forks.
struct Held {
    state: MutexGuard<'static, [RegionState; 4]>,
    /// Reading it ends when the child has closed its copy of the other end: the child is done,
    /// or dead.
    done: Option<(OwnedFd, OwnedFd)>,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Registers the handlers, once in a process.
pub(crate) fn register() -> io::Result<()> {
    // SAFETY: the handlers are functions of this program, which stay.
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

extern "C" fn prepare() {
    let Ok(arena) = Arena::get() else { return };
    let held = Held {
        state: arena.lock(),
        done: pipe_with(PipeFlags::CLOEXEC).ok(),
    };
    HELD.set(Some(held));
}

extern "C" fn parent() {
    let Some(held) = HELD.take() else { return };
    if let Some((reader, writer)) = held.done {
        drop(writer);
        let mut byte = [0u8; 1];
        while read(&reader, &mut byte) == Err(Errno::INTR) {}
    }
    drop(held.state);
}

extern "C" fn child() {
    let Some(held) = HELD.take() else { return };
    if let Ok(arena) = Arena::get() {
        for kind in [Kind::Code, Kind::Rodata] {
            let resident = held.state[kind as usize].resident;
            if arena.regions[kind as usize].privatise(resident).is_err() {
                // Running on with the parent's code changing under it would be worse. Not
                // abort(3): its handlers are the parent's.
                // SAFETY: _exit(2) has no preconditions.
                unsafe { libc::_exit(127) }
            }
        }
    }
    drop(held.done);
    drop(held.state);
}

impl Region {
    /// Replaces the memfd by a copy.
    fn privatise(&self, resident: u64) -> io::Result<()> {
        let Some(shared) = &self.file else {
            return Ok(());
        };
        let own = memfd(c"modfs-fork")?;
        let length = rustix::fs::fstat(shared)?.st_size as u64;
        let length = length.min(resident.next_multiple_of(PAGE));
        // SAFETY: the region is mapped readable and, up to the length of its file, backed;
        // nobody changes what is mapped or frees it: the only other process that could is the
        // parent, which holds its lock.
        let bytes = unsafe {
            slice::from_raw_parts(
                ptr::with_exposed_provenance::<u8>(self.base as usize),
                length as usize,
            )
        };
        write_all(&own, bytes, 0)?;
        let at = ptr::with_exposed_provenance_mut(self.base as usize);
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: this replaces the region's own mapping by one of the same size, protection
        // and content.
        unsafe {
            mmap(
                at,
                self.size as usize,
                protection(self.kind),
                flags,
                &own,
                0,
            )?
        };
        // SAFETY: dup2(2) puts the copy under the number that `self.file` owns; the old file
        // is closed in this process only.
        if unsafe { libc::dup3(own.as_raw_fd(), shared.as_raw_fd(), libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

//! Letting debuggers and profilers see modules.
//!
//! gdb is told by its JIT interface (gdb manual, "JIT Compilation Interface"): it stops at a
//! function of ours, follows a descriptor to the object files of what was loaded, and takes symbols
//! and lines from them. An object file says where its sections are, so it is a copy of the
//! module's with the addresses filled in. perf reads `/tmp/perf-PID.map`.

use crate::image::{self, Image, Linked};
use crate::log::Level;
use modfs_link::Layout;
use modfs_object::Object;
use std::fs::File;
use std::io::{self, Write};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// `struct jit_code_entry`.
#[repr(C)]
#[derive(Debug)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    object: *const u8,
    size: u64,
}

/// `struct jit_descriptor`.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// gdb finds it by name. Guarded by `LOCK`.
#[unsafe(export_name = "__jit_debug_descriptor")]
static mut DESCRIPTOR: Descriptor = Descriptor {
    version: 1,
    action: 0,
    relevant: ptr::null_mut(),
    first: ptr::null_mut(),
};
static LOCK: Mutex<()> = Mutex::new(());

/// gdb stops here, and reads the descriptor.
#[unsafe(export_name = "__jit_debug_register_code")]
#[inline(never)]
extern "C" fn stop_here() {
    // SAFETY: nothing is done; so that the call is not optimised away.
    unsafe { std::arch::asm!("", options(nostack, preserves_flags)) }
}

/// An object that gdb knows of, until this is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    entry: *mut Entry,
    /// What the entry points at.
    _object: Vec<u8>,
}

// SAFETY: the entry is touched under `LOCK` only.
unsafe impl Send for Shown {}
// SAFETY: as above.
unsafe impl Sync for Shown {}

impl Shown {
    fn new(object: Vec<u8>) -> Shown {
        let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Box::new(Entry {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            object: object.as_ptr(),
            size: object.len() as u64,
        });
        let entry = Box::into_raw(entry);
        // SAFETY: the list's entries are alive, and touched under the lock only.
        unsafe {
            (*entry).next = DESCRIPTOR.first;
            if let Some(first) = DESCRIPTOR.first.as_mut() {
                first.previous = entry;
            }
            DESCRIPTOR.first = entry;
            DESCRIPTOR.relevant = entry;
            DESCRIPTOR.action = REGISTER;
        }
        stop_here();
        Shown {
            entry,
            _object: object,
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in `new`; the entry is freed once it is in no list.
        unsafe {
            let entry = &*self.entry;
            match entry.previous.as_mut() {
                Some(previous) => previous.next = entry.next,
                None => DESCRIPTOR.first = entry.next,
            }
            if let Some(next) = entry.next.as_mut() {
                next.previous = entry.previous;
            }
            DESCRIPTOR.relevant = self.entry;
            DESCRIPTOR.action = UNREGISTER;
        }
        stop_here();
        // SAFETY: made by `Box::into_raw`, and freed here only.
        unsafe {
            DESCRIPTOR.relevant = ptr::null_mut();
            drop(Box::from_raw(self.entry));
        }
    }
}

/// Who is told of modules.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    gdb: AtomicBool,
    perf: Mutex<Option<File>>,
}

impl Watchers {
    pub(crate) fn set_gdb(&self, on: bool) {
        self.gdb.store(on, Ordering::Relaxed);
    }

    /// Begins the map for perf, for which nothing is said of what was mapped before.
    pub(crate) fn start_perf(&self) -> io::Result<()> {
        let map = File::options()
            .create(true)
            .append(true)
            .open(format!("/tmp/perf-{}.map", std::process::id()))?;
        *self.perf.lock().unwrap_or_else(PoisonError::into_inner) = Some(map);
        Ok(())
    }

    /// Tells of a module that has been linked.
    pub(crate) fn show(
        &self,
        name: &str,
        object: &[u8],
        linked: &Linked,
        log: &crate::log::Log,
    ) -> Option<Shown> {
        let mut perf = self.perf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = &mut *perf {
            let lines: String = linked
                .image
                .functions
                .list()
                .into_iter()
                .map(|(at, size, symbol)| format!("{at:x} {size:x} {symbol} [{name}]\n"))
                .collect();
            if let Err(error) = map.write_all(lines.as_bytes()) {
                log.write(Level::Warning, &format!("perf map: {error}"));
                *perf = None;
            }
        }
        drop(perf);
        let shown = self
            .gdb
            .load(Ordering::Relaxed)
            .then(|| placed(object, &linked.image));
        shown.flatten().map(Shown::new)
    }
}

/// A copy of an object with the address of each section in its header (`sh_addr`).
fn placed(bytes: &[u8], image: &Image) -> Option<Vec<u8>> {
    const SHOFF: usize = 0x28;
    const SHENTSIZE: usize = 0x3a;
    const ADDRESS: usize = 0x10;
    let object = Object::parse(bytes, modfs_object::EM_X86_64).ok()?;
    let layout = Layout::new(&object, &image::PROVIDED).ok()?;
    let table = u64::from_le_bytes(bytes.get(SHOFF..SHOFF + 8)?.try_into().ok()?) as usize;
    let step = u16::from_le_bytes(bytes.get(SHENTSIZE..SHENTSIZE + 2)?.try_into().ok()?);
    let mut copy = bytes.to_vec();
    for index in 0..object.sections().len() {
        if let Some((part, offset)) = layout.section(index) {
            let address = image.bases[part as usize] + offset;
            let at = table.checked_add(index * usize::from(step) + ADDRESS)?;
            copy.get_mut(at..at + 8)?
                .copy_from_slice(&address.to_le_bytes());
        }
    }
    Some(copy)
}

//! What a process holds of memory, counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicI64, Ordering};

/// The system's allocator, which counts what each thread has taken and not given back. A test
/// program that wants to know makes it its global allocator.
pub(crate) struct Counting;

thread_local! {
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Bytes this thread has allocated and not freed.
pub(crate) fn allocated() -> i64 {
    BYTES.get()
}

static ALL: AtomicI64 = AtomicI64::new(0);

/// Bytes that all threads have allocated and not freed.
pub(crate) fn allocated_by_all() -> i64 {
    ALL.load(Ordering::Relaxed)
}

/// How often to load and unload: `MODFS_CYCLES`, or what an unoptimized build has time for.
pub(crate) fn cycles() -> u32 {
    let asked = std::env::var("MODFS_CYCLES").ok();
    let usual = if cfg!(debug_assertions) {
        10_000
    } else {
        100_000
    };
    asked.map_or(usual, |n| n.parse().expect("MODFS_CYCLES is a number"))
}

/// Bytes in use of malloc(3), by which modules allocate.
pub(crate) fn malloced() -> usize {
    // SAFETY: it only counts.
    unsafe { libc::mallinfo2() }.uordblks
}

fn count(bytes: i64) {
    ALL.fetch_add(bytes, Ordering::Relaxed);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What this process holds besides the bytes that [`allocated`] counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Lines of `/proc/self/maps`.
    pub(crate) mappings: usize,
    /// 512-byte blocks of the arena's memfds.
    pub(crate) memfd_blocks: u64,
    /// Bytes taken of the arena.
    pub(crate) arena: [u64; 4],
    /// Open files.
    pub(crate) files: usize,
}

pub(crate) fn held() -> Held {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc/self/maps");
    let mut files = 0;
    let mut memfd_blocks = 0;
    for entry in fs::read_dir("/proc/self/fd").expect("/proc/self/fd") {
        let path = entry.expect("/proc/self/fd").path();
        files += 1;
        // The directory itself is closed again by the time it is looked at.
        let Ok(target) = fs::read_link(&path) else {
            continue;
        };
        if target.to_string_lossy().starts_with("/memfd:modfs") {
            memfd_blocks += fs::metadata(&path).expect("a memfd").blocks();
        }
    }
    Held {
        mappings: maps.lines().count(),
        memfd_blocks,
        arena: super::arena_used(),
        files,
    }
}

/// Resident memory of this process in KiB, exactly; without pages of files, which come in groups of
/// 16 whenever code runs for the first time.
pub(crate) fn resident_kib() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("/proc/self/smaps_rollup");
    let field = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("{name} in /proc/self/smaps_rollup"))
    };
    field("Pss_Anon:") + field("Pss_Shmem:")
}

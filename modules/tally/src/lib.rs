//! tally: counts, in Rust. It uses a function of the C module lib, exports one to others,
//! and shows the count in a virtual file and by a device.
#![no_std]

use core::cell::Cell;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicI32, Ordering};
use modfs_module::prelude::*;

module! {
    type: Tally,
    license: "Dual MIT/GPL",
    description: "Counts, in Rust",
    params: {
        /// Where to begin
        start: i32 = 0, 0o444;
    },
}

unsafe extern "C" {
    fn lib_add(a: i32, b: i32) -> i32;
}

static COUNT: AtomicI32 = AtomicI32::new(0);

host_local! {
    /// How often this thread has counted.
    static HERE: Cell<u32> = Cell::new(0);
}

export! {
    /// Adds to the count, and returns it.
    pub fn tally_add(n: i32) -> i32 {
        HERE.with(|here| here.set(here.get() + 1));
        // SAFETY: a pure function of the module lib.
        COUNT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| unsafe {
            Some(lib_add(count, n))
        })
        .map_or(0, |before| before.wrapping_add(n))
    }
}

/// The device takes numbers, one in a write.
struct Numbers;

impl Device for Numbers {
    type Open = ();

    fn open(&self, _: OpenFile) -> Result {
        Ok(())
    }

    fn write(&self, _: &(), _at: u64, from: &[u8]) -> Result<usize> {
        let text = core::str::from_utf8(from).map_err(|_| Errno::EINVAL)?;
        // A wrong number is the writer's mistake; this shows what becomes of a panic.
        let n: i32 = text.trim().parse().expect("a number");
        tally_add(n);
        Ok(from.len())
    }
}

/// Dropping it takes everything back.
struct Tally {
    _device: Chrdev<Numbers>,
    _file: ProcFile,
}

impl Module for Tally {
    fn init() -> Result<Tally> {
        COUNT.store(start.get(), Ordering::Relaxed);
        Ok(Tally {
            _device: Chrdev::register(0, "tally", Numbers)?,
            _file: ProcFile::new("tally", |text| {
                let _ = writeln!(text, "count: {}", COUNT.load(Ordering::Relaxed));
                Ok(())
            })?,
        })
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        info!("tally: {} at the end", COUNT.load(Ordering::Relaxed));
    }
}

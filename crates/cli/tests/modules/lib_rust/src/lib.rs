//! `modules/lib` in Rust.
#![no_std]

use core::ffi::c_char;
use core::sync::atomic::{AtomicU32, Ordering};
use modfs_module::prelude::*;

module! {
    type: Lib,
    license: "Dual MIT/GPL",
    description: "Functions for other modules",
}

static CALLS: AtomicU32 = AtomicU32::new(0);

export! {
    /// Adds.
    pub fn lib_add(a: i32, b: i32) -> i32 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        a.wrapping_add(b)
    }

    /// Only for modules whose licence is compatible with the GPL.
    gpl pub fn lib_greeting() -> *const c_char {
        CALLS.fetch_add(1, Ordering::Relaxed);
        c"greetings from lib".as_ptr()
    }
}

struct Lib;

impl Module for Lib {
    fn init() -> Result<Lib> {
        info!("lib: ready");
        Ok(Lib)
    }
}

impl Drop for Lib {
    fn drop(&mut self) {
        info!("lib: {} calls", CALLS.load(Ordering::Relaxed));
    }
}

use crate::sys;
use core::alloc::{GlobalAlloc, Layout};

/// The host's allocator. [`module!`](crate::module!) makes it the module's.
#[derive(Clone, Copy, Debug)]
pub struct HostAlloc;

// SAFETY: the host's functions give memory of the size and alignment asked for, or NULL, and
// take back what they gave.
unsafe impl GlobalAlloc for HostAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: allocates.
        unsafe { sys::modfs_alloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: allocates.
        unsafe { sys::modfs_alloc_zeroed(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, old: *mut u8, _layout: Layout) {
        // SAFETY: the caller's: `old` came from here.
        unsafe { sys::modfs_free(old) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's: `old` came from here, with this layout.
        unsafe { sys::modfs_realloc(old, layout.size(), layout.align(), size) }
    }
}

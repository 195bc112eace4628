//! Thread-local variables, which the host keeps.

use crate::sys;
use alloc_crate::boxed::Box;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;

/// A variable of which each thread has its own; [`host_local!`](crate::host_local!) makes one.
///
/// A thread's value is dropped when the thread ends, or when the module exits, whichever is
/// first; in that case on the thread that exits the module, so it must be `Send`.
pub struct LocalKey<T: 'static> {
    make: unsafe extern "C-unwind" fn() -> *mut c_void,
    /// So that two keys never share an address.
    _own: u8,
    kind: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> LocalKey<T> {
    /// For [`host_local!`](crate::host_local!).
    ///
    /// # Safety
    /// `make` returns what [`LocalKey::boxed`] does for a `T`.
    #[doc(hidden)]
    pub const unsafe fn new(make: unsafe extern "C-unwind" fn() -> *mut c_void) -> LocalKey<T> {
        LocalKey {
            make,
            _own: 0,
            kind: PhantomData,
        }
    }

    /// For [`host_local!`](crate::host_local!).
    #[doc(hidden)]
    pub fn boxed(value: T) -> *mut c_void {
        Box::into_raw(Box::new(value)).cast()
    }

    /// Calls `f` with this thread's value, which is made at the first call.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let key = core::ptr::from_ref(self).cast();
        // SAFETY: the host gives what `make` made on this thread, which lives on until this
        // call into the module has ended at least; no other thread has a reference to it.
        unsafe {
            let module = sys::__this_module.id;
            f(&*sys::modfs_local(module, key, self.make, free::<T>).cast::<T>())
        }
    }
}

unsafe extern "C-unwind" fn free<T>(value: *mut c_void) {
    // SAFETY: the host's promise: what `make` made, for the last time.
    drop(unsafe { Box::from_raw(value.cast::<T>()) });
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey")
    }
}

/// Declares variables of which each thread has its own, kept by the host:
///
/// ```text
/// host_local! {
///     static CALLS: Cell<u32> = Cell::new(0);
/// }
/// CALLS.with(|calls| calls.set(calls.get() + 1));
/// ```
#[macro_export]
macro_rules! host_local {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)*) => { $(
        $(#[$attr])*
        $vis static $name: $crate::LocalKey<$type> = {
            unsafe extern "C-unwind" fn make() -> *mut ::core::ffi::c_void {
                $crate::LocalKey::<$type>::boxed($init)
            }
            // SAFETY: `make` does.
            unsafe { $crate::LocalKey::new(make) }
        };
    )* };
}

//! A lock for what several threads of the host use.

use crate::sys;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// How often to look before letting others run.
const SPINS: u32 = 200;

/// A value that one thread at a time uses, for short: who waits looks again and again. A panic of
/// who has it leaves it unlocked, and the value as it is then.
#[derive(Default)]
pub struct Lock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time gets at the value.
unsafe impl<T: Send> Send for Lock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Has the value until it is dropped. It is to be shared between threads where `&mut T` is, not where
/// the lock is:
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<modfs_module::sync::Locked<'static, core::cell::Cell<u32>>>();
/// ```
#[derive(Debug)]
pub struct Locked<'a, T>(&'a Lock<T>, PhantomData<&'a mut T>);

impl<T> Lock<T> {
    /// A lock that nobody has.
    pub const fn new(value: T) -> Lock<T> {
        Lock {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes it, when who has it gives it back. Taking it twice is waiting for ever.
    pub fn lock(&self) -> Locked<'_, T> {
        let mut spins = 0;
        while self.locked.swap(true, Ordering::Acquire) {
            spins += 1;
            match spins % SPINS {
                // SAFETY: a number.
                0 => unsafe { sys::msleep(1) },
                _ => core::hint::spin_loop(),
            }
        }
        Locked(self, PhantomData)
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is locked.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it is locked.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}

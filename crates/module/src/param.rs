//! Parameters.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicPtr, Ordering};

/// A type that a parameter may have.
pub trait ParamType {
    /// The variable that the host writes.
    type Storage;
    /// What the module gets.
    type Value;
    /// The host's name of the type, ended by a NUL.
    const NAME: &'static CStr;

    /// Reads the variable.
    fn load(storage: &UnsafeCell<Self::Storage>) -> Self::Value;
}

macro_rules! numbers {
    ($($number:ty = $name:literal, $atomic:ty;)*) => { $(
        impl ParamType for $number {
            type Storage = $number;
            type Value = $number;
            const NAME: &'static CStr = $name;

            fn load(storage: &UnsafeCell<$number>) -> $number {
                // SAFETY: the variable is as an atomic of its size; the host writes it whole.
                unsafe { <$atomic>::from_ptr(storage.get().cast()) }.load(Ordering::Relaxed) as $number
            }
        }
    )* };
}

use core::sync::atomic::{
    AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
};

numbers! {
    u8 = c"byte", AtomicU8;
    i16 = c"short", AtomicI16;
    u16 = c"ushort", AtomicU16;
    i32 = c"int", AtomicI32;
    u32 = c"uint", AtomicU32;
    i64 = c"long", AtomicI64;
    u64 = c"ulong", AtomicU64;
}

impl ParamType for bool {
    type Storage = bool;
    type Value = bool;
    const NAME: &'static CStr = c"bool";

    fn load(storage: &UnsafeCell<bool>) -> bool {
        // SAFETY: a byte, which the host writes as 0 or 1.
        unsafe { AtomicU8::from_ptr(storage.get().cast()) }.load(Ordering::Relaxed) != 0
    }
}

impl ParamType for str {
    type Storage = *const c_char;
    type Value = &'static str;
    const NAME: &'static CStr = c"charp";

    fn load(storage: &UnsafeCell<*const c_char>) -> &'static str {
        // SAFETY: a pointer, which the host writes whole, to a string.
        let text = unsafe { AtomicPtr::from_ptr(storage.get().cast::<*mut c_char>()) };
        let text = text.load(Ordering::Relaxed);
        // SAFETY: the module's own literal, or a string that the host keeps for as long as the
        // module is mapped: `module!` lets string parameters be set at init only.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
    }
}

/// A parameter: the host sets it before init, and later where its mode says so.
#[repr(transparent)]
pub struct Param<T: ParamType + ?Sized>(UnsafeCell<T::Storage>);

// SAFETY: it is read by atomic operations only, and written by the host.
unsafe impl<T: ParamType + ?Sized> Sync for Param<T> {}

impl<T: ParamType + ?Sized> Param<T> {
    /// For [`module!`](crate::module!).
    #[doc(hidden)]
    pub const fn new(value: T::Storage) -> Param<T> {
        Param(UnsafeCell::new(value))
    }

    /// The value as it is now.
    pub fn get(&self) -> T::Value {
        T::load(&self.0)
    }
}

impl<T: ParamType + ?Sized> core::fmt::Debug for Param<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Param")
    }
}

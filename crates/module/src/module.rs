//! What a module is.

use crate::{Errno, Result, sys};
use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::mem::MaybeUninit;

/// A module: a value that init makes and that is dropped when the module is stopped.
pub trait Module: Sized + Send + Sync {
    /// Starts the module.
    ///
    /// # Errors
    /// Whatever keeps it from starting: init fails with it, and what was made is dropped.
    fn init() -> Result<Self>;
}

/// The place of the module's value. For [`module!`](crate::module!).
#[doc(hidden)]
#[derive(Debug)]
pub struct InPlace<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the host calls init once, and cleanup once after it; nothing else touches the value.
unsafe impl<T: Send> Sync for InPlace<T> {}

impl<T: Module> Default for InPlace<T> {
    fn default() -> InPlace<T> {
        InPlace::new()
    }
}

impl<T: Module> InPlace<T> {
    /// Nothing yet.
    pub const fn new() -> InPlace<T> {
        InPlace(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Makes the value; what `init_module` returns.
    ///
    /// # Safety
    /// It is called once.
    pub unsafe fn init(&self) -> c_int {
        match T::init() {
            Ok(value) => {
                // SAFETY: nobody else touches it, see `Sync`.
                unsafe { (*self.0.get()).write(value) };
                0
            }
            Err(errno) => -errno.raw(),
        }
    }

    /// Drops the value.
    ///
    /// # Safety
    /// It is called once, after [`InPlace::init`] returned 0.
    pub unsafe fn cleanup(&self) {
        // SAFETY: the caller's.
        unsafe { (*self.0.get()).assume_init_drop() }
    }
}

/// Asks the host for a module by name, and returns when that has been dealt with. As in Linux 2.4
/// it is no error when it was refused: look again whether what was wanted is there.
///
/// # Errors
/// ENOENT: the host has nobody to ask. ENOMEM: too many requests at once.
pub fn request_module(name: &str) -> Result {
    let length = i32::try_from(name.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the format takes a length and as many bytes.
    Errno::check(unsafe { sys::request_module(c"%.*s".as_ptr(), length, name.as_ptr()) }).map(drop)
}

/// The bytes of a string, for a section. For [`module!`](crate::module!).
#[doc(hidden)]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}

/// Says what the module is: its type, which is a [`Module`], its licence, and what else there is
/// to say of it. In this order; only `type` and `license` must be there.
///
/// ```text
/// module! {
///     type: Hello,
///     license: "Dual MIT/GPL",
///     description: "Says hello",
///     author: "A. Uthor",
///     version: "1.0",
///     alias: ["char-major-42-*"],
///     params: {
///         /// Whom to greet
///         whom: str = "world", 0o444;
///         /// How often
///         times: i32 = 1, 0o644;
///     },
/// }
/// ```
///
/// Each parameter is a static of its name with a method `get`, so that no local variable can
/// have that name. The number after its default is the mode of its file; a parameter that is a
/// `str` is set at init only.
#[macro_export]
macro_rules! module {
    (
        type: $type:ty,
        license: $license:literal
        $(, description: $description:literal)?
        $(, author: $author:literal)?
        $(, version: $version:literal)?
        $(, alias: [$($alias:literal),* $(,)?])?
        $(, params: { $(
            #[doc = $doc:literal]
            $param:ident: $kind:tt = $default:literal, $mode:literal;
        )* })?
        $(,)?
    ) => {
        $crate::__modinfo!("license=", $license);
        $($crate::__modinfo!("description=", $description);)?
        $($crate::__modinfo!("author=", $author);)?
        $($crate::__modinfo!("version=", $version);)?
        $($($crate::__modinfo!("alias=", $alias);)*)?
        $($($crate::__param!($doc, $param, $kind, $default, $mode);)*)?

        const _: () = {
            static MODULE: $crate::InPlace<$type> = $crate::InPlace::new();

            #[unsafe(no_mangle)]
            extern "C-unwind" fn init_module() -> ::core::ffi::c_int {
                // SAFETY: the host calls it once.
                unsafe { MODULE.init() }
            }

            #[unsafe(no_mangle)]
            extern "C-unwind" fn cleanup_module() {
                // SAFETY: the host calls it once, after init returned 0.
                unsafe { MODULE.cleanup() }
            }

            #[global_allocator]
            static ALLOCATOR: $crate::HostAlloc = $crate::HostAlloc;

            #[panic_handler]
            fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
                $crate::panicking::panic(info)
            }
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __modinfo {
    ($($text:expr),*) => {
        const _: () = {
            const TEXT: &str = ::core::concat!($($text,)* "\0");
            #[unsafe(link_section = ".modinfo")]
            #[used]
            static INFO: [u8; TEXT.len()] = $crate::bytes(TEXT);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __param {
    ($doc:literal, $name:ident, str, $default:literal, $mode:literal) => {
        $crate::__param!(
            @ $doc, $name, str, ::core::concat!($default, "\0").as_ptr().cast(), $mode & 0o444
        );
    };
    ($doc:literal, $name:ident, $kind:tt, $default:literal, $mode:literal) => {
        $crate::__param!(@ $doc, $name, $kind, $default, $mode);
    };
    (@ $doc:literal, $name:ident, $kind:ty, $default:expr, $mode:expr) => {
        #[doc = $doc]
        #[allow(non_upper_case_globals)]
        static $name: $crate::param::Param<$kind> = $crate::param::Param::new($default);

        $crate::__modinfo!("parm=", stringify!($name), ":", $doc);
        const _: () = {
            #[unsafe(link_section = "__param")]
            #[used]
            static PARAM: $crate::sys::Param = $crate::sys::Param {
                name: ::core::concat!(stringify!($name), "\0").as_ptr().cast(),
                kind: <$kind as $crate::param::ParamType>::NAME.as_ptr(),
                value: (&raw const $name).cast_mut().cast(),
                count: ::core::ptr::null_mut(),
                max: 1,
                mode: $mode,
                flags: 0,
                reserved: 0,
            };
        };
    };
}

//! Panics of Rust modules: ending the call they are in.
//!
//! The stack is unwound by the C unwinder's forced unwinding, frame by frame: destructors of
//! the module run, and at [`crate::call`]'s own frame the call ends as if it had returned. The
//! module's table of frames is made known to the unwinder only while this goes on.
//!
//! Where that cannot go on, because a frame of C is in between, or a destructor panics in turn,
//! the rest of the frames is skipped as after a fault, and the module counts as faulted.
//!
//! Source: Itanium C++ ABI, "Exception Handling", section 1.3.2 "Forced Unwinding".

use crate::call::{Frame, current_frame, leave};
use crate::host::Shared;
use crate::image::Image;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, PoisonError};

/// A panic of module code.
#[derive(Clone, Debug)]
pub(crate) struct Panic {
    /// The text and the place: `src/lib.rs:5:9: the text`.
    pub(crate) text: String,
    /// Return addresses, innermost first.
    pub(crate) trace: Vec<u64>,
    /// All destructors ran: the module is as sound as a Rust program after a panic.
    pub(crate) clean: bool,
}

/// How many return addresses are kept.
const TRACE: usize = 32;

/// `struct _Unwind_Exception` of x86_64.
#[repr(C, align(16))]
pub(crate) struct Exception {
    class: u64,
    cleanup: *const c_void,
    private: [u64; 2],
}

impl Exception {
    pub(crate) const NONE: Exception = Exception {
        class: u64::from_be_bytes(*b"MODFSPAN"),
        cleanup: std::ptr::null(),
        private: [0; 2],
    };
}

/// The modules' tables of frames that the unwinder knows; dropping it takes them back.
#[derive(Default)]
pub(crate) struct Frames(Vec<Arc<Image>>);

/// How many threads need each table. Threads may panic at once, and a table may be made known
/// only once: libgcc from version 13 on aborts when such a one is taken back.
static KNOWN: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

impl Frames {
    fn of(host: &Shared) -> Frames {
        let images: Vec<Arc<Image>> = {
            let modules = host.modules();
            let loaded = modules.iter().filter_map(|(_, module)| module.payload());
            let images = loaded.filter_map(|loaded| loaded.image.clone());
            images.filter(|image| image.frames != 0).collect()
        };
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        for image in &images {
            let users = known.entry(image.frames).or_insert(0);
            *users += 1;
            if *users == 1 {
                // SAFETY: a table in the image, which is kept; `Layout` ended it by a zero.
                unsafe { __register_frame(image.frames as *const c_void) };
            }
        }
        drop(known);
        Frames(images)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        for image in &self.0 {
            let Entry::Occupied(mut users) = known.entry(image.frames) else {
                continue;
            };
            *users.get_mut() -= 1;
            if *users.get() == 0 {
                users.remove();
                // SAFETY: what was registered; no thread needs it any more.
                unsafe { __deregister_frame(image.frames as *const c_void) };
            }
        }
    }
}

type Context = c_void;
const NO_REASON: c_int = 0;
const NORMAL_STOP: c_int = 4;
const END_OF_STACK: c_int = 16;

unsafe extern "C-unwind" {
    fn _Unwind_ForcedUnwind(
        exception: *mut Exception,
        stop: unsafe extern "C" fn(
            c_int,
            c_int,
            u64,
            *mut Exception,
            *mut Context,
            *mut c_void,
        ) -> c_int,
        data: *mut c_void,
    ) -> c_int;
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        look: unsafe extern "C" fn(*mut Context, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut Context) -> u64;
    fn __register_frame(table: *const c_void);
    fn __deregister_frame(table: *const c_void);
    fn _Unwind_Resume();
    fn rust_eh_personality();
}

/// What module code unwinds with.
pub(crate) fn functions() -> [(&'static str, *const ()); 2] {
    [
        ("_Unwind_Resume", _Unwind_Resume as *const ()),
        ("rust_eh_personality", rust_eh_personality as *const ()),
    ]
}

/// Ends the call that this thread is in. Returns only when there is none.
///
/// # Safety
/// Only module code is between here and that call.
pub(crate) unsafe fn panic(host: &Shared, text: String) {
    let frame = current_frame();
    if frame.is_null() {
        return;
    }
    // SAFETY: a frame is current only while its call is on this thread's stack; its cells are
    // this thread's alone.
    unsafe {
        if let Some(first) = &mut *(*frame).panic.get() {
            first.text = format!("{}; and while unwinding: {text}", first.text);
            first.clean = false;
            leave((*frame).recovery.get());
        }
        *(*frame).frames.get() = Frames::of(host);
        let mut trace = Trace {
            resume: (*(*frame).recovery.get()).resume,
            addresses: Vec::new(),
        };
        _Unwind_Backtrace(look, (&raw mut trace).cast());
        *(*frame).panic.get() = Some(Panic {
            text,
            trace: trace.addresses,
            clean: true,
        });
        // Everything this function owns is given away by now: its frame is unwound too.
        _Unwind_ForcedUnwind((*frame).exception.get(), stop, frame.cast_mut().cast());
        dirty(frame);
    }
}

/// Ends the call without running the destructors that are left.
///
/// # Safety
/// As [`panic`].
unsafe fn dirty(frame: *const Frame) -> ! {
    // SAFETY: the caller's.
    unsafe {
        if let Some(panic) = &mut *(*frame).panic.get() {
            panic.clean = false;
        }
        leave((*frame).recovery.get())
    }
}

/// Called for each frame before it is unwound.
unsafe extern "C" fn stop(
    _version: c_int,
    actions: c_int,
    _class: u64,
    _exception: *mut Exception,
    context: *mut Context,
    frame: *mut c_void,
) -> c_int {
    let frame = frame.cast::<Frame>().cast_const();
    // SAFETY: the unwinder's context, and the frame that `panic` passed.
    unsafe {
        if _Unwind_GetIP(context) == (*(*frame).recovery.get()).resume {
            leave((*frame).recovery.get());
        }
        if actions & END_OF_STACK != 0 {
            dirty(frame);
        }
    }
    NO_REASON
}

struct Trace {
    resume: u64,
    addresses: Vec<u64>,
}

unsafe extern "C" fn look(context: *mut Context, data: *mut c_void) -> c_int {
    // SAFETY: the unwinder's context, and the trace that `panic` passed.
    let (address, trace) = unsafe { (_Unwind_GetIP(context), &mut *data.cast::<Trace>()) };
    if address == trace.resume || trace.addresses.len() >= TRACE {
        return NORMAL_STOP;
    }
    trace.addresses.push(address);
    NO_REASON
}

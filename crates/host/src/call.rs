//! Calling module code so that a fault in it can be survived.
//!
//! A call goes through [`enter`], which notes where to come back to. Should the module fault,
//! the signal handler (see [`crate::fault`]) goes back there as if the call had returned. The
//! frames it skips are the module's own, and those of exports that hold nothing: an export that
//! takes a lock or allocates is in a [`HostSection`], and a fault in one is not survived.

use crate::fault::{self, Fault};
use crate::host::Shared;
use crate::unwind::{Exception, Frames, Panic};
use modfs_core::{Gate, Id};
use std::arch::{asm, naked_asm};
use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

/// A module as calls see it: what outlives its place in the module list.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) id: Id,
    pub(crate) name: Arc<str>,
    pub(crate) gate: Arc<Gate>,
    /// Its code is not to be called any more: it faulted, or its init failed.
    pub(crate) dead: AtomicBool,
}

impl Owner {
    /// Takes a use that is given back when it is dropped; `None` once the module is going away.
    pub(crate) fn pin(self: &Arc<Owner>) -> Option<Pin> {
        self.gate.try_get().then(|| Pin(self.clone()))
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

/// A use of a module.
#[derive(Debug)]
pub(crate) struct Pin(Arc<Owner>);

impl Pin {
    pub(crate) fn owner(&self) -> &Arc<Owner> {
        &self.0
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.gate.put();
    }
}

/// A call into a module that is under way on this thread.
pub(crate) struct Frame {
    /// Where a fault goes back to; `enter` writes it.
    pub(crate) recovery: UnsafeCell<Recovery>,
    /// How many host sections it is in.
    pub(crate) sections: Cell<u32>,
    /// What went wrong; the signal handler writes it.
    pub(crate) fault: UnsafeCell<Fault>,
    pub(crate) faulted: Cell<bool>,
    /// A panic that ends it, and what that needs.
    pub(crate) panic: UnsafeCell<Option<Panic>>,
    pub(crate) exception: UnsafeCell<Exception>,
    pub(crate) frames: UnsafeCell<Frames>,
    host: *const Shared,
    owner: *const Arc<Owner>,
    outer: *const Frame,
    /// What [`Frame::is_whole`] looks at: its address, disguised.
    mark: usize,
}

impl Frame {
    const DISGUISE: usize = 0x6d6f_6466_735f_4652;

    /// Whether it is as it was made; a module that runs over its stack overwrites it.
    pub(crate) fn is_whole(&self) -> bool {
        self.mark == ptr::from_ref(self).addr() ^ Frame::DISGUISE
    }

    /// The module that is called.
    pub(crate) fn module(&self) -> &str {
        // SAFETY: borrowed for as long as the frame is current.
        let owner = unsafe { &*self.owner };
        &owner.name
    }
}

/// Where a fault goes back to.
#[repr(C)]
pub(crate) struct Recovery {
    pub(crate) stack_pointer: u64,
    pub(crate) resume: u64,
}

thread_local! {
    /// The innermost call into a module.
    static CURRENT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// The innermost call into a module on this thread, for the signal handler.
pub(crate) fn current_frame() -> *const Frame {
    CURRENT.get()
}

/// The host and the module whose call is under way on this thread.
pub(crate) fn with_current<R>(f: impl FnOnce(&Shared, &Arc<Owner>) -> R) -> Option<R> {
    let frame = CURRENT.get();
    if frame.is_null() {
        return None;
    }
    // SAFETY: a frame is current only while `call` is on this thread's stack, and its host and
    // owner are borrowed for as long.
    unsafe { Some(f(&*(*frame).host, &*(*frame).owner)) }
}

/// How much stack the host may use where a fault would not be survived.
const HEADROOM: usize = 48 << 10;
/// No guard page is smaller.
const PAGE: usize = 4096;

/// Touches the stack as far down as the host is about to use it: a module that has used up its
/// stack faults here, where nothing is held yet.
#[inline(always)]
pub(crate) fn touch_stack() {
    for depth in (PAGE..=HEADROOM).step_by(PAGE) {
        // SAFETY: reads a byte of the stack below what is in use, page by page, so that a guard
        // page is not passed over. Should it not be there, that is the module's fault.
        unsafe {
            asm!(
                "mov {at}, rsp",
                "sub {at}, {depth}",
                "movzx {byte:e}, byte ptr [{at}]",
                at = out(reg) _,
                byte = out(reg) _,
                depth = in(reg) depth,
                options(nostack, readonly),
            );
        }
    }
}

/// While it lives a fault of this thread is not survived: something is held.
pub(crate) struct HostSection(*const Frame);

impl HostSection {
    pub(crate) fn enter() -> HostSection {
        let frame = CURRENT.get();
        if !frame.is_null() {
            touch_stack();
            // SAFETY: as in `with_current`; only this thread touches the cell.
            unsafe { (*frame).sections.set((*frame).sections.get() + 1) };
        }
        compiler_fence(Ordering::SeqCst);
        HostSection(frame)
    }
}

impl Drop for HostSection {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        if !self.0.is_null() {
            // SAFETY: a section is left on the stack frame that entered it, so the call it was
            // in is still under way.
            unsafe { (*self.0).sections.set((*self.0).sections.get() - 1) };
        }
    }
}

/// How a call ended that did not return.
pub(crate) enum Failure {
    /// By a fault.
    Fault(Box<Fault>),
    /// By a panic.
    Panic(Panic),
}

/// Calls the function at `function` with up to five arguments of integer or pointer type, and
/// returns what is in its result register.
///
/// # Errors
/// The fault it committed, or its panic. The module must not be called again after a fault, or
/// a panic that is not clean.
///
/// # Safety
/// `function` is the address of a function of a module that stays mapped during the call, and
/// takes these arguments.
pub(crate) unsafe fn call(
    host: &Shared,
    owner: &Arc<Owner>,
    function: u64,
    arguments: [u64; 5],
) -> Result<u64, Failure> {
    let mut frame = Frame {
        recovery: UnsafeCell::new(Recovery {
            stack_pointer: 0,
            resume: 0,
        }),
        sections: Cell::new(0),
        fault: UnsafeCell::new(Fault::NONE),
        faulted: Cell::new(false),
        panic: UnsafeCell::new(None),
        exception: UnsafeCell::new(Exception::NONE),
        frames: UnsafeCell::default(),
        host,
        owner,
        outer: CURRENT.get(),
        mark: 0,
    };
    frame.mark = ptr::from_ref(&frame).addr() ^ Frame::DISGUISE;
    let frame = ptr::from_ref(&frame);
    // SAFETY: `frame` is alive until the end of this function.
    unsafe {
        CURRENT.set(frame);
        compiler_fence(Ordering::SeqCst);
        let returned = enter((*frame).recovery.get(), function, &raw const arguments);
        compiler_fence(Ordering::SeqCst);
        fault::recovered();
        CURRENT.set((*frame).outer);
        drop(std::mem::take(&mut *(*frame).frames.get()));
        if (*frame).faulted.get() {
            return Err(Failure::Fault(Box::new((*(*frame).fault.get()).clone())));
        }
        if let Some(panic) = (*(*frame).panic.get()).take() {
            return Err(Failure::Panic(panic));
        }
        Ok(returned)
    }
}

/// Calls `function`, having noted in `recovery` how to come back.
///
/// The frame pointer is 0 in the callee's view: there a chain of frame pointers ends.
///
/// # Safety
/// As [`call`]; `recovery` and `arguments` are valid.
#[unsafe(naked)]
unsafe extern "C" fn enter(
    recovery: *mut Recovery,
    function: u64,
    arguments: *const [u64; 5],
) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rdi], rsp",
        "lea rax, [rip + 2f]",
        "mov [rdi + 8], rax",
        "mov rax, rsi",
        "mov r11, rdx",
        "mov rdi, [r11]",
        "mov rsi, [r11 + 8]",
        "mov rdx, [r11 + 16]",
        "mov rcx, [r11 + 24]",
        "mov r8, [r11 + 32]",
        "xor ebp, ebp",
        "call rax",
        "2:",
        "cld",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Goes back to where `recovery` says.
///
/// # Safety
/// The call that noted it is on this thread's stack, and nothing that is in between needs to
/// run any more.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(recovery: *const Recovery) -> ! {
    naked_asm!("mov rsp, [rdi]", "jmp [rdi + 8]")
}

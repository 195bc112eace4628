//! The signal handler that survives faults of module code.

use crate::call::{Frame, current_frame};
use modfs_arena::Arena;
use std::arch::asm;
use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// A fault that module code committed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The signal: SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP.
    pub(crate) signal: i32,
    /// Its `si_code`.
    pub(crate) code: i32,
    /// What the signal is about: for SIGSEGV and SIGBUS the address that was touched.
    pub(crate) address: u64,
    /// Where the code was.
    pub(crate) instruction: u64,
    /// Registers, by [`REGISTERS`].
    pub(crate) registers: [u64; 17],
    /// Return addresses found on the stack, innermost first, and whether the chain of frame
    /// pointers led to each.
    pub(crate) trace: [(u64, bool); TRACE],
    pub(crate) trace_len: usize,
}

/// How many return addresses are kept.
const TRACE: usize = 16;
/// How far up the stack they are looked for, in words.
const SCAN: usize = 2048;

/// The registers that are kept, with their index in the signal context.
pub(crate) const REGISTERS: [(&str, usize); 17] = [
    ("RAX", libc::REG_RAX as usize),
    ("RBX", libc::REG_RBX as usize),
    ("RCX", libc::REG_RCX as usize),
    ("RDX", libc::REG_RDX as usize),
    ("RSI", libc::REG_RSI as usize),
    ("RDI", libc::REG_RDI as usize),
    ("RBP", libc::REG_RBP as usize),
    ("RSP", libc::REG_RSP as usize),
    ("R8", libc::REG_R8 as usize),
    ("R9", libc::REG_R9 as usize),
    ("R10", libc::REG_R10 as usize),
    ("R11", libc::REG_R11 as usize),
    ("R12", libc::REG_R12 as usize),
    ("R13", libc::REG_R13 as usize),
    ("R14", libc::REG_R14 as usize),
    ("R15", libc::REG_R15 as usize),
    ("EFLAGS", libc::REG_EFL as usize),
];

impl Fault {
    pub(crate) const NONE: Fault = Fault {
        signal: 0,
        code: 0,
        address: 0,
        instruction: 0,
        registers: [0; 17],
        trace: [(0, false); TRACE],
        trace_len: 0,
    };

    /// The return addresses.
    pub(crate) fn trace(&self) -> &[(u64, bool)] {
        &self.trace[..self.trace_len]
    }

    fn push(&mut self, address: u64, sure: bool) {
        let seen = self.trace().iter().any(|(seen, _)| *seen == address);
        if !seen && self.trace_len < TRACE {
            self.trace[self.trace_len] = (address, sure);
            self.trace_len += 1;
        }
    }
}

const SIGNALS: [i32; 6] = [
    libc::SIGABRT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];

/// What handled the signals before.
static PREVIOUS: OnceLock<[libc::sigaction; 6]> = OnceLock::new();

/// Installs the handlers, once in a process. What handled the signals before still gets those
/// that are not about module code.
///
/// # Errors
/// What sigaction(2) says.
pub(crate) fn install() -> io::Result<()> {
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    DONE.get_or_init(|| {
        let file = std::env::temp_dir().join(format!("modfs-host-{}.crash", std::process::id()));
        if let Ok(path) = CString::new(file.into_os_string().into_encoded_bytes()) {
            let _ = CRASH_FILE.set(path);
        }
        let mut previous = [const { MaybeUninit::<libc::sigaction>::zeroed() }; 6];
        for (signal, slot) in SIGNALS.iter().zip(&mut previous) {
            // SAFETY: asks for the present handler.
            if unsafe { libc::sigaction(*signal, ptr::null(), slot.as_mut_ptr()) } != 0 {
                return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
            }
        }
        // SAFETY: zeroes are a valid sigaction, and each was filled in.
        let _ = PREVIOUS.set(previous.map(|slot| unsafe { slot.assume_init() }));
        for signal in SIGNALS {
            // SAFETY: zeroes are a valid sigaction.
            let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: the handler is async-signal-safe: it touches this thread's frame, reads
            // memory by process_vm_readv(2), and changes where the signal returns to.
            if unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } != 0 {
                return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
            }
        }
        Ok(())
    })
    .map_err(io::Error::from_raw_os_error)
}

extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // The module may have switched alignment checks on, which this code does not keep.
    // SAFETY: changes the flag alone; what is pushed is popped.
    unsafe { asm!("pushfq", "and dword ptr [rsp], 0xfffbffff", "popfq") }
    let frame = current_frame();
    // SAFETY: the kernel passes a valid siginfo.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as u64) };
    // A signal that another process sent is not a fault; abort(3) sends it to itself.
    if frame.is_null() || (code <= 0 && signal != libc::SIGABRT) {
        return pass_on(signal, info, context);
    }
    // SAFETY: a frame is current only while its call is on this thread's stack, below which
    // this handler runs.
    let frame = unsafe { &*frame };
    let why = if !frame.is_whole() {
        Some("the stack was overwritten")
    } else if RECOVERING.get() {
        Some("going back to the host failed: the stack was overwritten")
    } else if signal == libc::SIGABRT {
        Some("abort() was called, as for a damaged heap")
    } else if frame.sections.get() > 0 {
        Some("a fault in the host while it held something")
    } else {
        None
    };
    if let Some(why) = why {
        last_words(frame, why);
        return pass_on(signal, info, context);
    }
    RECOVERING.set(true);
    // SAFETY: the kernel passes a valid context; the frame's cells are this thread's alone.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let registers = &mut context.uc_mcontext.gregs;
        record(frame, (signal, code, address), registers);
        let recovery = &*frame.recovery.get();
        registers[libc::REG_RIP as usize] = recovery.resume as i64;
        registers[libc::REG_RSP as usize] = recovery.stack_pointer as i64;
        registers[libc::REG_EFL as usize] &= !MODULE_FLAGS;
    }
}

/// Flags that a module may leave set and the host does not expect: trap, direction, nested task,
/// alignment check.
const MODULE_FLAGS: i64 = 1 << 8 | 1 << 10 | 1 << 14 | 1 << 18;

thread_local! {
    /// From a fault until its call has come back: what faults in between is not the module's code.
    static RECOVERING: Cell<bool> = const { Cell::new(false) };
}

/// The call has come back.
pub(crate) fn recovered() {
    RECOVERING.set(false);
}

fn record(frame: &Frame, (signal, code, address): (i32, i32, u64), registers: &[i64; 23]) {
    frame.faulted.set(true);
    // SAFETY: the cell is this thread's alone, and the code that faulted does not use it.
    let fault = unsafe { &mut *frame.fault.get() };
    *fault = Fault {
        signal,
        code,
        address,
        instruction: registers[libc::REG_RIP as usize] as u64,
        registers: REGISTERS.map(|(_, index)| registers[index] as u64),
        ..Fault::NONE
    };
    // SAFETY: as above.
    let top = unsafe { (*frame.recovery.get()).stack_pointer };
    walk(fault, registers, top);
}

/// Finds return addresses between the stack pointer and `top`: first along the frame pointers,
/// which module code built by `modfs build` keeps, then whatever looks like one.
fn walk(fault: &mut Fault, registers: &[i64; 23], top: u64) {
    let Ok(arena) = Arena::get() else { return };
    let bottom = registers[libc::REG_RSP as usize] as u64;
    let mut base = registers[libc::REG_RBP as usize] as u64;
    // A frame pointer leads up the stack, never down.
    let mut below = bottom;
    while (below..top).contains(&base) {
        let mut pair = [0u8; 16];
        if peek(base, &mut pair) != pair.len() {
            break;
        }
        let [next, back] = words(&pair);
        if arena.is_code(back) {
            fault.push(back, true);
        }
        below = base + 1;
        base = next;
    }
    let mut at = bottom & !7;
    let mut words_left = SCAN;
    while at < top && words_left > 0 {
        let mut chunk = [0u8; 256];
        let want = (top - at).min(chunk.len() as u64) as usize;
        let got = peek(at, &mut chunk[..want]);
        if got < 8 {
            // The guard page below the stack, when it has overflowed.
            at = (at | 4095) + 1;
            words_left = words_left.saturating_sub(512);
            continue;
        }
        for word in chunk[..got].chunks_exact(8) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or([0; 8]));
            if arena.is_code(word) {
                fault.push(word, false);
            }
        }
        at += (got & !7) as u64;
        words_left = words_left.saturating_sub(got / 8);
    }
}

fn words(pair: &[u8; 16]) -> [u64; 2] {
    let (low, high) = pair.split_at(8);
    [low, high].map(|half| u64::from_le_bytes(half.try_into().unwrap_or([0; 8])))
}

/// Reads memory of this process that may not be there; returns how many bytes were.
pub(crate) fn peek(address: u64, bytes: &mut [u8]) -> usize {
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: ptr::with_exposed_provenance_mut(address as usize),
        iov_len: bytes.len(),
    };
    // SAFETY: `local` describes `bytes`; for `remote` the system call itself checks.
    let got = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    usize::try_from(got).unwrap_or(0)
}

/// Reads a NUL-terminated string of this process that may not be there, up to `max` bytes.
pub(crate) fn peek_string(address: u64, max: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut chunk = [0u8; 64];
    while text.len() < max {
        // Not across a page: what follows may be unmapped.
        let at = address.checked_add(text.len() as u64)?;
        let want = (4096 - (at as usize & 4095)).min(chunk.len());
        let got = peek(at, &mut chunk[..want]);
        if got == 0 {
            return None;
        }
        if let Some(end) = chunk[..got].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&chunk[..end]);
            return Some(text);
        }
        text.extend_from_slice(&chunk[..got]);
    }
    Some(text)
}

/// Where the last words go: `modfs-host-PID.crash` in the directory for temporary files.
static CRASH_FILE: OnceLock<CString> = OnceLock::new();

/// Says why the host ends: on standard error, and in a file, since a host in the background has no
/// standard error.
fn last_words(frame: &Frame, why: &str) {
    let name = if frame.is_whole() {
        frame.module()
    } else {
        "a module"
    };
    let words = [
        "modfs: ",
        why,
        ", in a call into ",
        name,
        ": the host cannot go on\n",
    ];
    for piece in words {
        write(2, piece);
    }
    let Some(path) = CRASH_FILE.get() else { return };
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: a path that ends in a NUL.
    let file = unsafe { libc::open(path.as_ptr(), flags, 0o600) };
    if file >= 0 {
        for piece in words {
            write(file, piece);
        }
    }
}

fn write(file: i32, text: &str) {
    // SAFETY: writes a valid buffer.
    unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
}

/// Lets the handler that was there before have the signal.
fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = SIGNALS.iter().position(|s| *s == signal);
    let previous = PREVIOUS.get().zip(index).map(|(all, index)| all[index]);
    let handler = previous.map_or(libc::SIG_DFL, |action| action.sa_sigaction);
    // SAFETY: the kernel passes a valid siginfo.
    let sent = unsafe { (*info).si_code } <= 0;
    if handler == libc::SIG_IGN && sent {
        return;
    }
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // SAFETY: the default action takes over: the instruction faults again, which nobody can
        // ignore. A signal that was sent is sent again.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            if sent {
                libc::raise(signal);
            }
        }
        return;
    }
    if signal != libc::SIGABRT {
        // What handled the fault before may call abort(3), on this small stack, which has no room
        // for us a second time.
        // SAFETY: the default action.
        unsafe { libc::signal(libc::SIGABRT, libc::SIG_DFL) };
    }
    let with_info = previous.is_some_and(|action| action.sa_flags & libc::SA_SIGINFO != 0);
    // SAFETY: the value is the handler that sigaction(2) gave, of the kind its flags say.
    unsafe {
        if with_info {
            type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<usize, Handler>(handler)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(i32)>(handler)(signal);
        }
    }
}

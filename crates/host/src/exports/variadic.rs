//! The variable arguments of C functions that the host implements.
//!
//! A function `f(fmt, ...)` is a few instructions that make a `va_list` of their caller's
//! arguments, as C's `va_start` does, and call a Rust function with it (System V psABI for AMD64,
//! section 3.5.7 "Variable Argument Lists").

use crate::format::Args;
use std::ffi::{CStr, c_char};

/// `__va_list_tag` of the psABI.
#[repr(C)]
#[derive(Debug)]
pub(super) struct VaList {
    gp_offset: u32,
    fp_offset: u32,
    overflow: *const u64,
    registers: *const u8,
}

/// Bytes of the integer registers in the register save area.
const GP_END: u32 = 48;
/// Bytes of the whole register save area.
const FP_END: u32 = 176;

/// The arguments of a `va_list`, to be taken one by one.
pub(super) struct VaArgs<'a>(&'a mut VaList);

impl<'a> VaArgs<'a> {
    /// # Safety
    /// `list` is a valid `va_list`, with the arguments that will be taken.
    pub(super) unsafe fn new(list: *mut VaList) -> VaArgs<'a> {
        // SAFETY: the caller's.
        VaArgs(unsafe { &mut *list })
    }

    fn stack(&mut self, words: usize) -> *const u64 {
        let at = self.0.overflow;
        self.0.overflow = at.wrapping_add(words);
        at
    }
}

impl Args for VaArgs<'_> {
    fn int(&mut self) -> u64 {
        // SAFETY: an argument that the caller of `new` promised, where the psABI puts it.
        unsafe {
            if self.0.gp_offset < GP_END {
                let at = self.0.registers.add(self.0.gp_offset as usize);
                self.0.gp_offset += 8;
                at.cast::<u64>().read_unaligned()
            } else {
                self.stack(1).read_unaligned()
            }
        }
    }

    fn double(&mut self) -> f64 {
        // SAFETY: as of `int`.
        unsafe {
            if self.0.fp_offset < FP_END {
                let at = self.0.registers.add(self.0.fp_offset as usize);
                self.0.fp_offset += 16;
                at.cast::<f64>().read_unaligned()
            } else {
                self.stack(1).cast::<f64>().read_unaligned()
            }
        }
    }

    fn long_double(&mut self) -> f64 {
        // In memory, at a multiple of 16: 64 bits of mantissa, 15 of exponent, a sign.
        let misaligned = !self.0.overflow.addr().is_multiple_of(16);
        self.stack(usize::from(misaligned));
        let at = self.stack(2);
        // SAFETY: as of `int`.
        let (mantissa, top) = unsafe { (at.read_unaligned(), at.add(1).read_unaligned() as u16) };
        let sign = if top & 0x8000 != 0 { -1.0 } else { 1.0 };
        let exponent = i32::from(top & 0x7fff);
        match (exponent, mantissa) {
            (0x7fff, 0x8000_0000_0000_0000) => sign * f64::INFINITY,
            (0x7fff, _) => f64::NAN,
            _ => sign * mantissa as f64 * 2f64.powi((exponent - 16383 - 63).max(-1074)),
        }
    }

    fn str_at(&mut self, address: u64, max: Option<usize>) -> &[u8] {
        let text = std::ptr::with_exposed_provenance::<c_char>(address as usize);
        // SAFETY: a string, or as many bytes (the module's promise).
        unsafe {
            match max {
                Some(max) => {
                    let length = libc::strnlen(text, max);
                    std::slice::from_raw_parts(text.cast(), length)
                }
                None => CStr::from_ptr(text).to_bytes(),
            }
        }
    }
}

/// Defines a C function with variable arguments: of `$named` named ones, after which the Rust
/// function `$target` gets the `va_list` in register `$register`.
macro_rules! variadic {
    ($name:ident, $named:literal, $register:literal, $target:path) => {
        /// # Safety
        /// As of the C function of this name.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            ::std::arch::naked_asm!(
                // The register save area at rsp, the va_list at rsp + 176.
                "sub rsp, 216",
                "mov [rsp], rdi",
                "mov [rsp + 8], rsi",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], rcx",
                "mov [rsp + 32], r8",
                "mov [rsp + 40], r9",
                "test al, al",
                "je 2f",
                "movaps [rsp + 48], xmm0",
                "movaps [rsp + 64], xmm1",
                "movaps [rsp + 80], xmm2",
                "movaps [rsp + 96], xmm3",
                "movaps [rsp + 112], xmm4",
                "movaps [rsp + 128], xmm5",
                "movaps [rsp + 144], xmm6",
                "movaps [rsp + 160], xmm7",
                "2:",
                "mov dword ptr [rsp + 176], {gp}",
                "mov dword ptr [rsp + 180], 48",
                "lea rax, [rsp + 224]",
                "mov [rsp + 184], rax",
                "mov [rsp + 192], rsp",
                concat!("lea ", $register, ", [rsp + 176]"),
                "call {target}",
                "add rsp, 216",
                "ret",
                gp = const $named * 8,
                target = sym $target,
            )
        }
    };
}
pub(super) use variadic;

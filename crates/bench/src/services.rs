//! What the modules import: functions of a shared object that every loader's host exports.

use crate::Result;
use crate::sources::cc;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of one of them.
pub(crate) fn name(number: usize) -> String {
    format!("service_number_{number:06}")
}

/// What it returns. Each does something else, so that a wrong link gives a wrong answer.
pub(crate) fn value(number: usize, argument: i64) -> i64 {
    argument.wrapping_mul(3).wrapping_add(number as i64)
}

/// Makes the shared object. Assembled: a compiler takes minutes for 100 000 functions.
pub(crate) fn build(dir: &Path, count: usize) -> Result<PathBuf> {
    let mut text = String::from(".text\n.section .note.GNU-stack,\"\",@progbits\n.text\n");
    for number in 0..count {
        let name = name(number);
        let _ = writeln!(
            text,
            ".globl {name}\n.type {name}, @function\n.p2align 4\n\
             {name}: lea {number}(%rdi,%rdi,2), %rax\n\tret"
        );
    }
    let source = dir.join(format!("services{count}.s"));
    fs::write(&source, text).map_err(|e| format!("{}: {e}", source.display()))?;
    let object = source.with_extension("so");
    cc(&["-shared", "-nostdlib"], &source, &object)?;
    Ok(object)
}

/// The functions, loaded, and for dlopen(3) in the global scope.
pub(crate) struct Services {
    _library: Library,
    /// Each with its address.
    pub(crate) all: Vec<(String, usize)>,
}

impl Services {
    pub(crate) fn open(path: &Path, count: usize) -> Result<Services> {
        // SAFETY: it has no constructors.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
        let library = library.map_err(|e| e.to_string())?;
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let name = name(number);
            // SAFETY: only the address is used.
            let symbol = unsafe { library.get::<*const ()>(name.as_str()) };
            let address = symbol.map_err(|e| e.to_string())?.as_raw_ptr();
            all.push((name, address.expose_provenance()));
        }
        Ok(Services {
            _library: library,
            all,
        })
    }
}

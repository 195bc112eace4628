//! Which calls there are, and which of two meanings one has.

use crate::memory::Memory;
use crate::modern;
use crate::old::{OldCalls, Word};
use crate::paths;
use crate::seccomp::{Calls, I386, Notification, X86_64};
use crate::supervisor::Supervisor;
use crate::target::{Process, Program, Target};
use modfs_core::Errno;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A call about modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModuleCall {
    Create,
    /// Of 2.4, or of today.
    Init,
    Finit,
    /// Of 2.4, or of today.
    Delete,
    KernelSyms,
    Query,
}

/// With their numbers on x86_64 and i386; libc does not know the old ones.
const MODULE_CALLS: [(ModuleCall, i64, i64); 6] = [
    (ModuleCall::Create, 174, 127),
    (ModuleCall::Init, 175, 128),
    (ModuleCall::Finit, 313, 350),
    (ModuleCall::Delete, 176, 129),
    (ModuleCall::KernelSyms, 177, 130),
    (ModuleCall::Query, 178, 167),
];

/// All calls that are answered here, handed to whoever asks for them.
pub(crate) fn with_all<R>(with: impl FnOnce(&[Calls<'_>]) -> R) -> R {
    let [mut wide, mut narrow] = paths::numbers();
    wide.extend(MODULE_CALLS.iter().map(|(_, number, _)| *number));
    narrow.extend(MODULE_CALLS.iter().map(|(_, _, number)| *number));
    with(&[(X86_64, &wide), (I386, &narrow)])
}

impl ModuleCall {
    /// What a call is.
    pub(crate) fn of(call: &Notification) -> Option<ModuleCall> {
        let narrow = call.architecture == I386;
        let is_it = |(_, wide, i386): &&(ModuleCall, i64, i64)| {
            call.number == if narrow { *i386 } else { *wide }
        };
        MODULE_CALLS.iter().find(is_it).map(|(which, ..)| *which)
    }
}

/// The processes that have made a call of 2.4, with what runs in each.
#[derive(Debug, Default)]
pub(crate) struct OldOnes(Mutex<HashMap<u32, Program>>);

impl OldOnes {
    /// More are looked through for those that have ended.
    const MANY: usize = 1024;

    pub(crate) fn has(&self, process: &Process) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&process.id) == Some(&process.program)
    }

    fn note(&self, process: &Process) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= OldOnes::MANY {
            known.retain(|id, program| Program::of(*id).as_ref() == Some(program));
        }
        known.insert(process.id, process.program.clone());
    }
}

/// Does what a call about modules asks for.
///
/// # Errors
/// What the call says.
pub(crate) fn module_call(
    supervisor: &Supervisor,
    target: &Target,
    call: &Notification,
    which: ModuleCall,
) -> Result<i64, Errno> {
    let process = target.process()?;
    let narrow = call.architecture == I386;
    let old = OldCalls {
        tree: supervisor.tree(),
        memory: target,
        said: &|text| supervisor.say(text),
        word: if narrow { Word::Four } else { Word::Eight },
    };
    let arguments = call.arguments;
    match which {
        ModuleCall::Query => {
            supervisor.old_ones().note(&process);
            let [name, which, buffer, size, result, _] = arguments;
            return old.query_module([name, which, buffer, size, result]);
        }
        ModuleCall::KernelSyms => {
            supervisor.old_ones().note(&process);
            return Ok(old.get_kernel_syms(arguments[0]));
        }
        ModuleCall::Create => supervisor.old_ones().note(&process),
        ModuleCall::Init | ModuleCall::Finit | ModuleCall::Delete => {}
    }
    // In the place of CAP_SYS_MODULE.
    if !process.is_privileged() {
        return Err(Errno::EPERM);
    }
    let is_old = supervisor.old_ones().has(&process);
    if narrow && which != ModuleCall::Delete {
        supervisor.say(
            "a program of 32 bits can list and remove modules, not load them: what it has linked is of \
             32 bits, and the host is not",
        );
        return Err(Errno::ENOSYS);
    }
    match which {
        ModuleCall::Create => old.create_module(arguments[0], arguments[1]),
        ModuleCall::Init if is_old && !is_elf(target, arguments[0]) => {
            old.init_module(arguments[0], arguments[1])
        }
        ModuleCall::Init => modern::init_module(supervisor, target, call),
        ModuleCall::Finit => modern::finit_module(supervisor, target, call),
        // Today's tools give no NULL, and 2.4's `rmmod -a` makes no other call.
        ModuleCall::Delete if is_old || arguments[0] == 0 => old.delete_module(arguments[0]),
        _ => modern::delete_module(supervisor, target, call),
    }
}

/// Whether an address is that of an ELF file's bytes, as today's init_module has it, and no name.
fn is_elf(target: &Target, address: u64) -> bool {
    let mut magic = [0; 4];
    target.read(address, &mut magic).is_ok() && magic == *b"\x7fELF"
}

//! What is said of a fault.

use crate::fault::{Fault, REGISTERS};
use crate::host::Shared;
use crate::unwind::Panic;
use modfs_core::{Id, taint};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

static OOPSES: AtomicU32 = AtomicU32::new(0);

/// A fault in words, and whose code it cut short.
pub(crate) struct Oops {
    /// The whole report.
    pub(crate) text: String,
    /// One line of it.
    pub(crate) summary: String,
    /// The modules whose code will not go on: that of the fault, and those that had called it.
    pub(crate) modules: Vec<Id>,
}

/// Writes the report.
pub(crate) fn report(host: &Shared, fault: &Fault, caller: &str) -> Oops {
    let number = OOPSES.fetch_add(1, Ordering::Relaxed) + 1;
    let (place, module) = locate(host, fault.instruction);
    // The summary is for whoever may read `control`, so it tells no address.
    let where_to = match module {
        Some(_) => place.as_str(),
        None => "a place outside of modules",
    };
    let summary = format!("{caller}: {} at {where_to}", what(fault));
    let what = format!("{}, address {:#x}", what(fault), fault.address);
    let mut text = String::new();
    let _ = writeln!(text, "BUG: {what}, in a call into {caller}");
    let _ = writeln!(text, "Oops: #{number}");
    let _ = writeln!(text, "RIP: {place}");
    for row in fault.registers.chunks(4).zip(REGISTERS.chunks(4)) {
        let cells: Vec<String> = row
            .0
            .iter()
            .zip(row.1)
            .map(|(value, (name, _))| format!("{name}: {value:016x}"))
            .collect();
        let _ = writeln!(text, "{}", cells.join(" "));
    }
    text.push_str("Call Trace:\n");
    let _ = writeln!(text, " {place}");
    let mut modules: Vec<Id> = module.into_iter().collect();
    // Below the host's own frames, which tell nothing surely, the next caller is most likely the
    // one that called the host.
    let mut guess = module.is_none();
    for (address, sure) in fault.trace() {
        // A return address may be the first byte after its function: look at the call.
        let (place, Some(id)) = locate(host, address - 1) else {
            continue;
        };
        let _ = writeln!(text, " {}{place}", if *sure { "" } else { "? " });
        if *sure || std::mem::take(&mut guess) {
            modules.push(id);
        }
    }
    let linked: Vec<String> = host
        .modules()
        .iter()
        .map(|(_, module)| {
            let taints = module.payload().map_or(0, |loaded| loaded.taints);
            match taint::letters(taints) {
                "" => module.name().to_string(),
                letters => format!("{}({letters})", module.name()),
            }
        })
        .collect();
    let _ = writeln!(text, "Modules linked in: {}", linked.join(" "));
    Oops {
        text,
        summary,
        modules,
    }
}

/// What is said of a panic.
pub(crate) fn panicked(host: &Shared, panic: &Panic, caller: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{caller}: panicked at {}", panic.text);
    text.push_str("Call Trace:\n");
    for address in &panic.trace {
        if let (place, Some(_)) = locate(host, address - 1) {
            let _ = writeln!(text, " {place}");
        }
    }
    text
}

/// The modules that had a function on the stack.
pub(crate) fn modules_of(host: &Shared, panic: &Panic) -> Vec<Id> {
    let callers = panic.trace.iter();
    callers
        .filter_map(|address| locate(host, address - 1).1)
        .collect()
}

/// The kernel's own `si_code`, without an address.
const SI_KERNEL: i32 = 0x80;

fn what(fault: &Fault) -> &'static str {
    match fault.signal {
        // The processor does not say which address it was.
        libc::SIGSEGV if fault.code == SI_KERNEL => {
            "general protection fault (an address that cannot be, or a privileged instruction)"
        }
        libc::SIGSEGV if fault.address == fault.instruction => "jump to where there is no code",
        libc::SIGSEGV if fault.address < 4096 => "NULL pointer dereference",
        libc::SIGSEGV => "bad memory access",
        libc::SIGBUS => "access beyond the end of mapped memory, or misaligned",
        libc::SIGILL => "invalid instruction",
        libc::SIGFPE => "division by zero, or its overflow",
        libc::SIGTRAP => "trap (a breakpoint, or code that was unloaded)",
        _ => "an unexpected signal",
    }
}

/// An address as `symbol+0x12/0x40 [module]`, and the module.
fn locate(host: &Shared, address: u64) -> (String, Option<Id>) {
    if !host.arena.is_code(address) {
        return (format!("{address:#018x}"), None);
    }
    let modules = host.modules();
    let found = modules.iter().find_map(|(id, module)| {
        let loaded = module.payload()?;
        let image = loaded.image.as_ref()?;
        image
            .has_code(address)
            .then(|| (id, module.name().clone(), image.clone()))
    });
    drop(modules);
    match found {
        Some((id, name, image)) => {
            let place = image
                .functions
                .place(address)
                .unwrap_or_else(|| format!("{address:#018x}"));
            (format!("{place} [{name}]"), Some(id))
        }
        None => (format!("{address:#018x} [no module's code]"), None),
    }
}

//! What can be known of an object before the kernel is asked to load it.

use super::facts::Facts;
use super::name_of;
use super::staged::{Phase, Staged};
use crate::exports::Exports;
use crate::{Linux, vermagic, why};
use modfs_core::{Errno, Force, Refusal};
use modfs_object::{Container, ModuleFile, UnpackError, Unpacker};
use std::fs;
use std::sync::Arc;

/// `ET_REL`.
const RELOCATABLE: u16 = 1;

/// Machines as uname(2) calls them, with their `e_machine` and the class of their modules.
const MACHINES: [(&str, u16, u8); 9] = [
    ("x86_64", 62, 2),
    ("aarch64", 183, 2),
    ("riscv64", 243, 2),
    ("ppc64le", 21, 2),
    ("ppc64", 21, 2),
    ("s390x", 22, 2),
    ("loongarch64", 258, 2),
    ("i686", 3, 1),
    ("armv7l", 40, 1),
];

/// Checks an object, and makes of it what can be loaded.
///
/// # Errors
/// ENOEXEC: it cannot be unpacked, is no module, or one for another machine or kernel. EINVAL: it
/// is a module of another name. ENOENT: symbols are missing, each a reason. EKEYREJECTED: it has no
/// signature, and the kernel wants one. ENOMEM: no memory to unpack it.
pub(super) fn staged(
    linux: &Linux,
    directory: &str,
    file: &str,
    object: Arc<Vec<u8>>,
    force: Force,
) -> Result<Staged, Refusal> {
    let image = unpacked(object)?;
    let no_exec = |reason: String| Refusal::new(Errno::ENOEXEC, reason);
    let module = ModuleFile::parse(&image[..]).map_err(|error| no_exec(error.to_string()))?;
    is_for(&image, module.machine(), &linux.machine).map_err(no_exec)?;
    let name = name(&image, &module).map_err(no_exec)?;
    if name != name_of(directory) {
        let reason = format!(
            "the object is the module {name}, and the directory is for {}",
            name_of(directory)
        );
        return Err(Refusal::new(Errno::EINVAL, reason));
    }
    if !force.vermagic
        && let Some(reason) = vermagic::differs(linux, &module)
    {
        return Err(no_exec(reason));
    }
    let exports = Exports::read(linux);
    let missing = exports.missing(&module);
    if !missing.is_empty() {
        let say = |name: &str| format!("unresolved symbol {name}");
        return Err(Refusal::all(
            Errno::ENOENT,
            why::unresolved(linux, &missing, say),
        ));
    }
    if modfs_object::signature(&image).is_none() && wants_signature(linux) {
        return Err(Refusal::new(Errno::EKEYREJECTED, why::UNSIGNED));
    }
    Ok(Staged {
        file: file.to_owned(),
        facts: Arc::new(Facts::of(&module)),
        needed: exports.needed(&module),
        image,
        force,
        phase: Phase::Ready,
    })
}

fn unpacked(object: Arc<Vec<u8>>) -> Result<Arc<Vec<u8>>, Refusal> {
    if Container::of(&object) == Container::Plain {
        return Ok(object);
    }
    let mut unpacker = Unpacker::new();
    let image = unpacker.unpack(&object).map_err(|error| {
        let errno = match error {
            UnpackError::NoMemory => Errno::ENOMEM,
            _ => Errno::ENOEXEC,
        };
        Refusal::new(errno, error.to_string())
    })?;
    Ok(Arc::new(image.to_vec()))
}

/// Whether an ELF file is a relocatable object for a machine.
///
/// # Errors
/// What it is instead.
fn is_for(image: &[u8], machine: u16, running: &str) -> Result<(), String> {
    let kind = image.get(16..18).and_then(|bytes| bytes.try_into().ok());
    let kind: [u8; 2] = kind.unwrap_or_default();
    let kind = match image.get(5) {
        Some(2) => u16::from_be_bytes(kind),
        _ => u16::from_le_bytes(kind),
    };
    if kind != RELOCATABLE {
        return Err(format!(
            "it is no relocatable object, but an ELF file of type {kind}"
        ));
    }
    let known = MACHINES.iter().find(|(name, ..)| *name == running);
    let class = image.get(4).copied().unwrap_or(0);
    match known {
        Some((_, wanted, bits)) if (machine, class) != (*wanted, *bits) => {
            let named = MACHINES
                .iter()
                .find(|(_, m, c)| (*m, *c) == (machine, class));
            let built = named.map_or(format!("the machine {machine}"), |(n, ..)| (*n).into());
            Err(format!("it was built for {built}, and this is {running}"))
        }
        _ => Ok(()),
    }
}

/// The name that the kernel will know a module by: the one in its `struct module`, after the state
/// and the links of a list; where that is laid out otherwise, the modinfo's.
///
/// # Errors
/// Why it is no module.
fn name(image: &[u8], module: &ModuleFile<'_>) -> Result<String, String> {
    let this = module
        .section(".gnu.linkonce.this_module")
        .filter(|section| !section.is_empty())
        .ok_or("it is no module: it has no section .gnu.linkonce.this_module")?;
    let at = if image.get(4) == Some(&2) { 24 } else { 12 };
    let field = this.get(at..).unwrap_or_default();
    let length = field.iter().position(|byte| *byte == 0);
    let field = &field[..length.unwrap_or(0)];
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let tag = || {
        let mut info = module.modinfo();
        info.find(|(tag, _)| *tag == b"name").map(|(_, name)| name)
    };
    let name = match !field.is_empty() && field.iter().all(plain) {
        true => field,
        false => tag().ok_or("it is no module: it does not say its name")?,
    };
    Ok(name_of(&String::from_utf8_lossy(name)))
}

/// Whether the kernel takes signed modules only.
fn wants_signature(linux: &Linux) -> bool {
    let enforced = fs::read_to_string(linux.file("module", "parameters/sig_enforce"));
    enforced.is_ok_and(|text| text.trim() == "Y") || linux.lockdown().is_some()
}

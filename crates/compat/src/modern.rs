//! init_module(2), finit_module(2) and delete_module(2) as Linux has them today.

use crate::memory::Memory;
use crate::seccomp::Notification;
use crate::supervisor::Supervisor;
use crate::target::Target;
use modfs_client::{InsertError, RemoveError, Start, check_name, module_name};
use modfs_core::{Errno, Force};
use modfs_object::{EM_X86_64, Object, Unpacker};
use std::io::Read;

/// `MODULE_INIT_IGNORE_MODVERSIONS` and so on (linux/module.h).
const IGNORE_MODVERSIONS: u64 = 1;
const IGNORE_VERMAGIC: u64 = 2;
const COMPRESSED_FILE: u64 = 4;
/// No module is larger: 256 MiB, as in the tree.
const LARGEST: u64 = 256 << 20;
/// No parameters are longer: what `control` takes at once.
const PARAMETERS: usize = 60 * 1024;
/// `MODULE_NAME_LEN`.
const NAME: usize = 56;

/// `init_module(image, length, parameters)`.
///
/// # Errors
/// EPERM: not the tree's owner. ENOEXEC: no module. EFAULT: the arguments. ENOMEM: too large. EEXIST, ENOENT
/// and so on: what the tree says.
pub(crate) fn init_module(
    supervisor: &Supervisor,
    target: &Target,
    call: &Notification,
) -> Result<i64, Errno> {
    let [image, length, parameters, ..] = call.arguments;
    // `sizeof(Elf64_Ehdr)`.
    if length < 64 {
        return Err(Errno::ENOEXEC);
    }
    if length > LARGEST {
        return Err(Errno::ENOMEM);
    }
    let object = target.bytes(image, length)?;
    let parameters = || target.string(parameters, PARAMETERS);
    let force = Force::default();
    insert(supervisor, "init_module", None, &object, force, parameters)
}

/// `finit_module(descriptor, parameters, flags)`.
///
/// # Errors
/// As [`init_module`]; EBADF: no such descriptor, or not one to read. EINVAL: unknown flags, or no regular
/// file.
pub(crate) fn finit_module(
    supervisor: &Supervisor,
    target: &Target,
    call: &Notification,
) -> Result<i64, Errno> {
    let [descriptor, parameters, flags, ..] = call.arguments;
    // An int: the other half says nothing.
    let flags = flags & 0xffff_ffff;
    if flags & !(IGNORE_MODVERSIONS | IGNORE_VERMAGIC | COMPRESSED_FILE) != 0 {
        return Err(Errno::EINVAL);
    }
    let descriptor = descriptor as u32 as i32;
    let file = target.file(descriptor)?;
    let parameters = || target.string(parameters, PARAMETERS);
    let mut bytes = Vec::new();
    // From its beginning, wherever the program has read to; its place does not change.
    let read = FromStart(&file, 0)
        .take(LARGEST + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Errno::EFBIG);
    }
    let mut unpacker = Unpacker::new();
    let object = match flags & COMPRESSED_FILE {
        0 => &bytes[..],
        _ => unpacker.unpack(&bytes).map_err(|error| {
            supervisor.say(&format!("finit_module: {error}"));
            Errno::EINVAL
        })?,
    };
    let path = target.path_of(descriptor);
    let name = path.map(|path| module_name(&path));
    let force = Force {
        modversions: flags & IGNORE_MODVERSIONS != 0,
        vermagic: flags & IGNORE_VERMAGIC != 0,
    };
    insert(supervisor, "finit_module", name, object, force, parameters)
}

/// A file, read by pread(2).
struct FromStart<'a>(&'a std::fs::File, u64);

impl Read for FromStart<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let read = self.0.read_at(into, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

/// Inserts an object under the name it says, or else its file's.
fn insert(
    supervisor: &Supervisor,
    call: &str,
    file: Option<String>,
    object: &[u8],
    force: Force,
    parameters: impl FnOnce() -> Result<Vec<u8>, Errno>,
) -> Result<i64, Errno> {
    let parsed = Object::parse(object, EM_X86_64).map_err(|error| {
        supervisor.say(&format!("{call}: {error}"));
        Errno::ENOEXEC
    })?;
    let own = parsed.modinfo().get("name").map(str::to_owned);
    let Some(name) = own.or(file) else {
        supervisor.say(&format!(
            "{call}: the object says no name: `modfs build` gives it one"
        ));
        return Err(Errno::ENOEXEC);
    };
    if let Err(why) = check_name(&name) {
        supervisor.say(&format!("{call}: {why}"));
        return Err(Errno::ENOEXEC);
    }
    // As the kernel: separated by white space, but for what is in double quotes.
    let parameters = String::from_utf8(parameters()?).map_err(|_| Errno::EINVAL)?;
    let parameters = words(&parameters);
    let start = Start {
        force,
        autoclean: false,
        parameters: &parameters,
    };
    let inserted = supervisor.tree().insert(&name, object, start);
    inserted.map_err(|error| {
        let reasons = match &error {
            InsertError::Refused(refused) => refused.reasons.clone(),
            other => vec![other.to_string()],
        };
        for reason in reasons {
            supervisor.say(&format!("{call}: {name}: {reason}"));
        }
        error.errno()
    })?;
    Ok(0)
}

/// Parts parameters as the kernel does (lib/cmdline.c, next_arg).
fn words(parameters: &str) -> Vec<String> {
    let mut quoted = false;
    let parts = parameters.split(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    });
    parts
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `delete_module(name, flags)`. The flags ask for what a host does not do: to wait, and to force.
///
/// # Errors
/// EPERM: not the tree's owner. EFAULT: the name. ENOENT: none of this name. EAGAIN: it is used. EBUSY: it is
/// not running, or cannot be left.
pub(crate) fn delete_module(
    supervisor: &Supervisor,
    target: &Target,
    call: &Notification,
) -> Result<i64, Errno> {
    let name = match target.string(call.arguments[0], NAME) {
        // Linux cuts it off there, and then finds none of that name.
        Err(Errno::ENAMETOOLONG) => return Err(Errno::ENOENT),
        name => String::from_utf8(name?).map_err(|_| Errno::ENOENT)?,
    };
    let Err(error) = supervisor.tree().remove(&name) else {
        return Ok(0);
    };
    let errno = match &error {
        RemoveError::NotLoaded(_) => return Err(Errno::ENOENT),
        RemoveError::Kernel => return Err(Errno::ENOENT),
        RemoveError::InUse { module, .. } => {
            let state = supervisor.tree().read(module, "state").unwrap_or_default();
            match state.as_str() {
                "running" => Errno::EAGAIN,
                _ => Errno::EBUSY,
            }
        }
        RemoveError::Stays { .. } | RemoveError::Directory(..) => Errno::EBUSY,
        RemoveError::Removed { .. } => {
            supervisor.say(&format!("delete_module: {error}"));
            return Ok(0);
        }
    };
    supervisor.say(&format!("delete_module: {error}"));
    Err(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_parted_as_in_linux() {
        let parted = words(" a=1 b=\"x y\"\t\"c=z z\"\nd ");
        assert_eq!(parted, ["a=1", "b=\"x y\"", "\"c=z z\"", "d"]);
        assert!(words(" ").is_empty());
    }
}

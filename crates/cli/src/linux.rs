//! The running Linux kernel, as the tools use it.

use crate::keyring::words;
use crate::place::Place;
use modfs_core::Force;
use modfs_depot::Reader;
use modfs_depot::carry::{Failure, Inserted, Target};
use modfs_linux::{InsertError, Linux};
use modfs_trust::{Keyring, Verdict};
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;

/// How modules are put into the running kernel.
#[derive(Debug, Default)]
pub(crate) struct LinuxPlace {
    pub(crate) linux: Linux,
    pub(crate) force: Force,
    /// Also what is in use, where the kernel lets that happen.
    pub(crate) force_removal: bool,
    /// Only what is signed by one of these.
    pub(crate) trusted: Option<Arc<Keyring>>,
}

/// What an errno of loading means, in the words of kmod's insmod.
pub(crate) fn insmod_error(errno: Errno) -> String {
    match errno {
        Errno::NOEXEC => "Invalid module format".into(),
        Errno::NOENT => "Unknown symbol in module".into(),
        Errno::SRCH => "Module has wrong symbol version".into(),
        Errno::INVAL => "Invalid parameters".into(),
        other => strerror(other),
    }
}

/// What an errno of loading means, in the words of kmod's modprobe.
fn modprobe_error(errno: Errno) -> String {
    match errno {
        Errno::EXIST => "Module already in kernel".into(),
        Errno::NOENT => "Unknown symbol in module, or unknown parameter (see dmesg)".into(),
        other => strerror(other),
    }
}

/// strerror(3).
fn strerror(errno: Errno) -> String {
    io_text(&errno.into())
}

/// An error's text without the number that Rust puts after it.
pub(crate) fn io_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

/// What is known of a refusal besides its errno, a line each.
pub(crate) fn reasons(error: &InsertError) -> String {
    let mut lines = error.reasons();
    if matches!(error, InsertError::Kernel { errno, .. } if *errno == Errno::NOSYS) {
        let none = "this kernel loads no modules; into a host's tree they go with --tree DIR or \
                    MODFS_TREE";
        lines.push(none.to_owned());
    }
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

impl Target for LinuxPlace {
    fn is_loaded(&self, module: &str) -> bool {
        self.linux.is_loaded(module)
    }

    fn is_ready(&self, module: &str) -> bool {
        self.linux.is_live(module)
    }

    fn works(&self, module: &str) -> bool {
        self.linux.is_live(module)
    }

    fn insert(
        &self,
        file: &Path,
        module: &str,
        parameters: &[String],
        _autoclean: bool,
    ) -> Result<Inserted, Failure> {
        let done = self.load(file, &parameters.join(" "));
        let error = match done {
            Ok(()) => return Ok(Inserted::Now),
            // Somebody else was faster.
            Err(InsertError::Kernel {
                errno: Errno::EXIST,
                ..
            }) => return Ok(Inserted::Already),
            Err(error) => error,
        };
        let (errno, said) = match &error {
            InsertError::Kernel { errno, .. } => (errno.raw_os_error(), modprobe_error(*errno)),
            other => (0, format!("{}: {other}", file.display())),
        };
        let why = format!("could not insert '{module}': {said}{}", reasons(&error));
        Err(Failure { why, errno })
    }

    // In the words of kmod's modprobe; who holds it in a line of its own.
    fn remove(&self, module: &str) -> Result<(), Failure> {
        let busy = |more: &str| Failure {
            why: format!("Module {module} is in use.{more}"),
            errno: Errno::AGAIN.raw_os_error(),
        };
        if self.linux.is_builtin(module) {
            return Err(format!("Module {module} is builtin.").into());
        }
        let holders = self.linux.holders(module);
        if !holders.is_empty() {
            return Err(busy(&format!("\n  it is used by {}", holders.join(" "))));
        }
        if self.linux.uses(module).unwrap_or(0) > 0 && !self.force_removal {
            return Err(busy(""));
        }
        let removed = self.linux.remove(module, self.force_removal);
        removed.map_err(|e| Failure {
            why: format!("could not remove '{module}': {}", io_text(&e)),
            errno: e.raw_os_error().unwrap_or(0),
        })
    }
}

impl LinuxPlace {
    /// Loads a file; where it has to be signed, the very bytes that were checked.
    fn load(&self, file: &Path, parameters: &str) -> Result<(), InsertError> {
        let Some(keyring) = &self.trusted else {
            return self.linux.insert(file, parameters, self.force);
        };
        let mut reader = Reader::default();
        let bytes = reader.read(file);
        let bytes = bytes.map_err(|e| InsertError::File(e.to_string()))?;
        match modfs_trust::verify(bytes, keyring) {
            Verdict::Signed(_) => self.linux.insert_image(bytes, parameters, self.force),
            verdict => Err(InsertError::File(words(&verdict))),
        }
    }

    /// As rmmod does, and in its words.
    pub(crate) fn rmmod(&self, module: &str) -> Result<(), String> {
        if self.linux.is_builtin(module) {
            return Err(format!("Module {module} is builtin."));
        }
        if !self.linux.is_loaded(module) {
            return Err(format!("Module {module} is not currently loaded"));
        }
        let holders = self.linux.holders(module);
        if !holders.is_empty() {
            return Err(format!(
                "Module {module} is in use by: {}",
                holders.join(" ")
            ));
        }
        if self.linux.uses(module).unwrap_or(0) > 0 && !self.force_removal {
            return Err(format!("Module {module} is in use"));
        }
        let removed = self.linux.remove(module, self.force_removal);
        removed.map_err(|e| format!("could not remove module {module}: {}", io_text(&e)))
    }
}

impl Place for LinuxPlace {
    fn holders(&self, module: &str) -> Vec<String> {
        self.linux.holders(module)
    }

    fn uses(&self, module: &str) -> i64 {
        let holders = self.linux.holders(module).len() as i64;
        self.linux.uses(module).unwrap_or(0) - holders
    }

    // As kmod: what has no exit is not waited for.
    fn is_busy(&self, failure: &Failure) -> bool {
        failure.errno == Errno::AGAIN.raw_os_error()
    }
}

//! The running Linux kernel, as the tools use it.

use crate::place::Place;
use modfs_depot::carry::Target;
use modfs_linux::{Force, InsertError, Linux};
use rustix::io::Errno;
use std::path::Path;

/// How modules are put into the running kernel.
#[derive(Debug, Default)]
pub(crate) struct LinuxPlace {
    pub(crate) linux: Linux,
    pub(crate) force: Force,
    /// Also what is in use, where the kernel lets that happen.
    pub(crate) force_removal: bool,
    /// That a module is loaded already is an error.
    pub(crate) first_time: bool,
    /// That a module finds no device of its own is none.
    pub(crate) may_be_absent: bool,
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

    fn insert(
        &self,
        file: &Path,
        module: &str,
        parameters: &[String],
        _autoclean: bool,
    ) -> Result<bool, String> {
        let done = self.linux.insert(file, &parameters.join(" "), self.force);
        let error = match done {
            Ok(()) => return Ok(true),
            // Somebody else was faster.
            Err(InsertError::Kernel {
                errno: Errno::EXIST,
                ..
            }) if !self.first_time => return Ok(false),
            Err(InsertError::Kernel {
                errno: Errno::NODEV,
                ..
            }) if self.may_be_absent => return Ok(false),
            Err(error) => error,
        };
        let said = match &error {
            InsertError::Kernel { errno, .. } => modprobe_error(*errno),
            other => format!("{}: {other}", file.display()),
        };
        Err(format!(
            "could not insert '{module}': {said}{}",
            reasons(&error)
        ))
    }

    // In the words of kmod's modprobe; who holds it in a line of its own.
    fn remove(&self, module: &str) -> Result<(), String> {
        if self.linux.is_builtin(module) {
            return Err(format!("Module {module} is builtin."));
        }
        let holders = self.linux.holders(module);
        if !holders.is_empty() {
            let holders = holders.join(" ");
            return Err(format!(
                "Module {module} is in use.\n  it is used by {holders}"
            ));
        }
        if self.linux.uses(module).unwrap_or(0) > 0 && !self.force_removal {
            return Err(format!("Module {module} is in use."));
        }
        let removed = self.linux.remove(module, self.force_removal);
        removed.map_err(|e| format!("could not remove '{module}': {}", io_text(&e)))
    }
}

impl LinuxPlace {
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
}

//! The running Linux kernel: its modules loaded, unloaded and listed ([`Linux`]), and it as what is
//! behind a tree of files ([`LinuxKernel`]).
//!
//! What the kernel says of a failure is an errno; what it logged meanwhile, and what can be seen of
//! the file, says why ([`InsertError`]).

#![forbid(unsafe_code)]

mod checksums;
mod exports;
mod hardware;
mod insert;
mod kernel;
mod kmsg;
mod loaded;
mod uevent;
mod vermagic;
mod watch;
mod why;

pub use insert::InsertError;
pub use kernel::LinuxKernel;
pub use kmsg::Kmsg;
pub use loaded::Loaded;

use rustix::io::Errno;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The running kernel, as procfs and sysfs show it.
#[derive(Clone, Debug)]
pub struct Linux {
    proc: PathBuf,
    modules: PathBuf,
    devices: PathBuf,
    /// What of the kernel is locked.
    lockdown: PathBuf,
    /// The modules on disk.
    directory: PathBuf,
    release: String,
    /// As `uname -m`.
    machine: String,
}

impl Default for Linux {
    fn default() -> Linux {
        Linux {
            proc: "/proc".into(),
            modules: "/sys/module".into(),
            devices: "/sys/devices".into(),
            lockdown: "/sys/kernel/security/lockdown".into(),
            directory: directory(),
            release: release(),
            machine: rustix::system::uname()
                .machine()
                .to_string_lossy()
                .into_owned(),
        }
    }
}

impl Linux {
    fn file(&self, module: &str, name: &str) -> PathBuf {
        self.modules.join(module).join(name)
    }

    /// What has tainted the kernel, as bits; 0 when it does not say.
    pub fn tainted(&self) -> u32 {
        let text = fs::read_to_string(self.proc.join("sys/kernel/tainted"));
        text.ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Whether a module is there, in whatever state; one that is part of the kernel is not.
    pub fn is_loaded(&self, module: &str) -> bool {
        self.file(module, "initstate").exists()
    }

    /// Whether a module is there and its init is over. One that comes or goes at this moment is
    /// waited for by the kernel when it is loaded.
    pub fn is_live(&self, module: &str) -> bool {
        let state = fs::read_to_string(self.file(module, "initstate"));
        state.is_ok_and(|state| state.trim_end() == "live")
    }

    /// Whether a module is part of the kernel, and shows itself.
    pub fn is_builtin(&self, module: &str) -> bool {
        self.modules.join(module).is_dir() && !self.is_loaded(module)
    }

    /// The modules that use a module.
    pub fn holders(&self, module: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.file(module, "holders")) else {
            return Vec::new();
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// How many use a module, modules among them; `None`: the kernel does not say.
    pub fn uses(&self, module: &str) -> Option<i64> {
        let text = fs::read_to_string(self.file(module, "refcnt")).ok()?;
        text.trim().parse().ok()
    }

    /// Unloads a module (`delete_module(2)`); with `force` also one that is in use or cannot be
    /// unloaded, where the kernel was built to let that happen.
    ///
    /// # Errors
    /// ENOENT: it is not there. EAGAIN, EBUSY: it is used, or has no exit. EPERM: who asks may not.
    /// EINVAL: no name of a module.
    pub fn remove(&self, module: &str, force: bool) -> io::Result<()> {
        let name = CString::new(module).map_err(|_| Errno::INVAL)?;
        // Nothing waits for a module to become idle.
        let mut flags = rustix::fs::OFlags::NONBLOCK;
        if force {
            flags |= rustix::fs::OFlags::TRUNC;
        }
        Ok(rustix::system::delete_module(&name, flags.bits() as i32)?)
    }

    /// How far the kernel is locked down, `integrity` or `confidentiality`; `None`: it is not.
    fn lockdown(&self) -> Option<String> {
        let text = fs::read_to_string(&self.lockdown).ok()?;
        let (_, rest) = text.split_once('[')?;
        let (mode, _) = rest.split_once(']')?;
        (mode != "none").then(|| mode.to_owned())
    }

    /// How the kernel unpacks module files by itself; `None`: it does not.
    fn unpacks(&self) -> Option<String> {
        let text = fs::read_to_string(self.modules.join("compression")).ok()?;
        Some(text.trim().to_owned())
    }

    /// The kernel's `/proc/modules`.
    ///
    /// # Errors
    /// It cannot be read, or a line is none of a module.
    pub fn loaded(&self) -> io::Result<Vec<Loaded>> {
        Loaded::read(&self.proc.join("modules"))
    }

    fn kallsyms(&self) -> PathBuf {
        self.proc.join("kallsyms")
    }
}

/// The release of the running kernel, as `uname -r`.
pub fn release() -> String {
    let name = rustix::system::uname();
    name.release().to_string_lossy().into_owned()
}

/// The directory of the running kernel's modules, whose indexes tell who exports what.
pub fn directory() -> PathBuf {
    Path::new("/lib/modules").join(release())
}

//! The contestants, behind one trait.

mod dlopen;
pub(crate) mod kmod;
pub(crate) mod modfs;
pub(crate) mod relink;

use crate::Result;
use crate::services::Services;
use crate::sources::Forms;
use std::path::Path;
use std::sync::Arc;

pub(crate) use dlopen::Dlopen;
pub(crate) use kmod::Kmod;
pub(crate) use modfs::Modfs;
pub(crate) use relink::Relink;

/// Where a module is loaded from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From<'a> {
    Memory(&'a Arc<Vec<u8>>),
    File(&'a Path),
}

/// Something that loads modules and can let them go again.
pub(crate) trait Loader {
    /// Loads a module, resolves all it imports, relocates it, and runs its init, which has to
    /// return 0.
    fn load(&self, name: &str, from: From<'_>) -> Result<Box<dyn Running + '_>>;
}

/// A module that was loaded.
pub(crate) trait Running {
    /// Finds an export without arguments by name and calls it. `None`: this loader finds no
    /// exports.
    fn call(&self, export: &str) -> Result<Option<i64>>;

    /// Runs its exit, and unloads it.
    fn unload(self: Box<Self>) -> Result<()>;
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    Modfs,
    Dlopen,
    Relink,
    Kmod,
}

impl Which {
    /// All that can load a C module from a file.
    pub(crate) const ALL: [Which; 4] = [Which::Modfs, Which::Dlopen, Which::Relink, Which::Kmod];

    pub(crate) fn shown(self) -> &'static str {
        match self {
            Which::Modfs => "modfs",
            Which::Dlopen => "dlopen",
            Which::Relink => "elf_loader",
            Which::Kmod => "kmod-loader",
        }
    }

    /// The argument that makes a child use it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Which::Modfs => "modfs",
            Which::Dlopen => "dlopen",
            Which::Relink => "relink",
            Which::Kmod => "kmod",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Which::Modfs => "ko",
            Which::Dlopen => "so",
            Which::Relink => "o",
            Which::Kmod => "linux.o",
        }
    }

    pub(crate) fn form(self, forms: &Forms) -> &Path {
        match self {
            Which::Modfs => &forms.modfs,
            Which::Dlopen => &forms.shared,
            Which::Relink => &forms.object,
            Which::Kmod => &forms.linux,
        }
    }

    pub(crate) fn loader(self, services: &Services) -> Result<Box<dyn Loader>> {
        Ok(match self {
            Which::Modfs => Box::new(Modfs::new(services)?),
            Which::Dlopen => Box::new(Dlopen),
            Which::Relink => Box::new(Relink::new(services)?),
            Which::Kmod => Box::new(Kmod::new(services)?),
        })
    }
}

/// One life of a module: init's answer, and its export, have to give what they should.
pub(crate) fn cycle(loader: &dyn Loader, from: From<'_>, answer: i64) -> Result<()> {
    let module = loader.load("bench", from)?;
    match module.call(crate::EXPORT)? {
        Some(other) if other != answer => return Err(format!("it answered {other}, not {answer}")),
        _ => {}
    }
    module.unload()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{services, sources};

    #[test]
    fn every_loader_gives_the_right_answer() {
        let dir = tempfile::tempdir().unwrap();
        let services = services::build(dir.path(), 100).unwrap();
        let services = Services::open(&services, 100).unwrap();
        let (forms, answer) = sources::importing(dir.path(), 10, 100).unwrap();
        for which in Which::ALL {
            let Ok(loader) = which.loader(&services) else {
                assert!(which == Which::Kmod && cfg!(debug_assertions));
                continue;
            };
            let path = which.form(&forms);
            for _ in 0..2 {
                cycle(loader.as_ref(), From::File(path), answer).unwrap();
            }
            if which == Which::Dlopen {
                continue;
            }
            let object = Arc::new(std::fs::read(path).unwrap());
            cycle(loader.as_ref(), From::Memory(&object), answer).unwrap();
            if which != Which::Kmod {
                let wrong = cycle(loader.as_ref(), From::Memory(&object), answer + 1);
                assert!(wrong.unwrap_err().starts_with("it answered"));
            }
        }
    }
}

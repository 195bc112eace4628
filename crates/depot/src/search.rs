//! Which of several module files of one name counts (depmod.d).

use crate::walk::Found;
use std::path::{Path, PathBuf};

/// Where modules are looked for, and which of several of one name counts.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// In order; the first that has the module counts. None: `updates`, then the rest.
    pub order: Vec<Place>,
    /// Module names with the directory, relative to the version directory, whose file counts
    /// before all others.
    pub overrides: Vec<(String, PathBuf)>,
    /// Directories outside the version directory.
    pub external: Vec<PathBuf>,
    /// Names of directories that are passed over.
    pub excluded: Vec<String>,
}

/// A place in a search order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory below the version directory.
    Below(PathBuf),
    /// The version directory itself (`built-in`).
    BuiltIn,
    /// Every external directory.
    External,
}

impl Search {
    pub(crate) fn external(&self) -> impl Iterator<Item = &PathBuf> {
        self.external.iter()
    }

    pub(crate) fn excluded(&self) -> &[String] {
        &self.excluded
    }

    /// Whether a file counts more than another of the same module.
    pub(crate) fn prefers(&self, root: &Path, new: &Found, old: &Found) -> bool {
        let is_override = |module: &Found| {
            let folder = module.relative.parent().unwrap_or(Path::new(""));
            let mut overrides = self.overrides.iter();
            overrides.any(|(name, place)| *name == module.name && folder == place)
        };
        match (is_override(new), is_override(old)) {
            (true, false) => return true,
            (false, true) => return false,
            _ => {}
        }
        let usual = [Place::Below("updates".into()), Place::BuiltIn];
        let order = if self.order.is_empty() {
            &usual[..]
        } else {
            &self.order
        };
        let rank = |module: &Found| {
            let inside = module.path.starts_with(root);
            let named = order.iter().position(|place| match place {
                Place::Below(below) => inside && module.relative.starts_with(below),
                _ => false,
            });
            let kind = if inside {
                Place::BuiltIn
            } else {
                Place::External
            };
            named
                .or_else(|| order.iter().position(|place| *place == kind))
                .unwrap_or(usize::MAX)
        };
        // Of two in one place the answer must not depend on the order they were found in; one in an
        // external directory that the search order does not name comes last, as in kmod.
        let outside = |module: &Found| !module.path.starts_with(root);
        (rank(new), outside(new), &new.relative) < (rank(old), outside(old), &old.relative)
    }
}

//! Where the modules of a version are.

use clap::Args;
use std::path::{Path, PathBuf};

/// Which version directory is meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DirectoryArgs {
    /// The directory with the modules and their indexes, whatever its name
    #[arg(long, value_name = "DIR", env = "MODFS_MODULES")]
    pub(crate) directory: Option<PathBuf>,
}

impl DirectoryArgs {
    /// Whether the directory itself is given.
    pub(crate) fn is_given(&self) -> bool {
        self.directory.is_some()
    }

    /// The directory itself when one is given, else that of a version (the running kernel's when
    /// none is given) below a root. It is absolute: what is printed of it, and what is run for a
    /// module, may be used elsewhere.
    pub(crate) fn of(
        &self,
        root: Option<&Path>,
        below: Option<&Path>,
        version: Option<&str>,
    ) -> Result<PathBuf, String> {
        let absolute = |path: &Path| {
            let absolute = std::path::absolute(path);
            absolute.map_err(|e| format!("{}: {e}", path.display()))
        };
        if let Some(directory) = &self.directory {
            return absolute(directory);
        }
        let below = below.unwrap_or(Path::new("/lib/modules"));
        let root = root.unwrap_or(Path::new("/"));
        let root = root.join(below.strip_prefix("/").unwrap_or(below));
        match version {
            Some(version) => absolute(&root.join(version)),
            None => absolute(&root.join(running()?)),
        }
    }
}

/// The version of the running kernel.
pub(crate) fn running() -> Result<String, String> {
    let name = rustix::system::uname();
    let release = name.release().to_str();
    Ok(release.map_err(|e| format!("uname: {e}"))?.to_owned())
}

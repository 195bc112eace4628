//! Which modules and which configuration a command is about.

use crate::version::DirectoryArgs;
use clap::Args;
use modfs_depot::Report;
use modfs_depot::config::{self, Config, Surroundings};
use modfs_depot::probe::Depot;
use std::fs;
use std::path::{Path, PathBuf, absolute};

/// What is read for modules and configuration.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfiguredArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Read this file or directory in place of the usual ones (with a tree: of modprobe.d beside the
    /// modules); can be given several times
    #[arg(short = 'C', long, value_name = "PATH")]
    pub(crate) config: Vec<PathBuf>,
    /// Read this modules.conf of Linux 2.4 in place of modprobe.d
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "config",
        env = "MODFS_MODULES_CONF"
    )]
    modules_conf: Option<PathBuf>,
    /// Take this as the root directory of modules
    #[arg(short, long, value_name = "DIR")]
    dirname: Option<PathBuf>,
    /// The kernel's version [default: of the running one]
    #[arg(short = 'S', long, value_name = "VERSION")]
    set_version: Option<String>,
}

impl ConfiguredArgs {
    /// The root directory, and the version of the kernel whose modules are meant.
    pub(crate) fn kernel(&self) -> Result<(&Path, String), String> {
        let root = self.dirname.as_deref().unwrap_or(Path::new("/"));
        match &self.set_version {
            Some(version) => Ok((root, version.clone())),
            None => Ok((root, crate::version::running()?)),
        }
    }

    /// Reads the configuration. `for_tree`: it is for a host's tree, to which what is configured
    /// for Linux is nothing. `autoclean`: it is the kernel that asks.
    pub(crate) fn depot(
        &self,
        for_tree: bool,
        autoclean: bool,
        report: &dyn Report,
    ) -> Result<Depot, String> {
        let (root, version) = (self.dirname.as_deref(), self.set_version.as_deref());
        let directory = self.directory.of(root, None, version)?;
        if let Some(file) = &self.modules_conf {
            return self.by_modules_conf(file, directory, autoclean);
        }
        let own = [directory.join("modprobe.d")];
        let places = match for_tree && self.config.is_empty() {
            true => &own[..],
            false => &self.config[..],
        };
        let mut config = Config::read(places, &directory, report);
        let cmdline = Path::new("/proc/cmdline");
        if let Ok(text) = fs::read_to_string(cmdline)
            && !for_tree
        {
            config::parse_command_line(&text, cmdline, &mut config);
        }
        modfs_depot::warn_if_mixed(&directory, report);
        Ok(Depot::new(&directory, config))
    }

    fn by_modules_conf(
        &self,
        file: &Path,
        directory: PathBuf,
        autoclean: bool,
    ) -> Result<Depot, String> {
        let file = absolute(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let version = match &self.set_version {
            Some(version) => version.clone(),
            None => crate::version::running()?,
        };
        let around = Surroundings {
            version,
            autoclean,
            commands: true,
            root: self.dirname.clone().unwrap_or_else(|| "/".into()),
        };
        let config = Config::read_modules_conf(&file, &around).map_err(|e| e.to_string())?;
        // The indexes are beside the file of dependencies.
        let named = config.depfile().and_then(Path::parent).map(Path::to_owned);
        let directory = match named {
            Some(named) if !self.directory.is_given() => named,
            _ => directory,
        };
        Ok(Depot::new(&directory, config))
    }
}

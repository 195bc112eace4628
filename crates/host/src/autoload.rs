//! Resolving names of modules in this process: what modprobe does, without the program.

use crate::host::{Host, Shared};
use modfs_core::{InitArgs, Refusal};
use modfs_depot::carry::{Carrier, Target};
use modfs_depot::config::{Config, Surroundings};
use modfs_depot::probe::{Depot, Found, Via};
use modfs_depot::{Level, Reader};
use modfs_tree::ModuleTree;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Where a host's modules are, and what is configured for them.
#[derive(Clone, Debug)]
pub struct Autoload {
    /// A directory with modules and the indexes that depmod made of them.
    pub directory: PathBuf,
    /// A modules.conf of Linux 2.4; `None`: the directory `modprobe.d` beside the modules.
    pub modules_conf: Option<PathBuf>,
}

/// Whose modules they become. Neither keeps the host from ending.
#[derive(Clone)]
enum Into {
    Host(Weak<Shared>),
    Tree(Weak<Shared>, Weak<ModuleTree>),
}

impl Host {
    /// Resolves the names that `request_module` is called with in this process, when no helper is
    /// set: by the indexes and the configuration, which are read anew each time. Names that the
    /// host has in its code do not need a program outside then.
    pub fn resolve_names(&self, autoload: Autoload) {
        let into = Into::Host(Arc::downgrade(self.shared()));
        self.resolve(autoload, into);
    }

    /// As [`Host::resolve_names`], for a host whose modules are shown in a tree.
    pub(crate) fn resolve_into(&self, tree: &Arc<ModuleTree>, autoload: Autoload) {
        let into = Into::Tree(Arc::downgrade(self.shared()), Arc::downgrade(tree));
        self.resolve(autoload, into);
    }

    fn resolve(&self, autoload: Autoload, into: Into) {
        self.set_resolver(move |name| autoload.load(name, &into));
    }
}

impl Autoload {
    fn config(&self) -> Result<Config, String> {
        match &self.modules_conf {
            Some(file) => {
                let around = Surroundings {
                    version: crate::VERMAGIC.to_owned(),
                    autoclean: true,
                    commands: true,
                    root: "/".into(),
                };
                Config::read_modules_conf(file, &around).map_err(|e| e.to_string())
            }
            None => {
                // What is wrong in it, `modfs config` tells.
                let quiet = |_: Level, _: &str| {};
                let places = [self.directory.join("modprobe.d")];
                Ok(Config::read(&places, &self.directory, &quiet))
            }
        }
    }

    fn load(&self, name: &str, into: &Into) -> Result<(), String> {
        let depot = Depot::new(&self.directory, self.config()?);
        let answer = depot.find(name).map_err(|e| e.to_string())?;
        if answer.modules.is_empty() {
            let directory = self.directory.display();
            return Err(format!("Module {name} not found in directory {directory}"));
        }
        answer.load(|found| load_one(&depot, found, into))
    }
}

fn load_one(depot: &Depot, found: &Found, into: &Into) -> Result<(), String> {
    let config = depot.config();
    let by_alias = !matches!(found.via, Via::Name | Via::Builtin | Via::Command(_));
    if by_alias && config.blacklisted(&found.name).is_some() {
        return Ok(());
    }
    let steps = depot.plan(found).map_err(|e| e.to_string())?;
    let carrier = Carrier {
        config,
        autoclean: true,
        environment: Vec::new(),
    };
    carrier.insert(&steps, into, |_| {})
}

impl Into {
    fn host(&self) -> Option<Arc<Shared>> {
        match self {
            Into::Host(host) | Into::Tree(host, _) => host.upgrade(),
        }
    }
}

const ENDED: &str = "the host has ended";

impl Target for Into {
    fn is_loaded(&self, module: &str) -> bool {
        self.host().is_some_and(|host| host.state(module).is_some())
    }

    fn insert(
        &self,
        file: &Path,
        module: &str,
        parameters: &[String],
        autoclean: bool,
    ) -> Result<(), String> {
        let mut reader = Reader::default();
        let object = reader.read(file);
        let object = object.map_err(|e| format!("{}: {e}", file.display()))?;
        let args = InitArgs {
            parameters: parameters.to_vec(),
            autoclean,
        };
        let refused = |refusal: Refusal| format!("could not insert {}: {refusal}", file.display());
        match self {
            Into::Tree(_, tree) => {
                let tree = tree.upgrade().ok_or(ENDED)?;
                tree.insert(module, object, &args).map_err(refused)
            }
            Into::Host(host) => {
                let host = host.upgrade().ok_or(ENDED)?;
                let object = Arc::new(object.to_vec());
                host.insert(module, object, &args).map_err(refused)
            }
        }
    }

    fn remove(&self, module: &str) -> Result<(), String> {
        let removed = match self {
            Into::Tree(_, tree) => tree.upgrade().ok_or(ENDED)?.take_out(module),
            Into::Host(host) => Host::of(host.upgrade().ok_or(ENDED)?).unload(module),
        };
        removed.map_err(|refusal| refusal.to_string())
    }
}

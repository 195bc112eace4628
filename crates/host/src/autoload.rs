//! Resolving names of modules in this process: what modprobe does, without the program.

use crate::host::{Host, Shared};
use modfs_core::{InitArgs, Refusal, State};
use modfs_depot::carry::{Carrier, Failure, Inserted, Target};
use modfs_depot::config::{Config, Surroundings};
use modfs_depot::probe::{Depot, Found, Via};
use modfs_depot::{Level, Reader};
use modfs_tree::ModuleTree;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long to wait for a module that another thread is starting.
const OTHERS_INIT: Duration = Duration::from_secs(2);

/// Where a host's modules are, and what is configured for them.
#[derive(Clone, Debug)]
pub struct Autoload {
    /// A directory with modules and the indexes that depmod made of them.
    pub directory: PathBuf,
    /// A modules.conf of Linux 2.4; `None`: the directory `modprobe.d` beside the modules.
    pub modules_conf: Option<PathBuf>,
}

/// Whose modules they become. It does not keep the host from ending.
struct Into {
    host: Weak<Shared>,
    /// Where they are shown.
    tree: Option<Weak<ModuleTree>>,
    /// The modules that are being inserted: one thread does it, the others wait.
    inserting: Mutex<HashSet<String>>,
    inserted: Condvar,
}

impl Host {
    /// Resolves the names that `request_module` is called with in this process, when no helper is
    /// set: by the indexes and the configuration, which are read anew each time. Names that the
    /// host has in its code do not need a program outside then.
    pub fn resolve_names(&self, autoload: Autoload) {
        self.resolve(autoload, None);
    }

    /// As [`Host::resolve_names`], for a host whose modules are shown in a tree.
    pub(crate) fn resolve_into(&self, tree: &Arc<ModuleTree>, autoload: Autoload) {
        self.resolve(autoload, Some(Arc::downgrade(tree)));
    }

    fn resolve(&self, autoload: Autoload, tree: Option<Weak<ModuleTree>>) {
        let into = Into {
            host: Arc::downgrade(self.shared()),
            tree,
            inserting: Mutex::default(),
            inserted: Condvar::new(),
        };
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
        let host = into.host.upgrade().ok_or(ENDED)?;
        let told = |why: String| {
            let text = format!("request_module: {name}: {why}");
            host.log.write(crate::Level::Warning, &text);
        };
        answer.load(|found| load_one(&depot, found, into), told)
    }
}

fn load_one(depot: &Depot, found: &Found, into: &Into) -> Result<(), String> {
    let config = depot.config();
    let by_alias = !matches!(
        found.via,
        Via::Name | Via::Builtin | Via::Command(_) | Via::File(_)
    );
    if by_alias && config.blacklisted(&found.name).is_some() {
        return Ok(());
    }
    let steps = depot.plan(found).map_err(|e| e.to_string())?;
    let carrier = Carrier {
        config,
        autoclean: true,
        first_time: false,
        environment: into.environment(),
    };
    let done = carrier.insert(&steps, into, |_| {});
    done.map_err(|failure| failure.why)
}

impl Into {
    /// For commands: where a modprobe that they run finds the host and its modules.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let host = self.host.upgrade();
        host.map_or_else(Vec::new, |host| host.helper.environment())
    }

    fn state(&self, module: &str) -> Option<State> {
        self.host.upgrade()?.state(module)
    }

    /// Waits until no thread inserts the module, but not for ever: one whose init asks for itself
    /// would wait for itself.
    fn settled(&self, module: &str) -> MutexGuard<'_, HashSet<String>> {
        let mut inserting = self
            .inserting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + OTHERS_INIT;
        while inserting.contains(module)
            && let Some(left) = deadline.checked_duration_since(Instant::now())
        {
            let woken = self.inserted.wait_timeout(inserting, left);
            inserting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inserting
    }

    /// Takes the turn to insert the module.
    fn turn(&self, module: &str) -> Turn<'_> {
        self.settled(module).insert(module.to_owned());
        Turn(self, module.to_owned())
    }
}

/// The turn of one thread to insert a module.
struct Turn<'a>(&'a Into, String);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let inserting = &self.0.inserting;
        let mut inserting = inserting.lock().unwrap_or_else(PoisonError::into_inner);
        inserting.remove(&self.1);
        self.0.inserted.notify_all();
    }
}

const ENDED: &str = "the host has ended";

impl Target for Into {
    fn is_loaded(&self, module: &str) -> bool {
        // One that another thread inserts at this moment is wanted when it is ready.
        drop(self.settled(module));
        self.state(module).is_some()
    }

    fn works(&self, module: &str) -> bool {
        let state = self.state(module);
        matches!(state, Some(State::Initializing | State::Running))
    }

    fn insert(
        &self,
        file: &Path,
        module: &str,
        parameters: &[String],
        autoclean: bool,
    ) -> Result<Inserted, Failure> {
        let _turn = self.turn(module);
        if self.works(module) {
            return Ok(Inserted::Already);
        }
        let mut reader = Reader::default();
        let object = reader.read(file);
        let object = object.map_err(|e| format!("{}: {e}", file.display()))?;
        let args = InitArgs {
            parameters: parameters.to_vec(),
            autoclean,
        };
        let refused = |refusal: Refusal| format!("could not insert {}: {refusal}", file.display());
        let inserted = match &self.tree {
            Some(tree) => tree.upgrade().ok_or(ENDED)?.insert(module, object, &args),
            None => {
                let object = Arc::new(object.to_vec());
                self.host
                    .upgrade()
                    .ok_or(ENDED)?
                    .insert(module, object, &args)
            }
        };
        inserted.map_err(refused)?;
        Ok(Inserted::Now)
    }

    fn remove(&self, module: &str) -> Result<(), Failure> {
        let removed = match &self.tree {
            Some(tree) => tree.upgrade().ok_or(ENDED)?.take_out(module),
            None => Host::of(self.host.upgrade().ok_or(ENDED)?).unload(module),
        };
        removed.map_err(|refusal| refusal.to_string().into())
    }
}

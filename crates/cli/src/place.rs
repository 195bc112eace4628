//! Where modules are loaded: a host's tree, or the running Linux.

use crate::cmd_insmod::{self, InsmodArgs};
use modfs_client::Tree;
use modfs_depot::carry::{Failure, Inserted, Target};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for a module that somebody else is starting.
const OTHERS_INIT: Duration = Duration::from_secs(2);

/// A place where modules are loaded, and whose modules can be looked at.
pub(crate) trait Place: Target + Send + Sync {
    /// The modules that use a module.
    fn holders(&self, module: &str) -> Vec<String>;

    /// How many use a module besides.
    fn uses(&self, module: &str) -> i64;

    /// Whether a module stays only because it is in use.
    fn is_busy(&self, failure: &Failure) -> bool;
}

/// A host's tree.
#[derive(Debug)]
pub(crate) struct TreePlace {
    pub(crate) tree: Tree,
    /// How each is inserted.
    pub(crate) args: InsmodArgs,
}

impl Target for TreePlace {
    fn is_loaded(&self, module: &str) -> bool {
        // One that somebody else inserts at this moment is wanted when it is ready.
        let deadline = Instant::now() + OTHERS_INIT;
        let begins = || {
            let state = self.tree.read(module, "state").unwrap_or_default();
            matches!(state.as_str(), "uninitialized" | "initializing")
        };
        while begins() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.tree.is_mapped(module)
    }

    fn works(&self, module: &str) -> bool {
        let state = self.tree.read(module, "state").unwrap_or_default();
        matches!(state.as_str(), "initializing" | "running")
    }

    fn insert(
        &self,
        file: &Path,
        module: &str,
        parameters: &[String],
        autoclean: bool,
    ) -> Result<Inserted, Failure> {
        let inserted = cmd_insmod::run(&InsmodArgs {
            autoclean,
            name: Some(module.to_owned()),
            file: file.to_owned(),
            parameters: parameters.to_vec(),
            ..self.args.clone()
        });
        match inserted {
            Ok(()) => Ok(Inserted::Now),
            Err(why) => Err(why.strip_prefix("insmod: ERROR: ").unwrap_or(&why).into()),
        }
    }

    fn remove(&self, module: &str) -> Result<(), Failure> {
        let removed = self.tree.remove(module);
        removed.map_err(|error| error.to_string().into())
    }
}

impl Place for TreePlace {
    fn holders(&self, module: &str) -> Vec<String> {
        self.tree.lines(module, "refs")
    }

    fn uses(&self, module: &str) -> i64 {
        let count = self.tree.read(module, "usecount").unwrap_or_default();
        count.parse().unwrap_or(0)
    }

    fn is_busy(&self, failure: &Failure) -> bool {
        failure.why.contains("is in use")
    }
}

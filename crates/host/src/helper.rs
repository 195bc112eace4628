//! `request_module`: asking for a module by name, a program outside or whoever resolves names in
//! this process.

use crate::host::Shared;
use crate::log::Level;
use modfs_core::{Errno, Refusal};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest path of the helper, as in Linux's `modprobe_path`.
const PATH_MAX: usize = 255;
/// More requests at once are taken for a loop (Linux 2.4 `MAX_KMOD_CONCURRENT`).
const CONCURRENT: usize = 50;

#[derive(Debug, Default)]
pub(crate) struct Helper {
    settings: Mutex<Settings>,
    running: AtomicUsize,
}

/// Loads the module that a name stands for, or says why not.
pub(crate) type Resolver = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

#[derive(Clone, Default)]
struct Settings {
    path: String,
    tree: PathBuf,
    /// What the program is to have in its environment besides.
    environment: Vec<(OsString, OsString)>,
    /// Asked when there is no program.
    resolver: Option<Resolver>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("path", &self.path)
            .field("tree", &self.tree)
            .finish_non_exhaustive()
    }
}

/// What came of a request that was passed on.
pub(crate) enum Asked {
    /// It was granted.
    Granted,
    /// It was refused, or nobody could be asked.
    Refused(Refusal),
}

/// Counts a request for as long as it runs.
struct Request<'a>(&'a AtomicUsize);

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Helper {
    fn settings(&self) -> Settings {
        self.settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What a program is to know of this host.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let settings = self.settings();
        let tree = [("MODFS_TREE".into(), settings.tree.into_os_string())];
        tree.into_iter().chain(settings.environment).collect()
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn path(&self) -> String {
        self.settings().path
    }

    pub(crate) fn set_path(&self, path: &str) -> Result<(), Refusal> {
        if path.len() > PATH_MAX {
            let text = format!("the path of the helper has at most {PATH_MAX} bytes");
            return Err(Refusal::new(Errno::ENAMETOOLONG, text));
        }
        self.set(|settings| path.clone_into(&mut settings.path));
        Ok(())
    }

    pub(crate) fn set_tree(&self, tree: &Path) {
        self.set(|settings| tree.clone_into(&mut settings.tree));
    }

    pub(crate) fn set_environment(&self, environment: Vec<(OsString, OsString)>) {
        self.set(|settings| settings.environment = environment);
    }

    pub(crate) fn set_resolver(&self, resolver: Resolver) {
        self.set(|settings| settings.resolver = Some(resolver));
    }
}

impl Shared {
    /// Asks for a module: the helper, as `PATH -s -k -- NAME` (spec: Linux 2.4 `request_module`),
    /// and waits for it, or when there is none who resolves names in this process. The helper's
    /// environment is 2.4's, MODFS_TREE, and what was set.
    ///
    /// # Errors
    /// ENOENT: there is nobody to ask. ENOMEM: too many requests at once.
    pub(crate) fn ask_for(&self, name: &str) -> Result<Asked, Refusal> {
        let settings = self.helper.settings();
        if settings.path.is_empty() && settings.resolver.is_none() {
            let text = format!(
                "{name}: no helper is set to ask for it: write the path of a modprobe to \
                 kernel/modprobe"
            );
            return Err(Refusal::new(Errno::ENOENT, text));
        }
        let before = self.helper.running.fetch_add(1, Ordering::Relaxed);
        let _request = Request(&self.helper.running);
        if before >= CONCURRENT {
            let text = format!("{name}: runaway modprobe loop assumed and stopped");
            self.log.write(Level::Err, &text);
            return Err(Refusal::new(Errno::ENOMEM, text));
        }
        let done = match settings.resolver {
            Some(resolve) if settings.path.is_empty() => {
                resolve(name).map_err(|why| Refusal::new(Errno::ENOENT, format!("{name}: {why}")))
            }
            _ => run(&settings.path, self.helper.environment(), name),
        };
        Ok(match done {
            Ok(()) => Asked::Granted,
            Err(refusal) => {
                let text = format!("request_module: {refusal}");
                self.log.write(Level::Warning, &text);
                Asked::Refused(refusal)
            }
        })
    }

    /// As [`Shared::ask_for`], when a refusal is a failure too.
    pub(crate) fn request_module(&self, name: &str) -> Result<(), Refusal> {
        match self.ask_for(name)? {
            Asked::Granted => Ok(()),
            Asked::Refused(refusal) => Err(refusal),
        }
    }
}

fn run(path: &str, environment: Vec<(OsString, OsString)>, name: &str) -> Result<(), Refusal> {
    let status = Command::new(path)
        .args(["-s", "-k", "--", name])
        .env_clear()
        .env("HOME", "/")
        .env("TERM", "linux")
        .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let text = format!("{path}: {name}: {status}");
            Err(Refusal::new(Errno::ENOENT, text))
        }
        Err(error) => {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            Err(Refusal::new(errno, format!("cannot run {path}: {error}")))
        }
    }
}

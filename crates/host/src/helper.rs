//! `request_module`: asking a program outside for a module.

use crate::host::Shared;
use crate::log::Level;
use modfs_core::{Errno, Refusal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The longest path of the helper, as in Linux's `modprobe_path`.
const PATH_MAX: usize = 255;
/// More requests at once are taken for a loop (Linux 2.4 `MAX_KMOD_CONCURRENT`).
const CONCURRENT: usize = 50;

#[derive(Debug, Default)]
pub(crate) struct Helper {
    settings: Mutex<Settings>,
    running: AtomicUsize,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    path: String,
    tree: PathBuf,
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

    pub(crate) fn path(&self) -> String {
        self.settings().path
    }

    pub(crate) fn set_path(&self, path: &str) -> Result<(), Refusal> {
        if path.len() > PATH_MAX {
            let text = format!("the path of the helper has at most {PATH_MAX} bytes");
            return Err(Refusal::new(Errno::ENAMETOOLONG, text));
        }
        path.clone_into(
            &mut self
                .settings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .path,
        );
        Ok(())
    }

    pub(crate) fn set_tree(&self, tree: &Path) {
        tree.clone_into(
            &mut self
                .settings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tree,
        );
    }
}

impl Shared {
    /// Runs the helper as `PATH -s -k -- NAME` and waits for it (spec: Linux 2.4
    /// `request_module`). Its environment is 2.4's, and MODFS_TREE.
    pub(crate) fn request_module(&self, name: &str) -> Result<(), Refusal> {
        let settings = self.helper.settings();
        if settings.path.is_empty() {
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
        let status = Command::new(&settings.path)
            .args(["-s", "-k", "--", name])
            .env_clear()
            .env("HOME", "/")
            .env("TERM", "linux")
            .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
            .env("MODFS_TREE", &settings.tree)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        let refusal = match status {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => Refusal::new(
                Errno::ENOENT,
                format!("{}: {name}: {status}", settings.path),
            ),
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
                Refusal::new(errno, format!("cannot run {}: {error}", settings.path))
            }
        };
        self.log
            .write(Level::Warning, &format!("request_module: {refusal}"));
        Err(refusal)
    }
}

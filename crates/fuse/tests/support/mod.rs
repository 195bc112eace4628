//! What the mount tests share. Everything in a mount is done by child processes: this process is
//! the host, whose own requests are refused.

// Not every test file uses all of it.
#![allow(dead_code)]

#[path = "../../../tree/tests/support/double.rs"]
mod double;

pub(crate) use double::Double;

use modfs_fuse::{Mount, Options, mount};
use modfs_tree::{ModuleTree, Node};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const NOBODY: u32 = 65534;

/// A mounted tree. The mount goes before the directory it is on.
pub(crate) struct World {
    pub(crate) mount: Mount,
    pub(crate) kernel: Arc<Double>,
    pub(crate) dir: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.kernel.release();
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with(&Options::default())
    }

    pub(crate) fn with(options: &Options) -> World {
        let kernel = Double::new();
        let own = rustix::process::getuid().as_raw();
        let tree = ModuleTree::new(Arc::<Double>::clone(&kernel), own, own);
        let (dir, mount) = mounted(tree.root(), options);
        World { mount, kernel, dir }
    }

    /// A module that is not mapped; its object is `text`.
    pub(crate) fn module(&self, name: &str, text: &str) {
        let script = format!("mkdir $M/{name} && printf '{text}' > $M/{name}/module");
        self.ok(&script);
    }

    pub(crate) fn command(&self, script: &str) -> Command {
        command(&self.mount, script)
    }

    pub(crate) fn run(&self, script: &str) -> Ran {
        ran(&mut self.command(script))
    }

    /// Runs what must succeed and returns what it printed.
    pub(crate) fn ok(&self, script: &str) -> String {
        let ran = self.run(script);
        assert!(ran.success, "{script}: {ran:?}");
        ran.out
    }

    /// Runs what must fail and returns what it said.
    pub(crate) fn fails(&self, script: &str) -> String {
        let ran = self.run(script);
        assert!(!ran.success, "{script} succeeded: {ran:?}");
        ran.err
    }

    /// Writes to a file with one write(2); unlike a shell, dd says which errno it got.
    pub(crate) fn put(&self, path: &str, text: &str) -> Ran {
        self.run(&format!(
            "printf '{text}' | dd of=$M/{path} conv=notrunc status=none"
        ))
    }

    pub(crate) fn wait_for(&self, script: &str, expected: &str) {
        eventually(&format!("{script} gives {expected:?}"), || {
            self.run(script).out == expected
        });
    }
}

/// Mounts on a directory that other users can reach.
pub(crate) fn mounted(root: Arc<dyn Node>, options: &Options) -> (TempDir, Mount) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    let at = at(&dir);
    std::fs::create_dir(&at).expect("mkdir");
    let mount = mount(root, &at, options).unwrap_or_else(|error| panic!("{error}"));
    (dir, mount)
}

pub(crate) fn at(dir: &TempDir) -> PathBuf {
    dir.path().join("modules")
}

/// A shell whose `$M` is the mount, killed if it takes too long.
pub(crate) fn command(mount: &Mount, script: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "20", "sh", "-c", script]);
    command.env("M", mount.at()).env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command
}

pub(crate) fn as_nobody(mut command: Command) -> Command {
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("timeout(1) and sh(1)");
    let err = String::from_utf8_lossy(&stderr).into_owned();
    let slow = matches!(status.code(), Some(124 | 137)) || status.signal().is_some();
    assert!(!slow, "took too long: {err}");
    Ran {
        success: status.success(),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err,
    }
}

pub(crate) fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills a child and expects it to be gone soon.
pub(crate) fn kill(mut child: Child) {
    child.kill().expect("kill");
    eventually("a killed process ends", || {
        child.try_wait().expect("wait").is_some()
    });
}

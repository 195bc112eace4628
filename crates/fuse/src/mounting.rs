//! Mounting, and the life of a mount.

use crate::call::Monitor;
use crate::fs::ModFs;
use crate::stale::{clear_stale, detach};
use fuser::{Config, MountOption, Session, SessionACL};
use modfs_tree::Node;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const DEVICE: &str = "/dev/fuse";

/// How to mount.
#[derive(Clone, Debug)]
pub struct Options {
    /// What mount(8) shows as the source.
    pub fs_name: String,
    /// Whether other users may come in; permission bits then say what they may do. Ordinary
    /// users can ask for this only when `/etc/fuse.conf` has `user_allow_other`.
    pub allow_other: bool,
    /// After how long a call on a node that times out, as a write to `control` does, is answered
    /// ETIMEDOUT. What it does goes on.
    pub init_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            fs_name: "modfs".to_owned(),
            allow_other: false,
            init_timeout: Duration::from_secs(60),
        }
    }
}

/// A mounted tree. Dropping it unmounts; files that are open then stay usable until they
/// are closed, or the process ends.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
    /// `None` once it was joined.
    session: Option<JoinHandle<io::Result<()>>>,
}

impl Mount {
    /// Where it is mounted: an absolute path.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Whether it has been unmounted, by whomever.
    pub fn is_over(&self) -> bool {
        self.session.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it is unmounted from outside (umount, `fusermount3 -u`).
    ///
    /// # Errors
    /// The connection to the kernel broke down.
    pub fn join(mut self) -> io::Result<()> {
        self.wait()
    }

    /// Unmounts and waits for the end.
    ///
    /// # Errors
    /// EBUSY: something in it is open; it is still mounted. EPERM: this process may not unmount.
    pub fn unmount(&mut self) -> io::Result<()> {
        if !self.is_over() {
            detach(&self.at, false)?;
        }
        self.wait()
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.session.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(io::Error::other(
                "the thread that serves the mount panicked",
            )),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !self.is_over() {
            // Nothing more can be done when it fails, and the kernel ends the mount with the
            // process at the latest.
            let _ = detach(&self.at, true);
        }
    }
}

/// Mounts `root` at the directory `at`. What a killed host left there is cleared first.
///
/// # Errors
/// `at` is not a directory, `/dev/fuse` is missing, or this process may not mount: the text
/// says what to do. The name has a comma or a control character.
pub fn mount(root: Arc<dyn Node>, at: &Path, options: &Options) -> io::Result<Mount> {
    // fusermount3 takes its options in one word.
    if options
        .fs_name
        .contains(|c: char| c == ',' || c.is_control())
    {
        let text = "a file system's name has no commas or control characters";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    clear_stale(at)?;
    let named = |error: io::Error| told(&error, format!("{}: {error}", at.display()));
    let path = at.canonicalize().map_err(named)?;
    if !path.is_dir() {
        let text = format!("{}: not a directory", at.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
    }
    if let Err(error) = std::fs::symlink_metadata(DEVICE) {
        return Err(explained(&error, at));
    }
    let monitor = Monitor::start(options.init_timeout)?;
    let fs = ModFs::new(root, monitor);
    let session = Session::new(fs, &path, &config(options)).map_err(|e| explained(&e, at))?;
    let session = thread::Builder::new()
        .name("modfs-fuse".into())
        .spawn(move || session.run())?;
    Ok(Mount {
        at: path,
        session: Some(session),
    })
}

fn config(options: &Options) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(options.fs_name.clone()),
        // Not `Subtype`: fuser drops that when it mounts without fusermount3.
        MountOption::CUSTOM("subtype=modfs".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoSuid,
        MountOption::NoDev,
    ];
    config.acl = if options.allow_other {
        SessionACL::All
    } else {
        SessionACL::Owner
    };
    // Requests are taken in the order in which they were made, which `Releases` builds upon;
    // what takes time is done on threads of its own.
    config.n_threads = Some(1);
    config
}

fn told(error: &io::Error, text: String) -> io::Error {
    io::Error::new(error.kind(), text)
}

/// The error of a mount, with what to do about it.
fn explained(error: &io::Error, at: &Path) -> io::Error {
    let hint = if !Path::new(DEVICE).exists() {
        "/dev/fuse is missing: run `modprobe fuse` as root; in a container, start it with \
         `--device /dev/fuse --cap-add SYS_ADMIN`"
    } else if !rustix::process::geteuid().is_root() {
        "ordinary users need fusermount3 (install the package fuse3), leave to open /dev/fuse \
         (its mode is to be 0666, as udev makes it), and a directory of their own to mount on"
    } else {
        "run `modprobe fuse`, or in a container, start it with \
         `--device /dev/fuse --cap-add SYS_ADMIN`"
    };
    // What fusermount3 says ends in a newline.
    let said = error.to_string();
    let text = format!("cannot mount on {}: {}; {hint}", at.display(), said.trim());
    told(error, text)
}

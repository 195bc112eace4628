//! What was mapped and is kept until it is unmapped.

use super::facts::Facts;
use super::{LinuxKernel, lock, name_of};
use modfs_core::{Errno, Force, Refusal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// An object that was mapped.
#[derive(Debug)]
pub(super) struct Staged {
    /// The module file it is from.
    pub(super) file: String,
    /// Unpacked.
    pub(super) image: Arc<Vec<u8>>,
    /// What the kernel is not to look at.
    pub(super) force: Force,
    pub(super) facts: Arc<Facts>,
    /// The modules whose symbols it uses.
    pub(super) needed: Vec<String>,
    pub(super) phase: Phase,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It was not loaded from here, or that failed.
    Ready,
    /// The call that loads it has not returned.
    Starting,
    /// It was loaded from here. When the kernel does not have it, it has been unloaded.
    Started,
}

/// The loading of an object; it is as before when this is dropped, also by a panic.
pub(super) struct Start<'a> {
    all: &'a Mutex<BTreeMap<String, Staged>>,
    directory: String,
    image: Arc<Vec<u8>>,
    force: Force,
    after: Phase,
}

impl<'a> Start<'a> {
    /// Begins it.
    ///
    /// # Errors
    /// ENOENT: it was unmapped meanwhile. EBUSY: somebody else has begun.
    pub(super) fn begin(
        all: &'a Mutex<BTreeMap<String, Staged>>,
        directory: &str,
    ) -> Result<Start<'a>, Refusal> {
        let mut locked = lock(all);
        let staged = locked.get_mut(directory).ok_or(Errno::ENOENT)?;
        if staged.phase == Phase::Starting {
            return Err(Errno::EBUSY.into());
        }
        staged.phase = Phase::Starting;
        Ok(Start {
            all,
            directory: directory.to_owned(),
            image: Arc::clone(&staged.image),
            force: staged.force,
            after: Phase::Ready,
        })
    }

    pub(super) fn image(&self) -> &[u8] {
        &self.image
    }

    pub(super) fn force(&self) -> Force {
        self.force
    }

    pub(super) fn succeeded(mut self) {
        self.after = Phase::Started;
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        if let Some(staged) = lock(self.all).get_mut(&self.directory) {
            staged.phase = self.after;
        }
    }
}

impl LinuxKernel {
    /// Refuses a second module of a name.
    ///
    /// # Errors
    /// EEXIST: it is mapped, here or in another directory, or loaded, or part of the kernel.
    pub(super) fn is_taken(&self, directory: &str) -> Result<(), Refusal> {
        let name = name_of(directory);
        let taken = |reason: String| Err(Refusal::new(Errno::EEXIST, reason));
        let staged = lock(&self.staged);
        if let Some(place) = staged.keys().find(|place| name_of(place) == name) {
            return taken(format!("{name} is mapped in {place}"));
        }
        drop(staged);
        if self.linux.is_loaded(&name) {
            return taken(format!("{name} is loaded"));
        }
        if self.linux.is_builtin(&name) {
            return taken(format!("{name} is part of the kernel"));
        }
        Ok(())
    }
}

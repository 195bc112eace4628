//! A module's directory.
//!
//! # What keeps a file frozen
//!
//! A file is frozen from when a `map` of it begins until nothing of it is mapped; of a linked image only
//! its length is, until the module is started. The tree keeps
//! a flag per file, that it is mapped, and asks the kernel before it relies on one that is set, so a module that
//! the kernel let go of by itself (autoclean) thaws its file, and an error or a panic in between
//! cannot leave one frozen. `map` and `unmap` of one directory run one after the other;
//! each is a [`Transition`], during which its file is frozen whatever the kernel says.
//!
//! # Directories that come by themselves
//!
//! Where others load modules too (`Kernel::loaded`), one of theirs gets a directory without a
//! module file, and that goes with the module; unless somebody has put a file into it. It goes also
//! while an `exit` in it is under way, whose write tells the outcome all the same.
//!
//! A directory can be removed when no command is under way in it and nothing of its name is
//! mapped; both are tested and the directory is retired in one step, under its lock.

use crate::control::Control;
use crate::module_file::{File, ModuleFile};
use crate::outcome::Outcomes;
use crate::root::check_name;
use crate::status::{self, StatusIds};
use crate::{Attr, Caller, Kind, Node, NodeId, SetAttr, Shared, lock};
use modfs_core::{Errno, Status};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};

pub(crate) const CONTROL: &str = "control";

/// Mode and ownership of something.
#[derive(Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Rights {
    pub(crate) fn attr(self, kind: Kind, size: u64) -> Attr {
        Attr {
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size,
        }
    }

    pub(crate) fn change(&mut self, change: SetAttr) {
        if let Some(mode) = change.mode {
            self.mode = mode & 0o7777;
        }
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
    }
}

/// What of a module file may not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frozen {
    /// It is not mapped.
    Nothing,
    /// It is of an image that has not been started.
    Length,
    /// All of it.
    Content,
}

pub(crate) struct ModuleDir {
    me: Weak<ModuleDir>,
    pub(crate) shared: Arc<Shared>,
    id: NodeId,
    name: String,
    pub(crate) status_ids: StatusIds,
    state: Mutex<DirState>,
    /// Notified when a transition ends.
    pub(crate) settled: Condvar,
}

pub(crate) struct DirState {
    pub(crate) rights: Rights,
    /// Set once it is out of the root: it takes nothing any more.
    pub(crate) retired: bool,
    /// It came with a module that others loaded, and goes with it.
    pub(crate) appeared: bool,
    /// `None` once it is unlinked.
    pub(crate) control: Option<Rights>,
    /// In the order they were made.
    pub(crate) files: Vec<File>,
    /// The file that is being mapped or unmapped.
    pub(crate) transition: Option<NodeId>,
    pub(crate) outcomes: Outcomes,
    pub(crate) parameter_ids: BTreeMap<String, NodeId>,
}

impl DirState {
    pub(crate) fn file(&self, id: NodeId) -> Result<&File, Errno> {
        let found = self.files.iter().find(|file| file.id == id);
        found.filter(|_| !self.retired).ok_or(Errno::ENOENT)
    }

    pub(crate) fn file_mut(&mut self, id: NodeId) -> Result<&mut File, Errno> {
        let found = self.files.iter_mut().find(|file| file.id == id);
        found.filter(|_| !self.retired).ok_or(Errno::ENOENT)
    }

    pub(crate) fn alive(&self) -> Result<(), Errno> {
        if self.retired {
            return Err(Errno::ENOENT);
        }
        Ok(())
    }

    fn retire(&mut self) {
        self.retired = true;
        self.control = None;
        self.files.clear();
    }
}

impl ModuleDir {
    /// A directory with its control.
    pub(crate) fn new(
        shared: Arc<Shared>,
        caller: &Caller,
        name: &str,
        mode: u32,
    ) -> Arc<ModuleDir> {
        let rights = Rights {
            mode: mode & 0o7777,
            uid: caller.uid,
            gid: caller.gid,
        };
        let control = Rights {
            mode: rights.mode & 0o666,
            ..rights
        };
        Arc::new_cyclic(|me| ModuleDir {
            me: Weak::clone(me),
            shared,
            id: NodeId::fresh(),
            name: name.to_owned(),
            status_ids: StatusIds::fresh(),
            state: Mutex::new(DirState {
                rights,
                retired: false,
                appeared: false,
                control: Some(control),
                files: Vec::new(),
                transition: None,
                outcomes: Outcomes::default(),
                parameter_ids: BTreeMap::new(),
            }),
            settled: Condvar::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, DirState> {
        lock(&self.state)
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.shared.kernel.status(&self.name)
    }

    /// What of the file may not be changed; clears a flag that has become untrue.
    pub(crate) fn frozen(&self, state: &mut DirState, id: NodeId) -> Result<Frozen, Errno> {
        let in_transition = state.transition == Some(id);
        let file = state.file_mut(id)?;
        if !file.mapped {
            return Ok(Frozen::Nothing);
        }
        if in_transition {
            return Ok(Frozen::Content);
        }
        let status = self.status().filter(|status| status.holds(&file.name));
        file.mapped = status.is_some();
        Ok(match status {
            None => Frozen::Nothing,
            Some(status) if status.is_open() => Frozen::Length,
            Some(_) => Frozen::Content,
        })
    }

    /// Marks the directory as removed. The caller holds the root's lock.
    ///
    /// # Errors
    /// EBUSY: something of its name is mapped, or a command is under way.
    pub(crate) fn retire(&self) -> Result<(), Errno> {
        let mut state = self.lock();
        if state.outcomes.busy() || self.status().is_some() {
            return Err(Errno::EBUSY);
        }
        state.retire();
        Ok(())
    }

    /// Marks the directory as come with a module that others loaded.
    pub(crate) fn set_appeared(&self) {
        self.lock().appeared = true;
    }

    /// The module that others loaded is gone: marks the directory as removed if it came with it.
    /// The caller holds the root's lock. Returns whether it is to be removed.
    pub(crate) fn vanish(&self) -> bool {
        let mut state = self.lock();
        if !state.appeared {
            return false;
        }
        if !state.files.is_empty() {
            // Somebody's files are not to go with it.
            state.appeared = false;
            return false;
        }
        state.retire();
        true
    }

    /// Whether there is still what the directory stands for.
    ///
    /// # Errors
    /// ENOENT: it was removed, or the module it came with is gone.
    fn alive(&self, state: &DirState) -> Result<(), Errno> {
        state.alive()?;
        if state.appeared && state.files.is_empty() && self.status().is_none() {
            return Err(Errno::ENOENT);
        }
        Ok(())
    }

    fn me(&self) -> Result<Arc<ModuleDir>, Errno> {
        self.me.upgrade().ok_or(Errno::ENOENT)
    }
}

impl Node for ModuleDir {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let state = self.lock();
        self.alive(&state)?;
        Ok(state.rights.attr(Kind::Dir, 0))
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        if change.size.is_some() {
            return Err(Errno::EISDIR);
        }
        let mut state = self.lock();
        state.alive()?;
        state.rights.change(change);
        Ok(())
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let me = self.me()?;
        let state = self.lock();
        self.alive(&state)?;
        if name == CONTROL {
            state.control.ok_or(Errno::ENOENT)?;
            return Ok(Arc::new(Control::new(me)));
        }
        if let Some(file) = state.files.iter().find(|file| file.name == name) {
            return Ok(Arc::new(ModuleFile::new(me, file.id)));
        }
        drop(state);
        status::lookup(&me, name)
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let state = self.lock();
        self.alive(&state)?;
        let control = state.control.map(|_| CONTROL.to_owned());
        let files = state.files.iter().map(|file| file.name.clone());
        let mut entries: Vec<_> = control
            .into_iter()
            .chain(files)
            .map(|name| (name, Kind::File))
            .collect();
        drop(state);
        entries.extend(status::entries(self.status().is_some()));
        Ok(entries)
    }

    fn create(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        check_name(name)?;
        let me = self.me()?;
        let mut state = self.lock();
        self.alive(&state)?;
        if state.control.is_none() {
            return Err(Errno::EPERM);
        }
        if name == CONTROL || state.files.iter().any(|file| file.name == name) {
            return Err(Errno::EEXIST);
        }
        if status::is_reserved(name) {
            let exists = status::exists(name, self.status().is_some());
            return Err(if exists { Errno::EEXIST } else { Errno::EPERM });
        }
        let file = File::new(caller, name, mode);
        let id = file.id;
        state.files.push(file);
        Ok(Arc::new(ModuleFile::new(me, id)))
    }

    fn unlink(&self, _: &Caller, name: &str) -> Result<(), Errno> {
        let mut state = self.lock();
        state.alive()?;
        if name == CONTROL {
            state.control.ok_or(Errno::ENOENT)?;
            let loaded = || self.status().is_some();
            if !state.files.is_empty() || state.outcomes.busy() || loaded() {
                return Err(Errno::EBUSY);
            }
            state.control = None;
            return Ok(());
        }
        let Some(at) = state.files.iter().position(|file| file.name == name) else {
            let exists = status::exists(name, self.status().is_some());
            return Err(if exists { Errno::EPERM } else { Errno::ENOENT });
        };
        let id = state.files[at].id;
        if self.frozen(&mut state, id)? != Frozen::Nothing {
            return Err(Errno::EBUSY);
        }
        state.files.remove(at);
        Ok(())
    }
}

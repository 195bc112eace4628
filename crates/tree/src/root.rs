//! The root: one directory per module, and the kernel's own.

use crate::kernel_dir::{KernelDir, KernelIds};
use crate::module_dir::ModuleDir;
use crate::{Attr, Caller, Kind, Node, NodeId, Shared, lock};
use modfs_core::{Errno, KERNEL, Kernel, NAME_MAX};
use std::sync::{Arc, Mutex};

/// The modules of a kernel as a tree of files.
pub struct ModuleTree {
    shared: Arc<Shared>,
    id: NodeId,
    kernel_ids: KernelIds,
    /// In the order they were made; shown the other way round.
    pub(crate) modules: Mutex<Vec<Arc<ModuleDir>>>,
}

impl ModuleTree {
    /// A tree without modules. `uid` and `gid` own it: that user, and root, may run commands.
    pub fn new(kernel: Arc<dyn Kernel>, uid: u32, gid: u32) -> Arc<ModuleTree> {
        Arc::new(ModuleTree {
            shared: Arc::new(Shared { kernel, uid, gid }),
            id: NodeId::fresh(),
            kernel_ids: KernelIds::fresh(),
            modules: Mutex::default(),
        })
    }

    /// The directory that holds the modules' directories.
    pub fn root(self: &Arc<Self>) -> Arc<dyn Node> {
        Arc::new(Root(Arc::clone(self)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn kernel_ids(&self) -> &KernelIds {
        &self.kernel_ids
    }

    /// Gives modules that others loaded their directories, and takes those away whose modules are
    /// gone. `anew`: also what the kernel does not tell by itself.
    pub(crate) fn follow(&self, anew: bool) {
        let mut modules = lock(&self.modules);
        // Asked under the lock: of two answers the newer is the one that holds.
        let Some(mut loaded) = self.shared.kernel.loaded(anew) else {
            return;
        };
        modules.retain(|dir| loaded.iter().any(|name| name == dir.name()) || !dir.vanish());
        loaded.retain(|name| {
            check_name(name).is_ok() && name != KERNEL && position(&modules, name).is_none()
        });
        modules.extend(loaded.iter().map(|name| self.appeared(name)));
    }

    /// A directory for a module that others loaded.
    fn appeared(&self, name: &str) -> Arc<ModuleDir> {
        let owner = Caller::new(self.shared.uid, self.shared.gid);
        let dir = ModuleDir::new(Arc::clone(&self.shared), &owner, name, 0o755);
        dir.set_appeared();
        dir
    }

    /// The directory of a module.
    ///
    /// # Errors
    /// ENOENT: there is none.
    fn find(&self, name: &str) -> Result<Arc<ModuleDir>, Errno> {
        self.follow(false);
        // A kernel may not yet have told of one whose init runs.
        if self.directory(name).is_none() && self.shared.kernel.status(name).is_some() {
            self.follow(true);
        }
        self.directory(name).ok_or(Errno::ENOENT)
    }

    pub(crate) fn directory(&self, name: &str) -> Option<Arc<ModuleDir>> {
        let modules = lock(&self.modules);
        let at = position(&modules, name)?;
        Some(Arc::clone(&modules[at]))
    }

    /// Removes a module's directory with all that is in it.
    ///
    /// # Errors
    /// ENOENT: there is none. EBUSY: something is mapped in it, or a command is under way.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Errno> {
        let mut modules = lock(&self.modules);
        let at = position(&modules, name).ok_or(Errno::ENOENT)?;
        modules[at].retire()?;
        modules.remove(at);
        Ok(())
    }
}

fn position(modules: &[Arc<ModuleDir>], name: &str) -> Option<usize> {
    modules.iter().position(|dir| dir.name() == name)
}

/// Whether a directory entry can have this name.
///
/// # Errors
/// EINVAL: empty, `.`, `..`, or with a slash or a control character. ENAMETOOLONG: over 255
/// bytes.
pub(crate) fn check_name(name: &str) -> Result<(), Errno> {
    if matches!(name, "" | "." | "..") || name.contains(|c: char| c == '/' || c.is_control()) {
        return Err(Errno::EINVAL);
    }
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    Ok(())
}

struct Root(Arc<ModuleTree>);

impl Node for Root {
    fn id(&self) -> Option<NodeId> {
        Some(self.0.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(Attr {
            kind: Kind::Dir,
            mode: 0o755,
            uid: self.0.shared.uid,
            gid: self.0.shared.gid,
            size: 0,
        })
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        if name == KERNEL {
            return Ok(Arc::new(KernelDir::new(Arc::clone(&self.0))));
        }
        Ok(self.0.find(name)?)
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        self.0.follow(true);
        let modules = lock(&self.0.modules);
        let names = modules.iter().rev().map(|dir| dir.name().to_owned());
        Ok(std::iter::once(KERNEL.to_owned())
            .chain(names)
            .map(|name| (name, Kind::Dir))
            .collect())
    }

    fn mkdir(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        check_name(name)?;
        self.0.follow(false);
        let mut modules = lock(&self.0.modules);
        if name == KERNEL || position(&modules, name).is_some() {
            return Err(Errno::EEXIST);
        }
        // Complete, with its control, before anybody can find it.
        let dir = ModuleDir::new(Arc::clone(&self.0.shared), caller, name, mode);
        modules.push(Arc::clone(&dir));
        Ok(dir)
    }

    fn rmdir(&self, _: &Caller, name: &str) -> Result<(), Errno> {
        if name == KERNEL {
            return Err(Errno::EPERM);
        }
        self.0.follow(false);
        self.0.remove(name)
    }
}

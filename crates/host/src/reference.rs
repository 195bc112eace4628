//! The reference kernel: a host as a tree of files.

use crate::device::DevDir;
use crate::filesystem::FsDir;
use crate::host::Host;
use crate::log::Level;
use crate::procfs::{OwnIds, ProcDir};
use crate::sysfs::Sys;
use modfs_core::{Errno, Refusal};
use modfs_tree::{Attr, Kind, ModuleTree, Node, NodeId};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The directory of the module tree.
const MODULES: &str = "modules";

/// A small user-space kernel: its modules, and what they register, as files.
///
/// ```text
/// modules/   the module tree
/// dev/       devices
/// proc/      virtual files; kmsg is the log, modules and ksyms are the listings of 2.4
/// sys/       module/NAME/…: the modules as today's tools look for them
/// fs/        file systems: mkdir fs/TYPE/NAME mounts one, rmdir unmounts it
/// ```
pub struct ReferenceKernel {
    host: Host,
    id: NodeId,
    attr: Attr,
    entries: [(&'static str, Arc<dyn Node>); 5],
    #[cfg(feature = "autoload")]
    tree: Arc<ModuleTree>,
}

impl ReferenceKernel {
    /// A kernel with a host of its own, which takes modules through its files only. So this is
    /// safe where [`Host::new`] is not: the tree takes commands from its owner alone, and who
    /// owns a process can do to it whatever a module can.
    ///
    /// # Errors
    /// As [`Host::new`].
    #[allow(unsafe_code)]
    pub fn start(uid: u32, gid: u32) -> io::Result<Arc<ReferenceKernel>> {
        // SAFETY: modules come from the process's owner, see above; this is for a program that
        // installs no other handlers of the signals.
        let host = unsafe { Host::new()? };
        Ok(ReferenceKernel::new(&host, uid, gid))
    }

    /// Sets the program that asks for modules on demand; empty for none.
    ///
    /// # Errors
    /// ENAMETOOLONG: longer than 255 bytes.
    pub fn set_helper(&self, path: &str) -> Result<(), Refusal> {
        self.host.kernel().set_helper(path)
    }

    /// Adds to the environment of the helper program.
    pub fn set_helper_environment(&self, environment: Vec<(OsString, OsString)>) {
        self.host.set_helper_environment(environment);
    }

    /// Resolves names in this process when no helper is set; what is loaded is in the tree.
    #[cfg(feature = "autoload")]
    pub fn resolve_names(&self, autoload: crate::Autoload) {
        self.host.resolve_into(&self.tree, autoload);
    }

    /// Tells where it is mounted: the helper gets to know by MODFS_TREE.
    pub fn mounted_at(&self, mountpoint: &Path) {
        self.host.set_tree(&mountpoint.join(MODULES));
        self.host.print(
            Level::Info,
            &format!("modfs host ready at {}", mountpoint.display()),
        );
    }

    /// Whether the log is written to standard error too; it is not at first.
    pub fn echo_log(&self, echo: bool) {
        self.host.echo_log(echo);
    }

    /// As [`Host::allow_wx`].
    ///
    /// # Errors
    /// As for that.
    pub fn allow_wx(&self) -> io::Result<()> {
        self.host.allow_wx()
    }

    /// As [`Host::show_to_gdb`].
    pub fn show_to_gdb(&self, show: bool) {
        self.host.show_to_gdb(show);
    }

    /// As [`Host::show_to_perf`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn show_to_perf(&self) -> io::Result<()> {
        self.host.show_to_perf()
    }

    /// As [`Host::unload_all`].
    pub fn unload_all(&self) -> Vec<(String, Refusal)> {
        self.host.unload_all()
    }

    /// Shows `host`, with files owned by `uid` and `gid`.
    pub fn new(host: &Host, uid: u32, gid: u32) -> Arc<ReferenceKernel> {
        let attr = Attr {
            kind: Kind::Dir,
            mode: 0o755,
            uid,
            gid,
            size: 0,
        };
        let dev = DevDir {
            host: host.shared().clone(),
            id: NodeId::fresh(),
            attr,
        };
        let proc = ProcDir {
            host: host.shared().clone(),
            id: NodeId::fresh(),
            own: OwnIds::fresh(),
            attr,
        };
        let tree = ModuleTree::new(host.kernel(), uid, gid);
        let fs = FsDir {
            host: host.shared().clone(),
            id: NodeId::fresh(),
            attr,
            ids: Mutex::default(),
        };
        Arc::new(ReferenceKernel {
            host: host.clone(),
            id: NodeId::fresh(),
            attr,
            entries: [
                (MODULES, tree.root()),
                ("dev", Arc::new(dev)),
                ("proc", Arc::new(proc)),
                ("fs", Arc::new(fs)),
                ("sys", Sys::root(host.shared().clone(), attr)),
            ],
            #[cfg(feature = "autoload")]
            tree,
        })
    }
}

impl Node for ReferenceKernel {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let found = self.entries.iter().find(|(entry, _)| *entry == name);
        found.map(|(_, node)| node.clone()).ok_or(Errno::ENOENT)
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        Ok(self
            .entries
            .iter()
            .map(|(name, _)| ((*name).to_owned(), Kind::Dir))
            .collect())
    }
}

//! The reference kernel: a host as a tree of files.

use crate::chrdev::DevDir;
use crate::host::Host;
use crate::procfs::ProcDir;
use modfs_core::Errno;
use modfs_tree::{Attr, Kind, ModuleTree, Node, NodeId};
use std::sync::Arc;

/// A small user-space kernel: its modules, and what they register, as files.
///
/// ```text
/// modules/   the module tree
/// dev/       character devices
/// proc/      virtual files; kmsg is the log
/// ```
pub struct ReferenceKernel {
    id: NodeId,
    attr: Attr,
    entries: [(&'static str, Arc<dyn Node>); 3],
}

impl ReferenceKernel {
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
            kmsg: NodeId::fresh(),
            attr,
        };
        Arc::new(ReferenceKernel {
            id: NodeId::fresh(),
            attr,
            entries: [
                ("modules", ModuleTree::new(host.kernel(), uid, gid).root()),
                ("dev", Arc::new(dev)),
                ("proc", Arc::new(proc)),
            ],
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

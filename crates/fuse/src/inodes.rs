//! The numbers under which the kernel knows nodes.

use modfs_tree::{Node, NodeId};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The root's number.
pub(crate) const ROOT: u64 = 1;

/// Nodes the kernel knows, each for as long as it does. No number is used twice.
pub(crate) struct Inodes {
    next: u64,
    known: HashMap<u64, Known>,
    by_id: HashMap<NodeId, u64>,
}

struct Known {
    node: Arc<dyn Node>,
    id: Option<NodeId>,
    lookups: u64,
    /// What stat(2) shows of one that has a number of its own at each lookup.
    shown: Option<u64>,
}

/// Numbers that are shown in place of others are above all that are given out.
const SHOWN: u64 = 1 << 63;

/// A number for a name in a directory, the same each time: cp(1) looks twice, and takes a file with
/// another number for another file.
fn shown(parent: u64, name: &OsStr) -> u64 {
    let mut hasher = DefaultHasher::new();
    (parent, name).hash(&mut hasher);
    SHOWN | hasher.finish()
}

impl Inodes {
    pub(crate) fn new(root: Arc<dyn Node>) -> Inodes {
        let mut inodes = Inodes {
            next: ROOT,
            known: HashMap::new(),
            by_id: HashMap::new(),
        };
        inodes.remember(root);
        inodes
    }

    pub(crate) fn get(&self, ino: u64) -> Option<Arc<dyn Node>> {
        Some(Arc::clone(&self.known.get(&ino)?.node))
    }

    /// Counts a lookup of the node and returns its number.
    pub(crate) fn remember(&mut self, node: Arc<dyn Node>) -> u64 {
        let id = node.id();
        if let Some(&ino) = id.and_then(|id| self.by_id.get(&id))
            && let Some(known) = self.known.get_mut(&ino)
        {
            known.lookups += 1;
            return ino;
        }
        let ino = self.next;
        self.next += 1;
        if let Some(id) = id {
            self.by_id.insert(id, ino);
        }
        let lookups = 1;
        let shown = None;
        self.known.insert(
            ino,
            Known {
                node,
                id,
                lookups,
                shown,
            },
        );
        ino
    }

    /// Notes where a node was found.
    pub(crate) fn found(&mut self, ino: u64, parent: u64, name: &OsStr) {
        if let Some(known) = self.known.get_mut(&ino).filter(|known| known.id.is_none()) {
            known.shown = Some(shown(parent, name));
        }
    }

    /// The number that stat(2) is to show.
    pub(crate) fn shown(&self, ino: u64) -> u64 {
        self.known
            .get(&ino)
            .and_then(|known| known.shown)
            .unwrap_or(ino)
    }

    /// Takes lookups back. The node is returned once the kernel does not know it any more, to be
    /// dropped where no lock is held.
    pub(crate) fn forget(&mut self, ino: u64, lookups: u64) -> Option<Arc<dyn Node>> {
        if ino == ROOT {
            return None;
        }
        let known = self.known.get_mut(&ino)?;
        known.lookups = known.lookups.saturating_sub(lookups);
        if known.lookups > 0 {
            return None;
        }
        let known = self.known.remove(&ino)?;
        if let Some(id) = known.id {
            self.by_id.remove(&id);
        }
        Some(known.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modfs_core::Errno;
    use modfs_tree::Attr;

    struct Some1(Option<NodeId>);

    impl Node for Some1 {
        fn id(&self) -> Option<NodeId> {
            self.0
        }

        fn attr(&self) -> Result<Attr, Errno> {
            Err(Errno::ENOENT)
        }
    }

    #[test]
    fn numbers_last_as_long_as_they_are_known() {
        let node = |id| Arc::new(Some1(id)) as Arc<dyn Node>;
        let root = Some(NodeId::fresh());
        let mut inodes = Inodes::new(node(root));
        assert_eq!(inodes.remember(node(root)), ROOT);
        let id = Some(NodeId::fresh());
        let ino = inodes.remember(node(id));
        assert_eq!(inodes.remember(node(id)), ino);
        assert_ne!(inodes.remember(node(None)), inodes.remember(node(None)));
        assert!(inodes.forget(ino, 1).is_none());
        assert!(inodes.get(ino).is_some());
        assert!(inodes.forget(ino, 1).is_some());
        assert!(inodes.get(ino).is_none());
        assert!(inodes.forget(ino, 1).is_none());
        assert_ne!(inodes.remember(node(id)), ino);
        assert!(inodes.forget(ROOT, 9).is_none());
        assert!(inodes.get(ROOT).is_some());
    }
}

//! What the kernel knows of a tree.

use crate::handles::{Entries, OpenFile, Table};
use crate::inodes::Inodes;
use crate::lock;
use fuser::{FileAttr, FileType, Generation, INodeNo};
use modfs_tree::{Attr, Kind, Node};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// How long the kernel may believe what it was told: not at all.
pub(crate) const TTL: Duration = Duration::ZERO;
pub(crate) const GENERATION: Generation = Generation(0);
pub(crate) const BLOCK: u32 = 4096;

/// What the kernel knows of the tree.
pub(crate) struct Known {
    pub(crate) inodes: Mutex<Inodes>,
    pub(crate) files: Table<OpenFile>,
    pub(crate) dirs: Table<Entries>,
    mounted: SystemTime,
}

impl Known {
    pub(crate) fn new(root: Arc<dyn Node>) -> Known {
        Known {
            inodes: Mutex::new(Inodes::new(root)),
            files: Table::default(),
            dirs: Table::default(),
            mounted: SystemTime::now(),
        }
    }

    /// What stat(2) is to show.
    pub(crate) fn attr(&self, ino: u64, attr: Attr) -> FileAttr {
        let time = self.mounted;
        FileAttr {
            ino: INodeNo(ino),
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: file_type(attr.kind),
            perm: (attr.mode & 0o7777) as u16,
            nlink: if attr.kind == Kind::Dir { 2 } else { 1 },
            uid: attr.uid,
            gid: attr.gid,
            rdev: 0,
            blksize: match attr.size {
                Attr::UNKNOWN_SIZE => Attr::UNKNOWN_SIZE as u32,
                _ => BLOCK,
            },
            flags: 0,
        }
    }

    /// As [`Known::attr`], with the number that stat(2) is to show.
    pub(crate) fn shown(&self, ino: u64, attr: Attr) -> FileAttr {
        let shown = lock(&self.inodes).shown(ino);
        self.attr(shown, attr)
    }

    /// Counts a lookup of the node and returns its number.
    pub(crate) fn remember(&self, node: Arc<dyn Node>) -> u64 {
        lock(&self.inodes).remember(node)
    }
}

pub(crate) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::File => FileType::RegularFile,
    }
}

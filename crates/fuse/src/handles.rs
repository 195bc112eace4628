//! Open files and directories.

use crate::lock;
use modfs_tree::{Handle, Kind, Node};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How calls on a node are made.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) blocks: bool,
    pub(crate) times_out: bool,
}

impl How {
    pub(crate) fn of(node: &dyn Node) -> How {
        let apart = node.apart();
        How {
            blocks: apart || node.blocks(),
            times_out: apart || node.times_out(),
        }
    }
}

/// An open file.
#[derive(Clone)]
pub(crate) struct OpenFile {
    pub(crate) handle: Arc<dyn Handle>,
    pub(crate) how: How,
}

/// A directory's entries as they were when it was opened.
pub(crate) type Entries = Arc<Vec<(String, Kind)>>;

/// Something that is open, by the number the kernel was given for it.
pub(crate) struct Table<T> {
    next: AtomicU64,
    open: Mutex<HashMap<u64, T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            next: AtomicU64::new(1),
            open: Mutex::default(),
        }
    }
}

impl<T: Clone> Table<T> {
    pub(crate) fn insert(&self, value: T) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, value);
        number
    }

    pub(crate) fn get(&self, number: u64) -> Option<T> {
        lock(&self.open).get(&number).cloned()
    }

    pub(crate) fn remove(&self, number: u64) -> Option<T> {
        lock(&self.open).remove(&number)
    }
}

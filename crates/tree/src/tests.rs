//! The tree as a whole, over a kernel in memory.

mod commands;
mod files;
mod others;
mod random;

use crate::double::Double;
use crate::{Caller, Handle, Kind, ModuleTree, Node, OpenMode, SetAttr};
use modfs_core::Errno;
use std::sync::Arc;

/// The mount's owner in these tests.
const OWNER: u32 = 1000;

const HELLO: &[u8] = b"module\nexport hello\nparam debug 644\nparam secret 0\n";

struct World {
    kernel: Arc<Double>,
    root: Arc<dyn Node>,
    caller: Caller,
}

impl World {
    fn new() -> World {
        let kernel = Double::new();
        let tree = ModuleTree::new(Arc::<Double>::clone(&kernel), OWNER, OWNER);
        World {
            kernel,
            root: tree.root(),
            caller: Caller::new(OWNER, OWNER),
        }
    }

    /// A world with the module `hello`, not mapped.
    fn hello() -> World {
        let world = World::new();
        world.module("hello", HELLO);
        world
    }

    /// The same world, seen by somebody else.
    fn as_user(&self, uid: u32) -> World {
        World {
            kernel: Arc::clone(&self.kernel),
            root: Arc::clone(&self.root),
            caller: Caller::new(uid, uid),
        }
    }

    fn module(&self, name: &str, object: &[u8]) {
        self.mkdir(name).expect("mkdir");
        self.create(name, "module").expect("create");
        self.write(&format!("{name}/module"), object)
            .expect("write");
    }

    fn node(&self, path: &str) -> Result<Arc<dyn Node>, Errno> {
        let mut node = Arc::clone(&self.root);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            node = node.lookup(name)?;
        }
        Ok(node)
    }

    fn mkdir(&self, name: &str) -> Result<(), Errno> {
        self.root.mkdir(&self.caller, name, 0o755).map(drop)
    }

    fn rmdir(&self, name: &str) -> Result<(), Errno> {
        self.root.rmdir(&self.caller, name)
    }

    fn create(&self, dir: &str, name: &str) -> Result<(), Errno> {
        let dir = self.node(dir)?;
        dir.create(&self.caller, name, 0o600).map(drop)
    }

    fn unlink(&self, dir: &str, name: &str) -> Result<(), Errno> {
        self.node(dir)?.unlink(&self.caller, name)
    }

    fn open(&self, path: &str, read: bool, write: bool) -> Result<Box<dyn Handle>, Errno> {
        let mode = OpenMode {
            read,
            write,
            flags: 0,
        };
        self.node(path)?.open(&self.caller, mode)
    }

    fn read(&self, path: &str) -> Result<String, Errno> {
        let handle = self.open(path, true, false)?;
        let mut all = Vec::new();
        loop {
            // Small pieces, so that offsets matter.
            let piece = handle.read(&self.caller, all.len() as u64, 7)?;
            if piece.is_empty() {
                return Ok(String::from_utf8_lossy(&all).into_owned());
            }
            all.extend(piece);
        }
    }

    fn write(&self, path: &str, text: &[u8]) -> Result<(), Errno> {
        let handle = self.open(path, false, true)?;
        assert_eq!(handle.write(&self.caller, 0, text)?, text.len());
        Ok(())
    }

    fn truncate(&self, path: &str, size: u64) -> Result<(), Errno> {
        let change = SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        self.node(path)?.set_attr(&self.caller, change)
    }

    fn control(&self, module: &str, text: &str) -> Result<(), Errno> {
        self.write(&format!("{module}/control"), text.as_bytes())
    }

    fn names(&self, path: &str) -> Vec<String> {
        let node = self.node(path).expect("lookup");
        let entries = node.entries().expect("entries");
        entries
            .into_iter()
            .map(|(name, kind)| match kind {
                Kind::Dir => name + "/",
                Kind::File => name,
            })
            .collect()
    }
}

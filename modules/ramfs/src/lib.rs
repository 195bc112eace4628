//! ramfs: a file system whose files are memory, in Rust.
#![no_std]

extern crate alloc;

use alloc::collections::BTreeMap;
use modfs_module::filesystem::ROOT;
use modfs_module::prelude::*;

module! {
    type: Ramfs,
    license: "Dual MIT/GPL",
    description: "A file system in memory, in Rust",
}

/// No file is larger.
const FILE_MAX: usize = 64 << 20;

/// A file or a directory.
struct Node {
    attr: Attr,
    content: Content,
}

enum Content {
    File(Vec<u8>),
    Dir(BTreeMap<String, u64>),
}

impl Node {
    fn new(attr: Attr) -> Node {
        Node {
            content: match attr.kind {
                FileKind::File => Content::File(Vec::new()),
                FileKind::Dir => Content::Dir(BTreeMap::new()),
            },
            attr,
        }
    }

    fn entries(&mut self) -> Result<&mut BTreeMap<String, u64>> {
        match &mut self.content {
            Content::Dir(entries) => Ok(entries),
            Content::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn bytes(&mut self) -> Result<&mut Vec<u8>> {
        match &mut self.content {
            Content::File(bytes) => Ok(bytes),
            Content::Dir(_) => Err(Errno::EISDIR),
        }
    }

    /// Makes a file this long; what is new is zero.
    fn resize(&mut self, size: u64) -> Result {
        let size = usize::try_from(size).ok().filter(|size| *size <= FILE_MAX);
        let size = size.ok_or(Errno::EFBIG)?;
        let bytes = self.bytes()?;
        let more = size.saturating_sub(bytes.len());
        bytes.try_reserve(more).map_err(|_| Errno::ENOSPC)?;
        bytes.resize(size, 0);
        self.attr.size = size as u64;
        Ok(())
    }
}

/// All of a mounted one, by number.
struct Nodes {
    all: BTreeMap<u64, Node>,
    last: u64,
}

impl Nodes {
    fn get(&mut self, ino: u64) -> Result<&mut Node> {
        self.all.get_mut(&ino).ok_or(Errno::ENOENT)
    }
}

struct Mounted(Lock<Nodes>);

impl Filesystem for Mounted {
    fn mount(name: &str) -> Result<Mounted> {
        let root = Attr {
            ino: ROOT,
            kind: FileKind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
        };
        info!("ramfs: {name} is mounted");
        Ok(Mounted(Lock::new(Nodes {
            all: BTreeMap::from([(ROOT, Node::new(root))]),
            last: ROOT,
        })))
    }

    fn lookup(&self, dir: u64, name: &str) -> Result<Attr> {
        let mut nodes = self.0.lock();
        let ino = *nodes.get(dir)?.entries()?.get(name).ok_or(Errno::ENOENT)?;
        Ok(nodes.get(ino)?.attr)
    }

    fn getattr(&self, ino: u64) -> Result<Attr> {
        Ok(self.0.lock().get(ino)?.attr)
    }

    fn readdir(&self, dir: u64, to: &mut Entries<'_>) -> Result {
        let mut nodes = self.0.lock();
        let entries = nodes.get(dir)?.entries()?.clone();
        for (name, ino) in entries {
            to.add(&name, nodes.get(ino)?.attr.kind);
        }
        Ok(())
    }

    fn create(&self, dir: u64, name: &str, want: Attr) -> Result<Attr> {
        let mut nodes = self.0.lock();
        let ino = nodes.last + 1;
        let entries = nodes.get(dir)?.entries()?;
        if entries.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        entries.insert(name.to_owned(), ino);
        let attr = Attr { ino, ..want };
        nodes.last = ino;
        nodes.all.insert(ino, Node::new(attr));
        Ok(attr)
    }

    fn remove(&self, dir: u64, name: &str, kind: FileKind) -> Result {
        let mut nodes = self.0.lock();
        let ino = *nodes.get(dir)?.entries()?.get(name).ok_or(Errno::ENOENT)?;
        match (kind, &nodes.get(ino)?.content) {
            (FileKind::Dir, Content::File(_)) => return Err(Errno::ENOTDIR),
            (FileKind::File, Content::Dir(_)) => return Err(Errno::EISDIR),
            (_, Content::Dir(entries)) if !entries.is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        nodes.get(dir)?.entries()?.remove(name);
        nodes.all.remove(&ino);
        Ok(())
    }

    fn read(&self, ino: u64, at: u64, to: &mut [u8]) -> Result<usize> {
        let mut nodes = self.0.lock();
        let bytes = nodes.get(ino)?.bytes()?;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let from = bytes.get(at..).unwrap_or(&[]);
        let length = from.len().min(to.len());
        to[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }

    fn write(&self, ino: u64, at: u64, from: &[u8]) -> Result<usize> {
        let mut nodes = self.0.lock();
        let node = nodes.get(ino)?;
        let end = at.checked_add(from.len() as u64).ok_or(Errno::EFBIG)?;
        if end > node.attr.size {
            node.resize(end)?;
        }
        let at = at as usize;
        node.bytes()?[at..at + from.len()].copy_from_slice(from);
        Ok(from.len())
    }

    fn setattr(&self, ino: u64, change: Change) -> Result {
        let mut nodes = self.0.lock();
        let node = nodes.get(ino)?;
        if let Some(size) = change.size {
            node.resize(size)?;
        }
        node.attr.change(&change);
        Ok(())
    }
}

/// Dropping it makes the type unknown again.
struct Ramfs {
    _type: FsType<Mounted>,
}

impl Module for Ramfs {
    fn init() -> Result<Ramfs> {
        Ok(Ramfs {
            _type: FsType::register("ramfs")?,
        })
    }
}

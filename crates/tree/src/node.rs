//! Directories and files, as any file-system view of them needs: what a FUSE mount, a library
//! caller or a test walks.

use modfs_core::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Who asks, and whether the answer is still wanted.
#[derive(Clone, Debug)]
pub struct Caller {
    /// User id of the calling process.
    pub uid: u32,
    /// Group id of the calling process.
    pub gid: u32,
    /// Set when the answer is no longer waited for (the caller was killed, or timed out): work
    /// that has several steps stops before the next.
    pub cancelled: Arc<AtomicBool>,
}

impl Caller {
    /// A caller that waits for as long as it takes.
    pub fn new(uid: u32, gid: u32) -> Caller {
        Caller {
            uid,
            gid,
            cancelled: Arc::default(),
        }
    }

    /// Whether the answer is no longer waited for.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// What kind of node it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
}

/// What stat(2) shows of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Directory or file.
    pub kind: Kind,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes; [`Attr::UNKNOWN_SIZE`] where that is known only when it is read.
    pub size: u64,
}

impl Attr {
    /// The size of a file whose length is known only when it is read: as in sysfs one block, which
    /// is made large for it. Not 0: splice(2) and sendfile(2), by which the `cat` of busybox and
    /// of uutils reads, stop at the size that the kernel was told. Not more than a block: wc(1)
    /// skips whole ones.
    pub const UNKNOWN_SIZE: u64 = 1 << 20;
}

/// What chmod(2), chown(2) and truncate(2) ask for. Times are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// New permission bits.
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size in bytes.
    pub size: Option<u64>,
}

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMode {
    /// It will be read.
    pub read: bool,
    /// It will be written.
    pub write: bool,
    /// The open(2) flags, for devices.
    pub flags: u32,
}

/// Identifies a node for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// An id that no other node has or had.
    pub fn fresh() -> NodeId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NodeId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number, never 0.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// A directory or a file.
///
/// The defaults refuse: a node says only what it can do. Permission bits are checked by the view
/// (the kernel, for a mount); a node checks only what goes beyond them.
pub trait Node: Send + Sync {
    /// What it is known by. `None`: a number of its own each time it is looked up, so that
    /// calls on it in one process never wait for those in another (an inode's lock is held
    /// over a write).
    fn id(&self) -> Option<NodeId>;

    /// What stat(2) shows.
    ///
    /// # Errors
    /// ENOENT: it is gone.
    fn attr(&self) -> Result<Attr, Errno>;

    /// Whether opening it, or using what open returns, can run for long or run module code.
    fn blocks(&self) -> bool {
        false
    }

    /// Whether any call on it can run for long or run module code, so that the view makes none on
    /// the thread that serves the others. All of them then time out.
    fn apart(&self) -> bool {
        false
    }

    /// Whether a call on it, or on what open returns, is given up after the view's time limit:
    /// the caller then gets ETIMEDOUT while the work goes on. Only for nodes that block; one
    /// that waits for events, as a device does, may take forever.
    fn times_out(&self) -> bool {
        false
    }

    /// Changes attributes.
    ///
    /// # Errors
    /// EPERM: not of this node.
    fn set_attr(&self, caller: &Caller, change: SetAttr) -> Result<(), Errno> {
        let _ = (caller, change);
        Err(Errno::EPERM)
    }

    /// The node of this name in the directory.
    ///
    /// # Errors
    /// ENOENT: none. ENOTDIR: this is a file.
    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let _ = name;
        Err(Errno::ENOTDIR)
    }

    /// Names and kinds of what is in the directory, in the order to show them.
    ///
    /// # Errors
    /// ENOTDIR: this is a file.
    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// EPERM: none can be made here.
    fn mkdir(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        let _ = (caller, name, mode);
        Err(Errno::EPERM)
    }

    /// Removes a directory.
    ///
    /// # Errors
    /// EPERM: none can be removed here.
    fn rmdir(&self, caller: &Caller, name: &str) -> Result<(), Errno> {
        let _ = (caller, name);
        Err(Errno::EPERM)
    }

    /// Makes an empty regular file.
    ///
    /// # Errors
    /// EPERM: none can be made here.
    fn create(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        let _ = (caller, name, mode);
        Err(Errno::EPERM)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// EPERM: none can be removed here.
    fn unlink(&self, caller: &Caller, name: &str) -> Result<(), Errno> {
        let _ = (caller, name);
        Err(Errno::EPERM)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// EISDIR: this is a directory.
    fn open(&self, caller: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let _ = (caller, mode);
        Err(Errno::EISDIR)
    }
}

/// An open file. Dropping it is its release.
pub trait Handle: Send + Sync {
    /// Reads up to `size` bytes at `offset`; fewer only at the end, or for a device.
    ///
    /// # Errors
    /// EBADF: not readable. Otherwise what the file says.
    fn read(&self, caller: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let _ = (caller, offset, size);
        Err(Errno::EBADF)
    }

    /// Writes `data` at `offset` and returns how many bytes were taken.
    ///
    /// # Errors
    /// EBADF: not writable. Otherwise what the file says.
    fn write(&self, caller: &Caller, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let _ = (caller, offset, data);
        Err(Errno::EBADF)
    }
}

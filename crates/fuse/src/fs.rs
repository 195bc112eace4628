//! The requests of the kernel.

use crate::call::{Monitor, errno, guarded};
use crate::handles::OpenFile;
use crate::known::{BLOCK, GENERATION, Known, TTL, file_type};
use crate::releases::Releases;
use crate::{lock, task};
use fuser::{
    BsdFileFlags, FileHandle, Filesystem, FopenFlags, INodeNo, IoctlFlags, LockOwner, OpenFlags,
    PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use modfs_core::{Errno, NAME_MAX};
use modfs_tree::{Caller, Kind, Node, SetAttr};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The number of an entry that nobody has looked up; the kernel takes 0 for "no entry".
const UNKNOWN_INO: INodeNo = INodeNo(0xffff_ffff);
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;

/// A tree as the kernel's FUSE driver asks for it.
pub(crate) struct ModFs {
    pub(crate) known: Arc<Known>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) releases: Arc<Releases>,
}

impl ModFs {
    pub(crate) fn new(root: Arc<dyn Node>, monitor: Arc<Monitor>) -> ModFs {
        ModFs {
            known: Arc::new(Known::new(root)),
            monitor,
            releases: Arc::default(),
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// EDEADLK: a thread of this process.
    pub(crate) fn caller(req: &Request) -> Result<Caller, Errno> {
        if task::is_own(req.pid()) {
            return Err(Errno::EDEADLK);
        }
        Ok(Caller::new(req.uid(), req.gid()))
    }

    fn node(&self, ino: INodeNo) -> Result<Arc<dyn Node>, Errno> {
        lock(&self.known.inodes).get(ino.0).ok_or(Errno::ENOENT)
    }

    pub(crate) fn file(&self, fh: FileHandle) -> Result<OpenFile, Errno> {
        self.known.files.get(fh.0).ok_or(Errno::EBADF)
    }

    /// Runs what needs a caller and a node, and guards it.
    pub(crate) fn with<T>(
        &self,
        req: &Request,
        ino: INodeNo,
        work: impl FnOnce(&Caller, &Arc<dyn Node>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let caller = Self::caller(req)?;
        let node = self.node(ino)?;
        guarded(|| work(&caller, &node))
    }

    fn entry(
        &self,
        reply: ReplyEntry,
        found: Result<Arc<dyn Node>, Errno>,
        (parent, name): (INodeNo, &OsStr),
    ) {
        let described = found.and_then(|node| Ok((guarded(|| node.attr())?, node)));
        match described {
            Ok((attr, node)) => {
                let ino = self.known.remember(node);
                lock(&self.known.inodes).found(ino, parent.0, name);
                reply.entry(&TTL, &self.known.attr(ino, attr), GENERATION);
            }
            Err(error) => reply.error(errno(error)),
        }
    }
}

pub(crate) fn done(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

/// A name that something may be found by.
fn known_name(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::ENOENT)
}

/// A name that something may be made under.
pub(crate) fn new_name(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

impl Filesystem for ModFs {
    fn destroy(&mut self) {
        self.monitor.stop();
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.with(req, parent, |_, dir| dir.lookup(known_name(name)?));
        self.entry(reply, found, (parent, name));
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        let forgotten = lock(&self.known.inodes).forget(ino.0, lookups);
        drop(forgotten);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.with(req, ino, |_, node| node.attr()) {
            Ok(attr) => reply.attr(&TTL, &self.known.shown(ino.0, attr)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = SetAttr {
            mode: mode.map(|mode| mode & 0o7777),
            uid,
            gid,
            size,
        };
        let outcome = self.with(req, ino, |caller, node| {
            // Times alone are no change: they are not kept.
            if change != SetAttr::default() {
                node.set_attr(caller, change)?;
            }
            node.attr()
        });
        match outcome {
            Ok(attr) => reply.attr(&TTL, &self.known.shown(ino.0, attr)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let made = self.with(req, parent, |caller, dir| {
            if !matches!(mode & S_IFMT, 0 | S_IFREG) {
                return Err(Errno::EPERM);
            }
            dir.create(caller, new_name(name)?, mode & 0o7777)
        });
        self.entry(reply, made, (parent, name));
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let made = self.with(req, parent, |caller, dir| {
            dir.mkdir(caller, new_name(name)?, mode & 0o7777)
        });
        self.entry(reply, made, (parent, name));
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let outcome = self.with(req, parent, |caller, dir| {
            dir.unlink(caller, known_name(name)?)
        });
        done(reply, outcome);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let outcome = self.with(req, parent, |caller, dir| {
            dir.rmdir(caller, known_name(name)?)
        });
        done(reply, outcome);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(fuser::Errno::EPERM);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(fuser::Errno::EPERM);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(fuser::Errno::EPERM);
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.open_file(req, ino, flags, reply);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.create_file(req, parent, name, mode, flags, reply);
    }

    fn read(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.read_file(req, fh, offset, size, reply);
    }

    fn write(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.write_file(req, fh, offset, data, reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.release_file(fh, reply);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.with(req, ino, |_, dir| dir.entries()) {
            Ok(mut entries) => {
                let dots = [".", ".."].map(|name| (name.to_owned(), Kind::Dir));
                entries.splice(..0, dots);
                let fh = self.known.dirs.insert(Arc::new(entries));
                reply.opened(FileHandle(fh), FopenFlags::empty());
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn readdir(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if let Err(error) = Self::caller(req) {
            return reply.error(errno(error));
        }
        let Some(entries) = self.known.dirs.get(fh.0) else {
            return reply.error(fuser::Errno::EBADF);
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (i, (name, kind)) in entries.iter().enumerate().skip(start) {
            if reply.add(UNKNOWN_INO, i as u64 + 1, file_type(*kind), name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.known.dirs.remove(fh.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, BLOCK, NAME_MAX as u32, BLOCK);
    }

    // ENOSYS tells the kernel not to ask again; callers see EOPNOTSUPP, or what the kernel does
    // by itself.

    fn setxattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn poll(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(fuser::Errno::ENOTTY);
    }
}

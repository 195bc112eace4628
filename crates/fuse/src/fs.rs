//! The requests of the kernel.

use crate::call::{Monitor, Reply, errno, guarded};
use crate::handles::{How, OpenFile};
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
use modfs_tree::{Attr, Caller, Kind, Node, SetAttr};
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

    pub(crate) fn node(&self, ino: INodeNo) -> Result<Arc<dyn Node>, Errno> {
        lock(&self.known.inodes).get(ino.0).ok_or(Errno::ENOENT)
    }

    pub(crate) fn file(&self, fh: FileHandle) -> Result<OpenFile, Errno> {
        self.known.files.get(fh.0).ok_or(Errno::EBADF)
    }

    /// Runs what needs a caller and a node, and guards it; on a thread of its own if the node is
    /// one of those.
    pub(crate) fn on<R: Reply, T>(
        &self,
        req: &Request,
        ino: INodeNo,
        reply: R,
        work: impl FnOnce(&Caller, &Arc<dyn Node>) -> Result<T, Errno> + Send + 'static,
        answer: impl FnOnce(R, T) + Send + 'static,
    ) {
        let ready = Self::caller(req).and_then(|caller| Ok((caller, self.node(ino)?)));
        let (caller, node) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply.refuse(error),
        };
        if node.apart() {
            let how = How::of(&*node);
            let work = move |caller: &Caller| work(caller, &node);
            return self
                .monitor
                .defer(req.pid(), how, caller, reply, work, answer);
        }
        match guarded(|| work(&caller, &node)) {
            Ok(made) => answer(reply, made),
            Err(error) => reply.refuse(error),
        }
    }

    /// As [`ModFs::on`] a directory, for a call that finds or makes the entry `name`.
    fn entry(
        &self,
        req: &Request,
        (parent, name): (INodeNo, &OsStr),
        reply: ReplyEntry,
        work: impl FnOnce(&Caller, &Arc<dyn Node>, &OsStr) -> Result<Arc<dyn Node>, Errno>
        + Send
        + 'static,
    ) {
        let known = Arc::clone(&self.known);
        let (of_work, name) = (name.to_owned(), name.to_owned());
        let work = move |caller: &Caller, dir: &Arc<dyn Node>| {
            let node = work(caller, dir, &of_work)?;
            Ok((node.attr()?, node))
        };
        self.on(req, parent, reply, work, move |reply, (attr, node)| {
            let ino = known.remember(node);
            lock(&known.inodes).found(ino, parent.0, &name);
            reply.entry(&TTL, &known.attr(ino, attr), GENERATION);
        });
    }

    /// As [`ModFs::on`], for a call that answers with attributes.
    fn attributes(
        &self,
        req: &Request,
        ino: INodeNo,
        reply: ReplyAttr,
        work: impl FnOnce(&Caller, &Arc<dyn Node>) -> Result<Attr, Errno> + Send + 'static,
    ) {
        let known = Arc::clone(&self.known);
        self.on(req, ino, reply, work, move |reply, attr| {
            reply.attr(&TTL, &known.shown(ino.0, attr));
        });
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
        self.entry(req, (parent, name), reply, |_, dir, name| {
            dir.lookup(known_name(name)?)
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        let forgotten = lock(&self.known.inodes).forget(ino.0, lookups);
        drop(forgotten);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.attributes(req, ino, reply, |_, node| node.attr());
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
        self.attributes(req, ino, reply, move |caller, node| {
            // Times alone are no change: they are not kept.
            if change != SetAttr::default() {
                node.set_attr(caller, change)?;
            }
            node.attr()
        });
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
        self.entry(req, (parent, name), reply, move |caller, dir, name| {
            if !matches!(mode & S_IFMT, 0 | S_IFREG) {
                return Err(Errno::EPERM);
            }
            dir.create(caller, new_name(name)?, mode & 0o7777)
        });
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
        self.entry(req, (parent, name), reply, move |caller, dir, name| {
            dir.mkdir(caller, new_name(name)?, mode & 0o7777)
        });
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        let work =
            move |caller: &Caller, dir: &Arc<dyn Node>| dir.unlink(caller, known_name(&name)?);
        self.on(req, parent, reply, work, |reply: ReplyEmpty, ()| reply.ok());
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        let (releases, closed) = (Arc::clone(&self.releases), self.releases.mark());
        let work = move |caller: &Caller, dir: &Arc<dyn Node>| {
            if dir.apart() {
                releases.wait(closed, caller);
            }
            dir.rmdir(caller, known_name(&name)?)
        };
        self.on(req, parent, reply, work, |reply: ReplyEmpty, ()| reply.ok());
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
        let known = Arc::clone(&self.known);
        let work = |_: &Caller, dir: &Arc<dyn Node>| dir.entries();
        self.on(
            req,
            ino,
            reply,
            work,
            move |reply: ReplyOpen, mut entries| {
                let dots = [".", ".."].map(|name| (name.to_owned(), Kind::Dir));
                entries.splice(..0, dots);
                let fh = known.dirs.insert(Arc::new(entries));
                reply.opened(FileHandle(fh), FopenFlags::empty());
            },
        );
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

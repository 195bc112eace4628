//! Requests about open files: those that may have to be answered later.

use crate::call::{errno, guarded};
use crate::fs::{ModFs, done, new_name};
use crate::handles::{How, OpenFile};
use crate::known::{GENERATION, TTL};
use fuser::{
    FileHandle, FopenFlags, INodeNo, OpenAccMode, OpenFlags, ReplyCreate, ReplyData, ReplyEmpty,
    ReplyOpen, ReplyWrite, Request,
};
use modfs_tree::{Caller, Handle, Node, OpenMode};
use std::ffi::OsStr;
use std::sync::Arc;

fn open_mode(flags: OpenFlags) -> OpenMode {
    let mode = flags.acc_mode();
    OpenMode {
        read: mode != OpenAccMode::O_WRONLY,
        write: mode != OpenAccMode::O_RDONLY,
        flags: flags.0.cast_unsigned(),
    }
}

impl ModFs {
    /// Opens; on a thread of its own if the node blocks.
    pub(crate) fn open_file(
        &self,
        req: &Request,
        ino: INodeNo,
        flags: OpenFlags,
        reply: ReplyOpen,
    ) {
        let mode = open_mode(flags);
        let known = Arc::clone(&self.known);
        let ready = Self::caller(req).and_then(|caller| Ok((caller, self.node(ino)?)));
        let (caller, node) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply.error(errno(error)),
        };
        let how = How::of(&*node);
        let work = move |caller: &Caller| node.open(caller, mode);
        let answer = move |reply: ReplyOpen, handle: Box<dyn Handle>| {
            let handle = Arc::from(handle);
            let fh = known.files.insert(OpenFile { handle, how });
            reply.opened(FileHandle(fh), FopenFlags::FOPEN_DIRECT_IO);
        };
        if how.blocks {
            let task = req.pid();
            return self.monitor.defer(task, how, caller, reply, work, answer);
        }
        match guarded(|| work(&caller)) {
            Ok(handle) => answer(reply, handle),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// Makes a file and opens it.
    pub(crate) fn create_file(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let ready = Self::caller(req).and_then(|caller| Ok((caller, self.node(parent)?)));
        let (caller, dir) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply.error(errno(error)),
        };
        let (known, opened) = (Arc::clone(&self.known), open_mode(OpenFlags(flags)));
        let answer = move |reply: ReplyCreate, (node, handle, attr, how): (_, Box<_>, _, _)| {
            let handle: Arc<dyn Handle> = Arc::from(handle);
            let ino = known.remember(node);
            let fh = FileHandle(known.files.insert(OpenFile { handle, how }));
            let attr = known.attr(ino, attr);
            reply.created(&TTL, &attr, GENERATION, fh, FopenFlags::FOPEN_DIRECT_IO);
        };
        let open = move |caller: &Caller, node: Arc<dyn Node>| {
            let handle = node.open(caller, opened)?;
            let (attr, how) = (node.attr()?, How::of(&*node));
            Ok((node, handle, attr, how))
        };
        let (how, task) = (How::of(&*dir), req.pid());
        if how.blocks {
            let name = name.to_owned();
            let work = move |caller: &Caller| {
                let node = dir.create(caller, new_name(&name)?, mode & 0o7777)?;
                open(caller, node)
            };
            return self.monitor.defer(task, how, caller, reply, work, answer);
        }
        let made = guarded(|| dir.create(&caller, new_name(name)?, mode & 0o7777));
        let node = match made {
            Ok(node) => node,
            Err(error) => return reply.error(errno(error)),
        };
        let how = How::of(&*node);
        if how.blocks {
            let work = move |caller: &Caller| open(caller, node);
            return self.monitor.defer(task, how, caller, reply, work, answer);
        }
        match guarded(|| open(&caller, node)) {
            Ok(made) => answer(reply, made),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// Reads from an open file.
    pub(crate) fn read_file(
        &self,
        req: &Request,
        fh: FileHandle,
        offset: u64,
        size: u32,
        reply: ReplyData,
    ) {
        let ready = Self::caller(req).and_then(|caller| Ok((caller, self.file(fh)?)));
        let (caller, OpenFile { handle, how }) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply.error(errno(error)),
        };
        let size = size as usize;
        let work = move |caller: &Caller| {
            let mut data = handle.read(caller, offset, size)?;
            data.truncate(size);
            Ok(data)
        };
        let answer = |reply: ReplyData, data: Vec<u8>| reply.data(&data);
        if how.blocks {
            let task = req.pid();
            return self.monitor.defer(task, how, caller, reply, work, answer);
        }
        match guarded(|| work(&caller)) {
            Ok(data) => answer(reply, data),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// Writes to an open file.
    pub(crate) fn write_file(
        &self,
        req: &Request,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        reply: ReplyWrite,
    ) {
        let ready = Self::caller(req).and_then(|caller| Ok((caller, self.file(fh)?)));
        let (caller, OpenFile { handle, how }) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply.error(errno(error)),
        };
        // A node that says it took more than there was must not make the kernel believe it.
        let limit = data.len();
        let answer = move |reply: ReplyWrite, taken: usize| {
            reply.written(u32::try_from(taken.min(limit)).unwrap_or(u32::MAX));
        };
        if how.blocks {
            let data = data.to_vec();
            let releases = Arc::clone(&self.releases);
            let closed = how.times_out.then(|| releases.mark());
            let work = move |caller: &Caller| {
                if let Some(mark) = closed {
                    releases.wait(mark, caller);
                }
                handle.write(caller, offset, &data)
            };
            let task = req.pid();
            return self.monitor.defer(task, how, caller, reply, work, answer);
        }
        match guarded(|| handle.write(&caller, offset, data)) {
            Ok(taken) => answer(reply, taken),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// Lets an open file go.
    pub(crate) fn release_file(&self, fh: FileHandle, reply: ReplyEmpty) {
        match self.known.files.remove(fh.0) {
            // The kernel does not wait for a release. Without a thread the handle is dropped
            // here after all.
            Some(OpenFile { handle, how }) if how.blocks => {
                let release = self.releases.begin();
                let spawned = std::thread::Builder::new()
                    .name("modfs-release".into())
                    .spawn(move || {
                        let _ = guarded(|| {
                            drop(handle);
                            Ok(())
                        });
                        drop(release);
                    });
                drop(spawned);
            }
            file => {
                let dropped = guarded(|| {
                    drop(file);
                    Ok(())
                });
                return done(reply, dropped);
            }
        }
        reply.ok();
    }
}

//! A module file: write the object to it, read the state from it.

use crate::module_dir::{Frozen, ModuleDir, Rights};
use crate::snapshot::slice;
use crate::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode, SetAttr};
use modfs_core::{Errno, Flags, State, Status};
use std::fmt::Write;
use std::sync::Arc;

/// The largest object a module file takes, in bytes.
pub const MAX_OBJECT: u64 = 256 * 1024 * 1024;

/// What a directory keeps of a module file.
pub(crate) struct File {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) rights: Rights,
    /// Shared with the kernel while it is mapped.
    pub(crate) content: Arc<Vec<u8>>,
    /// Set when a map of it begins; see [`ModuleDir::frozen`] before relying on it.
    pub(crate) mapped: bool,
}

impl File {
    pub(crate) fn new(caller: &Caller, name: &str, mode: u32) -> File {
        File {
            id: NodeId::fresh(),
            name: name.to_owned(),
            rights: Rights {
                mode: mode & 0o7777,
                uid: caller.uid,
                gid: caller.gid,
            },
            content: Arc::default(),
            mapped: false,
        }
    }

    /// The content, to be changed, with room for `len` bytes.
    fn writable(&mut self, len: usize) -> Result<&mut Vec<u8>, Errno> {
        if Arc::get_mut(&mut self.content).is_none() {
            // The kernel still has the object of an earlier map.
            let mut copy = Vec::new();
            copy.try_reserve(len.max(self.content.len()))
                .map_err(|_| Errno::ENOSPC)?;
            copy.extend_from_slice(&self.content);
            self.content = Arc::new(copy);
        }
        let content = Arc::make_mut(&mut self.content);
        let more = len.saturating_sub(content.len());
        content.try_reserve(more).map_err(|_| Errno::ENOSPC)?;
        Ok(content)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let end = offset
            .checked_add(data.len() as u64)
            .filter(|&end| end <= MAX_OBJECT)
            .ok_or(Errno::EFBIG)?;
        let start = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        let end = usize::try_from(end).map_err(|_| Errno::EFBIG)?;
        let content = self.writable(end)?;
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(data);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> Result<(), Errno> {
        let size = Some(size)
            .filter(|&size| size <= MAX_OBJECT)
            .and_then(|size| usize::try_from(size).ok())
            .ok_or(Errno::EFBIG)?;
        if size == 0 {
            self.content = Arc::default();
        } else {
            self.writable(size)?.resize(size, 0);
        }
        Ok(())
    }
}

/// A module file as a node.
pub(crate) struct ModuleFile {
    dir: Arc<ModuleDir>,
    id: NodeId,
}

impl ModuleFile {
    pub(crate) fn new(dir: Arc<ModuleDir>, id: NodeId) -> ModuleFile {
        ModuleFile { dir, id }
    }
}

impl Node for ModuleFile {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let state = self.dir.lock();
        let file = state.file(self.id)?;
        Ok(file.rights.attr(Kind::File, file.content.len() as u64))
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        let mut state = self.dir.lock();
        if let Some(size) = change.size {
            let frozen = self.dir.frozen(&mut state, self.id)?;
            let file = state.file_mut(self.id)?;
            match frozen {
                Frozen::Nothing => file.truncate(size)?,
                // To what it is.
                Frozen::Length if size == file.content.len() as u64 => {}
                Frozen::Length | Frozen::Content => return Err(Errno::EPERM),
            }
        }
        state.file_mut(self.id)?.rights.change(change);
        Ok(())
    }

    fn open(&self, caller: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let name = self.dir.lock().file(self.id)?.name.clone();
        let text = mode.read.then(|| {
            let status = self.dir.status().filter(|status| status.holds(&name));
            text(status.as_ref(), &name, self.dir.shared.privileged(caller)).into_bytes()
        });
        Ok(Box::new(OpenFile {
            dir: Arc::clone(&self.dir),
            id: self.id,
            write: mode.write,
            text,
        }))
    }
}

struct OpenFile {
    dir: Arc<ModuleDir>,
    id: NodeId,
    write: bool,
    text: Option<Vec<u8>>,
}

impl Handle for OpenFile {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let text = self.text.as_ref().ok_or(Errno::EBADF)?;
        Ok(slice(text, offset, size))
    }

    fn write(&self, _: &Caller, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        if !self.write {
            return Err(Errno::EBADF);
        }
        let mut state = self.dir.lock();
        let frozen = self.dir.frozen(&mut state, self.id)?;
        let file = state.file_mut(self.id)?;
        let end = offset.saturating_add(data.len() as u64);
        match frozen {
            Frozen::Content => return Err(Errno::EPERM),
            Frozen::Length if end > file.content.len() as u64 => return Err(Errno::EPERM),
            Frozen::Length | Frozen::Nothing => file.write(offset, data)?,
        }
        Ok(data.len())
    }
}

/// What a module file reads: words of the state, a line each, and then the address for those
/// who may see it.
fn text(status: Option<&Status>, file: &str, privileged: bool) -> String {
    let Some(status) = status else {
        return "unmapped\n".to_owned();
    };
    let mut text = String::new();
    if status.state == State::Running {
        if status.flags.contains(Flags::AUTOCLEAN) {
            text.push_str("autoclean\n");
        }
        if !status.flags.contains(Flags::USED_ONCE) {
            text.push_str("unused\n");
        }
    } else {
        text = format!("{}\n", status.state);
    }
    let address = status.address_of(file);
    if privileged && address != 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{address:#018x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, flags: Flags) -> Status {
        Status {
            file: "f".into(),
            pieces: Vec::new(),
            state,
            address: 0x1000,
            size: 1,
            usecount: 0,
            flags,
            deps: Vec::new(),
            refs: Vec::new(),
        }
    }

    #[test]
    fn row_16_address_for_the_privileged_only() {
        let none = Flags::default();
        let all = Flags::AUTOCLEAN.union(Flags::USED_ONCE);
        for (status, expected) in [
            (status(State::Running, none), "unused\n"),
            (
                status(State::Running, Flags::AUTOCLEAN),
                "autoclean\nunused\n",
            ),
            (status(State::Running, all), "autoclean\n"),
            (status(State::Running, Flags::USED_ONCE), ""),
            (status(State::Deleted, none), "deleted\n"),
            (status(State::Uninitialized, all), "uninitialized\n"),
        ] {
            assert_eq!(text(Some(&status), "f", false), expected);
            let with_address = format!("{expected}0x0000000000001000\n");
            assert_eq!(text(Some(&status), "f", true), with_address);
        }
        assert_eq!(text(None, "f", true), "unmapped\n");
    }

    #[test]
    fn writes_fill_holes_and_have_a_limit() {
        let mut file = File::new(&Caller::new(0, 0), "f", 0o600);
        assert_eq!(file.write(3, b"ab"), Ok(()));
        assert_eq!(**file.content, *b"\0\0\0ab");
        assert_eq!(file.write(1, b"x"), Ok(()));
        assert_eq!(**file.content, *b"\0x\0ab");
        assert_eq!(file.write(MAX_OBJECT, b"x"), Err(Errno::EFBIG));
        assert_eq!(file.write(u64::MAX, b"x"), Err(Errno::EFBIG));
        assert_eq!(file.truncate(MAX_OBJECT + 1), Err(Errno::EFBIG));
        let kept = Arc::clone(&file.content);
        assert_eq!(file.truncate(2), Ok(()));
        assert_eq!(**file.content, *b"\0x");
        assert_eq!(**kept, *b"\0x\0ab", "the kernel's copy does not change");
        assert_eq!(file.truncate(0), Ok(()));
        assert!(file.content.is_empty());
    }
}

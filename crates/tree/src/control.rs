//! A module's `control`: write commands, read the state and what came of the last command.
//!
//! What is written is described in [`crate::command`]. What is read:
//!
//! ```text
//! state: STATE                         always: `unmapped`, or the state's word
//! running: COMMAND                     one line for each command under way, oldest first
//! last: COMMAND: ok                    once a command has ended, or:
//! last: COMMAND: ERRNO TEXT
//!   REASON                             two blanks, then a reason; any number
//! ```
//!
//! COMMAND is on one line, with the file it was found to mean; newlines, backslashes and control
//! characters in it and in reasons are escaped. The outcome is what follows the last `": "`.
//! ERRNO is a name such as `EBUSY`, TEXT what strerror(3) says. A write that is refused because
//! of who wrote it (EPERM) or how long it is (E2BIG) leaves no trace.

use crate::module_dir::ModuleDir;
use crate::snapshot::slice;
use crate::{Attr, Caller, Handle, Kind, MAX_WRITE, Node, NodeId, OpenMode, SetAttr, lock, run};
use modfs_core::Errno;
use std::sync::{Arc, Mutex};

pub(crate) struct Control {
    dir: Arc<ModuleDir>,
}

impl Control {
    pub(crate) fn new(dir: Arc<ModuleDir>) -> Control {
        Control { dir }
    }
}

impl Node for Control {
    fn id(&self) -> Option<NodeId> {
        None
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let rights = self.dir.lock().control.ok_or(Errno::ENOENT)?;
        Ok(rights.attr(Kind::File, text(&self.dir).len() as u64))
    }

    fn blocks(&self) -> bool {
        true
    }

    fn times_out(&self) -> bool {
        true
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        let mut state = self.dir.lock();
        let rights = state.control.as_mut().ok_or(Errno::ENOENT)?;
        // A size is O_TRUNC of a shell's `>`: nothing to change.
        rights.change(change);
        Ok(())
    }

    fn open(&self, _: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let dir = Arc::clone(&self.dir);
        let may = self.dir.shared.clone();
        Ok(ControlHandle::boxed(
            mode,
            Box::new({
                let dir = Arc::clone(&dir);
                move || text(&dir)
            }),
            Box::new(move |caller, text| {
                if !may.privileged(caller) {
                    return Err(Errno::EPERM);
                }
                run::run(&dir, caller, text)
            }),
        ))
    }
}

/// What is read.
fn text(dir: &ModuleDir) -> String {
    let state = dir.status().map_or("unmapped", |s| s.state.word());
    format!("state: {state}\n{}", dir.lock().outcomes.text())
}

type Read = Box<dyn Fn() -> String + Send + Sync>;
type Write = Box<dyn Fn(&Caller, &[u8]) -> Result<(), Errno> + Send + Sync>;

/// An open `control`: commands in, text out. The text is made anew by each read at offset 0, so
/// that one descriptor can be written to and read from in turn.
pub(crate) struct ControlHandle {
    mode: OpenMode,
    text: Mutex<Option<Vec<u8>>>,
    read: Read,
    write: Write,
}

impl ControlHandle {
    pub(crate) fn boxed(mode: OpenMode, read: Read, write: Write) -> Box<dyn Handle> {
        Box::new(ControlHandle {
            mode,
            text: Mutex::default(),
            read,
            write,
        })
    }
}

impl Handle for ControlHandle {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        if !self.mode.read {
            return Err(Errno::EBADF);
        }
        let mut text = lock(&self.text);
        if offset == 0 {
            *text = None;
        }
        let text = text.get_or_insert_with(|| (self.read)().into_bytes());
        Ok(slice(text, offset, size))
    }

    fn write(&self, caller: &Caller, _: u64, data: &[u8]) -> Result<usize, Errno> {
        if !self.mode.write {
            return Err(Errno::EBADF);
        }
        if data.len() > MAX_WRITE {
            return Err(Errno::E2BIG);
        }
        (self.write)(caller, data)?;
        Ok(data.len())
    }
}

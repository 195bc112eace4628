//! The kernel's own directory.
//!
//! ```text
//! symbols     its exports, as a module's `symbols`
//! control     write `request NAME` or `autoclean`; read what came of the last command, as in a
//!             module's `control` but without the state
//! version     its vermagic string
//! rustc       the compiler whose Rust modules it takes; empty: none
//! tainted     what has tainted it: 1 a proprietary licence, 2 force, added; of Linux what
//!             /proc/sys/kernel/tainted says; write a number to taint it with more
//! modprobe    the program that loads modules on demand; write a path to set it
//! ```

use crate::command::{lines, words};
use crate::control::ControlHandle;
use crate::module_dir::Rights;
use crate::outcome::Outcomes;
use crate::snapshot::Snapshot;
use crate::status::{only_truncation, text_of};
use crate::{
    Attr, Caller, Handle, Kind, ModuleTree, Node, NodeId, OpenMode, SetAttr, lock, symbols,
};
use modfs_core::{Errno, KERNEL, Refusal};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Symbols,
    Control,
    Version,
    Rustc,
    Tainted,
    Modprobe,
}

impl Which {
    const ALL: [(Which, &str); 6] = [
        (Which::Symbols, "symbols"),
        (Which::Control, "control"),
        (Which::Version, "version"),
        (Which::Rustc, "rustc"),
        (Which::Tainted, "tainted"),
        (Which::Modprobe, "modprobe"),
    ];
}

/// The ids of the nodes here, and what came of the commands.
pub(crate) struct KernelIds {
    dir: NodeId,
    files: [NodeId; Which::ALL.len()],
    outcomes: Mutex<Outcomes>,
}

impl KernelIds {
    pub(crate) fn fresh() -> KernelIds {
        KernelIds {
            dir: NodeId::fresh(),
            files: Which::ALL.map(|_| NodeId::fresh()),
            outcomes: Mutex::default(),
        }
    }
}

pub(crate) struct KernelDir(Arc<ModuleTree>);

impl KernelDir {
    pub(crate) fn new(tree: Arc<ModuleTree>) -> KernelDir {
        KernelDir(tree)
    }
}

fn rights(tree: &ModuleTree, mode: u32) -> Rights {
    Rights {
        mode,
        uid: tree.shared().uid,
        gid: tree.shared().gid,
    }
}

impl Node for KernelDir {
    fn id(&self) -> Option<NodeId> {
        Some(self.0.kernel_ids().dir)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(rights(&self.0, 0o555).attr(Kind::Dir, 0))
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let found = Which::ALL.into_iter().find(|(_, n)| *n == name);
        let (which, _) = found.ok_or(Errno::ENOENT)?;
        let tree = Arc::clone(&self.0);
        Ok(Arc::new(KernelFile { tree, which }))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let names = Which::ALL.into_iter();
        Ok(names
            .map(|(_, name)| (name.to_owned(), Kind::File))
            .collect())
    }
}

struct KernelFile {
    tree: Arc<ModuleTree>,
    which: Which,
}

impl Node for KernelFile {
    fn id(&self) -> Option<NodeId> {
        match self.which {
            Which::Control => None,
            which => Some(self.tree.kernel_ids().files[which as usize]),
        }
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let mode = match self.which {
            Which::Symbols | Which::Version | Which::Rustc => 0o444,
            Which::Control | Which::Tainted | Which::Modprobe => 0o644,
        };
        let size = match self.which {
            // There may be very many.
            Which::Symbols => Attr::UNKNOWN_SIZE,
            _ => self.text(true).len() as u64,
        };
        Ok(rights(&self.tree, mode).attr(Kind::File, size))
    }

    fn blocks(&self) -> bool {
        matches!(self.which, Which::Control | Which::Symbols)
    }

    fn times_out(&self) -> bool {
        self.blocks()
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        let writable = matches!(
            self.which,
            Which::Control | Which::Tainted | Which::Modprobe
        );
        only_truncation(change, writable)
    }

    fn open(&self, caller: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let text = self.text(self.tree.shared().privileged(caller));
        match self.which {
            Which::Control => Ok(open_control(&self.tree, mode)),
            Which::Modprobe | Which::Tainted => Ok(Box::new(Setting {
                tree: Arc::clone(&self.tree),
                which: self.which,
                mode,
                text: Snapshot(text.into_bytes()),
            })),
            _ if mode.write => Err(Errno::EPERM),
            _ => Ok(Snapshot::boxed(text)),
        }
    }
}

impl KernelFile {
    /// What is read.
    fn text(&self, privileged: bool) -> String {
        let kernel = &self.tree.shared().kernel;
        match self.which {
            Which::Control => lock(&self.tree.kernel_ids().outcomes).text(),
            Which::Modprobe => format!("{}\n", kernel.helper()),
            Which::Symbols => symbols::text(&kernel.symbols(KERNEL), privileged),
            Which::Version => format!("{}\n", kernel.version()),
            Which::Rustc => format!("{}\n", kernel.rustc()),
            Which::Tainted => format!("{}\n", kernel.tainted()),
        }
    }
}

fn open_control(tree: &Arc<ModuleTree>, mode: OpenMode) -> Box<dyn Handle> {
    let reader = Arc::clone(tree);
    let writer = Arc::clone(tree);
    ControlHandle::boxed(
        mode,
        Box::new(move || lock(&reader.kernel_ids().outcomes).text()),
        Box::new(move |caller, text| run(&writer, caller, text)),
    )
}

fn run(tree: &ModuleTree, caller: &Caller, text: &[u8]) -> Result<(), Errno> {
    if !tree.shared().privileged(caller) {
        return Err(Errno::EPERM);
    }
    for line in lines(text) {
        if caller.is_cancelled() {
            return Err(Errno::EINTR);
        }
        let shown = String::from_utf8_lossy(line);
        let outcomes = &tree.kernel_ids().outcomes;
        let number = lock(outcomes).begin(&shown);
        let under_way = UnderWay { outcomes, number };
        let outcome = run_one(tree, line);
        drop(under_way);
        lock(outcomes).record(&shown, &outcome);
        outcome.map_err(|refusal| refusal.errno)?;
    }
    Ok(())
}

fn run_one(tree: &ModuleTree, line: &[u8]) -> Result<(), Refusal> {
    let words = words(line)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["request", name] => tree.shared().kernel.request(name),
        ["autoclean"] => {
            for name in tree.shared().kernel.autoclean() {
                // It may be in use again by now, or never have had a directory.
                let _ = tree.remove(&name);
            }
            Ok(())
        }
        _ => Err(Refusal::new(
            Errno::EINVAL,
            "there are the commands `request NAME` and `autoclean`",
        )),
    }
}

/// A command that runs; it ends when this is dropped, also by a panic.
struct UnderWay<'a> {
    outcomes: &'a Mutex<Outcomes>,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.outcomes).end(self.number);
    }
}

/// A file that is read whole, and whose text sets something.
struct Setting {
    tree: Arc<ModuleTree>,
    which: Which,
    mode: OpenMode,
    text: Snapshot,
}

impl Handle for Setting {
    fn read(&self, caller: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        if !self.mode.read {
            return Err(Errno::EBADF);
        }
        self.text.read(caller, offset, size)
    }

    fn write(&self, caller: &Caller, _: u64, data: &[u8]) -> Result<usize, Errno> {
        if !self.mode.write {
            return Err(Errno::EBADF);
        }
        // A program that is set runs with the host's rights.
        if !self.tree.shared().privileged(caller) {
            return Err(Errno::EPERM);
        }
        let (kernel, text) = (&self.tree.shared().kernel, text_of(data)?);
        let set = match self.which {
            Which::Tainted => {
                let bits = text.trim().parse().map_err(|_| Errno::EINVAL)?;
                kernel.taint(bits)
            }
            _ => kernel.set_helper(text),
        };
        set.map_err(|refusal| refusal.errno)?;
        Ok(data.len())
    }
}

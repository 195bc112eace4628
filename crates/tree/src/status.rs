//! What is known of a module, a file for each thing. Content is made when a file is opened.
//!
//! `state` is always there; the others while something is mapped.

use crate::module_dir::{CONTROL, ModuleDir};
use crate::root::check_name;
use crate::snapshot::{Snapshot, one_line};
use crate::symbols::{self, SymbolsHandle};
use crate::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode, SetAttr};
use modfs_core::{Errno, Flags, Parameter, Status};
use std::fmt::Write;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    State,
    Address,
    Size,
    Usecount,
    Flags,
    Deps,
    Refs,
    Symbols,
    Info,
    Parameters,
}

impl Which {
    const ALL: [Which; 10] = [
        Which::State,
        Which::Address,
        Which::Size,
        Which::Usecount,
        Which::Flags,
        Which::Deps,
        Which::Refs,
        Which::Symbols,
        Which::Info,
        Which::Parameters,
    ];

    fn name(self) -> &'static str {
        match self {
            Which::State => "state",
            Which::Address => "address",
            Which::Size => "size",
            Which::Usecount => "usecount",
            Which::Flags => "flags",
            Which::Deps => "deps",
            Which::Refs => "refs",
            Which::Symbols => "symbols",
            Which::Info => "info",
            Which::Parameters => "parameters",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Which::Parameters => Kind::Dir,
            _ => Kind::File,
        }
    }

    fn of(name: &str) -> Option<Which> {
        Which::ALL.into_iter().find(|which| which.name() == name)
    }
}

/// The words that `flags` shows, 2.4's names.
const FLAGS: [(Flags, &str); 3] = [
    (Flags::AUTOCLEAN, "autoclean"),
    (Flags::VISITED, "visited"),
    (Flags::USED_ONCE, "used_once"),
];

/// The ids of a directory's status nodes.
pub(crate) struct StatusIds([NodeId; Which::ALL.len()]);

impl StatusIds {
    pub(crate) fn fresh() -> StatusIds {
        StatusIds(Which::ALL.map(|_| NodeId::fresh()))
    }
}

/// Whether `control` or a status node of a module's directory has this name, be it there now or
/// not: no module file can have it.
pub fn is_reserved(name: &str) -> bool {
    name == CONTROL || Which::of(name).is_some()
}

/// Whether a status node of this name is there.
pub(crate) fn exists(name: &str, mapped: bool) -> bool {
    Which::of(name).is_some_and(|which| mapped || which == Which::State)
}

/// The status nodes that are there.
pub(crate) fn entries(mapped: bool) -> impl Iterator<Item = (String, Kind)> {
    Which::ALL
        .into_iter()
        .filter(move |&which| mapped || which == Which::State)
        .map(|which| (which.name().to_owned(), which.kind()))
}

/// The status node of this name.
///
/// # Errors
/// ENOENT: there is none now.
pub(crate) fn lookup(dir: &Arc<ModuleDir>, name: &str) -> Result<Arc<dyn Node>, Errno> {
    let which = Which::of(name).ok_or(Errno::ENOENT)?;
    let node = StatusNode {
        dir: Arc::clone(dir),
        which,
    };
    node.status()?;
    Ok(Arc::new(node))
}

struct StatusNode {
    dir: Arc<ModuleDir>,
    which: Which,
}

impl StatusNode {
    /// The module's status; `None` for `state` of an unmapped one.
    fn status(&self) -> Result<Option<Status>, Errno> {
        self.dir.lock().alive()?;
        let status = self.dir.status();
        if status.is_none() && self.which != Which::State {
            return Err(Errno::ENOENT);
        }
        Ok(status)
    }

    fn text(&self, caller: &Caller) -> Result<String, Errno> {
        let status = self.status()?;
        let kernel = &self.dir.shared.kernel;
        let names = |names: &[String]| names.iter().map(|name| format!("{name}\n")).collect();
        Ok(match (self.which, status) {
            (Which::State, None) => "unmapped\n".to_owned(),
            (Which::State, Some(status)) => format!("{}\n", status.state),
            (Which::Address, Some(status)) => {
                let privileged = self.dir.shared.privileged(caller);
                let address = if privileged { status.address } else { 0 };
                format!("{address:#018x}\n")
            }
            (Which::Size, Some(status)) => format!("{}\n", status.size),
            (Which::Usecount, Some(status)) => format!("{}\n", status.usecount),
            (Which::Flags, Some(status)) => FLAGS
                .iter()
                .filter(|(flag, _)| status.flags.contains(*flag))
                .map(|(_, word)| format!("{word}\n"))
                .collect(),
            (Which::Deps, Some(status)) => names(&status.deps),
            (Which::Refs, Some(status)) => names(&status.refs),
            (Which::Symbols, Some(_)) => {
                let lines = kernel.symbols(self.dir.name());
                symbols::text(&lines, self.dir.shared.privileged(caller))
            }
            (Which::Info, Some(_)) => info_text(&kernel.info(self.dir.name())),
            (Which::Parameters, _) => return Err(Errno::EISDIR),
            (_, None) => return Err(Errno::ENOENT),
        })
    }

    fn parameters(&self) -> Result<Vec<Parameter>, Errno> {
        if self.which != Which::Parameters {
            return Err(Errno::ENOTDIR);
        }
        self.status()?;
        let mut parameters = self.dir.shared.kernel.parameters(self.dir.name());
        // A damaged object may give one a name that no file can have.
        parameters.retain(|p| p.mode & 0o444 != 0 && check_name(&p.name).is_ok());
        Ok(parameters)
    }
}

/// `tag=value` lines; newlines and backslashes in them escaped.
fn info_text(info: &[(String, String)]) -> String {
    let mut text = String::new();
    for (tag, value) in info {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}={}", one_line(tag), one_line(value));
    }
    text
}

impl Node for StatusNode {
    fn id(&self) -> Option<NodeId> {
        Some(self.dir.status_ids.0[self.which as usize])
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let size = match self.which {
            Which::Parameters => {
                self.status()?;
                0
            }
            // To make them may take long, where a file is to be unpacked for it.
            Which::Symbols | Which::Info => {
                self.status()?;
                Attr::UNKNOWN_SIZE
            }
            // As long for those who may not see the addresses in it.
            _ => self.text(&Caller::new(0, 0))?.len() as u64,
        };
        let mut rights = self.dir.lock().rights;
        rights.mode = match self.which {
            Which::Parameters => 0o555,
            Which::Symbols => 0o644,
            _ => 0o444,
        };
        Ok(rights.attr(self.which.kind(), size))
    }

    fn blocks(&self) -> bool {
        matches!(self.which, Which::Symbols | Which::Info)
    }

    fn times_out(&self) -> bool {
        self.blocks()
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        only_truncation(change, self.which == Which::Symbols)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let mut parameters = self.parameters()?;
        let at = parameters.iter().position(|p| p.name == name);
        let parameter = parameters.swap_remove(at.ok_or(Errno::ENOENT)?);
        let mut state = self.dir.lock();
        let ids = &mut state.parameter_ids;
        let id = *ids.entry(name.to_owned()).or_insert_with(NodeId::fresh);
        drop(state);
        Ok(Arc::new(ParameterNode {
            dir: Arc::clone(&self.dir),
            id,
            name: parameter.name,
        }))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let parameters = self.parameters()?.into_iter();
        Ok(parameters.map(|p| (p.name, Kind::File)).collect())
    }

    fn open(&self, caller: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let text = self.text(caller)?;
        if self.which == Which::Symbols {
            let dir = Arc::clone(&self.dir);
            return Ok(Box::new(SymbolsHandle::new(dir, mode, text)));
        }
        if mode.write {
            return Err(Errno::EPERM);
        }
        Ok(Snapshot::boxed(text))
    }
}

/// What set_attr allows on a file whose content is made: O_TRUNC, if it can be written at all.
///
/// # Errors
/// EPERM: anything else.
pub(crate) fn only_truncation(change: SetAttr, writable: bool) -> Result<(), Errno> {
    let truncation = SetAttr {
        size: change.size,
        ..SetAttr::default()
    };
    if writable && change == truncation {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

struct ParameterNode {
    dir: Arc<ModuleDir>,
    id: NodeId,
    name: String,
}

impl ParameterNode {
    fn mode(&self) -> Result<u32, Errno> {
        let parameters = self.dir.shared.kernel.parameters(self.dir.name());
        let found = parameters.into_iter().find(|p| p.name == self.name);
        Ok(found.ok_or(Errno::ENOENT)?.mode & 0o777)
    }

    fn text(&self) -> Result<String, Errno> {
        let kernel = &self.dir.shared.kernel;
        match kernel.parameter(self.dir.name(), &self.name) {
            Ok(value) => Ok(format!("{value}\n")),
            Err(refusal) => Err(refusal.errno),
        }
    }
}

impl Node for ParameterNode {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let mode = self.mode()?;
        let mut rights = self.dir.lock().rights;
        rights.mode = mode;
        // To ask for the value may run module code.
        Ok(rights.attr(Kind::File, Attr::UNKNOWN_SIZE))
    }

    fn blocks(&self) -> bool {
        true
    }

    fn times_out(&self) -> bool {
        true
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        only_truncation(change, self.mode()? & 0o222 != 0)
    }

    fn open(&self, _: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        if mode.write && self.mode()? & 0o222 == 0 {
            return Err(Errno::EPERM);
        }
        let text = self.text()?;
        Ok(Box::new(ParameterHandle {
            dir: Arc::clone(&self.dir),
            name: self.name.clone(),
            mode,
            text: Snapshot(text.into_bytes()),
        }))
    }
}

struct ParameterHandle {
    dir: Arc<ModuleDir>,
    name: String,
    mode: OpenMode,
    text: Snapshot,
}

impl Handle for ParameterHandle {
    fn read(&self, caller: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        if !self.mode.read {
            return Err(Errno::EBADF);
        }
        self.text.read(caller, offset, size)
    }

    fn write(&self, _: &Caller, _: u64, data: &[u8]) -> Result<usize, Errno> {
        if !self.mode.write {
            return Err(Errno::EBADF);
        }
        // A removed directory's name may be another module's by now.
        self.dir.lock().alive()?;
        let value = text_of(data)?;
        let kernel = &self.dir.shared.kernel;
        kernel
            .set_parameter(self.dir.name(), &self.name, value)
            .map_err(|refusal| refusal.errno)?;
        Ok(data.len())
    }
}

/// What was written, as text without its trailing newline.
///
/// # Errors
/// EINVAL: not UTF-8, or a NUL. E2BIG: longer than [`crate::MAX_WRITE`].
pub(crate) fn text_of(data: &[u8]) -> Result<&str, Errno> {
    if data.len() > crate::MAX_WRITE {
        return Err(Errno::E2BIG);
    }
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    let text = str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    if text.contains('\0') {
        return Err(Errno::EINVAL);
    }
    Ok(text)
}

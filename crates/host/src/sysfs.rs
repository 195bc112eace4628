//! `sys/module/`: the modules as today's tools look for them in `/sys/module`.
//!
//! ```text
//! NAME/coresize     bytes of its image
//! NAME/initsize     0: the init part is in coresize as long as there is one
//! NAME/initstate    live, coming or going
//! NAME/refcnt       uses and references
//! NAME/taint        P: its licence is not compatible with the GPL, F: it was loaded by force
//! NAME/holders/     the modules that use it
//! NAME/parameters/  those that can be read
//! ```

use crate::host::Shared;
use modfs_core::{Errno, Kernel, State, Status, taint};
use modfs_tree::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode, SetAttr, Snapshot};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

const FILES: [&str; 5] = ["coresize", "initsize", "initstate", "refcnt", "taint"];
const HOLDERS: &str = "holders";
const PARAMETERS: &str = "parameters";

/// What all nodes here share.
pub(crate) struct Sys {
    host: Arc<Shared>,
    attr: Attr,
    /// By path.
    ids: Mutex<BTreeMap<String, NodeId>>,
}

impl Sys {
    /// The directory `sys`.
    pub(crate) fn root(host: Arc<Shared>, attr: Attr) -> Arc<dyn Node> {
        let sys = Sys {
            host,
            attr,
            ids: Mutex::default(),
        };
        Place::Root.node(&Arc::new(sys))
    }

    fn id(&self, path: String) -> NodeId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        *ids.entry(path).or_insert_with(NodeId::fresh)
    }

    /// Forgets what was of modules that are gone.
    fn forget(&self, loaded: &[(String, Status)]) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|path, _| {
            let module = path.split('/').nth(2);
            module.is_none_or(|module| loaded.iter().any(|(name, _)| name == module))
        });
    }

    fn status(&self, module: &str) -> Result<Status, Errno> {
        let status = self.host.status(module).ok_or(Errno::ENOENT)?;
        // Linux has none in /sys of a module that has exited.
        match status.state {
            State::Deleted => Err(Errno::ENOENT),
            _ => Ok(status),
        }
    }
}

/// What a node here is.
#[derive(Clone, Debug)]
enum Place {
    Root,
    Modules,
    Module(String),
    File(String, &'static str),
    Holders(String),
    Holder(String, String),
    Parameters(String),
    Parameter(String, String, u32),
}

impl Place {
    fn node(self, sys: &Arc<Sys>) -> Arc<dyn Node> {
        Arc::new(SysNode {
            sys: Arc::clone(sys),
            place: self,
        })
    }

    fn path(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Modules => "/module".into(),
            Place::Module(module) => format!("/module/{module}"),
            Place::File(module, file) => format!("/module/{module}/{file}"),
            Place::Holders(module) => format!("/module/{module}/{HOLDERS}"),
            Place::Holder(module, holder) => format!("/module/{module}/{HOLDERS}/{holder}"),
            Place::Parameters(module) => format!("/module/{module}/{PARAMETERS}"),
            Place::Parameter(module, name, _) => format!("/module/{module}/{PARAMETERS}/{name}"),
        }
    }

    /// The module it is of.
    fn module(&self) -> Option<&str> {
        match self {
            Place::Root | Place::Modules => None,
            Place::Module(module)
            | Place::File(module, _)
            | Place::Holders(module)
            | Place::Holder(module, _)
            | Place::Parameters(module)
            | Place::Parameter(module, ..) => Some(module),
        }
    }
}

struct SysNode {
    sys: Arc<Sys>,
    place: Place,
}

impl SysNode {
    fn status(&self) -> Result<Option<Status>, Errno> {
        let module = self.place.module();
        module.map(|module| self.sys.status(module)).transpose()
    }

    /// What is in a directory.
    fn children(&self) -> Result<Vec<(String, Place)>, Errno> {
        let status = self.status()?;
        let parameters = |module: &str| {
            let mut all = self.sys.host.parameters(module);
            all.retain(|parameter| parameter.mode & 0o777 != 0);
            all
        };
        Ok(match (&self.place, status) {
            (Place::Root, _) => vec![("module".to_owned(), Place::Modules)],
            (Place::Modules, _) => {
                let mut loaded = self.sys.host.mapped();
                loaded.retain(|(_, status)| status.state != State::Deleted);
                self.sys.forget(&loaded);
                let names = loaded.into_iter().map(|(name, _)| name);
                names
                    .map(|name| (name.clone(), Place::Module(name)))
                    .collect()
            }
            (Place::Module(module), _) => {
                let file =
                    |file: &'static str| (file.to_owned(), Place::File(module.clone(), file));
                let mut all: Vec<_> = FILES.into_iter().map(file).collect();
                all.push((HOLDERS.into(), Place::Holders(module.clone())));
                if !parameters(module).is_empty() {
                    all.push((PARAMETERS.into(), Place::Parameters(module.clone())));
                }
                all
            }
            (Place::Holders(module), Some(status)) => {
                let holder = |holder: String| {
                    let place = Place::Holder(module.clone(), holder.clone());
                    (holder, place)
                };
                status.refs.into_iter().map(holder).collect()
            }
            (Place::Parameters(module), _) => {
                let one = |parameter: modfs_core::Parameter| {
                    let name = parameter.name.clone();
                    let place = Place::Parameter(module.clone(), name, parameter.mode);
                    (parameter.name, place)
                };
                parameters(module).into_iter().map(one).collect()
            }
            // In Linux a link to the holder's directory.
            (Place::Holder(..), _) => Vec::new(),
            _ => return Err(Errno::ENOTDIR),
        })
    }

    fn text(&self, module: &str, file: &str, status: &Status) -> String {
        match file {
            "coresize" => format!("{}\n", status.size),
            "initstate" => {
                let word = match status.state {
                    State::Running => "live",
                    State::Uninitialized | State::Initializing => "coming",
                    State::Exiting | State::Deleted | State::Faulted => "going",
                };
                format!("{word}\n")
            }
            // It has no -1.
            "refcnt" => format!("{}\n", status.usecount.max(0) + status.refs.len() as i64),
            "initsize" => "0\n".into(),
            _ => format!("{}\n", taint::letters(self.taints(module))),
        }
    }

    /// What a module taints the kernel with.
    fn taints(&self, module: &str) -> u32 {
        let modules = self.sys.host.modules();
        let held = modules.find(module).and_then(|id| modules.get(id));
        held.and_then(|held| held.payload())
            .map_or(0, |loaded| loaded.taints)
    }
}

impl Node for SysNode {
    fn id(&self) -> Option<NodeId> {
        Some(self.sys.id(self.place.path()))
    }

    fn attr(&self) -> Result<Attr, Errno> {
        self.status()?;
        let file = |mode| Attr {
            kind: Kind::File,
            mode,
            size: 4096,
            ..self.sys.attr
        };
        Ok(match &self.place {
            Place::File(..) => file(0o444),
            Place::Parameter(_, _, mode) => file(*mode & 0o777),
            _ => self.sys.attr,
        })
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        // A shell's `>` truncates.
        match (&self.place, change.mode.or(change.uid).or(change.gid)) {
            (Place::Parameter(..), None) => Ok(()),
            _ => Err(Errno::EPERM),
        }
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        if let Place::Modules = self.place {
            self.sys.status(name)?;
            return Ok(Place::Module(name.to_owned()).node(&self.sys));
        }
        let children = self.children()?.into_iter();
        let mut found = children.filter(|(child, _)| child == name);
        let (_, place) = found.next().ok_or(Errno::ENOENT)?;
        Ok(place.node(&self.sys))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let kind = |place: &Place| match place {
            Place::File(..) | Place::Parameter(..) => Kind::File,
            _ => Kind::Dir,
        };
        let children = self.children()?.into_iter();
        Ok(children.map(|(name, place)| (name, kind(&place))).collect())
    }

    fn open(&self, _: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let status = self.status()?;
        let text = match (&self.place, status) {
            (Place::File(module, file), Some(status)) if !mode.write => {
                self.text(module, file, &status)
            }
            (Place::File(..), _) => return Err(Errno::EACCES),
            (Place::Parameter(module, name, _), _) => {
                let value = self.sys.host.parameter(module, name);
                format!("{}\n", value.map_err(|refusal| refusal.errno)?)
            }
            _ => return Err(Errno::EISDIR),
        };
        Ok(Box::new(OpenFile {
            sys: Arc::clone(&self.sys),
            place: self.place.clone(),
            text: Snapshot::new(text),
        }))
    }
}

struct OpenFile {
    sys: Arc<Sys>,
    place: Place,
    text: Snapshot,
}

impl Handle for OpenFile {
    fn read(&self, caller: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        self.text.read(caller, offset, size)
    }

    fn write(&self, _: &Caller, _: u64, data: &[u8]) -> Result<usize, Errno> {
        let Place::Parameter(module, name, _) = &self.place else {
            return Err(Errno::EBADF);
        };
        let value = str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        let value = value.strip_suffix('\n').unwrap_or(value);
        let set = self.sys.host.set_parameter(module, name, value);
        set.map_err(|refusal| refusal.errno)?;
        Ok(data.len())
    }
}

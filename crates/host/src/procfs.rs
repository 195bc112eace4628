//! Virtual files that modules register.

use crate::call::Owner;
use crate::cstruct::{CSeqFile, ForC};
use crate::host::Shared;
use crate::in_flight::InFlight;
use modfs_core::{Errno, Id};
use modfs_tree::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode, Snapshot};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file's text has at most this many bytes.
const TEXT_MAX: usize = 16 << 20;
/// The files of the host itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    /// The log.
    Kmsg,
    /// The modules, as in 2.4.
    Modules,
    /// The symbols, as in 2.4.
    Ksyms,
}

impl Own {
    const ALL: [(Own, &str, u32); 3] = [
        (Own::Kmsg, "kmsg", 0o400),
        (Own::Modules, "modules", 0o444),
        (Own::Ksyms, "ksyms", 0o444),
    ];

    fn has(name: &str) -> bool {
        Own::ALL.iter().any(|(_, own, _)| *own == name)
    }
}

/// A registered file.
#[derive(Debug)]
struct Entry {
    name: String,
    mode: u32,
    show: u64,
    store: u64,
    data: u64,
    owner: Arc<Owner>,
    id: NodeId,
    calls: InFlight,
}

/// The registered files.
#[derive(Debug, Default)]
pub(crate) struct Procs(Mutex<BTreeMap<String, Arc<Entry>>>);

impl Procs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a file; returns the number it is known by, never 0.
    ///
    /// # Errors
    /// EINVAL: the name, or no `show`. EEXIST: the name is taken.
    pub(crate) fn register(
        &self,
        owner: &Arc<Owner>,
        name: &str,
        mode: u32,
        [show, store, data]: [u64; 3],
    ) -> Result<u64, Errno> {
        let odd = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name.starts_with('.') || name.contains(odd) || show == 0 {
            return Err(Errno::EINVAL);
        }
        let mode = match mode & 0o777 {
            0 if store != 0 => 0o644,
            0 => 0o444,
            mode => mode,
        };
        let mut table = self.lock();
        if Own::has(name) || table.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let id = NodeId::fresh();
        let entry = Entry {
            name: name.to_owned(),
            mode,
            show,
            store,
            data,
            owner: owner.clone(),
            id,
            calls: InFlight::default(),
        };
        table.insert(name.to_owned(), Arc::new(entry));
        Ok(id.get())
    }

    fn remove_where(&self, mut gone: impl FnMut(&Entry) -> bool) -> Vec<Arc<Entry>> {
        let mut list = Vec::new();
        self.lock().retain(|_, entry| {
            let remove = gone(entry);
            if remove {
                list.push(entry.clone());
            }
            !remove
        });
        list.iter().for_each(|entry| entry.calls.close());
        list
    }

    /// Removes the file of this name, or of this number; returns when no module code runs for it.
    pub(crate) fn remove(&self, which: Result<u64, &str>) {
        self.remove_where(|entry| match which {
            Ok(id) => entry.id.get() == id,
            Err(name) => entry.name == name,
        });
    }

    /// Takes all registrations of a module back; returns what they were.
    pub(crate) fn remove_owner(&self, id: Id) -> impl Iterator<Item = String> + use<> {
        let gone = self.remove_where(|entry| entry.owner.id == id);
        gone.into_iter()
            .map(|entry| format!("virtual file {}", entry.name))
    }
}

/// The ids of the host's own files.
pub(crate) struct OwnIds([NodeId; Own::ALL.len()]);

impl OwnIds {
    pub(crate) fn fresh() -> OwnIds {
        OwnIds(Own::ALL.map(|_| NodeId::fresh()))
    }
}

/// `proc/`: the host's own files, and each registered one.
pub(crate) struct ProcDir {
    pub(crate) host: Arc<Shared>,
    pub(crate) id: NodeId,
    pub(crate) own: OwnIds,
    pub(crate) attr: Attr,
}

impl ProcDir {
    fn file(&self, mode: u32) -> Attr {
        Attr {
            kind: Kind::File,
            mode,
            size: Attr::UNKNOWN_SIZE,
            ..self.attr
        }
    }
}

impl Node for ProcDir {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        if let Some((which, _, mode)) = Own::ALL.into_iter().find(|(_, own, _)| *own == name) {
            return Ok(Arc::new(OwnFile {
                host: self.host.clone(),
                which,
                id: self.own.0[which as usize],
                attr: self.file(mode),
            }));
        }
        let entry = self
            .host
            .procs
            .lock()
            .get(name)
            .cloned()
            .ok_or(Errno::ENOENT)?;
        Ok(Arc::new(ProcFile {
            host: self.host.clone(),
            attr: self.file(entry.mode),
            entry,
        }))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let table = self.host.procs.lock();
        let own = Own::ALL.iter().map(|(_, name, _)| (*name).to_owned());
        let names = own.chain(table.keys().cloned());
        Ok(names.map(|name| (name, Kind::File)).collect())
    }
}

/// A file of the host itself, as it is when it is opened.
struct OwnFile {
    host: Arc<Shared>,
    which: Own,
    id: NodeId,
    attr: Attr,
}

impl Node for OwnFile {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let size = match self.which {
            Own::Kmsg => self.host.log.text().len() as u64,
            Own::Modules | Own::Ksyms => Attr::UNKNOWN_SIZE,
        };
        Ok(Attr { size, ..self.attr })
    }

    fn open(&self, caller: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        if mode.write {
            return Err(Errno::EACCES);
        }
        Ok(Box::new(Snapshot::new(match self.which {
            Own::Kmsg => self.host.log.text(),
            Own::Modules => self.host.proc_modules(),
            Own::Ksyms => {
                let privileged = caller.uid == 0 || caller.uid == self.attr.uid;
                self.host.proc_ksyms(privileged)
            }
        })))
    }
}

/// A file that a module registered.
struct ProcFile {
    host: Arc<Shared>,
    attr: Attr,
    entry: Arc<Entry>,
}

impl Node for ProcFile {
    // As of a device: what waits in the module must not hold up the others.
    fn id(&self) -> Option<NodeId> {
        None
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn blocks(&self) -> bool {
        true
    }

    fn set_attr(&self, _: &Caller, change: modfs_tree::SetAttr) -> Result<(), Errno> {
        if change.mode.or(change.uid).or(change.gid).is_some() {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    fn open(&self, _: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let text = if mode.read {
            self.entry.show(&self.host)?
        } else {
            Vec::new()
        };
        Ok(Box::new(OpenProc {
            host: self.host.clone(),
            entry: self.entry.clone(),
            text: Snapshot::new(text),
        }))
    }
}

impl Entry {
    /// Calls a function of the module for this file, unless the file is gone.
    fn call(&self, host: &Shared, function: u64, arguments: [u64; 5]) -> Result<i64, Errno> {
        let _entered = self.calls.enter().ok_or(Errno::ENOENT)?;
        let pin = self.owner.pin().ok_or(Errno::ENOENT)?;
        if self.owner.is_dead() {
            return Err(Errno::EIO);
        }
        // SAFETY: the file's function, with the arguments its prototype says, each valid during
        // the call; `pin` keeps the module mapped.
        let called = unsafe { host.call(pin.owner(), function, arguments) };
        called.map(|value| value as i64).map_err(|_| Errno::EIO)
    }

    /// The text that the module gives: asked for again, with a larger buffer, while it is full.
    fn show(&self, host: &Shared) -> Result<Vec<u8>, Errno> {
        let mut size = 4096;
        loop {
            let mut buffer = vec![0u8; size];
            let seq = ForC::new(CSeqFile {
                buffer: buffer.as_mut_ptr(),
                size,
                count: 0,
                private: self.data,
            });
            let returned = self.call(host, self.show, [seq.address(), self.data, 0, 0, 0])?;
            // `show` returns an int.
            if let Some(errno) = Errno::from_init(returned as i32) {
                return Err(errno);
            }
            let count = seq.into_inner().count;
            if count < size {
                buffer.truncate(count);
                return Ok(buffer);
            }
            size *= 4;
            if size > TEXT_MAX {
                return Err(Errno::EFBIG);
            }
        }
    }
}

struct OpenProc {
    host: Arc<Shared>,
    entry: Arc<Entry>,
    text: Snapshot,
}

impl Handle for OpenProc {
    fn read(&self, caller: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        self.text.read(caller, offset, size)
    }

    fn write(&self, _: &Caller, _offset: u64, data: &[u8]) -> Result<usize, Errno> {
        if self.entry.store == 0 {
            return Err(Errno::EACCES);
        }
        let from = data.as_ptr().expose_provenance() as u64;
        let arguments = [self.entry.data, from, data.len() as u64, 0, 0];
        let returned = self.entry.call(&self.host, self.entry.store, arguments)?;
        match usize::try_from(returned) {
            Ok(taken) => Ok(taken.min(data.len())),
            Err(_) => Err(Errno::from_raw(
                returned.unsigned_abs().try_into().unwrap_or(0),
            )),
        }
    }
}

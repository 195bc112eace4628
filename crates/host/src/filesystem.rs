//! File systems that modules register, and those that are mounted.

use crate::call::{Owner, Pin};
use crate::cstruct::{ForC, peek_words};
use crate::fault::peek;
use crate::host::Shared;
use crate::in_flight::InFlight;
use modfs_core::{Errno, Id, NAME_MAX};
use modfs_tree::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode, SetAttr};
use std::cell::UnsafeCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The number of a file system's root directory.
const ROOT: u64 = 1;
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
/// `MODFS_ATTR_*` of `modfs/filesystem.h`.
const ATTR_MODE: u64 = 1;
const ATTR_UID: u64 = 2;
const ATTR_GID: u64 = 4;
const ATTR_SIZE: u64 = 8;

/// `struct file_system_type` of `modfs/filesystem.h`, as addresses.
#[derive(Clone, Copy, Debug)]
struct Operations {
    mount: u64,
    umount: u64,
    lookup: u64,
    getattr: u64,
    readdir: u64,
    create: u64,
    remove: u64,
    read: u64,
    write: u64,
    setattr: u64,
}

impl Operations {
    /// Copies the structure from a module's memory; `None` when it is not there.
    fn at(address: u64) -> Option<Operations> {
        let [_owner, _name, rest @ ..] = peek_words::<12>(address)?;
        let [
            mount,
            umount,
            lookup,
            getattr,
            readdir,
            create,
            remove,
            read,
            write,
            setattr,
        ] = rest;
        Some(Operations {
            mount,
            umount,
            lookup,
            getattr,
            readdir,
            create,
            remove,
            read,
            write,
            setattr,
        })
    }
}

/// `struct super_block`.
#[repr(C)]
#[derive(Debug)]
struct CSuper {
    name: u64,
    private: u64,
}

/// `struct modfs_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct CAttr {
    ino: u64,
    size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    reserved: u32,
}

/// `struct dir_context`: the module sees its address only.
#[derive(Debug, Default)]
pub(crate) struct DirContext(UnsafeCell<Vec<(String, Kind)>>);

impl DirContext {
    /// Adds an entry, unless it can be none.
    ///
    /// # Safety
    /// Nobody else uses it during the call.
    pub(crate) unsafe fn add(&self, name: &str, mode: u32) -> bool {
        if !is_name(name) || matches!(name, "." | "..") {
            return false;
        }
        // SAFETY: the caller's.
        unsafe { (*self.0.get()).push((name.to_owned(), kind(mode))) };
        true
    }
}

/// A registered type.
#[derive(Debug)]
struct FsType {
    owner: Arc<Owner>,
    /// Where the module keeps it.
    address: u64,
    operations: Operations,
}

/// What is registered and mounted.
#[derive(Debug, Default)]
pub(crate) struct Filesystems(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    types: BTreeMap<String, Arc<FsType>>,
    /// By type and name.
    mounts: BTreeMap<(String, String), Arc<Mounted>>,
}

fn is_name(name: &str) -> bool {
    let odd = |c: char| c == '/' || c.is_control();
    !name.is_empty() && name.len() <= NAME_MAX && !name.contains(odd)
}

fn kind(mode: u32) -> Kind {
    match mode & S_IFMT {
        S_IFDIR => Kind::Dir,
        _ => Kind::File,
    }
}

impl Filesystems {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers the type at an address of a module.
    ///
    /// # Errors
    /// EFAULT: there is none. EINVAL: the name, or no `mount`. EBUSY: the name is taken.
    pub(crate) fn register(
        &self,
        owner: &Arc<Owner>,
        name: &str,
        address: u64,
    ) -> Result<(), Errno> {
        let operations = Operations::at(address).ok_or(Errno::EFAULT)?;
        if !is_name(name) || name.starts_with('.') || operations.mount == 0 {
            return Err(Errno::EINVAL);
        }
        let mut tables = self.lock();
        if tables.types.contains_key(name) {
            return Err(Errno::EBUSY);
        }
        let new = FsType {
            owner: owner.clone(),
            address,
            operations,
        };
        tables.types.insert(name.to_owned(), Arc::new(new));
        Ok(())
    }

    /// Takes the registration of the type at this address back; what is mounted stays.
    ///
    /// # Errors
    /// EINVAL: `owner` registered none there.
    pub(crate) fn unregister(&self, owner: &Owner, address: u64) -> Result<(), Errno> {
        let mut tables = self.lock();
        let before = tables.types.len();
        let is_it = |t: &FsType| t.owner.id == owner.id && t.address == address;
        tables.types.retain(|_, registered| !is_it(registered));
        match tables.types.len() < before {
            true => Ok(()),
            false => Err(Errno::EINVAL),
        }
    }

    /// Takes all registrations of a module back; returns what they were.
    pub(crate) fn remove_owner(&self, id: Id) -> impl Iterator<Item = String> + use<> {
        let mut gone = Vec::new();
        self.lock().types.retain(|name, registered| {
            let keep = registered.owner.id != id;
            if !keep {
                gone.push(format!("file system {name}"));
            }
            keep
        });
        gone.into_iter()
    }

    fn get(&self, name: &str) -> Option<(Arc<FsType>, Pin)> {
        let found = self.lock().types.get(name).cloned()?;
        let pin = found.owner.pin()?;
        Some((found, pin))
    }
}

impl Shared {
    /// `get_fs_type` of 2.4: looks, takes a reference, asks for the module, looks again.
    fn get_fs_type(&self, name: &str) -> Result<(Arc<FsType>, Pin), Errno> {
        if let Some(found) = self.filesystems.get(name) {
            return Ok(found);
        }
        // What came of it the log says.
        let _ = self.request_module(name);
        self.filesystems.get(name).ok_or(Errno::ENODEV)
    }

    fn mount(&self, fs: &str, name: &str) -> Result<Arc<Mounted>, Errno> {
        let key = (fs.to_owned(), name.to_owned());
        let taken = |tables: &Tables| tables.mounts.contains_key(&key);
        if taken(&self.filesystems.lock()) {
            return Err(Errno::EEXIST);
        }
        let (fs, pin) = self.get_fs_type(fs)?;
        let text = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let mounted = Arc::new(Mounted {
            host: self.me.clone(),
            operations: fs.operations,
            owner: fs.owner.clone(),
            calls: InFlight::default(),
            pin: Mutex::new(Some(pin)),
            block: ForC::new(CSuper {
                name: text.as_ptr().expose_provenance() as u64,
                private: 0,
            }),
            _name: text,
            opens: AtomicUsize::new(0),
            ids: Mutex::default(),
        });
        mounted.done(fs.operations.mount, [0; 4])?;
        let root = mounted.getattr(ROOT);
        if !root.as_ref().is_ok_and(|attr| attr.kind == Kind::Dir) {
            mounted.umount();
            let name = &mounted.owner.name;
            let text = format!("{name}: what it mounts has no root directory");
            self.log.write(crate::Level::Err, &text);
            return Err(root.err().unwrap_or(Errno::EIO));
        }
        let mut tables = self.filesystems.lock();
        if taken(&tables) {
            drop(tables);
            mounted.umount();
            return Err(Errno::EEXIST);
        }
        tables.mounts.insert(key, mounted.clone());
        Ok(mounted)
    }

    /// Unmounts what nobody has open.
    fn unmount(&self, fs: &str, name: &str) -> Result<(), Errno> {
        let key = (fs.to_owned(), name.to_owned());
        let mounted = {
            let mut tables = self.filesystems.lock();
            let mounted = tables.mounts.get(&key).ok_or(Errno::ENOENT)?;
            if mounted.opens.load(Ordering::Acquire) > 0 {
                return Err(Errno::EBUSY);
            }
            tables.mounts.remove(&key)
        };
        if let Some(mounted) = mounted {
            mounted.umount();
        }
        Ok(())
    }

    /// Unmounts all that nobody has open.
    pub(crate) fn unmount_all(&self) {
        let keys: Vec<_> = self.filesystems.lock().mounts.keys().cloned().collect();
        for (fs, name) in keys {
            let _ = self.unmount(&fs, &name);
        }
    }
}

/// A mounted file system. Who looks at it can outlive it.
#[derive(Debug)]
struct Mounted {
    host: Weak<Shared>,
    operations: Operations,
    owner: Arc<Owner>,
    calls: InFlight,
    /// `None` once it is unmounted; until then the module is in use.
    pin: Mutex<Option<Pin>>,
    block: ForC<CSuper>,
    /// What `block` points to.
    _name: CString,
    /// Open files of it.
    opens: AtomicUsize,
    /// By number, with how many nodes have it.
    ids: Mutex<HashMap<u64, (NodeId, usize)>>,
}

impl Mounted {
    /// Calls an operation; its first argument is the `struct super_block`.
    fn call(&self, function: u64, [a, b, c, d]: [u64; 4]) -> Result<i64, Errno> {
        if function == 0 {
            return Err(Errno::EPERM);
        }
        let _entered = self.calls.enter().ok_or(Errno::ENOENT)?;
        self.enter(function, [self.block.address(), a, b, c, d])
    }

    /// Calls a function of the module while it is pinned.
    fn enter(&self, function: u64, arguments: [u64; 5]) -> Result<i64, Errno> {
        let host = self.host.upgrade().ok_or(Errno::EIO)?;
        if self.owner.is_dead() {
            return Err(Errno::EIO);
        }
        // SAFETY: an operation of the type, with the arguments its prototype says, each valid
        // during the call; `pin`, which goes when no call is under way, keeps the module mapped.
        let called = unsafe { host.call(&self.owner, function, arguments) };
        Ok(called.map_err(|_| Errno::EIO)? as i64)
    }

    /// Ends it, once no other thread is in it.
    fn umount(&self) {
        // A fault in it may have left a lock that others wait for in vain; the module, which stays
        // mapped then, is pinned for good.
        if !self.calls.close_unless(|| self.owner.is_dead()) {
            return;
        }
        if self.operations.umount != 0 {
            // It returns nothing, and of one that faulted there is nothing to be told.
            let _ = self.enter(self.operations.umount, [self.block.address(), 0, 0, 0, 0]);
        }
        *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// An operation that returns 0 or an error.
    fn done(&self, function: u64, arguments: [u64; 4]) -> Result<(), Errno> {
        match Errno::from_init(self.call(function, arguments)? as i32) {
            None => Ok(()),
            Some(errno) => Err(errno),
        }
    }

    /// An operation that fills attributes in.
    fn attr_by(
        &self,
        function: u64,
        arguments: impl FnOnce(u64) -> [u64; 4],
    ) -> Result<CAttr, Errno> {
        let out = ForC::new(CAttr::default());
        self.done(function, arguments(out.address()))?;
        Ok(out.into_inner())
    }

    /// An operation that returns a length of at most `most`.
    fn length(&self, function: u64, arguments: [u64; 4], most: usize) -> Result<usize, Errno> {
        let returned = self.call(function, arguments)?;
        match usize::try_from(returned) {
            Ok(length) if length <= most => Ok(length),
            Ok(length) => {
                if let Some(host) = self.host.upgrade() {
                    let name = &self.owner.name;
                    let text = format!("{name}: {length} bytes of {most} that were asked for");
                    host.log.write(crate::Level::Err, &text);
                }
                Err(Errno::EIO)
            }
            Err(_) => Err(Errno::from_raw(
                returned.unsigned_abs().try_into().unwrap_or(0),
            )),
        }
    }

    /// What stat(2) shows.
    ///
    /// # Errors
    /// EIO: its size is none. Otherwise what the module says.
    fn getattr(&self, ino: u64) -> Result<Attr, Errno> {
        let getattr = self.operations.getattr;
        let attr = self.attr_by(getattr, |out| [ino, out, 0, 0])?;
        i64::try_from(attr.size).map_err(|_| Errno::EIO)?;
        Ok(Attr {
            kind: kind(attr.mode),
            mode: attr.mode & 0o7777,
            uid: attr.uid,
            gid: attr.gid,
            size: attr.size,
        })
    }

    fn node(self: &Arc<Self>, attr: &CAttr) -> Arc<dyn Node> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, users) = ids.entry(attr.ino).or_insert_with(|| (NodeId::fresh(), 0));
        *users += 1;
        Arc::new(FsNode {
            mounted: self.clone(),
            ino: attr.ino,
            id: *id,
        })
    }
}

/// A name as a module gets it.
fn c_name(name: &str) -> Result<CString, Errno> {
    match is_name(name) {
        true => CString::new(name).map_err(|_| Errno::EINVAL),
        false if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        false => Err(Errno::EINVAL),
    }
}

fn address(name: &CString) -> u64 {
    name.as_ptr().expose_provenance() as u64
}

/// A file or directory of a mounted file system.
struct FsNode {
    mounted: Arc<Mounted>,
    ino: u64,
    id: NodeId,
}

impl Drop for FsNode {
    fn drop(&mut self) {
        let mut ids = self
            .mounted
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, users)) = ids.get_mut(&self.ino) {
            *users -= 1;
            if *users == 0 {
                ids.remove(&self.ino);
            }
        }
    }
}

impl FsNode {
    fn make(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        let name = c_name(name)?;
        let want = ForC::new(CAttr {
            mode,
            uid: caller.uid,
            gid: caller.gid,
            ..CAttr::default()
        });
        let create = self.mounted.operations.create;
        let made = self.mounted.attr_by(create, |out| {
            [self.ino, address(&name), want.address(), out]
        })?;
        Ok(self.mounted.node(&made))
    }

    fn remove(&self, name: &str, directory: bool) -> Result<(), Errno> {
        let name = c_name(name)?;
        let arguments = [self.ino, address(&name), directory.into(), 0];
        self.mounted.done(self.mounted.operations.remove, arguments)
    }
}

impl Node for FsNode {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn apart(&self) -> bool {
        true
    }

    fn attr(&self) -> Result<Attr, Errno> {
        self.mounted.getattr(self.ino)
    }

    fn set_attr(&self, _: &Caller, change: SetAttr) -> Result<(), Errno> {
        let flag = |is: bool, bit: u64| if is { bit } else { 0 };
        let which = flag(change.mode.is_some(), ATTR_MODE)
            | flag(change.uid.is_some(), ATTR_UID)
            | flag(change.gid.is_some(), ATTR_GID)
            | flag(change.size.is_some(), ATTR_SIZE);
        let want = ForC::new(CAttr {
            size: change.size.unwrap_or(0),
            mode: change.mode.unwrap_or(0),
            uid: change.uid.unwrap_or(0),
            gid: change.gid.unwrap_or(0),
            ..CAttr::default()
        });
        let arguments = [self.ino, want.address(), which, 0];
        self.mounted
            .done(self.mounted.operations.setattr, arguments)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let name = c_name(name)?;
        let lookup = self.mounted.operations.lookup;
        let found = self
            .mounted
            .attr_by(lookup, |out| [self.ino, address(&name), out, 0])?;
        Ok(self.mounted.node(&found))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let context = DirContext::default();
        let at = (&raw const context).expose_provenance() as u64;
        let readdir = self.mounted.operations.readdir;
        self.mounted.done(readdir, [self.ino, at, 0, 0])?;
        Ok(context.0.into_inner())
    }

    fn mkdir(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        self.make(caller, name, S_IFDIR | mode & 0o7777)
    }

    fn create(&self, caller: &Caller, name: &str, mode: u32) -> Result<Arc<dyn Node>, Errno> {
        self.make(caller, name, S_IFREG | mode & 0o7777)
    }

    fn rmdir(&self, _: &Caller, name: &str) -> Result<(), Errno> {
        self.remove(name, true)
    }

    fn unlink(&self, _: &Caller, name: &str) -> Result<(), Errno> {
        self.remove(name, false)
    }

    fn open(&self, _: &Caller, _: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        self.mounted.opens.fetch_add(1, Ordering::AcqRel);
        Ok(Box::new(OpenFile {
            mounted: self.mounted.clone(),
            ino: self.ino,
        }))
    }
}

/// A file of a mounted file system that somebody has open.
struct OpenFile {
    mounted: Arc<Mounted>,
    ino: u64,
}

impl Handle for OpenFile {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0u8; size];
        let to = bytes.as_mut_ptr().expose_provenance() as u64;
        let read = self.mounted.operations.read;
        let arguments = [self.ino, to, size as u64, offset];
        bytes.truncate(self.mounted.length(read, arguments, size)?);
        Ok(bytes)
    }

    fn write(&self, _: &Caller, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let from = data.as_ptr().expose_provenance() as u64;
        let write = self.mounted.operations.write;
        let arguments = [self.ino, from, data.len() as u64, offset];
        self.mounted.length(write, arguments, data.len())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.mounted.opens.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `fs/`: a directory for each type, and for each name that could be one.
pub(crate) struct FsDir {
    pub(crate) host: Arc<Shared>,
    pub(crate) id: NodeId,
    pub(crate) attr: Attr,
    pub(crate) ids: Mutex<HashMap<String, NodeId>>,
}

impl Node for FsDir {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        if !is_name(name) || name.starts_with('.') {
            return Err(Errno::ENOENT);
        }
        let tables = self.host.filesystems.lock();
        // A name that nobody has used is not remembered: anybody can look for any.
        let known =
            tables.types.contains_key(name) || tables.mounts.keys().any(|(fs, _)| fs == name);
        drop(tables);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match known {
            true => Some(*ids.entry(name.to_owned()).or_insert_with(NodeId::fresh)),
            false => ids.get(name).copied(),
        };
        Ok(Arc::new(TypeDir {
            host: self.host.clone(),
            name: name.to_owned(),
            id,
            attr: self.attr,
        }))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let tables = self.host.filesystems.lock();
        let mounted = tables.mounts.keys().map(|(fs, _)| fs);
        let mut names: Vec<&String> = tables.types.keys().chain(mounted).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names.into_iter().map(|n| (n.clone(), Kind::Dir)).collect())
    }
}

/// `fs/TYPE`: mkdir(2) mounts, rmdir(2) unmounts.
struct TypeDir {
    host: Arc<Shared>,
    name: String,
    id: Option<NodeId>,
    attr: Attr,
}

impl Node for TypeDir {
    fn id(&self) -> Option<NodeId> {
        self.id
    }

    // Mounting may ask for a module, and runs its code.
    fn apart(&self) -> bool {
        true
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let key = (self.name.clone(), name.to_owned());
        let mounted = self.host.filesystems.lock().mounts.get(&key).cloned();
        let mounted = mounted.ok_or(Errno::ENOENT)?;
        Ok(root(&mounted))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let tables = self.host.filesystems.lock();
        let own = tables.mounts.keys().filter(|(fs, _)| *fs == self.name);
        Ok(own.map(|(_, name)| (name.clone(), Kind::Dir)).collect())
    }

    fn mkdir(&self, _: &Caller, name: &str, _: u32) -> Result<Arc<dyn Node>, Errno> {
        c_name(name)?;
        Ok(root(&self.host.mount(&self.name, name)?))
    }

    fn rmdir(&self, _: &Caller, name: &str) -> Result<(), Errno> {
        self.host.unmount(&self.name, name)
    }
}

fn root(mounted: &Arc<Mounted>) -> Arc<dyn Node> {
    mounted.node(&CAttr {
        ino: ROOT,
        ..CAttr::default()
    })
}

/// The name in a `struct file_system_type` of a module; `None`: it has none.
pub(crate) fn name_at(address: u64) -> Option<String> {
    let [_owner, name] = peek_words(address)?;
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        if text.len() > NAME_MAX || peek(name.checked_add(text.len() as u64)?, &mut byte) != 1 {
            return None;
        }
        if byte == [0] {
            return String::from_utf8(text).ok();
        }
        text.push(byte[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_the_header() {
        assert_eq!(size_of::<CSuper>(), 16);
        assert_eq!(size_of::<CAttr>(), 32);
        assert_eq!(std::mem::offset_of!(CAttr, mode), 16);
        assert_eq!(std::mem::offset_of!(CAttr, gid), 24);
    }

    #[test]
    fn entries_that_can_be_none_are_left_out() {
        let context = DirContext::default();
        for (name, taken) in [("a", true), (".", false), ("a/b", false), ("", false)] {
            // SAFETY: nobody else has it.
            assert_eq!(unsafe { context.add(name, S_IFDIR) }, taken);
        }
        assert_eq!(context.0.into_inner(), [("a".to_owned(), Kind::Dir)]);
    }
}

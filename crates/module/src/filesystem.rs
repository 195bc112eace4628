//! File systems.

use crate::error::{length, status};
use crate::sys::{self, FileSystemType, RawAttr, SuperBlock};
use crate::{Errno, Result};
use alloc_crate::boxed::Box;
use alloc_crate::ffi::CString;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::marker::PhantomData;
use core::{fmt, slice};

/// The number of the root directory.
pub const ROOT: u64 = 1;

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

/// What something in a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
}

impl FileKind {
    const fn bits(self) -> u32 {
        match self {
            FileKind::Dir => S_IFDIR,
            FileKind::File => S_IFREG,
        }
    }
}

/// A file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// The number it is known by; the root's is [`ROOT`].
    pub ino: u64,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
}

/// What is to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New permission bits.
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size in bytes.
    pub size: Option<u64>,
}

impl Attr {
    /// Changes all but the size.
    pub fn change(&mut self, change: &Change) {
        self.mode = change.mode.unwrap_or(self.mode);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
    }

    fn of(raw: &RawAttr) -> Attr {
        Attr {
            ino: raw.ino,
            kind: match raw.mode & S_IFMT {
                S_IFDIR => FileKind::Dir,
                _ => FileKind::File,
            },
            mode: raw.mode & 0o7777,
            uid: raw.uid,
            gid: raw.gid,
            size: raw.size,
        }
    }

    fn raw(&self) -> RawAttr {
        RawAttr {
            ino: self.ino,
            size: self.size,
            mode: self.kind.bits() | self.mode & 0o7777,
            uid: self.uid,
            gid: self.gid,
            reserved: 0,
        }
    }
}

/// The entries of a directory, to be filled in.
#[derive(Debug)]
pub struct Entries<'a>(*mut c_void, PhantomData<&'a ()>);

impl Entries<'_> {
    /// Adds one; one that cannot be an entry is left out.
    pub fn add(&mut self, name: &str, kind: FileKind) {
        if let Ok(name) = CString::new(name) {
            // SAFETY: what `readdir` was given, during the call; a string.
            unsafe { sys::modfs_dir_emit(self.0, name.as_ptr(), kind.bits()) };
        }
    }
}

/// A file system that is mounted; dropping it is the unmount, when nobody is in it any more. Calls
/// come from several threads at once.
pub trait Filesystem: Send + Sync + Sized + 'static {
    /// Mounts one under a name.
    ///
    /// # Errors
    /// What mkdir(2) is to say.
    fn mount(name: &str) -> Result<Self>;

    /// What a directory has under a name.
    ///
    /// # Errors
    /// ENOENT: nothing.
    fn lookup(&self, dir: u64, name: &str) -> Result<Attr>;

    /// What stat(2) shows.
    ///
    /// # Errors
    /// ENOENT: it is gone.
    fn getattr(&self, ino: u64) -> Result<Attr>;

    /// Adds the entries of a directory, without `.` and `..`.
    ///
    /// # Errors
    /// ENOENT: it is gone.
    fn readdir(&self, dir: u64, to: &mut Entries<'_>) -> Result;

    /// Makes a file or a directory as `want` says, which has no number yet.
    ///
    /// # Errors
    /// EEXIST: the name is taken. EPERM, unless it says otherwise.
    fn create(&self, dir: u64, name: &str, want: Attr) -> Result<Attr> {
        let _ = (dir, name, want);
        Err(Errno::EPERM)
    }

    /// Removes a file, or a directory that is empty.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR, ENOTEMPTY. EPERM, unless it says otherwise.
    fn remove(&self, dir: u64, name: &str, kind: FileKind) -> Result {
        let _ = (dir, name, kind);
        Err(Errno::EPERM)
    }

    /// Reads from position `at`; returns how many bytes, 0 for the end.
    ///
    /// # Errors
    /// What read(2) is to say.
    fn read(&self, ino: u64, at: u64, to: &mut [u8]) -> Result<usize>;

    /// Writes at position `at`; returns how many bytes were taken.
    ///
    /// # Errors
    /// EPERM, unless it says otherwise.
    fn write(&self, ino: u64, at: u64, from: &[u8]) -> Result<usize> {
        let _ = (ino, at, from);
        Err(Errno::EPERM)
    }

    /// Changes attributes.
    ///
    /// # Errors
    /// EPERM, unless it says otherwise.
    fn setattr(&self, ino: u64, change: Change) -> Result {
        let _ = (ino, change);
        Err(Errno::EPERM)
    }
}

/// A registered type; dropping it takes the registration back, while what is mounted stays.
pub struct FsType<F: Filesystem> {
    kind: Box<FileSystemType>,
    name: CString,
    of: PhantomData<fn() -> F>,
}

// SAFETY: the structure is only read, by the host.
unsafe impl<F: Filesystem> Send for FsType<F> {}
// SAFETY: as above.
unsafe impl<F: Filesystem> Sync for FsType<F> {}

impl<F: Filesystem> FsType<F> {
    /// Makes `mkdir fs/NAME/...` mount such a file system.
    ///
    /// # Errors
    /// EINVAL: the name. EBUSY: it is taken.
    pub fn register(name: &str) -> Result<FsType<F>> {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let kind = Box::new(FileSystemType {
            owner: &raw const sys::__this_module,
            name: name.as_ptr(),
            mount: mount::<F>,
            umount: umount::<F>,
            lookup: lookup::<F>,
            getattr: getattr::<F>,
            readdir: readdir::<F>,
            create: create::<F>,
            remove: remove::<F>,
            read: read::<F>,
            write: write::<F>,
            setattr: setattr::<F>,
        });
        // SAFETY: the structure and its name stay for as long as the registration.
        Errno::check(unsafe { sys::register_filesystem(&raw const *kind) })?;
        Ok(FsType {
            kind,
            name,
            of: PhantomData,
        })
    }
}

impl<F: Filesystem> Drop for FsType<F> {
    fn drop(&mut self) {
        // SAFETY: what `register` registered.
        unsafe { sys::unregister_filesystem(&raw const *self.kind) };
    }
}

impl<F: Filesystem> fmt::Debug for FsType<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FsType").field(&self.name).finish()
    }
}

// In each of the functions below the host promises: `sb` is one that `mount` returned 0 for, and
// `umount` was not called with; names are strings; structures are valid during the call.

/// # Safety
/// As above.
unsafe fn mounted<'a, F: Filesystem>(sb: *mut SuperBlock) -> &'a F {
    // SAFETY: `mount` put it there; `umount`, which comes last, takes it away.
    unsafe { &*(*sb).private.cast::<F>() }
}

/// # Safety
/// As above.
unsafe fn text<'a>(name: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_str().map_err(|_| Errno::EINVAL)
}

/// # Safety
/// As above.
unsafe fn put(result: Result<Attr>, to: *mut RawAttr) -> c_int {
    status(result.map(|attr| {
        // SAFETY: the caller's.
        unsafe { to.write(attr.raw()) }
    }))
}

unsafe extern "C-unwind" fn mount<F: Filesystem>(sb: *mut SuperBlock) -> c_int {
    // SAFETY: see above; nobody else has it yet.
    let name = unsafe { text((*sb).name) };
    let mounted = name.and_then(F::mount).map(Box::new);
    status(mounted.map(|fs| {
        // SAFETY: as above.
        unsafe { (*sb).private = Box::into_raw(fs).cast() }
    }))
}

unsafe extern "C-unwind" fn umount<F: Filesystem>(sb: *mut SuperBlock) {
    // SAFETY: see above; nobody is in another function, or will be.
    drop(unsafe { Box::from_raw((*sb).private.cast::<F>()) });
}

unsafe extern "C-unwind" fn lookup<F: Filesystem>(
    sb: *mut SuperBlock,
    dir: u64,
    name: *const c_char,
    found: *mut RawAttr,
) -> c_int {
    // SAFETY: see above.
    unsafe {
        let fs = mounted::<F>(sb);
        put(text(name).and_then(|name| fs.lookup(dir, name)), found)
    }
}

unsafe extern "C-unwind" fn getattr<F: Filesystem>(
    sb: *mut SuperBlock,
    ino: u64,
    attr: *mut RawAttr,
) -> c_int {
    // SAFETY: see above.
    unsafe { put(mounted::<F>(sb).getattr(ino), attr) }
}

unsafe extern "C-unwind" fn readdir<F: Filesystem>(
    sb: *mut SuperBlock,
    dir: u64,
    to: *mut c_void,
) -> c_int {
    let mut entries = Entries(to, PhantomData);
    // SAFETY: see above.
    status(unsafe { mounted::<F>(sb) }.readdir(dir, &mut entries))
}

unsafe extern "C-unwind" fn create<F: Filesystem>(
    sb: *mut SuperBlock,
    dir: u64,
    name: *const c_char,
    want: *const RawAttr,
    made: *mut RawAttr,
) -> c_int {
    // SAFETY: see above.
    unsafe {
        let (fs, want) = (mounted::<F>(sb), Attr::of(&*want));
        put(text(name).and_then(|name| fs.create(dir, name, want)), made)
    }
}

unsafe extern "C-unwind" fn remove<F: Filesystem>(
    sb: *mut SuperBlock,
    dir: u64,
    name: *const c_char,
    directory: c_int,
) -> c_int {
    let kind = match directory {
        0 => FileKind::File,
        _ => FileKind::Dir,
    };
    // SAFETY: see above.
    let (fs, name) = unsafe { (mounted::<F>(sb), text(name)) };
    status(name.and_then(|name| fs.remove(dir, name, kind)))
}

unsafe extern "C-unwind" fn read<F: Filesystem>(
    sb: *mut SuperBlock,
    ino: u64,
    to: *mut u8,
    size: usize,
    at: i64,
) -> isize {
    // SAFETY: see above; a buffer of `size` initialised bytes that is nobody else's.
    let (fs, to) = unsafe { (mounted::<F>(sb), slice::from_raw_parts_mut(to, size)) };
    length(fs.read(ino, at.unsigned_abs(), to))
}

unsafe extern "C-unwind" fn write<F: Filesystem>(
    sb: *mut SuperBlock,
    ino: u64,
    from: *const u8,
    size: usize,
    at: i64,
) -> isize {
    // SAFETY: as of `read`.
    let (fs, from) = unsafe { (mounted::<F>(sb), slice::from_raw_parts(from, size)) };
    length(fs.write(ino, at.unsigned_abs(), from))
}

unsafe extern "C-unwind" fn setattr<F: Filesystem>(
    sb: *mut SuperBlock,
    ino: u64,
    want: *const RawAttr,
    which: u32,
) -> c_int {
    // SAFETY: see above.
    let (fs, want) = unsafe { (mounted::<F>(sb), &*want) };
    let change = Change {
        mode: (which & 1 != 0).then_some(want.mode),
        uid: (which & 2 != 0).then_some(want.uid),
        gid: (which & 4 != 0).then_some(want.gid),
        size: (which & 8 != 0).then_some(want.size),
    };
    status(fs.setattr(ino, change))
}

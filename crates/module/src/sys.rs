//! The host's functions, as `include/modfs` declares them in C.
//!
//! Those that may be left by unwinding say so: a call of the host into module code that panics.

use core::ffi::{c_char, c_int, c_void};

/// `struct module`.
#[repr(C)]
#[derive(Debug)]
pub struct ThisModule {
    pub(crate) id: u64,
    name: [u8; 56],
}

/// `struct modfs_param`.
#[repr(C)]
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: *const c_char,
    /// The name of its type.
    pub kind: *const c_char,
    /// The variable.
    pub value: *mut c_void,
    /// Where the number of elements is stored; NULL here.
    pub count: *mut u32,
    /// Elements.
    pub max: u32,
    /// Permission bits of its file.
    pub mode: u16,
    /// 0.
    pub flags: u16,
    /// 0.
    pub reserved: u64,
}

// SAFETY: the host reads it before the module runs; nobody writes it.
unsafe impl Sync for Param {}

/// `struct inode`.
#[repr(C)]
#[derive(Debug)]
pub struct Inode {
    pub(crate) device: u32,
    pub(crate) private: *mut c_void,
}

/// `struct file`.
#[repr(C)]
#[derive(Debug)]
pub struct File {
    pub(crate) private: *mut c_void,
    pub(crate) flags: u32,
    pub(crate) mode: u32,
    pub(crate) position: i64,
    pub(crate) operations: *const c_void,
    pub(crate) inode: *mut Inode,
}

/// `struct file_operations`.
#[repr(C)]
#[derive(Debug)]
pub struct FileOperations {
    pub(crate) owner: *const ThisModule,
    pub(crate) llseek: *const c_void,
    pub(crate) read:
        Option<unsafe extern "C-unwind" fn(*mut File, *mut u8, usize, *mut i64) -> isize>,
    pub(crate) write:
        Option<unsafe extern "C-unwind" fn(*mut File, *const u8, usize, *mut i64) -> isize>,
    pub(crate) open: Option<unsafe extern "C-unwind" fn(*mut Inode, *mut File) -> c_int>,
    pub(crate) release: Option<unsafe extern "C-unwind" fn(*mut Inode, *mut File) -> c_int>,
}

/// `struct block_device`.
#[repr(C)]
#[derive(Debug)]
pub struct BlockDevice {
    pub(crate) device: u32,
    pub(crate) mode: u32,
    pub(crate) private: *mut c_void,
    pub(crate) operations: *const c_void,
}

/// `struct block_device_operations`.
#[repr(C)]
#[derive(Debug)]
pub struct BlockOperations {
    pub(crate) owner: *const ThisModule,
    pub(crate) open: Option<unsafe extern "C-unwind" fn(*mut BlockDevice) -> c_int>,
    pub(crate) release: Option<unsafe extern "C-unwind" fn(*mut BlockDevice)>,
    pub(crate) read:
        Option<unsafe extern "C-unwind" fn(*mut BlockDevice, *mut u8, u64, u64) -> c_int>,
    pub(crate) write:
        Option<unsafe extern "C-unwind" fn(*mut BlockDevice, *const u8, u64, u64) -> c_int>,
}

/// `struct super_block`.
#[repr(C)]
#[derive(Debug)]
pub struct SuperBlock {
    pub(crate) name: *const c_char,
    pub(crate) private: *mut c_void,
}

/// `struct modfs_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RawAttr {
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) reserved: u32,
}

/// `struct file_system_type`.
#[repr(C)]
#[derive(Debug)]
pub struct FileSystemType {
    pub(crate) owner: *const ThisModule,
    pub(crate) name: *const c_char,
    pub(crate) mount: unsafe extern "C-unwind" fn(*mut SuperBlock) -> c_int,
    pub(crate) umount: unsafe extern "C-unwind" fn(*mut SuperBlock),
    pub(crate) lookup:
        unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *const c_char, *mut RawAttr) -> c_int,
    pub(crate) getattr: unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *mut RawAttr) -> c_int,
    pub(crate) readdir: unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *mut c_void) -> c_int,
    pub(crate) create: unsafe extern "C-unwind" fn(
        *mut SuperBlock,
        u64,
        *const c_char,
        *const RawAttr,
        *mut RawAttr,
    ) -> c_int,
    pub(crate) remove:
        unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *const c_char, c_int) -> c_int,
    pub(crate) read:
        unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *mut u8, usize, i64) -> isize,
    pub(crate) write:
        unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *const u8, usize, i64) -> isize,
    pub(crate) setattr:
        unsafe extern "C-unwind" fn(*mut SuperBlock, u64, *const RawAttr, u32) -> c_int,
}

/// `struct seq_file`.
#[repr(C)]
#[derive(Debug)]
pub struct SeqFile {
    buffer: *mut u8,
    size: usize,
    count: usize,
    private: *mut c_void,
}

/// What `show` is.
pub type Show = unsafe extern "C-unwind" fn(*mut SeqFile, *mut c_void) -> c_int;
/// What `store` is.
pub type Store = unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize) -> isize;

#[allow(missing_docs)]
unsafe extern "C-unwind" {
    pub static __this_module: ThisModule;
    pub fn printk(fmt: *const c_char, ...) -> c_int;
    pub fn modfs_alloc(size: usize, align: usize) -> *mut u8;
    pub fn modfs_alloc_zeroed(size: usize, align: usize) -> *mut u8;
    pub fn modfs_realloc(old: *mut u8, size: usize, align: usize, new: usize) -> *mut u8;
    pub fn modfs_free(old: *mut u8);
    pub fn modfs_panic(
        text: *const u8,
        length: usize,
        file: *const u8,
        file_length: usize,
        line: u32,
        column: u32,
    ) -> !;
    pub fn modfs_local(
        module: u64,
        key: *const c_void,
        make: unsafe extern "C-unwind" fn() -> *mut c_void,
        free: unsafe extern "C-unwind" fn(*mut c_void),
    ) -> *mut c_void;
    pub fn msleep(milliseconds: u32);
    pub fn request_module(fmt: *const c_char, ...) -> c_int;
    pub fn register_chrdev(
        major: u32,
        name: *const c_char,
        operations: *const FileOperations,
    ) -> c_int;
    pub fn unregister_chrdev(major: u32, name: *const c_char);
    pub fn register_blkdev(
        major: u32,
        name: *const c_char,
        operations: *const BlockOperations,
    ) -> c_int;
    pub fn unregister_blkdev(major: u32, name: *const c_char);
    pub fn modfs_set_capacity(major: u32, minor: u32, sectors: u64) -> c_int;
    pub fn register_filesystem(fs: *const FileSystemType) -> c_int;
    pub fn unregister_filesystem(fs: *const FileSystemType) -> c_int;
    pub fn modfs_dir_emit(to: *mut c_void, name: *const c_char, mode: u32) -> bool;
    pub fn modfs_proc_create(
        name: *const c_char,
        mode: u16,
        show: Show,
        store: Option<Store>,
        data: *mut c_void,
    ) -> *mut c_void;
    pub fn proc_remove(entry: *mut c_void);
    pub fn seq_write(seq: *mut SeqFile, data: *const u8, length: usize) -> c_int;
}

/// The list, each file's text taken from the tree at build time.
macro_rules! headers {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../include/", $path)))),*]
    };
}

/// The declarations of what every host exports, as the headers have them, with the types that they reach: a text
/// of `modfs-symvers`.
pub const KERNEL_SYMTYPES: &str = include_str!("../kernel.symtypes");

/// Every header: its path below the include directory, and its text.
pub const HEADERS: &[(&str, &str)] = headers![
    "asm/uaccess.h",
    "linux/blkdev.h",
    "linux/compiler.h",
    "linux/delay.h",
    "linux/err.h",
    "linux/errno.h",
    "linux/export.h",
    "linux/fs.h",
    "linux/init.h",
    "linux/kernel.h",
    "linux/kmod.h",
    "linux/module.h",
    "linux/moduleparam.h",
    "linux/printk.h",
    "linux/proc_fs.h",
    "linux/seq_file.h",
    "linux/slab.h",
    "linux/stat.h",
    "linux/string.h",
    "linux/types.h",
    "linux/uaccess.h",
    "linux/vmalloc.h",
    "modfs/blkdev.h",
    "modfs/chrdev.h",
    "modfs/compiler.h",
    "modfs/delay.h",
    "modfs/err.h",
    "modfs/errno.h",
    "modfs/export.h",
    "modfs/filesystem.h",
    "modfs/init.h",
    "modfs/kernel.h",
    "modfs/kmod.h",
    "modfs/modinfo.h",
    "modfs/module.h",
    "modfs/param.h",
    "modfs/printk.h",
    "modfs/proc.h",
    "modfs/slab.h",
    "modfs/stat.h",
    "modfs/string.h",
    "modfs/types.h",
    "modfs/uaccess.h",
];

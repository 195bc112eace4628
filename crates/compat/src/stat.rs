//! `struct stat` and `struct statx`, as x86_64 has them (asm/stat.h, linux/stat.h).

use rustix::fs::Stat;

/// `struct stat`.
pub(crate) fn stat(stat: &Stat) -> [u8; 144] {
    let mut bytes = [0; 144];
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, stat.st_dev);
    put(8, stat.st_ino);
    put(16, stat.st_nlink);
    put(24, u64::from(stat.st_mode) | u64::from(stat.st_uid) << 32);
    put(32, stat.st_gid.into());
    put(40, stat.st_rdev);
    put(48, stat.st_size as u64);
    put(56, stat.st_blksize as u64);
    put(64, stat.st_blocks as u64);
    put(72, stat.st_atime as u64);
    put(80, stat.st_atime_nsec);
    put(88, stat.st_mtime as u64);
    put(96, stat.st_mtime_nsec);
    put(104, stat.st_ctime as u64);
    put(112, stat.st_ctime_nsec);
    bytes
}

/// `struct statx`, with what `struct stat` has.
pub(crate) fn statx(stat: &Stat) -> [u8; 256] {
    /// `STATX_BASIC_STATS`.
    const BASIC: u64 = 0x7ff;
    let mut bytes = [0; 256];
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, BASIC | (stat.st_blksize as u64) << 32);
    put(
        16,
        (stat.st_nlink & 0xffff_ffff) | u64::from(stat.st_uid) << 32,
    );
    put(
        24,
        u64::from(stat.st_gid) | u64::from(stat.st_mode & 0xffff) << 32,
    );
    put(32, stat.st_ino);
    put(40, stat.st_size as u64);
    put(48, stat.st_blocks as u64);
    put(64, stat.st_atime as u64);
    put(72, stat.st_atime_nsec);
    put(96, stat.st_ctime as u64);
    put(104, stat.st_ctime_nsec);
    put(112, stat.st_mtime as u64);
    put(120, stat.st_mtime_nsec);
    let number = |major: u32, minor: u32| u64::from(major) | u64::from(minor) << 32;
    let device = stat.st_dev;
    put(
        136,
        number(rustix::fs::major(device), rustix::fs::minor(device)),
    );
    bytes
}

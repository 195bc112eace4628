//! `struct stat` as x86_64 has it, `struct stat64` of i386 (asm/stat.h), and `struct statx` (linux/stat.h).

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

/// `struct stat64` of i386.
pub(crate) fn stat64_i386(stat: &Stat) -> [u8; 96] {
    let mut bytes = [0; 96];
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, stat.st_dev);
    // The lower half of the inode's number is at 12, too.
    put(8, (stat.st_ino & 0xffff_ffff) << 32);
    put(16, u64::from(stat.st_mode) | stat.st_nlink << 32);
    put(24, u64::from(stat.st_uid) | u64::from(stat.st_gid) << 32);
    put(32, stat.st_rdev);
    put(44, stat.st_size as u64);
    // At 56 the blocks follow.
    put(52, stat.st_blksize as u64);
    put(56, stat.st_blocks as u64);
    put(
        64,
        stat.st_atime as u64 & 0xffff_ffff | stat.st_atime_nsec << 32,
    );
    put(
        72,
        stat.st_mtime as u64 & 0xffff_ffff | stat.st_mtime_nsec << 32,
    );
    put(
        80,
        stat.st_ctime as u64 & 0xffff_ffff | stat.st_ctime_nsec << 32,
    );
    put(88, stat.st_ino);
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

use core::ffi::c_int;
use core::fmt;

/// An error number of Linux.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(c_int);

/// What most functions here return.
pub type Result<T = ()> = core::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident = $value:literal),* $(,)?) => {
        #[allow(missing_docs)]
        impl Errno {
            $(pub const $name: Errno = Errno($value);)*
        }
    };
}

errnos! {
    EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, ENXIO = 6, E2BIG = 7, EBADF = 9, EAGAIN = 11,
    ENOMEM = 12, EACCES = 13, EFAULT = 14, EBUSY = 16, EEXIST = 17, ENODEV = 19, ENOTDIR = 20,
    EISDIR = 21, EINVAL = 22, ENOTTY = 25, EFBIG = 27, ENOSPC = 28, ESPIPE = 29, EROFS = 30, ERANGE = 34,
    ENOSYS = 38, ENOTEMPTY = 39, ENODATA = 61,
    EOPNOTSUPP = 95, ETIMEDOUT = 110,
}

impl Errno {
    /// The number, positive.
    pub const fn raw(self) -> c_int {
        self.0
    }

    /// What a host function returned: 0 or more as it is, less as an error.
    pub(crate) fn check(returned: c_int) -> Result<c_int> {
        if returned < 0 {
            Err(Errno(returned.checked_neg().unwrap_or(Errno::EINVAL.0)))
        } else {
            Ok(returned)
        }
    }
}

/// What a function called by the host returns.
pub(crate) fn status(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => -errno.raw(),
    }
}

/// As [`status`], with a length.
pub(crate) fn length(result: Result<usize>) -> isize {
    match result {
        Ok(length) => isize::try_from(length).unwrap_or(isize::MAX),
        Err(errno) => -(errno.raw() as isize),
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno {}", self.0)
    }
}

impl core::error::Error for Errno {}

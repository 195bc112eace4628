use core::fmt;

/// An error number of Linux, as a system call would return it (errno(3)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = concat!($text, ".")] pub const $name: Errno = Errno($value);)*

            /// The symbolic name, `"EBUSY"`; `"E?"` for a number not listed here.
            pub const fn name(self) -> &'static str {
                match self.0 { $($value => stringify!($name),)* _ => "E?" }
            }

            /// What strerror(3) says; `"Unknown error"` for a number not listed here.
            pub const fn text(self) -> &'static str {
                match self.0 { $($value => $text,)* _ => "Unknown error" }
            }
        }
    };
}

errnos! {
    EPERM = 1, "Operation not permitted";
    ENOENT = 2, "No such file or directory";
    ESRCH = 3, "No such process";
    EINTR = 4, "Interrupted system call";
    EIO = 5, "Input/output error";
    ENXIO = 6, "No such device or address";
    E2BIG = 7, "Argument list too long";
    ENOEXEC = 8, "Exec format error";
    EBADF = 9, "Bad file descriptor";
    EAGAIN = 11, "Resource temporarily unavailable";
    ENOMEM = 12, "Cannot allocate memory";
    EACCES = 13, "Permission denied";
    EFAULT = 14, "Bad address";
    EBUSY = 16, "Device or resource busy";
    EEXIST = 17, "File exists";
    ENODEV = 19, "No such device";
    ENOTDIR = 20, "Not a directory";
    EISDIR = 21, "Is a directory";
    EINVAL = 22, "Invalid argument";
    ENOTTY = 25, "Inappropriate ioctl for device";
    EFBIG = 27, "File too large";
    ENOSPC = 28, "No space left on device";
    ESPIPE = 29, "Illegal seek";
    EROFS = 30, "Read-only file system";
    ERANGE = 34, "Numerical result out of range";
    EDEADLK = 35, "Resource deadlock avoided";
    ENAMETOOLONG = 36, "File name too long";
    ENOSYS = 38, "Function not implemented";
    ENOTEMPTY = 39, "Directory not empty";
    ENODATA = 61, "No data available";
    EOPNOTSUPP = 95, "Operation not supported";
    ENOTCONN = 107, "Transport endpoint is not connected";
    ETIMEDOUT = 110, "Connection timed out";
    EKEYREJECTED = 129, "Key was rejected by service";
}

impl Errno {
    /// The errno of this number. Numbers outside 1 to 4095 become [`Errno::EINVAL`]: no system
    /// call can return them.
    pub const fn from_raw(raw: i32) -> Errno {
        if raw < 1 || raw > 4095 {
            Errno::EINVAL
        } else {
            Errno(raw)
        }
    }

    /// The number, always positive.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The errno of what a module's init returned: a negative value as is, a positive one is a
    /// buggy module and becomes EBUSY (Linux 2.4 `sys_init_module`). `None` for 0.
    pub const fn from_init(returned: i32) -> Option<Errno> {
        match returned {
            0 => None,
            1.. => Some(Errno::EBUSY),
            i32::MIN => Some(Errno::EINVAL),
            negative => Some(Errno::from_raw(-negative)),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name() == "E?" {
            write!(f, "errno {}", self.0)
        } else {
            write!(f, "{} ({})", self.text(), self.name())
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name() == "E?" {
            write!(f, "Errno({})", self.0)
        } else {
            f.write_str(self.name())
        }
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_values() {
        assert_eq!(Errno::from_init(0), None);
        assert_eq!(Errno::from_init(-19), Some(Errno::ENODEV));
        assert_eq!(Errno::from_init(1), Some(Errno::EBUSY));
        assert_eq!(Errno::from_init(i32::MAX), Some(Errno::EBUSY));
        assert_eq!(Errno::from_init(i32::MIN), Some(Errno::EINVAL));
        assert_eq!(Errno::from_init(-100_000), Some(Errno::EINVAL));
    }
}

use crate::Errno;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why something was refused: the errno the caller gets, and the reasons in words, a line each.
///
/// A shell shows only the errno, if that; the lines are what reading `control` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the write, or the system call, returns.
    pub errno: Errno,
    /// At least one line, the most telling first; none ends in a newline.
    pub reasons: Vec<String>,
}

impl Refusal {
    /// A refusal for one reason.
    pub fn new(errno: Errno, reason: impl Into<String>) -> Refusal {
        Refusal {
            errno,
            reasons: alloc::vec![reason.into()],
        }
    }

    /// A refusal for several reasons; without any, the errno's own text is the reason.
    pub fn all(errno: Errno, reasons: Vec<String>) -> Refusal {
        if reasons.is_empty() {
            return errno.into();
        }
        Refusal { errno, reasons }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal::new(errno, errno.text())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, reason) in self.reasons.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(reason)?;
        }
        Ok(())
    }
}

impl core::error::Error for Refusal {}

//! Strings and numbers: `modfs/string.h`, `modfs/kernel.h`.

use super::{HostExport, exports};
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong};
use std::ptr;

const EINVAL: c_int = -libc::EINVAL;
const ERANGE: c_int = -libc::ERANGE;

pub(super) fn table() -> impl IntoIterator<Item = HostExport> {
    exports![
        // They hold nothing: libc's own are as good.
        "strlen" = libc::strlen,
        "strnlen" = libc::strnlen,
        "strcmp" = libc::strcmp,
        "strncmp" = libc::strncmp,
        "strcpy" = libc::strcpy,
        "strncpy" = libc::strncpy,
        "strcat" = libc::strcat,
        "strchr" = libc::strchr,
        "strrchr" = libc::strrchr,
        "strstr" = libc::strstr,
        "strlcpy" = strlcpy,
        "strscpy" = strscpy,
        "simple_strtol" = simple_strtol,
        "simple_strtoul" = simple_strtoul,
        "kstrtoint" = kstrtoint,
        "kstrtouint" = kstrtouint,
        "kstrtol" = kstrtol,
        "kstrtoul" = kstrtoul,
    ]
}

/// Copies as much as fits with a NUL; returns how long `from` is.
unsafe extern "C" fn strlcpy(to: *mut c_char, from: *const c_char, size: usize) -> usize {
    // SAFETY: a string, and a buffer of `size` bytes (the module's promise).
    unsafe {
        let length = libc::strlen(from);
        if size > 0 {
            let copied = length.min(size - 1);
            ptr::copy(from, to, copied);
            *to.add(copied) = 0;
        }
        length
    }
}

/// Copies as much as fits with a NUL; returns how much that is, or -E2BIG when not all did.
unsafe extern "C" fn strscpy(to: *mut c_char, from: *const c_char, size: usize) -> isize {
    if size == 0 {
        return -(libc::E2BIG as isize);
    }
    // SAFETY: a string, and a buffer of `size` bytes (the module's promise). Of `from` no more
    // is read than fits.
    unsafe {
        let length = libc::strnlen(from, size);
        let copied = length.min(size - 1);
        ptr::copy(from, to, copied);
        *to.add(copied) = 0;
        if length == size {
            -(libc::E2BIG as isize)
        } else {
            length as isize
        }
    }
}

/// The digits at the start of a text in a base (0: by prefix), and how many bytes they are.
/// `None` in place of the value: it overflows.
fn digits(text: &[u8], base: u32) -> (Option<u64>, usize) {
    let is_hex =
        |t: &[u8]| t.len() > 2 && t[0] == b'0' && t[1] | 0x20 == b'x' && t[2].is_ascii_hexdigit();
    let (base, skip) = match base {
        0 if is_hex(text) => (16, 2),
        0 if text.first() == Some(&b'0') => (8, 0),
        0 => (10, 0),
        16 if is_hex(text) => (16, 2),
        base => (base.clamp(2, 36), 0),
    };
    let mut value = Some(0u64);
    let mut used = skip;
    while let Some(digit) = text.get(used).and_then(|b| (*b as char).to_digit(base)) {
        value = value
            .and_then(|v| v.checked_mul(u64::from(base)))
            .and_then(|v| v.checked_add(u64::from(digit)));
        used += 1;
    }
    (value, if used == skip { 0 } else { used })
}

unsafe extern "C" fn simple_strtoul(
    text: *const c_char,
    end: *mut *const c_char,
    base: c_uint,
) -> c_ulong {
    // SAFETY: a string, and NULL or a place for a pointer (the module's promise).
    unsafe {
        let (value, used) = digits(CStr::from_ptr(text).to_bytes(), base);
        if !end.is_null() {
            *end = text.add(used);
        }
        value.unwrap_or(u64::MAX)
    }
}

unsafe extern "C" fn simple_strtol(
    text: *const c_char,
    end: *mut *const c_char,
    base: c_uint,
) -> c_long {
    // SAFETY: as of `simple_strtoul`.
    unsafe {
        if *text == b'-' as c_char {
            return (simple_strtoul(text.add(1), end, base) as c_long).wrapping_neg();
        }
        simple_strtoul(text, end, base) as c_long
    }
}

/// A whole text as a number, with one newline at its end at most; its sign apart.
fn number(text: &[u8], base: u32) -> Result<(bool, u64), c_int> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (value, used) = digits(rest, base);
    if used == 0 || !matches!(&rest[used..], b"" | b"\n") {
        return Err(EINVAL);
    }
    Ok((negative, value.ok_or(ERANGE)?))
}

fn signed(text: &[u8], base: u32, low: i64, high: i64) -> Result<i64, c_int> {
    let (negative, value) = number(text, base)?;
    let value = i128::from(value) * if negative { -1 } else { 1 };
    i64::try_from(value)
        .ok()
        .filter(|v| (low..=high).contains(v))
        .ok_or(ERANGE)
}

fn unsigned(text: &[u8], base: u32, high: u64) -> Result<u64, c_int> {
    match number(text, base)? {
        (true, _) => Err(EINVAL),
        (false, value) if value > high => Err(ERANGE),
        (false, value) => Ok(value),
    }
}

/// Defines a `kstrto…` function.
macro_rules! kstrto {
    ($name:ident, $type:ty, |$text:ident, $base:ident| $parse:expr) => {
        unsafe extern "C" fn $name(
            text: *const c_char,
            $base: c_uint,
            result: *mut $type,
        ) -> c_int {
            // SAFETY: a string, and a place for the result (the module's promise).
            unsafe {
                let $text = CStr::from_ptr(text).to_bytes();
                match $parse {
                    Ok(value) => {
                        *result = value as $type;
                        0
                    }
                    Err(errno) => errno,
                }
            }
        }
    };
}

kstrto!(kstrtoint, c_int, |text, base| signed(
    text,
    base,
    i32::MIN.into(),
    i32::MAX.into()
));
kstrto!(kstrtol, c_long, |text, base| signed(
    text,
    base,
    i64::MIN,
    i64::MAX
));
kstrto!(kstrtouint, c_uint, |text, base| unsigned(
    text,
    base,
    u32::MAX.into()
));
kstrto!(kstrtoul, c_ulong, |text, base| unsigned(
    text,
    base,
    u64::MAX
));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        assert_eq!(signed(b"-0x10\n", 0, i64::MIN, i64::MAX), Ok(-16));
        assert_eq!(signed(b"2147483648", 10, -1, i32::MAX.into()), Err(ERANGE));
        assert_eq!(
            unsigned(b"18446744073709551615", 10, u64::MAX),
            Ok(u64::MAX)
        );
        assert_eq!(unsigned(b"18446744073709551616", 10, u64::MAX), Err(ERANGE));
        assert_eq!(unsigned(b"017", 0, u64::MAX), Ok(15));
        assert_eq!(unsigned(b"0", 0, u64::MAX), Ok(0));
        for bad in [
            &b""[..],
            b"\n",
            b"-",
            b"0x",
            b"12 ",
            b"12\n\n",
            b"-1",
            b"1-",
        ] {
            assert_eq!(unsigned(bad, 0, u64::MAX), Err(EINVAL), "{bad:?}");
        }
    }

    #[test]
    fn copies_are_bounded() {
        let from = c"hello".as_ptr();
        let mut to = [9 as c_char; 8];
        // SAFETY: the buffers are as long as is said.
        unsafe {
            assert_eq!(strscpy(to.as_mut_ptr(), from, 4), -(libc::E2BIG as isize));
            assert_eq!(to.map(|c| c as u8), *b"hel\0\x09\x09\x09\x09");
            assert_eq!(strscpy(to.as_mut_ptr(), from, 6), 5);
            assert_eq!(strlcpy(to.as_mut_ptr(), from, 3), 5);
            assert_eq!(&to.map(|c| c as u8)[..3], b"he\0");
            let mut end = ptr::null();
            assert_eq!(simple_strtol(c"-12x".as_ptr(), &raw mut end, 0), -12);
            assert_eq!(*end as u8, b'x');
        }
    }
}

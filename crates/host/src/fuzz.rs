//! What the fuzz targets reach of what is private otherwise. No interface: it may change any day.

use crate::format::{self, Args};
use crate::params::text_of;
use modfs_link::{Layout, PARTS, Staging};
use modfs_link::{Param, Value};
use modfs_object::Object;

/// Sets a parameter whose record says this, in a variable of at most `room` bytes.
///
/// # Panics
/// What was parsed does not fit the variable, or reads back as something else.
pub fn parameter(type_name: &str, flags: u16, max: u32, room: u64, text: Option<&str>) {
    let Some(param) = Param::of_type(type_name, flags, max) else {
        return;
    };
    if param.bytes().is_some_and(|len| (1..=room).contains(&len)) {
        check(&param, text);
    }
}

/// Reads the parameters of a linked object and sets each.
///
/// # Panics
/// As [`parameter`].
pub fn parameters_of(
    object: &Object<'_>,
    layout: &Layout,
    bases: &[u64; PARTS],
    staging: &Staging,
) {
    for param in Param::read_all(object, layout, bases, staging).unwrap_or_default() {
        assert!(!param.name.is_empty() && param.mode & !0o666 == 0);
        for text in [None, Some(""), Some("1"), Some("1,2")] {
            check(&param, text);
        }
    }
}

fn check(param: &Param, text: Option<&str>) {
    let values = match param.parse(text) {
        Ok(values) => values,
        Err(refusal) => {
            assert!(!refusal.reason.is_empty());
            return;
        }
    };
    assert!((param.min..=param.max).contains(&(values.len() as u32)));
    for value in values {
        let Value::Bytes(bytes) = value else {
            continue;
        };
        assert_eq!(bytes.len() as u64, param.kind.size());
        let mut one = param.clone();
        (one.min, one.max) = (1, 1);
        let shown = text_of(param.kind, &bytes);
        // A buffer ends at its first NUL, whatever comes after.
        if text.is_some_and(|text| text.contains('\0')) {
            continue;
        }
        let again = one.parse(Some(&shown));
        assert_eq!(again.ok(), Some(vec![Value::Bytes(bytes)]), "{shown:?}");
    }
}

/// Formats as `printk` does. The arguments are 8 bytes each, 0 when there are no more; a
/// string's address is an offset in them.
pub fn format(fmt: &[u8], arguments: &[u8], out: &mut dyn FnMut(&[u8])) -> usize {
    let mut given = Given {
        all: arguments,
        next: 0,
    };
    format::format(fmt, &mut given, out)
}

struct Given<'a> {
    all: &'a [u8],
    next: usize,
}

impl Args for Given<'_> {
    fn int(&mut self) -> u64 {
        let rest = self.all.get(self.next..).unwrap_or_default();
        self.next += 8;
        rest.first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word))
    }

    fn double(&mut self) -> f64 {
        f64::from_bits(self.int())
    }

    fn long_double(&mut self) -> f64 {
        self.double()
    }

    fn str_at(&mut self, addr: u64, max: Option<usize>) -> &[u8] {
        let start = addr as usize % (self.all.len() + 1);
        let text = &self.all[start..];
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        &text[..max.map_or(end, |max| max.min(end))]
    }
}

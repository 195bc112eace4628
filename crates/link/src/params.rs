//! Module parameters: variables that are set when the module starts, and perhaps later.

use crate::{Error, Layout, PARTS, Part, Staging};
use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use modfs_object::Object;

/// `struct modfs_param` of `modfs/param.h`.
const RECORD: usize = 48;
const FLAG_ARRAY: u16 = 1;
const FLAG_TAG: u16 = 2;
/// No name is longer, since each is a file's.
const NAME_MAX: usize = 255;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An integer of so many bytes.
    Unsigned(u8),
    /// With a sign.
    Signed(u8),
    /// A 2.4 integer: what fits as signed or as unsigned.
    Any(u8),
    /// An `unsigned int` in hexadecimal.
    Hex,
    /// A byte, 0 or 1.
    Bool,
    /// The other way round.
    InvBool,
    /// A pointer to a string.
    CharP,
    /// A buffer that holds a string.
    Buffer(u32),
}

impl Type {
    fn of(name: &str) -> Option<Type> {
        Some(match name {
            "byte" => Type::Unsigned(1),
            "ushort" => Type::Unsigned(2),
            "uint" => Type::Unsigned(4),
            "ulong" | "ullong" => Type::Unsigned(8),
            "short" => Type::Signed(2),
            "int" => Type::Signed(4),
            "long" => Type::Signed(8),
            "hexint" => Type::Hex,
            "bool" => Type::Bool,
            "invbool" => Type::InvBool,
            "charp" => Type::CharP,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub fn size(self) -> u64 {
        match self {
            Type::Unsigned(n) | Type::Signed(n) | Type::Any(n) => u64::from(n),
            Type::Hex => 4,
            Type::Bool | Type::InvBool => 1,
            Type::CharP => 8,
            Type::Buffer(n) => u64::from(n),
        }
    }
}

/// A parameter of a linked module.
#[derive(Clone, Debug)]
pub struct Param {
    /// What it is called.
    pub name: String,
    /// Permission bits of its file; 0: it has none.
    pub mode: u32,
    /// What its elements are.
    pub kind: Type,
    /// Where the variable is.
    pub address: u64,
    /// Where the number of elements given is kept; 0: nowhere.
    pub count: u64,
    /// So many elements have to be given.
    pub min: u32,
    /// So many can be.
    pub max: u32,
}

/// Why a value is none for a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ParamError {
    /// It is a number, but not one that the variable holds.
    pub out_of_range: bool,
    /// In words.
    pub reason: String,
}

/// A value that was checked and can be stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// What the variable is to hold.
    Bytes(Vec<u8>),
    /// What it is to point at.
    String(CString),
}

impl Param {
    /// Reads the section `__param` of a linked object.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn read_all(
        object: &Object<'_>,
        layout: &Layout,
        bases: &[u64; PARTS],
        staging: &Staging,
    ) -> Result<Vec<Param>, Error> {
        let mut params = Vec::new();
        for (index, section) in object.sections().iter().enumerate() {
            let Some((part, offset)) = layout.section(index).filter(|_| section.name == "__param")
            else {
                continue;
            };
            let start = bases[part as usize] + offset;
            let bytes = staging.at(bases, start, section.size).unwrap_or(&[]);
            for (at, record) in bytes.chunks(RECORD).enumerate() {
                let param =
                    Param::read(record, layout, bases, staging).ok_or(Error::Parameter(at))?;
                params.push(param);
            }
        }
        Ok(params)
    }

    fn read(
        record: &[u8],
        layout: &Layout,
        bases: &[u64; PARTS],
        staging: &Staging,
    ) -> Option<Param> {
        let long = |at: usize| Some(u64::from_le_bytes(record.get(at..at + 8)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_le_bytes(record.get(at..at + 2)?.try_into().ok()?));
        let max = u32::from_le_bytes(record.get(32..36)?.try_into().ok()?);
        let (mode, flags) = (half(36)?, half(38)?);
        let name = staging.string_at(bases, long(0)?)?;
        let type_name = staging.string_at(bases, long(8)?)?;
        let param = Param {
            name: name.to_owned(),
            mode: u32::from(mode) & 0o666,
            address: long(16)?,
            count: long(24)?,
            ..Param::of_type(type_name, flags, max)?
        };
        let in_data = |address: u64, len: u64| {
            [Part::Data, Part::InitData].iter().any(|part| {
                let base = bases[*part as usize];
                address >= base
                    && address
                        .checked_add(len)
                        .is_some_and(|end| end - base <= layout.extent(*part).size)
            })
        };
        let len = param.bytes()?;
        let valid = (1..=NAME_MAX).contains(&name.len())
            && len > 0
            && in_data(param.address, len)
            && (param.count == 0 || in_data(param.count, 4));
        valid.then_some(param)
    }

    /// What a record's type, flags and maximum say; the rest is left empty.
    pub fn of_type(type_name: &str, flags: u16, max: u32) -> Option<Param> {
        let (kind, min, max) = if flags & FLAG_TAG != 0 {
            parse_tag(type_name, max)?
        } else if type_name == "string" {
            (Type::Buffer(max), 1, 1)
        } else if flags & FLAG_ARRAY != 0 {
            (Type::of(type_name)?, 1, max)
        } else {
            (Type::of(type_name)?, 1, 1)
        };
        Some(Param {
            name: String::new(),
            mode: 0,
            kind,
            address: 0,
            count: 0,
            min,
            max,
        })
    }

    /// Bytes of the variable.
    pub fn bytes(&self) -> Option<u64> {
        self.kind.size().checked_mul(u64::from(self.max))
    }

    /// Checks a value as it is written in `name=value`; `None`: only the name was given.
    ///
    /// # Errors
    /// Why it is none for this parameter.
    pub fn parse(&self, text: Option<&str>) -> Result<Vec<Value>, ParamError> {
        let wrong = |out_of_range, why: &str| ParamError {
            out_of_range,
            reason: format!("parameter {}: {why}", self.name),
        };
        let Some(text) = text else {
            return match self.kind {
                Type::Bool | Type::InvBool => self.parse(Some("1")),
                _ => Err(wrong(false, "needs a value, name=value")),
            };
        };
        if self.max == 1 {
            return Ok(vec![self.element(text).map_err(|(e, why)| wrong(e, &why))?]);
        }
        let pieces: Vec<&str> = text.split(',').collect();
        if pieces.len() > self.max as usize {
            let why = format!("too many values: {}, at most {}", pieces.len(), self.max);
            return Err(wrong(false, &why));
        }
        if pieces.len() < self.min as usize {
            let why = format!("too few values: {}, at least {}", pieces.len(), self.min);
            return Err(wrong(false, &why));
        }
        let elements = pieces.into_iter().map(|piece| self.element(piece));
        elements
            .collect::<Result<_, _>>()
            .map_err(|(e, why)| wrong(e, &why))
    }

    fn element(&self, text: &str) -> Result<Value, (bool, String)> {
        let invalid = |what: &str| (false, format!("\"{text}\" is not {what}"));
        let range = |what: String| (true, format!("{text} is not {what}"));
        match self.kind {
            Type::Unsigned(_) | Type::Signed(_) | Type::Any(_) | Type::Hex => {
                let base = if self.kind == Type::Hex { 16 } else { 0 };
                let value = integer(text, base).ok_or_else(|| invalid("a number"))?;
                let bits = self.kind.size() * 8;
                let (low, high) = match self.kind {
                    Type::Signed(_) => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
                    Type::Any(_) => (-(1i128 << (bits - 1)), (1i128 << bits) - 1),
                    _ => (0, (1i128 << bits) - 1),
                };
                if value < low || value > high {
                    return Err(range(format!("between {low} and {high}")));
                }
                let bytes = value.to_le_bytes();
                Ok(Value::Bytes(bytes[..self.kind.size() as usize].to_vec()))
            }
            Type::Bool | Type::InvBool => {
                let on = match text {
                    "1" | "y" | "Y" | "yes" | "on" | "true" => true,
                    "0" | "n" | "N" | "no" | "off" | "false" => false,
                    _ => return Err(invalid("y or n, 1 or 0, on or off")),
                };
                Ok(Value::Bytes(vec![u8::from(
                    on != (self.kind == Type::InvBool),
                )]))
            }
            Type::CharP => {
                let string = CString::new(text).map_err(|_| invalid("without a NUL"))?;
                Ok(Value::String(string))
            }
            Type::Buffer(size) => {
                if text.len() as u64 >= u64::from(size) {
                    let why = format!("the text is longer than {} bytes", size - 1);
                    return Err((false, why));
                }
                let mut bytes = text.as_bytes().to_vec();
                bytes.resize(size as usize, 0);
                Ok(Value::Bytes(bytes))
            }
        }
    }
}

/// An integer as strtoul(3) with base 0 reads it, with a sign: 0x, 0 and decimal.
fn integer(text: &str, base: u32) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, base) = match (hex, base) {
        (Some(hex), _) => (hex, 16),
        (None, 0) if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        (None, 0) => (digits, 10),
        (None, base) => (digits, base),
    };
    // from_str_radix would take another sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, base).ok()?);
    Some(if negative { -value } else { value })
}

/// A type tag of 2.4, `[min[-max]]` and `b|h|i|l|s` or `c<size>`, for a variable of `bytes`
/// bytes.
fn parse_tag(tag: &str, bytes: u32) -> Option<(Type, u32, u32)> {
    let end = tag.find(|c: char| !c.is_ascii_digit() && c != '-')?;
    let (counts, kind) = tag.split_at(end);
    let (min, max) = match counts.split_once('-') {
        Some((min, max)) => (min.parse().ok()?, max.parse().ok()?),
        None if counts.is_empty() => (1, 1),
        None => (counts.parse().ok()?, counts.parse().ok()?),
    };
    let kind = match kind.trim_end_matches('p').split_at_checked(1)? {
        ("b", "") => Type::Any(1),
        ("h", "") => Type::Any(2),
        ("i", "") => Type::Any(4),
        ("l", "") => Type::Any(8),
        ("s", "") => Type::CharP,
        ("c", size) => Type::Buffer(size.parse().ok()?),
        _ => return None,
    };
    let fits = kind.size().checked_mul(u64::from(max))? <= u64::from(bytes);
    (min <= max && max > 0 && fits).then_some((kind, min, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(kind: Type, min: u32, max: u32) -> Param {
        Param {
            name: "p".into(),
            mode: 0o644,
            kind,
            address: 0,
            count: 0,
            min,
            max,
        }
    }

    fn bytes(kind: Type, text: &str) -> Result<Vec<u8>, bool> {
        match param(kind, 1, 1).parse(Some(text)) {
            Ok(values) => match &values[..] {
                [Value::Bytes(bytes)] => Ok(bytes.clone()),
                other => panic!("{other:?}"),
            },
            Err(error) => Err(error.out_of_range),
        }
    }

    #[test]
    fn integers() {
        assert_eq!(bytes(Type::Signed(4), "-1"), Ok(vec![0xff; 4]));
        assert_eq!(
            bytes(Type::Signed(4), "0x7fffffff"),
            Ok(vec![0xff, 0xff, 0xff, 0x7f])
        );
        assert_eq!(bytes(Type::Signed(4), "0x80000000"), Err(true));
        assert_eq!(bytes(Type::Unsigned(1), "255"), Ok(vec![255]));
        assert_eq!(bytes(Type::Unsigned(1), "256"), Err(true));
        assert_eq!(bytes(Type::Unsigned(1), "-1"), Err(true));
        assert_eq!(bytes(Type::Any(1), "-1"), Ok(vec![255]));
        assert_eq!(bytes(Type::Unsigned(2), "010"), Ok(vec![8, 0]));
        assert_eq!(bytes(Type::Hex, "ff"), Ok(vec![255, 0, 0, 0]));
        assert_eq!(
            bytes(Type::Unsigned(8), "18446744073709551615"),
            Ok(vec![0xff; 8])
        );
        for junk in ["", " ", "x", "0x", "1x", "--1", "+-1", "0x-1", "1 2", "08"] {
            assert_eq!(bytes(Type::Signed(8), junk), Err(false), "{junk:?}");
        }
    }

    #[test]
    fn bools_and_buffers() {
        assert_eq!(bytes(Type::Bool, "Y"), Ok(vec![1]));
        assert_eq!(bytes(Type::InvBool, "Y"), Ok(vec![0]));
        assert_eq!(bytes(Type::Bool, "2"), Err(false));
        assert_eq!(bytes(Type::Buffer(4), "abc"), Ok(b"abc\0".to_vec()));
        assert_eq!(bytes(Type::Buffer(4), "abcd"), Err(false));
        assert!(param(Type::Bool, 1, 1).parse(None).is_ok());
        assert!(param(Type::Signed(4), 1, 1).parse(None).is_err());
    }

    #[test]
    fn arrays_have_bounds() {
        let param = param(Type::Signed(4), 2, 3);
        assert!(!param.parse(Some("1")).unwrap_err().out_of_range);
        assert_eq!(param.parse(Some("1,2")).unwrap().len(), 2);
        assert!(!param.parse(Some("1,2,3,4")).unwrap_err().out_of_range);
        assert!(!param.parse(Some("1,,3")).unwrap_err().out_of_range);
    }

    #[test]
    fn tags_of_2_4() {
        assert_eq!(parse_tag("i", 4), Some((Type::Any(4), 1, 1)));
        assert_eq!(parse_tag("1-4i", 16), Some((Type::Any(4), 1, 4)));
        assert_eq!(parse_tag("3b", 3), Some((Type::Any(1), 3, 3)));
        assert_eq!(parse_tag("c8", 8), Some((Type::Buffer(8), 1, 1)));
        assert_eq!(parse_tag("2c8", 16), Some((Type::Buffer(8), 2, 2)));
        for bad in [
            "",
            "4",
            "x",
            "5-1i",
            "0i",
            "i9",
            "c",
            "2i",
            "99999999999i",
            "p",
            "3p",
            "é",
        ] {
            assert_eq!(parse_tag(bad, 4), None, "{bad}");
        }
    }
}

//! x86_64 (System V psABI for AMD64, section 4.4.1 "Relocation Types").
//!
//! Assumes that all parts of an image, and every stub, lie within 2 GiB of each other and below
//! 2 GiB: then a near symbol is reached by every 32-bit field of every code model, and no
//! procedure linkage table is needed. GOTPCRELX is not relaxed; its entry is always there.

use super::{Apply, Arch, Need, Values};

/// The relocations of x86_64.
#[derive(Clone, Copy, Debug)]
pub struct X86_64;

const NONE: u32 = 0;
const ABS64: u32 = 1;
const PC32: u32 = 2;
const PLT32: u32 = 4;
const GOTPCREL: u32 = 9;
const ABS32: u32 = 10;
const ABS32S: u32 = 11;
const ABS16: u32 = 12;
const PC16: u32 = 13;
const ABS8: u32 = 14;
const PC8: u32 = 15;
const PC64: u32 = 24;
const GOTOFF64: u32 = 25;
const GOTPC32: u32 = 26;
const SIZE32: u32 = 32;
const SIZE64: u32 = 33;
const GOTPCRELX: u32 = 41;
const REX_GOTPCRELX: u32 = 42;

const NAMES: [&str; 43] = [
    "R_X86_64_NONE",
    "R_X86_64_64",
    "R_X86_64_PC32",
    "R_X86_64_GOT32",
    "R_X86_64_PLT32",
    "R_X86_64_COPY",
    "R_X86_64_GLOB_DAT",
    "R_X86_64_JUMP_SLOT",
    "R_X86_64_RELATIVE",
    "R_X86_64_GOTPCREL",
    "R_X86_64_32",
    "R_X86_64_32S",
    "R_X86_64_16",
    "R_X86_64_PC16",
    "R_X86_64_8",
    "R_X86_64_PC8",
    "R_X86_64_DTPMOD64",
    "R_X86_64_DTPOFF64",
    "R_X86_64_TPOFF64",
    "R_X86_64_TLSGD",
    "R_X86_64_TLSLD",
    "R_X86_64_DTPOFF32",
    "R_X86_64_GOTTPOFF",
    "R_X86_64_TPOFF32",
    "R_X86_64_PC64",
    "R_X86_64_GOTOFF64",
    "R_X86_64_GOTPC32",
    "R_X86_64_GOT64",
    "R_X86_64_GOTPCREL64",
    "R_X86_64_GOTPC64",
    "R_X86_64_GOTPLT64",
    "R_X86_64_PLTOFF64",
    "R_X86_64_SIZE32",
    "R_X86_64_SIZE64",
    "R_X86_64_GOTPC32_TLSDESC",
    "R_X86_64_TLSDESC_CALL",
    "R_X86_64_TLSDESC",
    "R_X86_64_IRELATIVE",
    "R_X86_64_RELATIVE64",
    "R_X86_64_PC32_BND",
    "R_X86_64_PLT32_BND",
    "R_X86_64_GOTPCRELX",
    "R_X86_64_REX_GOTPCRELX",
];

impl Arch for X86_64 {
    const MACHINE: u16 = modfs_object::EM_X86_64;

    fn name(kind: u32) -> Option<&'static str> {
        NAMES.get(kind as usize).copied()
    }

    #[inline]
    fn need(kind: u32) -> Result<Need, &'static str> {
        match kind {
            NONE | ABS64 | PC32 | PLT32 | ABS32 | ABS32S | ABS16 | PC16 | ABS8 | PC8 | PC64
            | SIZE32 | SIZE64 => Ok(Need::Address),
            GOTPCREL | GOTPCRELX | REX_GOTPCRELX => Ok(Need::Got),
            GOTOFF64 | GOTPC32 => Ok(Need::GotBase),
            16..=23 | 34..=36 => Err(
                "thread-local variables cannot be in a module: keep per-thread data in the host, \
                 or in a structure that callers pass",
            ),
            37 => Err("indirect functions (IFUNC) cannot be in a module: choose at init"),
            3 | 27..=31 => {
                Err("the large code model is not supported: build without -mcmodel=large")
            }
            5..=8 | 38 => Err("this belongs into a shared object: build with `cc -c` or `ld -r`"),
            _ => Err("build with -fPIC by gcc or clang, or with `modfs build`"),
        }
    }

    #[inline]
    fn wants_size(kind: u32) -> bool {
        matches!(kind, SIZE32 | SIZE64)
    }

    #[inline]
    fn apply(kind: u32, section: &mut [u8], offset: u64, v: &Values) -> Result<(), Apply> {
        let near = || v.near.ok_or(Apply::Range);
        let plus = |base: u64| base.wrapping_add_signed(v.addend);
        let from_place = |target: u64| plus(target).wrapping_sub(v.place);
        let (value, field) = match kind {
            NONE => return Ok(()),
            ABS64 => (plus(v.symbol), Field::Word64),
            PC64 => (from_place(v.symbol), Field::Word64),
            GOTOFF64 => (plus(v.symbol).wrapping_sub(v.got), Field::Word64),
            SIZE64 => (plus(v.size), Field::Word64),
            ABS32 => (plus(near()?), Field::Unsigned32),
            SIZE32 => (plus(v.size), Field::Unsigned32),
            ABS32S => (plus(near()?), Field::Signed32),
            PC32 | PLT32 => (from_place(near()?), Field::Signed32),
            GOTPCREL | GOTPCRELX | REX_GOTPCRELX => (from_place(v.got_entry), Field::Signed32),
            GOTPC32 => (from_place(v.got), Field::Signed32),
            ABS16 => (plus(near()?), Field::Any16),
            PC16 => (from_place(near()?), Field::Signed16),
            ABS8 => (plus(near()?), Field::Any8),
            PC8 => (from_place(near()?), Field::Signed8),
            _ => return Err(Apply::Range),
        };
        field.write(section, offset, value)
    }
}

/// A field that is written, and which values it can hold.
#[derive(Clone, Copy)]
enum Field {
    Word64,
    Unsigned32,
    Signed32,
    /// Signed or unsigned: the psABI checks neither.
    Any16,
    Signed16,
    Any8,
    Signed8,
}

impl Field {
    #[inline]
    fn write(self, section: &mut [u8], offset: u64, value: u64) -> Result<(), Apply> {
        let signed = value as i64;
        let (width, fits) = match self {
            Field::Word64 => (8, true),
            Field::Unsigned32 => (4, u32::try_from(value).is_ok()),
            Field::Signed32 => (4, i32::try_from(signed).is_ok()),
            Field::Any16 => (
                2,
                u16::try_from(value).is_ok() || i16::try_from(signed).is_ok(),
            ),
            Field::Signed16 => (2, i16::try_from(signed).is_ok()),
            Field::Any8 => (
                1,
                u8::try_from(value).is_ok() || i8::try_from(signed).is_ok(),
            ),
            Field::Signed8 => (1, i8::try_from(signed).is_ok()),
        };
        let start = usize::try_from(offset).map_err(|_| Apply::Bounds)?;
        let end = start.checked_add(width).ok_or(Apply::Bounds)?;
        let place = section.get_mut(start..end).ok_or(Apply::Bounds)?;
        if !fits {
            return Err(Apply::Range);
        }
        place.copy_from_slice(&value.to_le_bytes()[..width]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: Values = Values {
        symbol: 0x7fff_1234_5678,
        near: Some(0x1000_2000),
        addend: -4,
        place: 0x1000_0010,
        got_entry: 0x1100_0008,
        got: 0x1100_0000,
        size: 24,
    };

    fn apply(kind: u32, values: &Values) -> Result<[u8; 16], Apply> {
        let mut section = [0u8; 16];
        X86_64::apply(kind, &mut section, 4, values)?;
        Ok(section)
    }

    fn word32(kind: u32) -> i32 {
        let bytes = apply(kind, &V).unwrap();
        assert_eq!(bytes[8..], [0; 8], "more than 32 bits were written");
        i32::from_le_bytes(bytes[4..8].try_into().unwrap())
    }

    fn word64(kind: u32) -> u64 {
        u64::from_le_bytes(apply(kind, &V).unwrap()[4..12].try_into().unwrap())
    }

    #[test]
    fn each_formula_of_the_psabi() {
        assert_eq!(apply(NONE, &V), Ok([0; 16]));
        assert_eq!(word64(ABS64), 0x7fff_1234_5674);
        assert_eq!(word64(PC64), 0x7fff_1234_5674 - 0x1000_0010);
        assert_eq!(word64(GOTOFF64), 0x7fff_1234_5674 - 0x1100_0000);
        assert_eq!(word64(SIZE64), 20);
        assert_eq!(word32(ABS32), 0x1000_1ffc);
        assert_eq!(word32(ABS32S), 0x1000_1ffc);
        assert_eq!(word32(PC32), 0x1fec);
        assert_eq!(word32(PLT32), 0x1fec);
        assert_eq!(word32(SIZE32), 20);
        assert_eq!(word32(GOTPCREL), 0x00ff_fff4);
        assert_eq!(word32(GOTPCRELX), 0x00ff_fff4);
        assert_eq!(word32(REX_GOTPCRELX), 0x00ff_fff4);
        assert_eq!(word32(GOTPC32), 0x00ff_ffec);
    }

    #[test]
    fn narrow_fields() {
        let small = Values {
            near: Some(0x84),
            place: 0x100,
            addend: 0,
            ..V
        };
        assert_eq!(apply(ABS8, &small).unwrap()[4..6], [0x84, 0]);
        assert_eq!(apply(ABS16, &small).unwrap()[4..7], [0x84, 0, 0]);
        assert_eq!(apply(PC8, &small).unwrap()[4..6], [0x84, 0]);
        assert_eq!(apply(PC16, &small).unwrap()[4..7], [0x84, 0xff, 0]);
        let far = Values {
            near: Some(0x1_0000),
            ..small
        };
        for kind in [ABS8, ABS16, PC8, PC16] {
            assert_eq!(apply(kind, &far), Err(Apply::Range), "{kind}");
        }
    }

    #[test]
    fn out_of_range_and_out_of_bounds_write_nothing() {
        let far = Values {
            near: Some(0x1_8000_0000),
            ..V
        };
        for kind in [PC32, PLT32, ABS32, ABS32S] {
            assert_eq!(apply(kind, &far), Err(Apply::Range));
            assert_eq!(apply(kind, &Values { near: None, ..V }), Err(Apply::Range));
        }
        let mut section = [0u8; 8];
        for offset in [5, 8, u64::MAX - 2, u64::MAX] {
            assert_eq!(
                X86_64::apply(PC32, &mut section, offset, &V),
                Err(Apply::Bounds)
            );
        }
        assert_eq!(section, [0; 8]);
    }

    #[test]
    fn what_is_not_supported_says_what_helps() {
        for kind in [3, 5, 8, 16, 19, 23, 27, 34, 37, 43, 1000] {
            assert!(X86_64::need(kind).is_err(), "{kind}");
        }
    }
}

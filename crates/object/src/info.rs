//! What a module says of itself: its modinfo and its exports.

use crate::elf::{Bind, Object, Place};
use alloc::string::String;
use alloc::vec::Vec;

/// The strings of section `.modinfo`: `tag=value`, each ended by a NUL (spec: Linux
/// `MODULE_INFO`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modinfo {
    entries: Vec<(String, String)>,
}

impl Modinfo {
    /// Splits the section's bytes. A string without `=` is a tag with an empty value; bytes that
    /// are not UTF-8 are replaced.
    pub fn parse(section: &[u8]) -> Modinfo {
        let entries = section
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                let text = String::from_utf8_lossy(entry);
                let (tag, value) = text.split_once('=').unwrap_or((&text, ""));
                (tag.into(), value.into())
            })
            .collect();
        Modinfo { entries }
    }

    /// All entries in the object's order.
    pub fn entries(&self) -> &[(String, String)] {
        &self.entries
    }

    /// The first value of a tag.
    pub fn get(&self, tag: &str) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(t, _)| t == tag)?;
        Some(value)
    }

    /// Every value of a tag.
    pub fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a str> {
        let with_tag = self.entries.iter().filter(move |(t, _)| t == tag);
        with_tag.map(|(_, value)| value.as_str())
    }

    /// Whether the licence lets the module use GPL-only symbols. One that states none may not.
    pub fn is_gpl_compatible(&self) -> bool {
        self.get("license").is_some_and(gpl_compatible)
    }
}

/// Whether a licence string counts as GPL-compatible (Linux `license_is_gpl_compatible`).
pub fn gpl_compatible(license: &str) -> bool {
    matches!(
        license,
        "GPL"
            | "GPL v2"
            | "GPL and additional rights"
            | "Dual BSD/GPL"
            | "Dual MIT/GPL"
            | "Dual MPL/GPL"
    )
}

/// A symbol that an object exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export<'a> {
    /// Its name.
    pub name: &'a str,
    /// Index of the symbol of this name.
    pub symbol: usize,
    /// Checksum of its declaration, when the object says.
    pub crc: Option<u32>,
    /// Only for GPL-compatible modules.
    pub gpl: bool,
}

const KSYMTAB: &str = "__ksymtab_";
const CRC: &str = "__crc_";

impl<'a> Object<'a> {
    /// The object's modinfo; empty when it has none.
    pub fn modinfo(&self) -> Modinfo {
        self.section_named(".modinfo")
            .map(|section| Modinfo::parse(section.data))
            .unwrap_or_default()
    }

    /// The symbols the object exports, in the order of its symbol table.
    ///
    /// `EXPORT_SYMBOL(x)` leaves a symbol `__ksymtab_x` in section `__ksymtab`, or
    /// `__ksymtab_gpl`; the checksum is the value of an absolute symbol `__crc_x`, or the word
    /// it points at.
    pub fn exports(&self) -> Vec<Export<'a>> {
        let marks: Vec<(&str, bool)> = self
            .symbols()
            .iter()
            .filter_map(|symbol| {
                let Place::Section(section) = symbol.place else {
                    return None;
                };
                let name = symbol.name.strip_prefix(KSYMTAB)?;
                let section = self.sections().get(section)?.name;
                let gpl = section.starts_with("__ksymtab_gpl");
                (gpl || section.starts_with("__ksymtab")).then_some((name, gpl))
            })
            .collect();
        if marks.is_empty() {
            return Vec::new();
        }
        let defined = self.symbols().iter().enumerate();
        let defined = defined.filter(|(_, s)| s.place != Place::Undefined && !s.name.is_empty());
        // Of several symbols of a name a local one comes last.
        let mut by_name: Vec<(&str, bool, usize)> = defined
            .map(|(i, s)| (s.name, s.bind == Bind::Local, i))
            .collect();
        by_name.sort_unstable();
        let find = |name: &str| {
            let at = by_name.partition_point(|(n, ..)| *n < name);
            by_name
                .get(at)
                .filter(|(n, ..)| *n == name)
                .map(|(.., i)| *i)
        };
        let has_crcs = by_name.iter().any(|(n, ..)| n.starts_with(CRC));
        marks
            .into_iter()
            .filter_map(|(name, gpl)| {
                let crc = has_crcs
                    .then(|| find(&alloc::format!("{CRC}{name}")))
                    .flatten()
                    .and_then(|at| self.crc_of(at));
                Some(Export {
                    name,
                    symbol: find(name)?,
                    crc,
                    gpl,
                })
            })
            .collect()
    }

    fn crc_of(&self, symbol: usize) -> Option<u32> {
        let symbol = self.symbols().get(symbol)?;
        match symbol.place {
            Place::Absolute => Some(symbol.value as u32),
            Place::Section(section) => {
                let data = self.sections().get(section)?.data;
                let at = usize::try_from(symbol.value).ok()?;
                let word = data.get(at..at.checked_add(4)?)?;
                Some(u32::from_le_bytes(word.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// The checksums the object was built against: (symbol, crc) of section `__versions`, 64
    /// bytes each, of which the first 8 are the crc (Linux `struct modversion_info`).
    pub fn versions(&self) -> Vec<(&'a str, u32)> {
        let Some(section) = self.section_named("__versions") else {
            return Vec::new();
        };
        section
            .data
            .chunks_exact(64)
            .filter_map(|entry| {
                let (crc, name) = entry.split_at(8);
                let end = name.iter().position(|b| *b == 0)?;
                let name = core::str::from_utf8(&name[..end]).ok()?;
                let crc = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
                Some((name, crc))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modinfo_of_odd_bytes() {
        let info = Modinfo::parse(b"license=GPL\0\0alias=a\0alias=b=c\0flag\0bad=\xff\xfe");
        assert_eq!(info.get("license"), Some("GPL"));
        assert!(info.all("alias").eq(["a", "b=c"]));
        assert_eq!(info.get("flag"), Some(""));
        assert_eq!(info.get("bad"), Some("\u{fffd}\u{fffd}"));
        assert!(info.is_gpl_compatible());
        assert!(!Modinfo::parse(b"license=Proprietary").is_gpl_compatible());
    }
}

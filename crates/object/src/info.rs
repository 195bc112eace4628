//! What a module says of itself: its modinfo and its exports.

use crate::elf::{Bind, Object, Place};
use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

/// The strings of section `.modinfo`: `tag=value`, each ended by a NUL (spec: Linux
/// `MODULE_INFO`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modinfo<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Modinfo<'a> {
    /// Splits the section's bytes. A string without `=` is a tag with an empty value; bytes that
    /// are not UTF-8 are replaced.
    pub fn parse(section: &'a [u8]) -> Modinfo<'a> {
        let entry = |bytes: &'a [u8]| match core::str::from_utf8(bytes) {
            Ok(text) => {
                let (tag, value) = text.split_once('=').unwrap_or((text, ""));
                (tag.into(), value.into())
            }
            Err(_) => {
                let text = String::from_utf8_lossy(bytes);
                let (tag, value) = text.split_once('=').unwrap_or((&text, ""));
                (Cow::Owned(tag.to_owned()), Cow::Owned(value.to_owned()))
            }
        };
        let entries = section
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
            .map(entry)
            .collect();
        Modinfo { entries }
    }

    /// All entries, tag and value, in the object's order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.entries.iter().map(|(tag, value)| (&**tag, &**value))
    }

    /// The first value of a tag.
    pub fn get(&self, tag: &str) -> Option<&str> {
        Some(self.entries().find(|(t, _)| *t == tag)?.1)
    }

    /// Every value of a tag.
    pub fn all(&self, tag: &str) -> impl Iterator<Item = &str> {
        let with_tag = self.entries().filter(move |(t, _)| *t == tag);
        with_tag.map(|(_, value)| value)
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

/// A symbol `__ksymtab_NAME`, and what goes with the name.
struct Mark<'a> {
    name: &'a str,
    order: usize,
    gpl: bool,
    symbol: Option<Found>,
    crc: Option<Found>,
}

/// Of several symbols of a name the least counts: a local one comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    local: bool,
    index: usize,
}

/// The first mark of a name, of sorted ones.
fn first_of<'m, 'a>(marks: &'m mut [Mark<'a>], name: &str) -> Option<&'m mut Mark<'a>> {
    let at = marks.partition_point(|mark| mark.name < name);
    marks.get_mut(at).filter(|mark| mark.name == name)
}

impl<'a> Object<'a> {
    /// The object's modinfo; empty when it has none.
    pub fn modinfo(&self) -> Modinfo<'a> {
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
        let mut marks = self.marks();
        if marks.is_empty() {
            return Vec::new();
        }
        marks.sort_by_key(|mark| mark.name);
        for (index, symbol) in self.defined().filter(|(_, s)| !s.name.is_empty()) {
            let found = Found {
                local: symbol.bind == Bind::Local,
                index,
            };
            if let Some(mark) = first_of(&mut marks, symbol.name) {
                mark.symbol = Some(mark.symbol.map_or(found, |before| before.min(found)));
            }
            if let Some(mark) = symbol
                .name
                .strip_prefix(CRC)
                .and_then(|name| first_of(&mut marks, name))
            {
                mark.crc = Some(mark.crc.map_or(found, |before| before.min(found)));
            }
        }
        for at in 1..marks.len() {
            if marks[at].name == marks[at - 1].name {
                (marks[at].symbol, marks[at].crc) = (marks[at - 1].symbol, marks[at - 1].crc);
            }
        }
        marks.sort_unstable_by_key(|mark| mark.order);
        let export = |mark: &Mark<'a>| {
            Some(Export {
                name: mark.name,
                symbol: mark.symbol?.index,
                crc: mark.crc.and_then(|found| self.crc_of(found.index)),
                gpl: mark.gpl,
            })
        };
        marks.iter().filter_map(export).collect()
    }

    fn marks(&self) -> Vec<Mark<'a>> {
        let mut marks = Vec::new();
        for (_, symbol) in self.defined() {
            if let Place::Section(section) = symbol.place
                && let Some(name) = symbol.name.strip_prefix(KSYMTAB)
                && let Some(section) = self.sections().get(section as usize)
                && section.name.starts_with("__ksymtab")
            {
                marks.push(Mark {
                    name,
                    order: marks.len(),
                    gpl: section.name.starts_with("__ksymtab_gpl"),
                    symbol: None,
                    crc: None,
                });
            }
        }
        marks
    }

    fn crc_of(&self, symbol: usize) -> Option<u32> {
        let symbol = self.symbols().get(symbol)?;
        match symbol.place {
            Place::Absolute => Some(symbol.value as u32),
            Place::Section(section) => {
                let data = self.sections().get(section as usize)?.data;
                let at = usize::try_from(symbol.value).ok()?;
                let word = data.get(at..at.checked_add(4)?)?;
                Some(u32::from_le_bytes(word.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// The checksums the object was built against: (symbol, crc) of section `__versions`, 64
    /// bytes each, of which the first 8 are the crc (Linux `struct modversion_info`); and of longer names those of
    /// `__version_ext_crcs`, 4 bytes each, for the strings of `__version_ext_names`.
    pub fn versions(&self) -> Vec<(&'a str, u32)> {
        let data = |name| self.section_named(name).map_or(&[][..], |s| s.data);
        let crc = |bytes: &[u8]| Some(u32::from_le_bytes(*bytes.first_chunk()?));
        let short = data("__versions").chunks_exact(64).filter_map(|entry| {
            let (sum, name) = entry.split_at(8);
            let end = name.iter().position(|b| *b == 0)?;
            Some((core::str::from_utf8(&name[..end]).ok()?, crc(sum)?))
        });
        let names = data("__version_ext_names").split(|byte| *byte == 0);
        let sums = data("__version_ext_crcs").chunks_exact(4);
        let long = sums
            .zip(names)
            .filter_map(|(sum, name)| Some((core::str::from_utf8(name).ok()?, crc(sum)?)));
        short.chain(long).collect()
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

//! A module file of any machine, as the tools that only read it see it.
//!
//! [`Object`](crate::Object) is for linking and takes what this program can run; this takes both
//! classes and both byte orders, checks little, and reads only what it is asked for. Names are
//! bytes: a file name or an author need not be UTF-8.

use crate::Error;
use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::read::{ReadRef, SectionIndex, SymbolIndex};

/// A module file: its bytes, or what reads pieces of it.
#[derive(Debug)]
pub struct ModuleFile<'a, R: ReadRef<'a> = &'a [u8]>(Class<'a, R>);

#[derive(Debug)]
enum Class<'a, R: ReadRef<'a>> {
    Bits32(Tables<'a, elf::FileHeader32<Endianness>, R>),
    Bits64(Tables<'a, elf::FileHeader64<Endianness>, R>),
}

#[derive(Debug)]
struct Tables<'a, H: FileHeader, R: ReadRef<'a>> {
    data: R,
    endian: Endianness,
    machine: u16,
    sections: SectionTable<'a, H, R>,
    /// The names of sections.
    section_names: &'a [u8],
    symbols: SymbolTable<'a, H, R>,
    /// The names of symbols.
    symbol_names: &'a [u8],
}

/// No symbol has a longer name. Names may share their bytes, so that a small file could have many
/// long ones otherwise.
const NAME_MAX: usize = 4095;

/// A symbol that a module exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exported<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Checksum of its declaration (`__crc_NAME`), when the file says.
    pub crc: Option<u32>,
}

/// A symbol that a module exports, and on which terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportTerms<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Checksum of its declaration: of `__crc_NAME`, or its place in the section `__kcrctab…`.
    pub crc: Option<u32>,
    /// For modules with a GPL-compatible licence only: it is in a section `__ksymtab_gpl…`.
    pub gpl: bool,
    /// Only for modules that import this namespace (`__kstrtabns_NAME`).
    pub namespace: Option<&'a [u8]>,
}

/// A symbol that a module imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// It may be missing.
    pub weak: bool,
    /// Checksum of the declaration it was built against (`__versions`), when the file says.
    pub crc: Option<u32>,
}

/// Does the same with either class's tables.
macro_rules! tables {
    ($file:expr, $tables:ident => $body:expr) => {
        match &$file.0 {
            Class::Bits32($tables) => $body,
            Class::Bits64($tables) => $body,
        }
    };
}

impl<'a, R: ReadRef<'a>> ModuleFile<'a, R> {
    /// Reads the headers and finds the symbol table.
    ///
    /// # Errors
    /// [`Error::NotElf`], [`Error::Short`], [`Error::Class`], [`Error::Endian`]: what it is
    /// instead. [`Error::Damaged`]: a table lies outside the file.
    pub fn parse(data: R) -> Result<ModuleFile<'a, R>, Error> {
        let len = data.len().unwrap_or(0);
        if matches!(data.read_bytes_at(0, 4), Ok(magic) if magic != elf::ELFMAG) {
            return Err(Error::NotElf);
        }
        let head = data.read_bytes_at(0, size_of::<elf::FileHeader32<Endianness>>() as u64);
        let head = head.map_err(|()| Error::Short(len as usize))?;
        if !matches!(head[5], 1 | 2) {
            return Err(Error::Endian(head[5]));
        }
        match head[4] {
            1 => Ok(ModuleFile(Class::Bits32(Tables::parse(data)?))),
            2 => Ok(ModuleFile(Class::Bits64(Tables::parse(data)?))),
            class => Err(Error::Class(class)),
        }
    }

    /// `e_machine`.
    pub fn machine(&self) -> u16 {
        tables!(self, tables => tables.machine)
    }

    /// Bytes of the first section of this name; `None` when there is none, or it has no bytes in
    /// the file.
    pub fn section(&self, name: &str) -> Option<&'a [u8]> {
        tables!(self, tables => tables.section(name.as_bytes()))
    }

    /// The modinfo: tag and value of each entry, in the file's order. An entry without `=` has an
    /// empty value.
    pub fn modinfo(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a, R> {
        modinfo(self.section(".modinfo").unwrap_or_default())
    }

    /// The symbols it exports, in the order of the symbol table: those with a symbol
    /// `__ksymtab_NAME`, or without any, as in old or stripped files, those with `__crc_NAME`, or
    /// the strings of `__ksymtab_strings`.
    pub fn exports(&self) -> Vec<Exported<'a>> {
        tables!(self, tables => tables.exports())
    }

    /// The names of [`ModuleFile::exports`]; their checksums are not looked at.
    pub fn export_names(&self) -> Vec<&'a [u8]> {
        tables!(self, tables => tables.export_names())
    }

    /// As [`ModuleFile::exports`], with the terms of those that have a symbol `__ksymtab_NAME`; there
    /// are none of others.
    pub fn export_terms(&self) -> Vec<ExportTerms<'a>> {
        tables!(self, tables => tables.export_terms())
    }

    /// The symbols it imports, in the order of the symbol table, then those that only
    /// `__versions` (or `__version_ext_names`) knows.
    pub fn imports(&self) -> Vec<Imported<'a>> {
        tables!(self, tables => tables.imports())
    }

    /// The checksums it was built against, as the file lists them: (name, crc).
    pub fn versions(&self) -> Vec<(&'a [u8], u32)> {
        tables!(self, tables => tables.versions())
    }

    /// The build id (`NT_GNU_BUILD_ID` in `.note.gnu.build-id`).
    pub fn build_id(&self) -> Option<&'a [u8]> {
        tables!(self, tables => tables.build_id())
    }
}

/// The entries of a section `.modinfo`, or of `modules.builtin.modinfo`: tag and value of each.
pub fn modinfo(section: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let entries = section.split(|byte| *byte == 0);
    entries
        .filter(|entry| !entry.is_empty())
        .map(|entry| match memchr::memchr(b'=', entry) {
            Some(at) => (&entry[..at], &entry[at + 1..]),
            None => (entry, &entry[entry.len()..]),
        })
}

const KSYMTAB: &[u8] = b"__ksymtab_";
const CRC: &[u8] = b"__crc_";
const NAMESPACE: &[u8] = b"__kstrtabns_";
/// `NT_GNU_BUILD_ID`.
const NT_GNU_BUILD_ID: u32 = 3;

impl<'a, H: FileHeader<Endian = Endianness>, R: ReadRef<'a>> Tables<'a, H, R> {
    fn parse(data: R) -> Result<Tables<'a, H, R>, Error> {
        let damaged = |what| move |_| Error::Damaged(what);
        let short = |_| Error::Short(data.len().unwrap_or(0) as usize);
        let header = H::parse(data).map_err(short)?;
        let endian = header
            .endian()
            .map_err(damaged("the ELF header cannot be read"))?;
        let sections = header
            .sections(endian, data)
            .map_err(damaged("the section table lies outside the file"))?;
        let symbols = sections
            .symbols(endian, data, elf::SHT_SYMTAB)
            .map_err(damaged("the symbol table lies outside the file"))?;
        let bytes = |index| {
            let section = sections.section(index).ok();
            let data = section.and_then(|section| section.data(endian, data).ok());
            data.unwrap_or_default()
        };
        let section_names = header.section_strings_index(endian, data).map(bytes);
        Ok(Tables {
            data,
            endian,
            machine: header.e_machine(endian).0,
            section_names: section_names.unwrap_or_default(),
            symbol_names: bytes(symbols.string_section()),
            sections,
            symbols,
        })
    }

    /// The first section of this name.
    fn section(&self, name: &[u8]) -> Option<&'a [u8]> {
        let section = self.sections.iter().find(|section| {
            let names = self
                .section_names
                .get(section.sh_name(self.endian) as usize..);
            let after = names.and_then(|names| names.strip_prefix(name));
            after.is_some_and(|after| after.first() == Some(&0))
        });
        section?.data(self.endian, self.data).ok()
    }

    /// The name of a symbol; one that has none, or a longer one than any, is empty.
    fn name(&self, symbol: &H::Sym) -> &'a [u8] {
        let names = self
            .symbol_names
            .get(symbol.st_name(self.endian) as usize..);
        let names = names.unwrap_or_default();
        let names = &names[..names.len().min(NAME_MAX + 1)];
        memchr::memchr(0, names).map_or(&[], |end| &names[..end])
    }

    fn exports(&self) -> Vec<Exported<'a>> {
        let mut exports = Vec::new();
        let mut crcs = Vec::new();
        for (index, symbol) in self.symbols.enumerate() {
            let name = self.name(symbol);
            if !name.starts_with(b"__") || symbol.is_undefined(self.endian) {
                continue;
            }
            if let Some(name) = name.strip_prefix(KSYMTAB) {
                exports.push(Exported { name, crc: None });
            } else if let Some(name) = name.strip_prefix(CRC) {
                crcs.push((name, self.crc_of(index, symbol)));
            }
        }
        if exports.is_empty() && !crcs.is_empty() {
            let export = |(name, crc): &(&'a [u8], u32)| Exported {
                name,
                crc: Some(*crc),
            };
            return crcs.iter().map(export).collect();
        }
        if exports.is_empty() {
            let names = self.export_strings();
            return names.map(|name| Exported { name, crc: None }).collect();
        }
        crcs.sort_unstable();
        for export in &mut exports {
            let at = crcs.partition_point(|(name, _)| *name < export.name);
            let found = crcs.get(at).filter(|(name, _)| *name == export.name);
            export.crc = found.map(|(_, crc)| *crc);
        }
        exports
    }

    fn export_strings(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, H, R> {
        let strings = self.section(b"__ksymtab_strings").unwrap_or_default();
        strings.split(|byte| *byte == 0).filter(|n| !n.is_empty())
    }

    fn export_names(&self) -> Vec<&'a [u8]> {
        let defined = |symbol: &&H::Sym| !symbol.is_undefined(self.endian);
        let of = |mark: &'static [u8]| {
            let symbols = self.symbols.iter().filter(defined);
            let names = symbols.filter_map(move |symbol| self.name(symbol).strip_prefix(mark));
            names.collect::<Vec<_>>()
        };
        let mut names = of(KSYMTAB);
        if names.is_empty() {
            names = of(CRC);
        }
        if names.is_empty() {
            names.extend(self.export_strings());
        }
        names
    }

    fn export_terms(&self) -> Vec<ExportTerms<'a>> {
        let crcs: BTreeMap<_, _> = self
            .exports()
            .into_iter()
            .map(|e| (e.name, e.crc))
            .collect();
        // Of each section of entries how many there are.
        let mut counts = BTreeMap::<usize, u64>::new();
        let mut namespaces = BTreeMap::new();
        let mut entries = Vec::new();
        for (index, symbol) in self.symbols.enumerate() {
            let Ok(Some(section)) = self.symbols.symbol_section(self.endian, symbol, index) else {
                continue;
            };
            let name = self.name(symbol);
            if let Some(name) = name.strip_prefix(KSYMTAB) {
                *counts.entry(section.0).or_default() += 1;
                entries.push((name, section, symbol.st_value(self.endian).into()));
            } else if let Some(name) = name.strip_prefix(NAMESPACE) {
                let text = self.text_at(section, symbol.st_value(self.endian).into());
                namespaces.insert(name, text.filter(|text| !text.is_empty()));
            }
        }
        let terms = |(name, section, at): (&'a [u8], SectionIndex, u64)| {
            let table = self.sections.section(section).ok();
            let kind = table.and_then(|table| self.sections.section_name(self.endian, table).ok());
            let suffix = kind.and_then(|kind| kind.strip_prefix(b"__ksymtab"));
            let by_place = || {
                let size: u64 = table?.sh_size(self.endian).into();
                let entry = size.checked_div(*counts.get(&section.0)?)?;
                let number = usize::try_from(at.checked_div(entry)?).ok()?;
                let of = [b"__kcrctab", suffix?].concat();
                self.word(self.section(&of)?, number.checked_mul(4)?)
            };
            ExportTerms {
                name,
                crc: crcs.get(name).copied().flatten().or_else(by_place),
                gpl: suffix.is_some_and(|suffix| suffix.starts_with(b"_gpl")),
                namespace: namespaces.get(name).copied().flatten(),
            }
        };
        entries.into_iter().map(terms).collect()
    }

    /// The string, without its NUL, at a place in a section.
    fn text_at(&self, section: SectionIndex, at: u64) -> Option<&'a [u8]> {
        let section = self.sections.section(section).ok()?;
        let bytes = section.data(self.endian, self.data).ok()?;
        let text = bytes.get(usize::try_from(at).ok()?..)?;
        let end = memchr::memchr(0, text)?;
        Some(&text[..end.min(NAME_MAX)])
    }

    /// The checksum is the symbol's value, or the word it points at.
    fn crc_of(&self, index: SymbolIndex, symbol: &H::Sym) -> u32 {
        let value: u64 = symbol.st_value(self.endian).into();
        let section = self.symbols.symbol_section(self.endian, symbol, index);
        let Ok(Some(section)) = section else {
            return value as u32;
        };
        let word = || {
            let section = self.sections.section(section).ok()?;
            let bytes = section.data(self.endian, self.data).ok()?;
            self.word(bytes, usize::try_from(value).ok()?)
        };
        word().unwrap_or(0)
    }

    fn word(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let word = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self.endian {
            Endianness::Little => u32::from_le_bytes(word),
            Endianness::Big => u32::from_be_bytes(word),
        })
    }

    fn versions(&self) -> Vec<(&'a [u8], u32)> {
        let mut versions = Vec::new();
        // `unsigned long crc; char name[64 - sizeof(unsigned long)]`.
        let long = if H::is_type_64_sized() { 8 } else { 4 };
        let crc_at = match self.endian {
            Endianness::Little => 0,
            Endianness::Big => long - 4,
        };
        for entry in self
            .section(b"__versions")
            .unwrap_or_default()
            .chunks_exact(64)
        {
            let name = &entry[long..];
            let end = memchr::memchr(0, name).unwrap_or(name.len());
            if let Some(crc) = self.word(entry, crc_at)
                && end > 0
            {
                versions.push((&name[..end], crc));
            }
        }
        // Since 6.14 names may be longer.
        let crcs = self.section(b"__version_ext_crcs").unwrap_or_default();
        let names = self.section(b"__version_ext_names").unwrap_or_default();
        let names = names.split(|byte| *byte == 0).filter(|n| !n.is_empty());
        let mut known: BTreeSet<&[u8]> = match crcs.is_empty() {
            true => BTreeSet::new(),
            false => versions.iter().map(|(name, _)| *name).collect(),
        };
        for (number, name) in names.enumerate() {
            let Some(crc) = self.word(crcs, number * 4) else {
                break;
            };
            if known.insert(name) {
                versions.push((name, crc));
            }
        }
        versions
    }

    fn imports(&self) -> Vec<Imported<'a>> {
        let mut versions: Vec<_> = self
            .versions()
            .into_iter()
            .enumerate()
            .map(|(order, (name, crc))| (name, order, crc, false))
            .collect();
        versions.sort_unstable();
        let mut imports = Vec::with_capacity(versions.len());
        for symbol in self.symbols.iter().skip(1) {
            if !symbol.is_undefined(self.endian) {
                continue;
            }
            let name = self.name(symbol);
            if name.is_empty() {
                continue;
            }
            let at = versions.partition_point(|(known, ..)| *known < name);
            let version = versions.get_mut(at).filter(|(known, ..)| *known == name);
            let crc = version.map(|(_, _, crc, used)| {
                *used = true;
                *crc
            });
            let weak = symbol.is_weak();
            imports.push(Imported { name, weak, crc });
        }
        // `module_layout` is in no symbol table.
        versions.retain(|(.., used)| !used);
        versions.sort_unstable_by_key(|(_, order, ..)| *order);
        imports.extend(versions.into_iter().map(|(name, _, crc, _)| Imported {
            name,
            weak: false,
            crc: Some(crc),
        }));
        imports
    }

    fn build_id(&self) -> Option<&'a [u8]> {
        let note = self.section(b".note.gnu.build-id")?;
        let (name_len, len) = (self.word(note, 0)? as usize, self.word(note, 4)? as usize);
        let start = 12usize.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let is_one = self.word(note, 8)? == NT_GNU_BUILD_ID && note.get(12..15)? == b"GNU";
        is_one.then_some(note.get(start..start.checked_add(len)?)?)
    }
}

/// What is appended to a signed module (Linux `struct module_signature`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The module without it: what is signed.
    pub content: &'a [u8],
    /// `PKEY_ID_*`: 0 PGP, 1 X.509, 2 PKCS#7.
    pub id_type: u8,
    /// `PKEY_ALGO_*`, of the old kind.
    pub algo: u8,
    /// `PKEY_HASH_*`, of the old kind.
    pub hash: u8,
    /// The signer's name, of the old kind.
    pub signer: &'a [u8],
    /// The key's id, of the old kind.
    pub key_id: &'a [u8],
    /// What is to be zero.
    pub padding: [u8; 3],
    /// The signature; with PKCS#7 all of its message.
    pub bytes: &'a [u8],
}

/// What a signed module ends with.
pub const SIGNATURE_MAGIC: &[u8] = b"~Module signature appended~\n";
/// Bytes of `struct module_signature`.
const SIGNATURE_INFO: usize = 12;

/// The signature at the end of a module file; `None` when there is none, or it is damaged.
pub fn signature(file: &[u8]) -> Option<Signature<'_>> {
    let rest = file.strip_suffix(SIGNATURE_MAGIC)?;
    let (rest, info) = rest.split_at_checked(rest.len().checked_sub(SIGNATURE_INFO)?)?;
    let [algo, hash, id_type, signer, key_id, a, b, c, len @ ..] = info else {
        return None;
    };
    let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
    let back = |rest: &'_ [u8], len: usize| rest.len().checked_sub(len);
    let (rest, bytes) = rest.split_at(back(rest, len)?);
    let (rest, key_id) = rest.split_at(back(rest, usize::from(*key_id))?);
    let (content, signer) = rest.split_at(back(rest, usize::from(*signer))?);
    Some(Signature {
        content,
        id_type: *id_type,
        algo: *algo,
        hash: *hash,
        signer,
        key_id,
        padding: [*a, *b, *c],
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modinfo_of_odd_bytes() {
        let list: Vec<_> = modinfo(b"a=b=c\0\0flag\0=v\0\xff=\xfe").collect();
        let wanted: [(&[u8], &[u8]); 4] = [
            (b"a", b"b=c"),
            (b"flag", b""),
            (b"", b"v"),
            (b"\xff", b"\xfe"),
        ];
        assert_eq!(list, wanted);
    }

    #[test]
    fn a_signature_is_taken_apart() {
        let info = [0, 4, 2, 1, 2, 0, 0, 0, 0, 0, 0, 3];
        let file = [b"ELF...", &b"skkSIG"[..], &info, SIGNATURE_MAGIC].concat();
        let found = signature(&file).unwrap();
        assert_eq!(
            (found.content, found.signer, found.key_id, found.bytes),
            (&b"ELF..."[..], &b"s"[..], &b"kk"[..], &b"SIG"[..])
        );
        assert_eq!((found.algo, found.hash, found.id_type), (0, 4, 2));
        let mut long = file.clone();
        long[file.len() - SIGNATURE_MAGIC.len() - 1] = 200;
        assert_eq!(signature(&long), None);
        assert_eq!(signature(SIGNATURE_MAGIC), None);
        assert_eq!(signature(b"ELF"), None);
    }
}

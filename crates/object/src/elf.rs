//! Reading a relocatable ELF object.

use crate::Error;
use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader};
use object::read::{SectionIndex, SymbolIndex};

type Header = elf::FileHeader64<LE>;

/// How long all names may be together, per byte of the file. Names may share bytes, even be each
/// other's ends: without a limit a file of a megabyte could have gigabytes of them. Since a symbol
/// takes 24 bytes, those of 1.5 KiB on average are always taken.
const NAMES: usize = 64;

/// How many bytes of names may still come.
struct Budget(usize);

impl Budget {
    fn spend(&mut self, name: &str) -> Result<(), Error> {
        match self.0.checked_sub(name.len()) {
            Some(left) => self.0 = left,
            None => return Err(Error::Damaged("the names are far longer than the file")),
        }
        Ok(())
    }
}

/// A relocatable object, borrowed from the bytes of its file.
#[derive(Debug)]
pub struct Object<'a> {
    machine: u16,
    sections: Vec<Section<'a>>,
    symbols: Vec<Symbol<'a>>,
    /// Most symbols of a large module are imports: who looks for others need not pass them.
    imports: Vec<u32>,
    defined: Vec<u32>,
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Bytes of the file.
    Bytes,
    /// Zeros, which the file does not hold.
    Zeros,
    /// Something for the linker: symbols, relocations, groups, notes.
    Other,
}

/// A section.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it holds.
    pub kind: SectionKind,
    /// Part of the image (`SHF_ALLOC`).
    pub alloc: bool,
    /// `SHF_WRITE`.
    pub write: bool,
    /// `SHF_EXECINSTR`.
    pub exec: bool,
    /// Bytes it takes in the image.
    pub size: u64,
    /// A power of two, at least 1.
    pub align: u64,
    /// Its bytes; empty for [`SectionKind::Zeros`].
    pub data: &'a [u8],
    /// A second copy of a COMDAT group's section: not part of the image.
    pub discarded: bool,
    relocations: &'a [elf::Rela64<LE>],
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In another object: an import.
    Undefined,
    /// Its value is its address.
    Absolute,
    /// In a block to be allocated, zeroed; the symbol's value is its alignment.
    Common,
    /// In the section of this index; the symbol's value is the offset.
    Section(u32),
}

/// How a symbol binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Seen in its object only.
    Local,
    /// Seen everywhere.
    Global,
    /// Seen everywhere, may be missing, gives way to a global one.
    Weak,
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// A function.
    Function,
    /// A variable.
    Object,
    /// A function whose address is computed at load (`STT_GNU_IFUNC`).
    Ifunc,
    /// Anything else: a section, a file name, a label.
    Other,
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its name; empty for a section's symbol.
    pub name: &'a str,
    /// Where it is.
    pub place: Place,
    /// How it binds.
    pub bind: Bind,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Offset, address or alignment, as [`Place`] says.
    pub value: u64,
    /// Bytes, as far as is known.
    pub size: u64,
}

/// A relocation of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where in the section.
    pub offset: u64,
    /// What is to be done, a number of the machine's psABI.
    pub kind: u32,
    /// Index of the symbol it is about.
    pub symbol: usize,
    /// Added to the symbol's address.
    pub addend: i64,
}

impl<'a> Object<'a> {
    /// Reads an object for `machine` (`e_machine`).
    ///
    /// # Errors
    /// What is wrong with it, see [`Error`].
    pub fn parse(data: &'a [u8], machine: u16) -> Result<Object<'a>, Error> {
        let header = header(data)?;
        let found = header.e_machine.get(LE).0;
        if found != machine {
            return Err(Error::Machine {
                found,
                wanted: machine,
            });
        }
        let headers = header
            .section_headers(LE, data)
            .map_err(|_| Error::Damaged("the section table lies outside the file"))?;
        let names = Names::of(section_names(header, headers, data)?);
        let mut budget = Budget(data.len().saturating_mul(NAMES));
        let mut sections = Vec::with_capacity(headers.len());
        for (index, section) in headers.iter().enumerate() {
            let name = names.get(section.sh_name.get(LE)).ok_or(Error::Name {
                what: "section",
                index,
            })?;
            budget.spend(name)?;
            sections.push(read_section(section, index, name, data)?);
        }
        no_overlap(headers, &sections)?;
        let Symbols {
            symbols,
            imports,
            defined,
        } = read_symbols(header, data, &sections, &mut budget)?;
        attach_relocations(headers, data, &mut sections, symbols.len())?;
        discard_copies(headers, data, &symbols, &mut sections, &mut budget)?;
        Ok(Object {
            machine,
            sections,
            symbols,
            imports,
            defined,
        })
    }

    /// The machine it is for (`e_machine`).
    pub fn machine(&self) -> u16 {
        self.machine
    }

    /// All sections; index 0 is the reserved one.
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// The first section of this name.
    pub fn section_named(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// All symbols; index 0 is the reserved one.
    pub fn symbols(&self) -> &[Symbol<'a>] {
        &self.symbols
    }

    /// The imports: every named symbol that is undefined, with its index.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = (usize, &Symbol<'a>)> {
        self.numbered(&self.imports)
    }

    /// Every symbol that is defined here, with its index.
    pub fn defined(&self) -> impl ExactSizeIterator<Item = (usize, &Symbol<'a>)> {
        self.numbered(&self.defined)
    }

    fn numbered(&self, list: &[u32]) -> impl ExactSizeIterator<Item = (usize, &Symbol<'a>)> {
        list.iter()
            .map(|index| (*index as usize, &self.symbols[*index as usize]))
    }

    /// The index of the global or weak symbol of this name that is defined here.
    pub fn global(&self, name: &str) -> Option<usize> {
        let mut defined = self.defined();
        let (index, _) = defined.find(|(_, s)| s.bind != Bind::Local && s.name == name)?;
        Some(index)
    }
}

impl<'a> Section<'a> {
    /// The relocations to be applied to it.
    pub fn relocations(&self) -> impl ExactSizeIterator<Item = Relocation> + use<'a> {
        self.relocations.iter().map(|rela| Relocation {
            offset: rela.r_offset.get(LE),
            kind: rela.r_type(LE, false).0,
            symbol: rela.r_sym(LE, false) as usize,
            addend: rela.r_addend.get(LE),
        })
    }
}

fn header(data: &[u8]) -> Result<&Header, Error> {
    if data.len() >= 4 && data[..4] != elf::ELFMAG {
        return Err(Error::NotElf);
    }
    if data.len() < size_of::<Header>() {
        return Err(Error::Short(data.len()));
    }
    if data[4] != elf::ELFCLASS64.0 {
        return Err(Error::Class(data[4]));
    }
    if data[5] != elf::ELFDATA2LSB.0 {
        return Err(Error::Endian(data[5]));
    }
    let header =
        Header::parse(data).map_err(|_| Error::Damaged("the ELF header cannot be read"))?;
    match header.e_type.get(LE) {
        elf::ET_REL => Ok(header),
        elf::ET_EXEC => Err(Error::NotRelocatable("this is a program")),
        elf::ET_DYN => Err(Error::NotRelocatable(
            "this is a shared object or a program",
        )),
        elf::ET_CORE => Err(Error::NotRelocatable("this is a core dump")),
        _ => Err(Error::NotRelocatable("this ELF type is unknown")),
    }
}

fn read_section<'a>(
    header: &elf::SectionHeader64<LE>,
    index: usize,
    name: &'a str,
    file: &'a [u8],
) -> Result<Section<'a>, Error> {
    let flags = header.sh_flags.get(LE);
    let has = |flag: elf::SectionFlags| flags.0 & flag.0 != 0;
    let kind = match header.sh_type.get(LE) {
        elf::SHT_NOBITS => SectionKind::Zeros,
        elf::SHT_PROGBITS | elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY => {
            SectionKind::Bytes
        }
        // The eh_frame of clang; only its bytes matter here.
        elf::SHT_X86_64_UNWIND => SectionKind::Bytes,
        _ => SectionKind::Other,
    };
    let data = header.data(LE, file).map_err(|_| Error::SectionBounds {
        index,
        name: name.to_string(),
    })?;
    let alloc = has(elf::SHF_ALLOC) && kind != SectionKind::Other;
    let align = header.sh_addralign.get(LE).max(1);
    if alloc {
        if !align.is_power_of_two() {
            return Err(Error::Alignment(name.to_string(), align));
        }
        if has(elf::SHF_TLS) {
            return Err(Error::ThreadLocal(alloc::format!("section {name}")));
        }
        if has(elf::SHF_WRITE) && has(elf::SHF_EXECINSTR) {
            return Err(Error::WriteExec(name.to_string()));
        }
    }
    Ok(Section {
        name,
        kind,
        alloc,
        write: has(elf::SHF_WRITE),
        exec: has(elf::SHF_EXECINSTR),
        size: header.sh_size.get(LE),
        align,
        data,
        discarded: false,
        relocations: &[],
    })
}

/// No tool makes sections that share bytes; one that does is damaged or means harm.
fn no_overlap(headers: &[elf::SectionHeader64<LE>], sections: &[Section<'_>]) -> Result<(), Error> {
    let mut ranges: Vec<(u64, u64, &str)> = Vec::with_capacity(headers.len());
    for (header, section) in headers.iter().zip(sections) {
        if let Some((start, len)) = header.file_range(LE)
            && len > 0
            && header.sh_type.get(LE) != elf::SHT_NULL
        {
            ranges.push((start, start.saturating_add(len), section.name));
        }
    }
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if pair[0].1 > pair[1].0 {
            return Err(Error::Overlap(pair[0].2.to_string(), pair[1].2.to_string()));
        }
    }
    Ok(())
}

/// All symbols, and the indexes of those that are imports, and that are defined.
struct Symbols<'a> {
    symbols: Vec<Symbol<'a>>,
    imports: Vec<u32>,
    defined: Vec<u32>,
}

fn read_symbols<'a>(
    header: &Header,
    file: &'a [u8],
    sections: &[Section<'a>],
    budget: &mut Budget,
) -> Result<Symbols<'a>, Error> {
    let table = header
        .sections(LE, file)
        .and_then(|list| list.symbols(LE, file, elf::SHT_SYMTAB))
        .map_err(|_| Error::Damaged("the symbol table cannot be read"))?;
    let strings = sections.get(table.string_section().0);
    let names = Names::of(strings.map_or(&[], |section| section.data));
    let mut symbols = Vec::with_capacity(table.len());
    let mut imports = Vec::with_capacity(table.len());
    let mut defined = Vec::with_capacity(table.len());
    for (index, sym) in table.symbols().iter().enumerate() {
        let name = match sym.st_name.get(LE) {
            0 => "",
            at => match names.get(at) {
                Some(name) => name,
                None => {
                    return Err(Error::Name {
                        what: "symbol",
                        index,
                    });
                }
            },
        };
        budget.spend(name)?;
        let place = match sym.st_shndx.get(LE) {
            elf::SHN_UNDEF => Place::Undefined,
            elf::SHN_ABS => Place::Absolute,
            elf::SHN_COMMON => Place::Common,
            shndx => {
                let section = match table.symbol_section(LE, sym, SymbolIndex(index)) {
                    Ok(Some(SectionIndex(at))) => Ok(at),
                    // A reserved number, which is no section's however many there are.
                    _ => Err(usize::from(shndx.0)),
                };
                match section {
                    Ok(at) if at != 0 && at < sections.len() => Place::Section(at as u32),
                    Ok(section) | Err(section) => {
                        return Err(Error::SymbolSection {
                            symbol: name.to_string(),
                            section,
                        });
                    }
                }
            }
        };
        if name == "__gnu_lto_slim" {
            return Err(Error::Lto);
        }
        let value = sym.st_value.get(LE);
        if let Place::Section(at) = place
            && let section = &sections[at as usize]
            && section.alloc
            && value > section.size
        {
            return Err(Error::SymbolBounds {
                symbol: name.to_string(),
                section: section.name.to_string(),
            });
        }
        let kind = match sym.st_type() {
            elf::STT_FUNC => SymbolKind::Function,
            elf::STT_OBJECT | elf::STT_COMMON => SymbolKind::Object,
            elf::STT_GNU_IFUNC => SymbolKind::Ifunc,
            elf::STT_TLS => return Err(Error::ThreadLocal(alloc::format!("symbol {name}"))),
            _ => SymbolKind::Other,
        };
        // There are fewer than 2^32: each takes 24 bytes of a file that is in memory.
        match place {
            Place::Undefined if name.is_empty() => {}
            Place::Undefined => imports.push(index as u32),
            _ => defined.push(index as u32),
        }
        symbols.push(Symbol {
            name,
            place,
            bind: match sym.st_bind() {
                elf::STB_LOCAL => Bind::Local,
                elf::STB_WEAK => Bind::Weak,
                _ => Bind::Global,
            },
            kind,
            value,
            size: sym.st_size.get(LE),
        });
    }
    Ok(Symbols {
        symbols,
        imports,
        defined,
    })
}

/// The bytes of the table of section names.
fn section_names<'a>(
    header: &Header,
    headers: &[elf::SectionHeader64<LE>],
    file: &'a [u8],
) -> Result<&'a [u8], Error> {
    if headers.is_empty() {
        return Ok(&[]);
    }
    let index = header.shstrndx(LE, file).ok();
    let table = index.and_then(|index| headers.get(index as usize));
    table
        .and_then(|table| table.data(LE, file).ok())
        .ok_or(Error::Damaged("the section names cannot be read"))
}

/// Names of sections or symbols: a table of strings, each ended by a NUL.
struct Names<'a> {
    bytes: &'a [u8],
    /// The same, if all of it is UTF-8: then a name need not be looked at for that again.
    text: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn of(bytes: &'a [u8]) -> Names<'a> {
        Names {
            bytes,
            text: core::str::from_utf8(bytes).ok(),
        }
    }

    fn get(&self, at: u32) -> Option<&'a str> {
        let rest = self.bytes.get(at as usize..)?;
        let end = at as usize + memchr::memchr(0, rest)?;
        match self.text {
            Some(text) => text.get(at as usize..end),
            None => core::str::from_utf8(&self.bytes[at as usize..end]).ok(),
        }
    }
}

fn attach_relocations<'a>(
    headers: &'a [elf::SectionHeader64<LE>],
    file: &'a [u8],
    sections: &mut [Section<'a>],
    symbols: usize,
) -> Result<(), Error> {
    for (at, header) in headers.iter().enumerate() {
        let target = header.sh_info.get(LE) as usize;
        let own = sections[at].name;
        if header.sh_type.get(LE) == elf::SHT_REL {
            if sections.get(target).is_some_and(|s| s.alloc) {
                return Err(Error::Rel(own.to_string()));
            }
            continue;
        }
        let Some((list, _)) = header
            .rela(LE, file)
            .map_err(|_| Error::Damaged("a relocation table cannot be read"))?
        else {
            continue;
        };
        let Some(section) = sections.get_mut(target).filter(|_| target != 0) else {
            return Err(Error::RelocationTarget(own.to_string()));
        };
        if !section.alloc {
            continue;
        }
        if !section.relocations.is_empty() {
            return Err(Error::Damaged("a section has two relocation tables"));
        }
        if let Some(bad) = list.iter().find(|r| r.r_sym(LE, false) as usize >= symbols) {
            return Err(Error::RelocationSymbol {
                section: section.name.to_string(),
                symbol: bad.r_sym(LE, false) as usize,
            });
        }
        section.relocations = list;
    }
    Ok(())
}

/// Of COMDAT groups of one signature only the first is kept (gABI, section groups).
fn discard_copies<'a>(
    headers: &[elf::SectionHeader64<LE>],
    file: &'a [u8],
    symbols: &[Symbol<'a>],
    sections: &mut [Section<'a>],
    budget: &mut Budget,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for header in headers {
        let Some((flags, members)) = header
            .group(LE, file)
            .map_err(|_| Error::Damaged("a section group cannot be read"))?
        else {
            continue;
        };
        if flags.0 & elf::GRP_COMDAT.0 == 0 {
            continue;
        }
        let signature = symbols
            .get(header.sh_info.get(LE) as usize)
            .ok_or(Error::Damaged("a section group names no symbol"))?;
        // A group may be named by a section's symbol, which itself has no name.
        let signature = match (signature.name, signature.place) {
            ("", Place::Section(at)) => sections[at as usize].name,
            (name, _) => name,
        };
        budget.spend(signature)?;
        if seen.insert(signature) {
            continue;
        }
        for member in members {
            let section = sections
                .get_mut(member.get(LE) as usize)
                .ok_or(Error::Damaged("a section group names no section"))?;
            section.discarded = true;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// An object of a symbol table and its strings.
    fn object(strings: &[u8], symbols: &[[u8; 24]]) -> Vec<u8> {
        let names = b"\0.strtab\0.symtab\0";
        let table = symbols.concat();
        let section = |name: u32, kind: u32, at: usize, len: usize, link: u32, entry: u64| {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(len as u64).to_le_bytes());
            header[40..44].copy_from_slice(&link.to_le_bytes());
            header[56..].copy_from_slice(&entry.to_le_bytes());
            header
        };
        let starts = [64, 64 + table.len(), 64 + table.len() + strings.len()];
        let headers = [
            section(0, 0, 0, 0, 0, 0),
            section(9, 2, starts[0], table.len(), 2, 24),
            section(1, 3, starts[1], strings.len(), 0, 0),
            section(1, 3, starts[2], names.len(), 0, 0),
        ];
        let mut file = [0; 64];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16] = 1;
        file[18] = 62;
        file[20] = 1;
        let at = starts[2] + names.len();
        file[40..48].copy_from_slice(&(at as u64).to_le_bytes());
        file[52] = 64;
        file[58] = 64;
        file[60] = headers.len() as u8;
        file[62] = 3;
        [&file[..], &table, strings, names, &headers.concat()].concat()
    }

    /// An import whose name begins at an offset.
    fn import(name: u32) -> [u8; 24] {
        let mut symbol = [0; 24];
        symbol[..4].copy_from_slice(&name.to_le_bytes());
        symbol[4] = 0x10;
        symbol
    }

    /// Found by looking for what fuzzing small files cannot find: a name that many symbols share
    /// took time, and when reported also memory, as the square of the file's size.
    #[test]
    fn names_that_share_bytes_are_limited() {
        let shared = [b"\0", &vec![b'n'; 1 << 20][..], b"\0"].concat();
        let count = 1 << 20 >> 5;
        let few = object(&shared, &[import(0), import(1), import(2)]);
        assert_eq!(Object::parse(&few, 62).unwrap().imports().count(), 2);
        let equal = vec![import(1); count];
        let ends: Vec<_> = (0..count as u32).map(import).collect();
        for symbols in [equal, ends] {
            let error = Object::parse(&object(&shared, &symbols), 62).unwrap_err();
            assert!(error.to_string().contains("names"), "{error}");
        }
        // However many share a name that is not absurd.
        let short = [b"\0", &vec![b'n'; 1000][..], b"\0"].concat();
        let many = object(&short, &vec![import(1); count]);
        assert_eq!(Object::parse(&many, 62).unwrap().imports().count(), count);
    }
}

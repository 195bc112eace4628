//! Writing the image.

use crate::error::{MOST, told};
use crate::layout::{kind_name, symbol_name};
use crate::x86_64::X86_64;
use crate::{Apply, Arch, Error, Layout, PARTS, Part, Values};
use alloc::vec::Vec;
use modfs_object::{Bind, Object, Place, SectionKind};

/// What an import stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its address.
    pub address: u64,
    /// An address that can be used in its stead by code that reaches only what is near: itself,
    /// or a stub. `None`: there is none.
    pub near: Option<u64>,
}

/// Where a symbol is, once everything has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolValue {
    /// Here.
    At(Import),
    /// It cannot be referred to: an import without a value, or in a section that is not loaded.
    Nowhere,
}

/// The bytes of an image on their way to memory. Kept and used again, it saves allocations.
#[derive(Debug, Default)]
pub struct Staging {
    parts: [Vec<u8>; PARTS],
}

impl Staging {
    /// The bytes of a part: as many as its extent says are filled.
    pub fn part(&self, part: Part) -> &[u8] {
        &self.parts[part as usize]
    }

    /// How many bytes its buffers can hold.
    pub fn capacity(&self) -> usize {
        self.parts.iter().map(Vec::capacity).sum()
    }

    /// The bytes at an address, if all of them are in what is staged for the given bases.
    pub fn at(&self, bases: &[u64; PARTS], address: u64, len: u64) -> Option<&[u8]> {
        Part::ALL.iter().find_map(|part| {
            let start = address.checked_sub(bases[*part as usize])?;
            let end = start.checked_add(len)?;
            self.part(*part)
                .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
        })
    }

    /// The NUL-terminated string at an address, without its NUL.
    pub fn string_at(&self, bases: &[u64; PARTS], address: u64) -> Option<&str> {
        Part::ALL.iter().find_map(|part| {
            let start = usize::try_from(address.checked_sub(bases[*part as usize])?).ok()?;
            let rest = self.part(*part).get(start..)?;
            let end = rest.iter().position(|byte| *byte == 0)?;
            core::str::from_utf8(&rest[..end]).ok()
        })
    }

    fn fill(&mut self, object: &Object<'_>, layout: &Layout) {
        for part in Part::ALL {
            let bytes = &mut self.parts[part as usize];
            bytes.clear();
            // Padding in code traps.
            let pad = if matches!(part, Part::Text | Part::InitText) {
                0xcc
            } else {
                0
            };
            bytes.resize(layout.extent(part).filled as usize, pad);
        }
        for (index, section) in object.sections().iter().enumerate() {
            let Some((part, offset)) = layout.section(index) else {
                continue;
            };
            if section.kind == SectionKind::Bytes {
                let start = offset as usize;
                let target = &mut self.parts[part as usize][start..start + section.data.len()];
                target.copy_from_slice(section.data);
            }
        }
    }
}

/// What code calls the global offset table itself.
pub const GOT: &str = "_GLOBAL_OFFSET_TABLE_";

/// Links an object: fills `staging` with the image's bytes, relocated for `bases`, the address
/// of each part. `import` gives the value of the import at a symbol index, and is asked for them in
/// order; a weak one that it does not know becomes 0, and [`GOT`] what it names.
///
/// # Errors
/// Everything that is wrong, up to 256 errors, see [`Error`]; what is staged then is to be thrown
/// away.
pub fn link(
    object: &Object<'_>,
    layout: &Layout,
    bases: &[u64; PARTS],
    import: impl FnMut(usize) -> Option<Import>,
    staging: &mut Staging,
) -> Result<(), Vec<Error>> {
    match object.machine() {
        X86_64::MACHINE => Linker::new(object, layout, bases, import).run::<X86_64>(staging),
        machine => Err(alloc::vec![Error::Machine(machine)]),
    }
}

struct Linker<'a> {
    object: &'a Object<'a>,
    layout: &'a Layout,
    bases: &'a [u64; PARTS],
    values: Vec<SymbolValue>,
    errors: Vec<Error>,
}

impl<'a> Linker<'a> {
    fn new(
        object: &'a Object<'a>,
        layout: &'a Layout,
        bases: &'a [u64; PARTS],
        mut import: impl FnMut(usize) -> Option<Import>,
    ) -> Linker<'a> {
        let own = |address| {
            SymbolValue::At(Import {
                address,
                near: Some(address),
            })
        };
        let got = bases[Part::Text as usize] + layout.got().1;
        let mut kept = Kept::default();
        let mut values = alloc::vec![SymbolValue::Nowhere; object.symbols().len()];
        // The null symbol: a relocation against it is about the addend alone.
        if let Some(null) = values.first_mut() {
            *null = own(0);
        }
        for (index, symbol) in object.defined() {
            let place = match symbol.place {
                Place::Absolute => {
                    values[index] = own(symbol.value);
                    continue;
                }
                Place::Section(at) if object.sections()[at as usize].discarded => {
                    kept.copy(object, layout, symbol.name)
                }
                _ => layout.symbol(object, index),
            };
            if let Some((part, offset)) = place {
                values[index] = own(bases[part as usize] + offset);
            }
        }
        for (index, symbol) in object.imports() {
            values[index] = if let Some(import) = import(index) {
                SymbolValue::At(import)
            } else if symbol.name == GOT {
                own(got)
            } else if symbol.bind == Bind::Weak {
                own(0)
            } else {
                SymbolValue::Nowhere
            };
        }
        for (index, offset) in layout.extras() {
            values[index] = own(bases[Part::Data as usize] + offset);
        }
        Linker {
            object,
            layout,
            bases,
            values,
            errors: Vec::new(),
        }
    }

    fn run<A: Arch>(mut self, staging: &mut Staging) -> Result<(), Vec<Error>> {
        staging.fill(self.object, self.layout);
        self.fill_got(staging);
        for (index, section) in self.object.sections().iter().enumerate() {
            let Some((part, offset)) = self.layout.section(index) else {
                continue;
            };
            if section.relocations().len() == 0 {
                continue;
            }
            if section.kind == SectionKind::Zeros {
                if self.errors.len() < MOST {
                    self.errors.push(Error::ZerosRelocated(told(section.name)));
                }
                continue;
            }
            let start = offset as usize;
            let bytes = &mut staging.parts[part as usize][start..start + section.data.len()];
            self.relocate::<A>(index, bytes, self.bases[part as usize] + offset);
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }

    fn fill_got(&mut self, staging: &mut Staging) {
        let (entries, offset) = self.layout.got();
        let table = &mut staging.parts[Part::Text as usize][offset as usize..];
        for (symbol, entry) in entries.symbols.iter().zip(table.chunks_exact_mut(8)) {
            // A symbol without a value is reported where it is used.
            if let SymbolValue::At(import) = self.values[*symbol] {
                entry.copy_from_slice(&import.address.to_le_bytes());
            }
        }
    }

    fn relocate<A: Arch>(&mut self, index: usize, bytes: &mut [u8], address: u64) {
        let section = &self.object.sections()[index];
        let symbols = self.object.symbols();
        let (entries, got_offset) = self.layout.got();
        let got = self.bases[Part::Text as usize] + got_offset;
        for relocation in section.relocations() {
            if self.errors.len() >= MOST {
                return;
            }
            let SymbolValue::At(import) = self.values[relocation.symbol] else {
                self.nowhere(relocation.symbol);
                continue;
            };
            // Of a symbol without an entry no relocation asks for it.
            let entry = entries.entry(relocation.symbol).unwrap_or(0);
            let values = Values {
                symbol: import.address,
                near: import.near,
                addend: relocation.addend,
                place: address.wrapping_add(relocation.offset),
                got_entry: got + entry * 8,
                got,
                size: match A::wants_size(relocation.kind) {
                    true => symbols.get(relocation.symbol).map_or(0, |s| s.size),
                    false => 0,
                },
            };
            match A::apply(relocation.kind, bytes, relocation.offset, &values) {
                Ok(()) => {}
                Err(Apply::Bounds) => self.errors.push(Error::Bounds {
                    section: told(section.name),
                    offset: relocation.offset,
                }),
                Err(Apply::Range) => self.errors.push(Error::Range {
                    section: told(section.name),
                    offset: relocation.offset,
                    name: kind_name::<A>(relocation.kind),
                    symbol: symbol_name(self.object, relocation.symbol),
                }),
            }
        }
    }

    fn nowhere(&mut self, index: usize) {
        let symbol = &self.object.symbols()[index];
        let name = symbol_name(self.object, index);
        let error = match symbol.place {
            Place::Section(at) => {
                Error::NotLoaded(name, told(self.object.sections()[at as usize].name))
            }
            _ => Error::Unresolved(name),
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}

/// Where the named symbols of an object are, sorted by name; made when it is first wanted, which
/// hardly ever happens.
#[derive(Default)]
struct Kept<'a>(Option<Vec<(&'a str, Part, u64)>>);

impl<'a> Kept<'a> {
    /// The symbol of the kept copy of a discarded COMDAT section.
    fn copy(&mut self, object: &'a Object<'_>, layout: &Layout, name: &str) -> Option<(Part, u64)> {
        let placed = self.0.get_or_insert_with(|| {
            let symbols = object.symbols().iter().enumerate();
            let mut placed: Vec<_> = symbols
                .filter(|(_, symbol)| !symbol.name.is_empty())
                .filter_map(|(index, symbol)| {
                    let (part, offset) = layout.symbol(object, index)?;
                    Some((symbol.name, part, offset))
                })
                .collect();
            // Stable: the first of a name stays the first.
            placed.sort_by_key(|(name, ..)| *name);
            placed
        });
        let at = placed.partition_point(|(n, ..)| *n < name);
        let (_, part, offset) = placed.get(at).filter(|(n, ..)| *n == name)?;
        Some((*part, *offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Provided};
    use alloc::vec;

    fn put(bytes: &mut [u8], fields: &[(usize, u32)]) {
        for (at, value) in fields {
            bytes[*at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Two COMDAT groups `g` with a section each; the second of them, which is discarded, has
    /// many symbols, of which the first has the name of one that is kept.
    fn copies(count: usize) -> Vec<u8> {
        let strings = b"\0g\0only\0.text\0";
        let symbol = |name: u32, section: u32, value: u32| {
            let mut symbol = vec![0; 24];
            put(
                &mut symbol,
                &[(0, name), (4, 0x20 | section << 16), (8, value)],
            );
            symbol
        };
        let mut symbols = vec![symbol(0, 0, 0), symbol(1, 3, 8), symbol(1, 5, 0)];
        symbols.resize_with(count, || symbol(3, 5, 0));
        let contents: [(u32, Vec<u8>); 7] = [
            (0, Vec::new()),
            (3, strings.to_vec()),
            (2, symbols.concat()),
            (1, vec![0xc3; 16]),
            (17, vec![1, 0, 0, 0, 3, 0, 0, 0]),
            (1, vec![0xc3; 16]),
            (17, vec![1, 0, 0, 0, 5, 0, 0, 0]),
        ];
        let mut file = vec![0; 64];
        let mut headers = Vec::new();
        for (kind, content) in contents {
            let mut header = [0; 64];
            let (link, info, entry) = match kind {
                2 => (1, 1, 24),
                17 => (2, 1, 4),
                _ => (0, 0, 0),
            };
            let flags = if kind == 1 { 6 } else { 0 };
            let (at, len) = (file.len() as u32, content.len() as u32);
            let name = if kind == 1 { 8 } else { 0 };
            put(
                &mut header,
                &[(0, name), (4, kind), (8, flags), (24, at), (32, len)],
            );
            put(&mut header, &[(40, link), (44, info), (48, 4), (56, entry)]);
            headers.push(header);
            file.extend(content);
            file.resize(file.len().next_multiple_of(8), 0);
        }
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let at = file.len() as u32;
        put(
            &mut file,
            &[(16, 1 | 62 << 16), (20, 1), (40, at), (52, 64)],
        );
        put(&mut file, &[(56, 64 << 16), (60, 7 | 1 << 16)]);
        file.extend(headers.concat());
        file
    }

    /// Found by looking for what fuzzing small files cannot find: each symbol of a discarded copy
    /// was looked for among all symbols, so that a megabyte of them took half a minute.
    #[test]
    fn symbols_of_discarded_copies_are_found_fast() {
        let file = copies(300_000);
        let object = Object::parse(&file, 62).unwrap();
        let layout = Layout::new(&object, &[] as &[Provided]).unwrap();
        let bases = [0x1000_0000; PARTS];
        let linker = Linker::new(&object, &layout, &bases, |_| None);
        let kept = Import {
            address: 0x1000_0008,
            near: Some(0x1000_0008),
        };
        assert_eq!(linker.values[1], SymbolValue::At(kept));
        assert_eq!(linker.values[2], SymbolValue::At(kept));
        assert_eq!(linker.values[3], SymbolValue::Nowhere);
    }
}

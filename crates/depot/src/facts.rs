//! What depmod needs to know of module files.

use crate::reader::{Opened, ReadError, Reader};
use hashbrown::{DefaultHashBuilder, HashTable};
use modfs_object::{ModuleFile, ReadRef};
use std::hash::BuildHasher as _;
use std::path::Path;

/// So many times as large as its file may the names of a module's symbols be: linkers let one name
/// be the end of another.
const OVERLAP: usize = 4;

/// Strings, packed: each ended by a NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings(pub(crate) Vec<u8>);

impl Strings {
    pub(crate) fn push(&mut self, string: &[u8]) {
        self.0.extend_from_slice(string);
        self.0.push(0);
    }

    /// The strings in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.0.strip_suffix(&[0]);
        let strings = bytes.map(|bytes| bytes.split(|byte| *byte == 0));
        strings.into_iter().flatten()
    }

    /// Takes out the strings that would be more than a line, or not all of one, in a file of
    /// lines: a module must not be able to write a line of configuration.
    pub(crate) fn take_unprintable(&mut self) -> Vec<Vec<u8>> {
        // One look at all of them, since there are hardly ever any.
        if !self.0.iter().any(|byte| matches!(byte, b'\n' | b'\\')) {
            return Vec::new();
        }
        let odd = |string: &[u8]| string.contains(&b'\n') || string.ends_with(b"\\");
        let (mut kept, mut taken) = (Strings::default(), Vec::new());
        for string in self.iter() {
            match odd(string) {
                true => taken.push(string.to_vec()),
                false => kept.push(string),
            }
        }
        *self = kept;
        taken
    }
}

/// What depmod needs to know of a module file. `S` is what symbols are: their names, or numbers of
/// [`Names`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts<S> {
    pub(crate) exports: S,
    pub(crate) imports: S,
    /// Of each import its checksum, 0 for none.
    pub(crate) import_crcs: Vec<u32>,
    /// Of each import whether it may be missing.
    pub(crate) weak: Vec<bool>,
    pub(crate) aliases: Strings,
    pub(crate) softdeps: Strings,
    pub(crate) weakdeps: Strings,
}

impl Facts<Strings> {
    /// Reads a module file.
    pub(crate) fn read(path: &Path, reader: &mut Reader) -> Result<Facts<Strings>, ReadError> {
        let file = match reader.open(path)? {
            Opened::Whole(bytes) => {
                return Ok(Facts::of(&ModuleFile::parse(bytes)?, bytes.len())?);
            }
            Opened::Pieces(file) => file,
        };
        let len = ReadRef::len(&file).unwrap_or(0) as usize;
        let facts = ModuleFile::parse(&file).and_then(|module| Facts::of(&module, len));
        // Not to take for its end what could not be read.
        file.into_inner().failure()?;
        Ok(facts?)
    }

    /// Of a module file of this length.
    fn of<'a, R: ReadRef<'a>>(
        module: &ModuleFile<'a, R>,
        len: usize,
    ) -> Result<Facts<Strings>, modfs_object::Error> {
        let mut facts = Facts::<Strings>::default();
        // Names may share their bytes, and those of a small file could fill the memory.
        let mut left = len.saturating_mul(OVERLAP);
        let mut take = |name: &[u8]| {
            left = left.checked_sub(name.len() + 1).ok_or({
                modfs_object::Error::Damaged("its symbols' names are together larger than it")
            })?;
            Ok(())
        };
        for name in module.export_names() {
            take(name)?;
            facts.exports.push(name);
        }
        for import in module.imports() {
            take(import.name)?;
            facts.imports.push(import.name);
            facts.import_crcs.push(import.crc.unwrap_or(0));
            facts.weak.push(import.weak);
        }
        for (tag, value) in module.modinfo() {
            match tag {
                b"alias" => facts.aliases.push(value),
                b"softdep" => facts.softdeps.push(value),
                b"weakdep" => facts.weakdeps.push(value),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// The same with numbers for symbols.
    pub(crate) fn intern(self, names: &mut Names) -> Facts<Vec<u32>> {
        let mut number = |list: &Strings| list.iter().map(|name| names.number(name)).collect();
        Facts {
            exports: number(&self.exports),
            imports: number(&self.imports),
            import_crcs: self.import_crcs,
            weak: self.weak,
            aliases: self.aliases,
            softdeps: self.softdeps,
            weakdeps: self.weakdeps,
        }
    }
}

/// The names of symbols, each once: of the half million imports of a tree there are few different.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// All, one after the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// The numbers, by the names; made when it is first asked for.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// The number of a name, which it gets if it has none.
    pub(crate) fn number(&mut self, name: &[u8]) -> u32 {
        if self.table.len() < self.ends.len() {
            self.make_table();
        }
        let Names {
            bytes,
            ends,
            table,
            hasher,
        } = self;
        let hash = |name: &[u8]| hasher.hash_one(name);
        let is_it = |number: &u32| get(bytes, ends, *number) == name;
        if let Some(number) = table.find(hash(name), is_it) {
            return *number;
        }
        let number = ends.len() as u32;
        table.insert_unique(hash(name), number, |number| hash(get(bytes, ends, *number)));
        self.push(name);
        number
    }

    /// Gives the next number to a name that has none.
    pub(crate) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    fn make_table(&mut self) {
        let hash = |number: &u32| self.hasher.hash_one(get(&self.bytes, &self.ends, *number));
        let mut table = HashTable::with_capacity(self.ends.len());
        for number in 0..self.ends.len() as u32 {
            table.insert_unique(hash(&number), number, hash);
        }
        self.table = table;
    }

    /// The name of a number that was given out here.
    pub(crate) fn name(&self, number: u32) -> &[u8] {
        get(&self.bytes, &self.ends, number)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len() as u32).map(|number| self.name(number))
    }
}

fn get<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(bytes: &[u8]) -> Result<Facts<Strings>, ReadError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Facts::read(file.path(), &mut Reader::default())
    }

    /// An object of `count` undefined symbols, whose names begin one byte apart in `names`.
    fn object(names: &[u8], count: usize) -> Vec<u8> {
        let strings = [b"\0", names, b"\0"].concat();
        let strings_at = 64;
        let symbols_at = strings_at + strings.len();
        let table_at = symbols_at + (count + 1) * 24;
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        // ET_REL, EM_X86_64
        file.extend([1, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([0; 16]);
        file.extend((table_at as u64).to_le_bytes());
        file.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
        assert_eq!(file.len(), 64);
        file.extend(&strings);
        for number in 0..=count {
            let name = if number == 0 { 0 } else { number as u32 };
            file.extend(name.to_le_bytes());
            // STB_GLOBAL, SHN_UNDEF
            file.extend([0x10, 0, 0, 0]);
            file.extend([0; 16]);
        }
        let mut section = |kind: u32, at: usize, size: usize, link: u32, each: u64| {
            file.extend([[0; 4], kind.to_le_bytes()].concat());
            file.extend([0; 16]);
            file.extend((at as u64).to_le_bytes());
            file.extend((size as u64).to_le_bytes());
            file.extend([link.to_le_bytes(), [0; 4]].concat());
            file.extend([0; 8]);
            file.extend(each.to_le_bytes());
        };
        section(0, 0, 0, 0, 0);
        // SHT_SYMTAB, SHT_STRTAB
        section(2, symbols_at, (count + 1) * 24, 2, 24);
        section(3, strings_at, strings.len(), 0, 0);
        file
    }

    #[test]
    fn names_that_share_their_bytes_do_not_fill_the_memory() {
        let facts = read(&object(b"abc", 3)).unwrap();
        let names: Vec<_> = facts.imports.iter().collect();
        assert_eq!(names, [&b"abc"[..], b"bc", b"c"]);
        let many = object(&[b'a'; 4000], 4000);
        let error = read(&many).unwrap_err().to_string();
        assert!(error.contains("names are together larger"), "{error}");
        // Read in pieces it is the same, but for what is cut off.
        let whole = object(b"abc", 3_000);
        assert!(whole.len() > 48 << 10);
        let in_one = Facts::of(&ModuleFile::parse(&whole[..]).unwrap(), whole.len());
        assert_eq!(read(&whole).unwrap(), in_one.unwrap());
        for len in [whole.len() - 1, whole.len() / 2 + 4_000] {
            let error = read(&whole[..len]).unwrap_err().to_string();
            assert!(error.contains("truncated or damaged"), "{error}");
        }
        // None is longer than any name may be.
        let facts = read(&object(&[b'a'; 100_000], 100)).unwrap();
        assert_eq!(facts.imports.iter().count(), 0);
    }
}

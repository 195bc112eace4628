//! What depmod needs to know of module files.

use crate::reader::{ReadError, Reader};
use modfs_object::ModuleFile;
use std::collections::HashMap;
use std::path::Path;

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
        Ok(Facts::of(&ModuleFile::parse(reader.read(path)?)?))
    }

    fn of(module: &ModuleFile<'_>) -> Facts<Strings> {
        let mut facts = Facts::<Strings>::default();
        for export in module.exports() {
            facts.exports.push(export.name);
        }
        for import in module.imports() {
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
        facts
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
    numbers: HashMap<Box<[u8]>, u32>,
    list: Vec<Box<[u8]>>,
}

impl Names {
    /// The number of a name, which it gets if it has none.
    pub(crate) fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// The name of a number that was given out here.
    pub(crate) fn name(&self, number: u32) -> &[u8] {
        &self.list[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().map(|name| &**name)
    }
}

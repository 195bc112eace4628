//! Changing fields of an ELF object, to do harm: where they are, by the gABI.

/// Offsets of fields of the ELF header.
pub(crate) const CLASS: usize = 4;
pub(crate) const DATA: usize = 5;
pub(crate) const TYPE: usize = 16;
pub(crate) const MACHINE: usize = 18;
const SECTION_TABLE: usize = 40;
const SECTION_COUNT: usize = 60;
const SECTION_NAMES: usize = 62;

/// Fields of a section header: offset and width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Type,
    Flags,
    Offset,
    Size,
    Info,
    Align,
}

/// Fields of a relocation with addend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rela {
    Offset,
    Kind,
    Symbol,
    Addend,
}

/// The bytes of an object, to be changed.
#[derive(Clone, Debug)]
pub(crate) struct Patched(pub(crate) Vec<u8>);

impl Patched {
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn number(&self, at: usize, width: usize) -> usize {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(&self.0[at..at + width]);
        u64::from_le_bytes(wide) as usize
    }

    fn header(&self, index: usize) -> usize {
        self.number(SECTION_TABLE, 8) + 64 * index
    }

    /// The index of the section of this name.
    pub(crate) fn section(&self, name: &str) -> usize {
        let count = self.number(SECTION_COUNT, 2);
        let names = self.get(self.number(SECTION_NAMES, 2), Field::Offset);
        let wanted = [name.as_bytes(), b"\0"].concat();
        (0..count)
            .find(|index| {
                let at = names + self.number(self.header(*index), 4);
                self.0[at..].starts_with(&wanted)
            })
            .unwrap_or_else(|| panic!("no section {name}"))
    }

    pub(crate) fn get(&self, section: usize, field: Field) -> usize {
        let (at, width) = place(field);
        self.number(self.header(section) + at, width)
    }

    pub(crate) fn set(&mut self, section: &str, field: Field, value: u64) {
        let (at, width) = place(field);
        let at = self.header(self.section(section)) + at;
        self.put(at, &value.to_le_bytes()[..width]);
    }

    /// Changes the first relocation of a section of relocations.
    pub(crate) fn set_rela(&mut self, section: &str, field: Rela, value: u64) {
        let first = self.get(self.section(section), Field::Offset);
        let (at, width) = match field {
            Rela::Offset => (0, 8),
            Rela::Kind => (8, 4),
            Rela::Symbol => (12, 4),
            Rela::Addend => (16, 8),
        };
        self.put(first + at, &value.to_le_bytes()[..width]);
    }

    /// Replaces each occurrence of `from` by `to`, which is as long; there must be some.
    pub(crate) fn replace(&mut self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let mut found = false;
        let mut at = 0;
        while let Some(next) = self.0[at..].windows(from.len()).position(|w| w == from) {
            at += next;
            self.put(at, to);
            at += to.len();
            found = true;
        }
        assert!(found, "{from:?} is not in the object");
    }
}

fn place(field: Field) -> (usize, usize) {
    match field {
        Field::Type => (4, 4),
        Field::Flags => (8, 8),
        Field::Offset => (24, 8),
        Field::Size => (32, 8),
        Field::Info => (44, 4),
        Field::Align => (48, 8),
    }
}

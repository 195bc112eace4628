//! Linking objects to where an arena would put them.

#![allow(dead_code, reason = "not every test file uses all of it")]

use modfs_link::{Error, Import, Layout, PARTS, Part, Provided, Staging, link};
use modfs_object::{EM_X86_64, Object};

#[path = "../../../object/tests/support/mod.rs"]
mod objects;
pub(crate) use objects::*;

/// Where the parts are: below 2 GiB, 64 MiB apart.
pub(crate) const BASES: [u64; PARTS] = [
    0x1000_0000,
    0x1400_0000,
    0x1800_0000,
    0x1c00_0000,
    0x2000_0000,
    0x2400_0000,
];

pub(crate) const THIS_MODULE: Provided = Provided {
    name: "__this_module",
    size: 384,
};

/// Where an import is that is defined nowhere.
pub(crate) fn near(address: u64) -> Option<Import> {
    Some(Import {
        address,
        near: Some(address),
    })
}

/// A linked object.
pub(crate) struct Linked<'a> {
    pub(crate) object: Object<'a>,
    pub(crate) layout: Layout,
    pub(crate) staging: Staging,
}

pub(crate) fn parse(bytes: &[u8]) -> Object<'_> {
    Object::parse(bytes, EM_X86_64).unwrap_or_else(|e| panic!("{e}"))
}

/// What laying out refuses.
pub(crate) fn layout_errors(bytes: &[u8]) -> Vec<Error> {
    match Layout::new(&parse(bytes), &[THIS_MODULE]) {
        Ok(_) => panic!("laid out"),
        Err(errors) => errors,
    }
}

/// Links with values for imports by name.
pub(crate) fn try_link<'a>(
    bytes: &'a [u8],
    import: impl Fn(&str) -> Option<Import>,
) -> Result<Linked<'a>, Vec<Error>> {
    let object = parse(bytes);
    let layout = Layout::new(&object, &[THIS_MODULE])?;
    let mut staging = Staging::default();
    let by_index = |index: usize| import(object.symbols()[index].name);
    link(&object, &layout, &BASES, by_index, &mut staging)?;
    Ok(Linked {
        object,
        layout,
        staging,
    })
}

pub(crate) fn linked<'a>(bytes: &'a [u8], import: impl Fn(&str) -> Option<Import>) -> Linked<'a> {
    try_link(bytes, import).unwrap_or_else(|errors| panic!("{}", told(&errors)))
}

pub(crate) fn link_errors(bytes: &[u8], import: impl Fn(&str) -> Option<Import>) -> Vec<Error> {
    match try_link(bytes, import) {
        Ok(_) => panic!("linked"),
        Err(errors) => errors,
    }
}

/// Errors as a user reads them.
pub(crate) fn told(errors: &[Error]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Linked<'_> {
    pub(crate) fn index(&self, name: &str) -> usize {
        let mut symbols = self.object.symbols().iter();
        symbols
            .position(|s| s.name == name)
            .unwrap_or_else(|| panic!("no symbol {name}"))
    }

    /// The part a symbol is in.
    pub(crate) fn part(&self, name: &str) -> Part {
        let place = self.layout.symbol(&self.object, self.index(name));
        place.unwrap_or_else(|| panic!("{name} has no place")).0
    }

    pub(crate) fn address(&self, name: &str) -> u64 {
        let place = self.layout.symbol(&self.object, self.index(name));
        let (part, offset) = place.unwrap_or_else(|| panic!("{name} has no place"));
        BASES[part as usize] + offset
    }

    pub(crate) fn bytes(&self, address: u64, len: u64) -> &[u8] {
        self.staging
            .at(&BASES, address, len)
            .unwrap_or_else(|| panic!("{address:#x} is not staged"))
    }

    pub(crate) fn word8(&self, address: u64) -> u8 {
        self.bytes(address, 1)[0]
    }

    pub(crate) fn word16(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.bytes(address, 2).try_into().unwrap())
    }

    pub(crate) fn word32(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.bytes(address, 4).try_into().unwrap())
    }

    pub(crate) fn word64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    /// What a 32-bit field relative to its own place points at.
    pub(crate) fn follow(&self, address: u64) -> u64 {
        address.wrapping_add_signed(i64::from(self.word32(address) as i32))
    }
}

//! The sections of DWARF, as the linker would have made them.

use crate::Error;
use gimli::{Dwarf, DwarfSections, EndianSlice, RunTimeEndian, SectionId};
use object::{
    File, Object, ObjectKind, ObjectSection, ObjectSymbol, RelocationKind, RelocationTarget,
};
use std::borrow::Cow;

/// What DWARF is read from.
pub(crate) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The sections of an object.
pub(crate) struct Sections<'a> {
    sections: DwarfSections<Cow<'a, [u8]>>,
    endian: RunTimeEndian,
}

impl Sections<'_> {
    /// Reads them, with all relocations done.
    pub(crate) fn read(file: &[u8]) -> Result<Sections<'_>, Error> {
        let file = File::parse(file)?;
        let endian = match file.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        let count = |id: SectionId| {
            let named = |section: &object::Section<'_, '_>| section.name() == Ok(id.name());
            file.sections().filter(named).count()
        };
        match count(SectionId::DebugInfo) {
            0 => return Err(Error::NoDwarf),
            1 if count(SectionId::DebugTypes) == 0 => {}
            _ => return Err(Error::TypeUnits),
        }
        let sections = DwarfSections::load(|id| section(&file, id))?;
        Ok(Sections { sections, endian })
    }

    pub(crate) fn dwarf(&self) -> Dwarf<Slice<'_>> {
        self.sections
            .borrow(|section| EndianSlice::new(section, self.endian))
    }
}

fn section<'a>(file: &File<'a>, id: SectionId) -> Result<Cow<'a, [u8]>, Error> {
    let Some(section) = file.section_by_name(id.name()) else {
        return Ok(Cow::Borrowed(&[]));
    };
    if section.compressed_data()?.format != object::CompressionFormat::None {
        return Err(Error::Compressed(id.name()));
    }
    let data = section.data()?;
    if file.kind() != ObjectKind::Relocatable {
        return Ok(data.into());
    }
    let mut data = Cow::Borrowed(data);
    for (offset, relocation) in section.relocations() {
        if relocation.kind() != RelocationKind::Absolute {
            continue;
        }
        let symbol = match relocation.target() {
            RelocationTarget::Symbol(index) => file.symbol_by_index(index)?.address(),
            _ => 0,
        };
        let value = symbol.wrapping_add_signed(relocation.addend());
        let value = match file.is_little_endian() {
            true => value.to_le_bytes(),
            false => value.to_be_bytes(),
        };
        let length = usize::from(relocation.size() / 8).min(8);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(place) = start
            .checked_add(length)
            .and_then(|end| data.to_mut().get_mut(start..end))
        else {
            continue;
        };
        match file.is_little_endian() {
            true => place.copy_from_slice(&value[..length]),
            false => place.copy_from_slice(&value[8 - length..]),
        }
    }
    Ok(data)
}

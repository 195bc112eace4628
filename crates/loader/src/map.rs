//! Where everything is.

use modfs_link::{Layout, PARTS, Part};
use modfs_object::{Bind, Object, SectionKind};
use std::fmt;

/// A section in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSection {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Where it is.
    pub address: u64,
    /// A power of two.
    pub align: u64,
}

/// A symbol in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSymbol {
    /// Where it is.
    pub address: u64,
    /// As of nm(1): T code, R constants, D variables, B zeroed ones; small for local ones.
    pub letter: char,
    /// Its name.
    pub name: String,
}

/// A load map. It is shown as 2.4's `insmod -m` shows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// By address.
    pub sections: Vec<MapSection>,
    /// By address.
    pub symbols: Vec<MapSymbol>,
}

impl Map {
    pub(crate) fn of(object: &Object<'_>, layout: &Layout, bases: &[u64; PARTS]) -> Map {
        let mut map = Map::default();
        for (index, section) in object.sections().iter().enumerate() {
            if let Some((part, offset)) = layout.section(index) {
                map.sections.push(MapSection {
                    name: section.name.to_owned(),
                    size: section.size,
                    address: bases[part as usize] + offset,
                    align: section.align,
                });
            }
        }
        for (index, symbol) in object.defined() {
            let Some((part, offset)) = layout.symbol(object, index) else {
                continue;
            };
            let zeroed = matches!(symbol.place, modfs_object::Place::Section(section)
                if object.sections()[section as usize].kind == SectionKind::Zeros);
            let letter = match part {
                Part::Text | Part::InitText => 'T',
                Part::Rodata | Part::InitRodata => 'R',
                Part::Data | Part::InitData if zeroed => 'B',
                Part::Data | Part::InitData => 'D',
            };
            map.symbols.push(MapSymbol {
                address: bases[part as usize] + offset,
                letter: match symbol.bind {
                    Bind::Local => letter.to_ascii_lowercase(),
                    _ => letter,
                },
                name: symbol.name.to_owned(),
            });
        }
        map.symbols.retain(|symbol| !symbol.name.is_empty());
        map.sections.sort_by_key(|section| section.address);
        map.symbols.sort_by_key(|symbol| symbol.address);
        map
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sections:       Size      Address           Align")?;
        for section in &self.sections {
            let (name, size, address) = (&section.name, section.size, section.address);
            let align = section.align.max(1).trailing_zeros();
            writeln!(f, "{name:<15} {size:08x}  {address:016x}  2**{align}")?;
        }
        writeln!(f, "\nSymbols:")?;
        for symbol in &self.symbols {
            let (address, letter, name) = (symbol.address, symbol.letter, &symbol.name);
            writeln!(f, "{address:016x} {letter} {name}")?;
        }
        Ok(())
    }
}

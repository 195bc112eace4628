//! Where each section of an object goes.

use crate::error::{MOST, told};
use crate::{Arch, Error, Need, Staging, x86_64::X86_64};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use modfs_object::{Object, Place, Section, SectionKind, SymbolKind};

/// A part of an image: sections that are mapped alike and live equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Code, and the global offset table, so that a module that needs one need not have constants
    /// for it.
    Text,
    /// Constants, including those that relocation writes.
    Rodata,
    /// Variables.
    Data,
    /// Code that is given back when init has returned.
    InitText,
    /// Constants that are given back when init has returned.
    InitRodata,
    /// Variables that are given back when init has returned.
    InitData,
}

/// How many parts there are.
pub const PARTS: usize = 6;

/// No part may be larger: 1 GiB. Together with the arena's place below 2 GiB this keeps every
/// sum of an address and an offset far from overflow.
const PART_LIMIT: u64 = 1 << 30;
/// What the arena can align to.
const PAGE: u64 = 4096;

impl Part {
    /// All parts, in the order of their numbers.
    pub const ALL: [Part; PARTS] = [
        Part::Text,
        Part::Rodata,
        Part::Data,
        Part::InitText,
        Part::InitRodata,
        Part::InitData,
    ];

    /// What it is called in a message.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Text => "text",
            Part::Rodata => "rodata",
            Part::Data => "data",
            Part::InitText => "init text",
            Part::InitRodata => "init rodata",
            Part::InitData => "init data",
        }
    }

    /// Whether it is given back when init has returned.
    pub const fn is_init(self) -> bool {
        matches!(self, Part::InitText | Part::InitRodata | Part::InitData)
    }

    fn of(section: &Section<'_>, unwinds: bool) -> Option<Part> {
        if !section.alloc || section.discarded {
            return None;
        }
        let name = section.name;
        // Read from the file, or by nobody.
        if is_for_loader(name) || (name == EH_FRAME && !unwinds) {
            return None;
        }
        let init = [".init.text", ".init.data", ".init.rodata"]
            .iter()
            .any(|prefix| is_or_begins(name, prefix));
        // Writable in the file only because relocation writes them.
        let constant = !section.write
            || name.starts_with(".data.rel.ro")
            || name.starts_with(".init_array")
            || name.starts_with(".fini_array")
            || name == "__param";
        Some(match (section.exec, constant, init) {
            (true, _, false) => Part::Text,
            (false, true, false) => Part::Rodata,
            (false, false, false) => Part::Data,
            (true, _, true) => Part::InitText,
            (false, true, true) => Part::InitRodata,
            (false, false, true) => Part::InitData,
        })
    }
}

/// What a module says of itself and of its exports; its own code never looks there.
fn is_for_loader(name: &str) -> bool {
    name == ".modinfo"
        || name.starts_with("__version")
        || name.starts_with("__ksymtab")
        || name.starts_with("__kcrctab")
}

const EH_FRAME: &str = ".eh_frame";
/// A module that refers to this function unwinds its stack when it panics; that of no other does
/// anybody look at.
const PERSONALITY: &str = "rust_eh_personality";
/// What ends a list of frames: a length of 0 (LSB, "The .eh_frame section").
const EH_FRAME_END: u64 = 4;

/// `name` is `prefix`, or `prefix.something` (as -ffunction-sections makes them).
fn is_or_begins(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// How large a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes.
    pub size: u64,
    /// Bytes at the start that are not just zeros.
    pub filled: u64,
    /// A power of two, at most a page.
    pub align: u64,
}

/// A variable that the kernel puts into each module that asks for it by name.
#[derive(Clone, Copy, Debug)]
pub struct Provided {
    /// The symbol.
    pub name: &'static str,
    /// Bytes; zeroed.
    pub size: u64,
}

/// The global offset table: which symbols have an entry.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// By entry.
    pub(crate) symbols: Vec<usize>,
    /// By symbol: one more than its entry, or 0. Empty as long as there is none.
    entries: Vec<u32>,
}

impl Got {
    fn add(&mut self, object: &Object<'_>, symbol: usize) {
        if self.entries.is_empty() {
            self.entries.resize(object.symbols().len(), 0);
            self.symbols.reserve(object.imports().len());
        }
        let entry = &mut self.entries[symbol];
        if *entry == 0 {
            self.symbols.push(symbol);
            *entry = self.symbols.len() as u32;
        }
    }

    /// The symbol's entry.
    #[inline]
    pub(crate) fn entry(&self, symbol: usize) -> Option<u64> {
        let entry = self.entries.get(symbol)?.checked_sub(1)?;
        Some(u64::from(entry))
    }
}

/// Where a symbol was put that is in no section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    pub(crate) symbol: usize,
    pub(crate) offset: u64,
}

/// Where each section of an object goes.
#[derive(Debug)]
pub struct Layout {
    extents: [Extent; PARTS],
    /// By section index.
    places: Vec<Option<(Part, u64)>>,
    /// Common and provided symbols, in `Data`, sorted by symbol.
    extras: Vec<Extra>,
    got: Got,
    /// Offset of the table in `Text`.
    got_offset: u64,
}

impl Layout {
    /// Lays an object out.
    ///
    /// # Errors
    /// What cannot be linked: see [`Error`]; each relocation that modules cannot have is named,
    /// up to 256 of them.
    pub fn new(object: &Object<'_>, provided: &[Provided]) -> Result<Layout, Vec<Error>> {
        let result = match object.machine() {
            X86_64::MACHINE => Layout::build::<X86_64>(object, provided),
            machine => Err(Error::Machine(machine)),
        };
        let (layout, errors) = result.map_err(|error| alloc::vec![error])?;
        if errors.is_empty() {
            Ok(layout)
        } else {
            Err(errors)
        }
    }

    fn build<A: Arch>(
        object: &Object<'_>,
        provided: &[Provided],
    ) -> Result<(Layout, Vec<Error>), Error> {
        let mut builder = Builder::new();
        let mut places = alloc::vec![None; object.sections().len()];
        let (mut unwinds, mut wanted) = (false, Vec::new());
        for (index, symbol) in object.imports() {
            unwinds |= symbol.name == PERSONALITY;
            if symbol.kind == SymbolKind::Ifunc {
                return Err(Error::Ifunc(symbol.name.to_string()));
            }
            if let Some(provided) = provided.iter().find(|p| p.name == symbol.name) {
                wanted.push((index, provided.size, 64));
            }
        }
        // What has bytes before what is zero: then the zeros need not be written.
        for kind in [SectionKind::Bytes, SectionKind::Zeros] {
            for (index, section) in object.sections().iter().enumerate() {
                let Some(part) = Part::of(section, unwinds).filter(|_| section.kind == kind) else {
                    continue;
                };
                if [".ctors", ".dtors", ".preinit_array"]
                    .iter()
                    .any(|old| is_or_begins(section.name, old))
                {
                    return Err(Error::OldConstructors(section.name.to_string()));
                }
                let filled = kind == SectionKind::Bytes;
                let end = if section.name == EH_FRAME {
                    EH_FRAME_END
                } else {
                    0
                };
                let size = section.size.saturating_add(end);
                let offset = builder.add(part, size, section.align, filled, section.name)?;
                places[index] = Some((part, offset));
            }
            if kind == SectionKind::Bytes {
                builder.got_entries::<A>(object, &places);
            }
        }
        let got_bytes = builder.got.symbols.len() as u64 * 8;
        // The table is filled, so it must come before any zeros of `Text`: there are none, a
        // section without bytes is writable or pointless; one that is pointless is filled.
        let got_offset = builder.add(Part::Text, got_bytes, 8, true, "GOT")?;
        for (index, symbol) in object.defined() {
            if symbol.kind == SymbolKind::Ifunc {
                return Err(Error::Ifunc(symbol.name.to_string()));
            }
            if symbol.place == Place::Common {
                wanted.push((index, symbol.size, symbol.value.max(1)));
            }
        }
        wanted.sort_unstable();
        let mut extras = Vec::with_capacity(wanted.len());
        for (index, size, align) in wanted {
            let name = object.symbols()[index].name;
            if !align.is_power_of_two() {
                return Err(Error::Alignment {
                    section: name.to_string(),
                    align,
                });
            }
            let offset = builder.add(Part::Data, size, align, false, name)?;
            extras.push(Extra {
                symbol: index,
                offset,
            });
        }
        let layout = Layout {
            extents: builder.extents,
            places,
            extras,
            got: builder.got,
            got_offset,
        };
        Ok((layout, builder.errors))
    }

    /// How large a part is.
    pub fn extent(&self, part: Part) -> Extent {
        self.extents[part as usize]
    }

    /// Where a section is; `None` when it is not part of the image.
    pub fn section(&self, index: usize) -> Option<(Part, u64)> {
        self.places.get(index).copied().flatten()
    }

    /// Where a symbol is that is defined in the object, or provided: its part and its offset
    /// there. `None`: it is an import, absolute, or in a section that is not loaded.
    pub fn symbol(&self, object: &Object<'_>, index: usize) -> Option<(Part, u64)> {
        let symbol = object.symbols().get(index)?;
        match symbol.place {
            Place::Section(section) => {
                let (part, offset) = self.section(section as usize)?;
                Some((part, offset + symbol.value))
            }
            // Nearly all of them are imports.
            Place::Undefined if self.extras.is_empty() => None,
            Place::Common | Place::Undefined => {
                let at = self
                    .extras
                    .binary_search_by_key(&index, |e| e.symbol)
                    .ok()?;
                Some((Part::Data, self.extras[at].offset))
            }
            Place::Absolute => None,
        }
    }

    /// The symbols that are in no section, common and provided ones: their index, and their
    /// offset in [`Part::Data`].
    pub fn extras(&self) -> impl Iterator<Item = (usize, u64)> {
        self.extras.iter().map(|extra| (extra.symbol, extra.offset))
    }

    /// Where the table of frames is, ended by a zero, of a module that unwinds.
    pub fn frames(&self, object: &Object<'_>) -> Option<(Part, u64)> {
        let index = object
            .sections()
            .iter()
            .position(|section| section.name == EH_FRAME)?;
        self.section(index)
    }

    pub(crate) fn got(&self) -> (&Got, u64) {
        (&self.got, self.got_offset)
    }

    /// The constructors of a linked module, or with `fini` its destructors, in the order of
    /// [`Layout::constructors`].
    pub fn functions(
        &self,
        object: &Object<'_>,
        bases: &[u64; PARTS],
        staging: &Staging,
        fini: bool,
    ) -> Vec<u64> {
        let mut list = Vec::new();
        for (part, offset, len) in self.constructors(object, fini) {
            let bytes = staging
                .at(bases, bases[part as usize] + offset, len)
                .unwrap_or(&[]);
            for word in bytes.chunks_exact(8) {
                let word = u64::from_le_bytes(word.try_into().unwrap_or([0; 8]));
                // 0 and -1 were end marks once.
                if word != 0 && word != u64::MAX {
                    list.push(word);
                }
            }
        }
        list
    }

    /// The arrays of pointers to constructors, or with `fini` to destructors, in the order they
    /// are to be run: their part, offset and length in bytes. Of each array the pointers are
    /// run first to last; destructors in the exact reverse of all this (gABI, "Initialization
    /// and Termination Functions").
    pub fn constructors(&self, object: &Object<'_>, fini: bool) -> Vec<(Part, u64, u64)> {
        let name = if fini { ".fini_array" } else { ".init_array" };
        let mut arrays: Vec<(u32, Part, u64, u64)> = Vec::new();
        for (index, section) in object.sections().iter().enumerate() {
            let Some((part, offset)) = self.section(index) else {
                continue;
            };
            if !is_or_begins(section.name, name) {
                continue;
            }
            let priority = section.name[name.len()..].trim_start_matches('.');
            let priority = priority.parse().unwrap_or(u32::MAX);
            arrays.push((priority, part, offset, section.size));
        }
        arrays.sort_by_key(|(priority, ..)| *priority);
        arrays
            .into_iter()
            .map(|(_, part, offset, len)| (part, offset, len))
            .collect()
    }
}

struct Builder {
    extents: [Extent; PARTS],
    got: Got,
    errors: Vec<Error>,
}

impl Builder {
    fn new() -> Builder {
        const EMPTY: Extent = Extent {
            size: 0,
            filled: 0,
            align: 1,
        };
        Builder {
            extents: [EMPTY; PARTS],
            got: Got::default(),
            errors: Vec::new(),
        }
    }

    fn add(
        &mut self,
        part: Part,
        size: u64,
        align: u64,
        filled: bool,
        name: &str,
    ) -> Result<u64, Error> {
        if align > PAGE {
            return Err(Error::Alignment {
                section: name.to_string(),
                align,
            });
        }
        let extent = &mut self.extents[part as usize];
        let offset = extent.size.next_multiple_of(align);
        let end = offset.checked_add(size).filter(|end| *end <= PART_LIMIT);
        let Some(end) = end else {
            return Err(Error::TooBig {
                part: part.name(),
                limit: PART_LIMIT,
            });
        };
        extent.size = end;
        extent.align = extent.align.max(align);
        if filled {
            extent.filled = end;
        }
        Ok(offset)
    }

    /// Finds which symbols need an entry of the global offset table, and every relocation that
    /// modules cannot have.
    fn got_entries<A: Arch>(&mut self, object: &Object<'_>, places: &[Option<(Part, u64)>]) {
        let mut refused = BTreeSet::new();
        for (section, place) in object.sections().iter().zip(places) {
            if place.is_none() {
                continue;
            }
            for relocation in section.relocations() {
                match A::need(relocation.kind) {
                    Ok(Need::Address | Need::GotBase) => {}
                    Ok(Need::Got) => self.got.add(object, relocation.symbol),
                    Err(advice) => {
                        if self.errors.len() < MOST
                            && refused.insert((relocation.kind, relocation.symbol))
                        {
                            self.errors.push(Error::Unsupported {
                                section: told(section.name),
                                name: kind_name::<A>(relocation.kind),
                                symbol: symbol_name(object, relocation.symbol),
                                advice,
                            });
                        }
                    }
                }
            }
        }
        let by_kind = |e: &Error| match e {
            Error::Unsupported { name, symbol, .. } => (name.clone(), symbol.clone()),
            _ => Default::default(),
        };
        self.errors.sort_by_key(by_kind);
        self.errors.dedup_by_key(|e| by_kind(e));
    }
}

pub(crate) fn kind_name<A: Arch>(kind: u32) -> String {
    A::name(kind).map_or_else(|| format!("number {kind}"), ToString::to_string)
}

/// A symbol as a message calls it: by its name, or by its section's.
pub(crate) fn symbol_name(object: &Object<'_>, index: usize) -> String {
    let Some(symbol) = object.symbols().get(index) else {
        return format!("symbol {index}");
    };
    match symbol.place {
        _ if !symbol.name.is_empty() => told(symbol.name),
        Place::Section(at) => told(object.sections()[at as usize].name),
        _ => format!("symbol {index}"),
    }
}

//! Declarations from DWARF (DWARF 5, sections 3.3, 4.1 and 5).

// As the standard calls its constants.
#![allow(non_upper_case_globals)]

use crate::dwarf::{Sections, Slice};
use crate::naming::{Named, Word, base, is_usual, pointer, quoted, tidy, told};
use crate::{Error, Symtypes};
use gimli::constants::*;
use gimli::{AttributeValue, DebuggingInformationEntry, DwAt, DwTag, Dwarf, Unit, UnitOffset};
use std::collections::HashMap;
use std::rc::Rc;

/// Deeper, in pointers to pointers and structures without names, is no program's.
pub(crate) const DEEPEST: usize = 200;
/// So many words of one type are no program's either.
const MOST: usize = 1 << 20;

pub(crate) type Die<'a> = DebuggingInformationEntry<Slice<'a>>;

/// Where something is declared: its unit, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) unit: usize,
    pub(crate) offset: UnitOffset,
}

impl At {
    pub(crate) fn of(unit: usize, die: &Die<'_>) -> At {
        At {
            unit,
            offset: die.offset(),
        }
    }
}

/// The declarations of symbols, as an object's DWARF has them, with all types that they reach. What the object has
/// no declaration of is left out.
///
/// # Errors
/// [`Error`].
pub fn read<'n>(
    file: &[u8],
    symbols: impl IntoIterator<Item = &'n str>,
) -> Result<Symtypes, Error> {
    let sections = Sections::read(file)?;
    let dwarf = sections.dwarf();
    let mut units = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        units.push(dwarf.unit(header)?);
    }
    let mut reader = Reader {
        dwarf: &dwarf,
        units: &units,
        named: Vec::new(),
        places: Vec::new(),
        known: HashMap::new(),
        scopes: HashMap::new(),
        has_types: vec![false; units.len()],
    };
    let found = reader.find(symbols)?;
    let mut declared = Vec::new();
    for (name, at) in found {
        let mut words = Vec::new();
        reader.symbol(at, &mut words)?;
        declared.push((name, words));
    }
    // Types reach further types.
    let mut next = 0;
    while next < reader.named.len() {
        reader.define(next)?;
        next += 1;
    }
    told(&reader.named, declared)
}

pub(crate) struct Reader<'u, 'a> {
    dwarf: &'u Dwarf<Slice<'a>>,
    pub(crate) units: &'u [Unit<Slice<'a>>],
    named: Vec<Named>,
    /// Where each of those is.
    places: Vec<At>,
    known: HashMap<At, usize>,
    /// What is around a type, with `::` behind it, where something is.
    pub(crate) scopes: HashMap<At, Rc<str>>,
    /// Whether each unit tells of types at all.
    pub(crate) has_types: Vec<bool>,
}

impl<'a> Reader<'_, 'a> {
    pub(crate) fn die(&self, at: At) -> Result<Die<'a>, Error> {
        Ok(self.units[at.unit].entry(at.offset)?)
    }

    pub(crate) fn children(&self, at: At) -> Result<Vec<Die<'a>>, Error> {
        let mut found = Vec::new();
        let mut tree = self.units[at.unit].entries_tree(Some(at.offset))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            found.push(child.entry().clone());
        }
        Ok(found)
    }

    /// What an attribute refers to.
    fn target(&self, unit: usize, value: AttributeValue<Slice<'a>>) -> Result<Option<At>, Error> {
        match value {
            AttributeValue::UnitRef(offset) => Ok(Some(At { unit, offset })),
            AttributeValue::DebugInfoRef(offset) => {
                let held = self.units.iter().enumerate().find_map(|(unit, held)| {
                    let offset = offset.to_unit_offset(&held.header)?;
                    Some(At { unit, offset })
                });
                Ok(held)
            }
            AttributeValue::DebugTypesRef(_) => Err(Error::TypeUnits),
            _ => Ok(None),
        }
    }

    /// An attribute, of the entry itself or of what it completes; and whose it is.
    pub(crate) fn inherited(
        &self,
        at: At,
        die: &Die<'a>,
        attribute: DwAt,
    ) -> Result<Option<(At, AttributeValue<Slice<'a>>)>, Error> {
        let mut at = at;
        let mut die = die.clone();
        // An entry that completes itself has no end.
        for _ in 0..8 {
            if let Some(value) = die.attr_value(attribute) {
                return Ok(Some((at, value)));
            }
            let Some(before) = self.completed(at, &die)? else {
                break;
            };
            at = before;
            die = self.die(at)?;
        }
        Ok(None)
    }

    /// What an entry completes.
    fn completed(&self, at: At, die: &Die<'a>) -> Result<Option<At>, Error> {
        for attribute in [DW_AT_abstract_origin, DW_AT_specification] {
            if let Some(value) = die.attr_value(attribute) {
                return self.target(at.unit, value);
            }
        }
        Ok(None)
    }

    pub(crate) fn string(
        &self,
        unit: usize,
        value: AttributeValue<Slice<'a>>,
    ) -> Result<String, Error> {
        let bytes = self.dwarf.attr_string(&self.units[unit], value)?;
        Ok(String::from_utf8_lossy(bytes.slice()).into_owned())
    }

    pub(crate) fn name(&self, at: At, die: &Die<'a>) -> Result<Option<String>, Error> {
        match self.inherited(at, die, DW_AT_name)? {
            Some((of, value)) => Ok(Some(self.string(of.unit, value)?)),
            None => Ok(None),
        }
    }

    /// The type that an entry has; `None`: `void`.
    pub(crate) fn type_at(&self, at: At, die: &Die<'a>) -> Result<Option<At>, Error> {
        match self.inherited(at, die, DW_AT_type)? {
            Some((of, value)) => self.target(of.unit, value),
            None => Ok(None),
        }
    }

    /// The declaration of a function or variable.
    fn symbol(&mut self, at: At, words: &mut Vec<Word>) -> Result<(), Error> {
        let die = self.die(at)?;
        if die.tag() == DW_TAG_subprogram {
            return self.function(at, &die, words, 0);
        }
        let of = self.type_at(at, &die)?;
        self.type_of(of, words, 0)
    }

    /// What a function returns, and its parameters.
    fn function(
        &mut self,
        at: At,
        die: &Die<'a>,
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        let returned = self.type_at(at, die)?;
        self.type_of(returned, words, depth)?;
        text(words, "(");
        let (own, mut at, mut children) = (at, at, self.children(at)?);
        // Parameters may be only there where a function is declared that is completed here.
        let mut before = self.completed(at, die)?;
        for _ in 0..8 {
            let Some(declared) = before else { break };
            if children.iter().any(is_parameter) {
                break;
            }
            children = self.children(declared)?;
            at = declared;
            before = self.completed(declared, &self.die(declared)?)?;
        }
        self.convention(own, die, children.iter().any(is_parameter), words)?;
        let mut first = true;
        for child in children.iter().filter(|child| is_parameter(child)) {
            if !first {
                text(words, ",");
            }
            first = false;
            if child.tag() == DW_TAG_unspecified_parameters {
                text(words, "...");
                continue;
            }
            let own = At::of(at.unit, child);
            let of = self.type_at(own, child)?;
            // `const int` is an `int` to who calls.
            let (of, _) = self.unqualified(of)?;
            self.type_of(of, words, depth)?;
        }
        if first {
            text(words, "void");
        }
        text(words, ")");
        Ok(())
    }

    /// How a function is called, where that is not as usual.
    fn convention(
        &self,
        at: At,
        die: &Die<'a>,
        has_parameters: bool,
        words: &mut Vec<Word>,
    ) -> Result<(), Error> {
        // Of a function that is inlined elsewhere too what it completes says so.
        let convention = self.inherited(at, die, DW_AT_calling_convention)?;
        if let Some((_, AttributeValue::CallingConvention(convention))) = convention
            && convention != DW_CC_normal
        {
            text(words, &format!("convention:{}", convention.0));
        }
        let is_prototyped = self.inherited(at, die, DW_AT_prototyped)?.is_some();
        // Arguments of such a one are promoted (C11, 6.5.2.2).
        let is_c = || {
            let root = self.units[at.unit].header.root_offset();
            let root = self.units[at.unit].entry(root).ok();
            let language = root.and_then(|root| root.attr_value(DW_AT_language));
            matches!(
                language,
                Some(AttributeValue::Language(
                    DW_LANG_C | DW_LANG_C89 | DW_LANG_C99 | DW_LANG_C11 | DW_LANG_C17
                ))
            )
        };
        if has_parameters && !is_prototyped && is_c() {
            text(words, "unprototyped");
        }
        Ok(())
    }

    /// A type without its qualifiers, and those.
    fn unqualified(&self, of: Option<At>) -> Result<(Option<At>, Vec<&'static str>), Error> {
        let (mut of, mut qualifiers) = (of, Vec::new());
        while let Some(at) = of {
            let die = self.die(at)?;
            let qualifier = match die.tag() {
                DW_TAG_const_type => "const",
                DW_TAG_volatile_type => "volatile",
                DW_TAG_restrict_type => "restrict",
                DW_TAG_atomic_type => "_Atomic",
                _ => break,
            };
            qualifiers.push(qualifier);
            if qualifiers.len() > DEEPEST {
                return Err(Error::Endless(qualifier.to_owned()));
            }
            of = self.type_at(at, &die)?;
        }
        Ok((of, qualifiers))
    }

    fn type_of(
        &mut self,
        of: Option<At>,
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        self.qualified(of, &[], words, depth)
    }

    /// A type with further qualifiers.
    fn qualified(
        &mut self,
        of: Option<At>,
        further: &[&'static str],
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > DEEPEST || words.len() > MOST {
            return Err(Error::Endless(told_type(words)));
        }
        let (of, mut qualifiers) = self.unqualified(of)?;
        qualifiers.extend(further);
        qualifiers.sort_unstable();
        qualifiers.dedup();
        let Some(at) = of else {
            qualifiers.iter().for_each(|word| text(words, word));
            text(words, "void");
            return Ok(());
        };
        let die = self.die(at)?;
        let is_pointer = matches!(
            die.tag(),
            DW_TAG_pointer_type
                | DW_TAG_reference_type
                | DW_TAG_rvalue_reference_type
                | DW_TAG_ptr_to_member_type
        );
        if !is_pointer && die.tag() != DW_TAG_array_type {
            qualifiers.iter().for_each(|word| text(words, word));
        }
        match die.tag() {
            _ if is_pointer => {
                let to = self.type_at(at, &die)?;
                let name = self.name(at, &die)?.unwrap_or_default();
                // Rust says there how a function is called.
                let before = name.split_once("fn(").map_or("", |(before, _)| before);
                for word in before.split_ascii_whitespace() {
                    text(words, &tidy(word));
                }
                self.type_of(to, words, depth + 1)?;
                if let Some(class) = number(&die, DW_AT_address_class).filter(|class| *class != 0) {
                    text(words, &format!("class:{class}"));
                }
                if let Some(value) = die.attr_value(DW_AT_containing_type) {
                    let of = self.target(at.unit, value)?;
                    self.type_of(of, words, depth + 1)?;
                }
                let kind = match die.tag() {
                    DW_TAG_reference_type => "&",
                    DW_TAG_rvalue_reference_type => "&&",
                    DW_TAG_ptr_to_member_type => "::*",
                    _ => pointer(&name),
                };
                text(words, kind);
                qualifiers.iter().for_each(|word| text(words, word));
            }
            DW_TAG_subroutine_type => self.function(at, &die, words, depth + 1)?,
            DW_TAG_array_type => {
                // An array is as constant as what is in it (C11, 6.7.3).
                let of = self.type_at(at, &die)?;
                self.qualified(of, &qualifiers, words, depth + 1)?;
                if is_flag(&die, DW_AT_GNU_vector) {
                    text(words, "vector");
                }
                for child in self.children(at)? {
                    if matches!(child.tag(), DW_TAG_subrange_type | DW_TAG_generic_subrange) {
                        words.push(Word::Text(bound(&child)));
                    }
                }
                aligned(&die, words);
            }
            DW_TAG_base_type | DW_TAG_unspecified_type => {
                let name = base(&self.name(at, &die)?.unwrap_or_default());
                let value = |attribute| number(&die, attribute).unwrap_or(0);
                let (size, encoding) = (value(DW_AT_byte_size), value(DW_AT_encoding));
                let odd = [DW_AT_bit_size, DW_AT_data_bit_offset, DW_AT_endianity].map(value);
                let mut name = name;
                if die.tag() == DW_TAG_base_type
                    && (odd != [0; 3] || !is_usual(&name, size, encoding))
                {
                    name = format!("{name}:{size}.{encoding}");
                    for part in odd.iter().filter(|_| odd != [0; 3]) {
                        name += &format!(".{part}");
                    }
                }
                // Each by itself: a blank is what is between words.
                let parts = name.split(' ').filter(|word| !word.is_empty());
                parts.for_each(|word| text(words, &tidy(word)));
                if name.trim().is_empty() {
                    text(words, "?");
                }
            }
            _ => match self.named(at, &die)? {
                Some(named) => words.push(Word::Type(named)),
                None => self.body(at, &die, None, words, depth + 1)?,
            },
        }
        Ok(())
    }

    /// The number of a type that has a name; `None`: it has none.
    fn named(&mut self, at: At, die: &Die<'a>) -> Result<Option<usize>, Error> {
        let prefix = match die.tag() {
            DW_TAG_structure_type | DW_TAG_class_type => 's',
            DW_TAG_union_type => 'u',
            DW_TAG_enumeration_type => 'e',
            DW_TAG_typedef => 't',
            _ => return Ok(None),
        };
        if let Some(known) = self.known.get(&at) {
            return Ok(Some(*known));
        }
        let Some(mut name) = self.name(at, die)? else {
            return Ok(None);
        };
        if let Some(scope) = self.scopes.get(&at) {
            name.insert_str(0, scope);
        }
        let number = self.named.len();
        self.known.insert(at, number);
        self.places.push(at);
        self.named.push(Named {
            key: format!("{prefix}#{}", quoted(&name)),
            words: Vec::new(),
        });
        Ok(Some(number))
    }

    /// Finds out what a type is that has a name.
    fn define(&mut self, number: usize) -> Result<(), Error> {
        let at = self.places[number];
        let die = self.die(at)?;
        let name = self.named[number].key[2..].to_owned();
        let mut words = Vec::new();
        self.body(at, &die, Some(&name), &mut words, 0)?;
        self.named[number].words = words;
        Ok(())
    }

    /// What a structure, union, enumeration or typedef is.
    fn body(
        &mut self,
        at: At,
        die: &Die<'a>,
        name: Option<&str>,
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > DEEPEST || words.len() > MOST {
            return Err(Error::Endless(told_type(words)));
        }
        let kind = match die.tag() {
            DW_TAG_structure_type | DW_TAG_class_type => "struct",
            DW_TAG_union_type => "union",
            DW_TAG_enumeration_type => "enum",
            DW_TAG_typedef => "typedef",
            // Of another language than ours are.
            tag => return other(tag, words),
        };
        text(words, kind);
        if let Some(name) = name {
            text(words, name);
        }
        if kind == "typedef" {
            let of = self.type_at(at, die)?;
            self.type_of(of, words, depth + 1)?;
            aligned(die, words);
            return Ok(());
        }
        if is_flag(die, DW_AT_enum_class) {
            text(words, "class");
        }
        if die.attr_value(DW_AT_type).is_some() {
            let of = self.type_at(at, die)?;
            text(words, ":");
            self.type_of(of, words, depth + 1)?;
        }
        if is_flag(die, DW_AT_declaration) {
            ["{", "?", "}"].iter().for_each(|word| text(words, word));
            return Ok(());
        }
        text(words, "{");
        if kind == "enum" {
            self.constants(at, words)?;
        } else {
            for child in self.children(at)? {
                self.part(at.unit, &child, words, depth)?;
            }
        }
        text(words, "}");
        if let Some(size) = number(die, DW_AT_byte_size) {
            text(words, "size");
            text(words, &size.to_string());
        }
        aligned(die, words);
        Ok(())
    }

    fn constants(&mut self, at: At, words: &mut Vec<Word>) -> Result<(), Error> {
        for child in self.children(at)? {
            if child.tag() != DW_TAG_enumerator {
                continue;
            }
            let own = At::of(at.unit, &child);
            text(words, &quoted(&self.name(own, &child)?.unwrap_or_default()));
            text(words, "=");
            let value = value(&child, DW_AT_const_value);
            text(words, value.as_deref().unwrap_or("?"));
            text(words, ",");
        }
        Ok(())
    }

    /// A member, or what else a structure has.
    fn part(
        &mut self,
        unit: usize,
        die: &Die<'a>,
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        let at = At::of(unit, die);
        match die.tag() {
            // One of a class is a variable.
            DW_TAG_member if is_flag(die, DW_AT_external) => {}
            // Where it is in a table, and so which one is called.
            DW_TAG_subprogram if number(die, DW_AT_virtuality).is_some_and(|kind| kind != 0) => {
                text(words, "virtual");
                text(words, &quoted(&self.name(at, die)?.unwrap_or_default()));
                self.function(at, die, words, depth + 1)?;
                text(words, ";");
            }
            DW_TAG_member | DW_TAG_inheritance => {
                if number(die, DW_AT_virtuality).is_some_and(|kind| kind != 0) {
                    text(words, "virtual");
                }
                self.member(at, die, words, depth)?;
                text(words, ";");
            }
            DW_TAG_variant_part => {
                text(words, "switch");
                if let Some(value) = die.attr_value(DW_AT_discr)
                    && let Some(on) = self.target(unit, value)?
                {
                    let die = self.die(on)?;
                    self.member(on, &die, words, depth)?;
                }
                text(words, "{");
                for variant in self.children(at)? {
                    if variant.tag() != DW_TAG_variant {
                        continue;
                    }
                    let several = || value(&variant, DW_AT_discr_list);
                    match value(&variant, DW_AT_discr_value).or_else(several) {
                        Some(value) => {
                            text(words, "case");
                            text(words, &value);
                        }
                        None => text(words, "default"),
                    }
                    text(words, ":");
                    let own = At::of(unit, &variant);
                    for child in self.children(own)? {
                        self.nested(unit, &child, words, depth)?;
                    }
                }
                text(words, "}");
                text(words, ";");
            }
            _ => {}
        }
        Ok(())
    }

    /// A part of a part.
    fn nested(
        &mut self,
        unit: usize,
        die: &Die<'a>,
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > DEEPEST || words.len() > MOST {
            return Err(Error::Endless(told_type(words)));
        }
        self.part(unit, die, words, depth + 1)
    }

    /// Type, name and place of a member.
    fn member(
        &mut self,
        at: At,
        die: &Die<'a>,
        words: &mut Vec<Word>,
        depth: usize,
    ) -> Result<(), Error> {
        let of = self.type_at(at, die)?;
        self.type_of(of, words, depth + 1)?;
        if let Some(name) = self.name(at, die)? {
            text(words, &quoted(&name));
        }
        let mut place = self.place(die, of)?;
        if let Some(align) = number(die, DW_AT_alignment) {
            place += &format!("/{align}");
        }
        text(words, &place);
        Ok(())
    }

    /// Where a member is: `@BYTE`, or of a bit-field `@BYTE.BIT:BITS`; behind it `/ALIGN` if it asks for that.
    fn place(&self, die: &Die<'a>, of: Option<At>) -> Result<String, Error> {
        let byte = number(die, DW_AT_data_member_location);
        let Some(bits) = number(die, DW_AT_bit_size) else {
            let computed = die.attr_value(DW_AT_data_member_location).is_some();
            return Ok(match byte {
                Some(byte) => format!("@{byte}"),
                None if computed => "@?".to_owned(),
                None => "@0".to_owned(),
            });
        };
        let start = match (
            number(die, DW_AT_data_bit_offset),
            number(die, DW_AT_bit_offset),
        ) {
            (Some(bit), _) => bit,
            // Before DWARF 4 it was counted from the high end of what it is stored in.
            (None, Some(from_high)) => {
                let mut size = number(die, DW_AT_byte_size);
                if let (None, (Some(of), _)) = (size, self.unqualified(of)?) {
                    size = number(&self.die(of)?, DW_AT_byte_size);
                }
                byte.unwrap_or(0) * 8 + size.unwrap_or(0) * 8 - from_high - bits
            }
            (None, None) => byte.unwrap_or(0) * 8,
        };
        Ok(format!(
            "@{}.{}:{bits}",
            start.div_euclid(8),
            start.rem_euclid(8)
        ))
    }
}

fn text(words: &mut Vec<Word>, word: &str) {
    words.push(Word::Text(word.to_owned()));
}

/// What a type or member asks for by itself.
fn aligned(die: &Die<'_>, words: &mut Vec<Word>) {
    if let Some(align) = number(die, DW_AT_alignment) {
        text(words, "align");
        text(words, &align.to_string());
    }
}

/// A type that C, C++ and Rust do not have.
fn other(tag: DwTag, words: &mut Vec<Word>) -> Result<(), Error> {
    text(words, tag.static_string().unwrap_or("DW_TAG_?"));
    Ok(())
}

/// The first words, for a message.
fn told_type(words: &[Word]) -> String {
    let texts = words.iter().filter_map(|word| match word {
        Word::Text(text) => Some(text.as_str()),
        Word::Type(_) => None,
    });
    texts.take(4).collect::<Vec<_>>().join(" ")
}

pub(crate) fn is_parameter(die: &Die<'_>) -> bool {
    matches!(
        die.tag(),
        DW_TAG_formal_parameter | DW_TAG_unspecified_parameters
    )
}

pub(crate) fn is_flag(die: &Die<'_>, attribute: DwAt) -> bool {
    matches!(die.attr_value(attribute), Some(AttributeValue::Flag(true)))
}

/// A number, signed when its form is.
fn number(die: &Die<'_>, attribute: DwAt) -> Option<i128> {
    // As it is written: what it means, a size or a place, cannot be negative.
    match die.attr(attribute)?.raw_value() {
        AttributeValue::Data1(value) => Some(value.into()),
        AttributeValue::Data2(value) => Some(value.into()),
        AttributeValue::Data4(value) => Some(value.into()),
        AttributeValue::Data8(value) => Some(value.into()),
        AttributeValue::Udata(value) => Some(value.into()),
        AttributeValue::Sdata(value) => Some(value.into()),
        AttributeValue::Data16(value) => i128::try_from(value).ok(),
        _ => die.attr(attribute)?.udata_value().map(i128::from),
    }
}

/// A value as text; of what is no number its bytes.
fn value(die: &Die<'_>, attribute: DwAt) -> Option<String> {
    let raw = die.attr(attribute)?.raw_value();
    Some(match (number(die, attribute), raw) {
        (Some(number), _) => number.to_string(),
        (None, AttributeValue::Data16(number)) => number.to_string(),
        (None, AttributeValue::Block(bytes)) => {
            let bytes = bytes.slice().iter().take(64);
            let digits: String = bytes.map(|byte| format!("{byte:02x}")).collect();
            format!("0x{digits}")
        }
        (None, _) => "?".to_owned(),
    })
}

/// `[N]`, or `[]` where nobody says how many.
fn bound(die: &Die<'_>) -> String {
    let last = number(die, DW_AT_upper_bound).and_then(|last| last.checked_add(1));
    match number(die, DW_AT_count).or(last) {
        // Of gcc an array of none has no bound.
        None | Some(0) => "[]".to_owned(),
        Some(count) => format!("[{count}]"),
    }
}

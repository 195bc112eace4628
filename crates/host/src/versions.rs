//! Why a module's versions are not this kernel's.

use crate::host::Shared;
use crate::image::told;
use modfs_core::{Id, Owner};
use modfs_object::Object;
use modfs_symvers::{Carried, SECTION, Symtypes, difference};
use std::collections::HashMap;

/// More text of types is no module's; it would only take time.
const LARGEST: usize = 1 << 20;
/// So many differences are explained.
const EXPLAINED: usize = 16;
/// Bytes of such an explanation.
const LONGEST: usize = 512;

/// A symbol that an object was built against another form of.
pub(crate) struct Differing<'a> {
    pub(crate) symbol: &'a str,
    /// The checksum that it was built against.
    pub(crate) built: u32,
    /// The one that there is, and whose it is.
    pub(crate) there: u32,
    pub(crate) owner: Owner,
    pub(crate) owner_name: String,
}

/// The section of types, if it has one that can be.
fn section<'a>(object: &Object<'a>) -> &'a str {
    let section = object.section_named(SECTION).map(|section| section.data);
    let section = section.filter(|data| data.len() <= LARGEST);
    str::from_utf8(section.unwrap_or_default()).unwrap_or_default()
}

/// The types of what an object exports, as it carries them: to be kept as long as it is loaded.
pub(crate) fn exported(object: &Object<'_>) -> Box<[u8]> {
    let all = section(object);
    let mut own = 0;
    for line in all.split_inclusive('\n') {
        // From here on of what it imports.
        if line.starts_with('[') {
            break;
        }
        own += line.len();
    }
    all.as_bytes()[..own].into()
}

/// A line for each: both checksums, and, where the types are known, where they part. Takes the lock of the modules
/// for a moment only.
pub(crate) fn explained(
    host: &Shared,
    object: &Object<'_>,
    differing: &[Differing<'_>],
) -> Vec<String> {
    let carried = Carried::parse(section(object)).unwrap_or_default();
    let mut exporters: HashMap<Id, Symtypes> = HashMap::new();
    let mut how = |differing: &Differing<'_>| {
        let symbol = differing.symbol;
        let mut imports = carried.imports.values();
        let before = imports.find(|types| types.has(symbol))?;
        let found = match differing.owner {
            Owner::Kernel => {
                let types = host.types();
                let after = types.iter().rev().find(|types| types.has(symbol))?;
                difference(before, after, symbol)
            }
            Owner::Module(id) => {
                let after = exporters.entry(id).or_insert_with(|| types_of(host, id));
                difference(before, after, symbol)
            }
        };
        let mut text = found?.to_string();
        if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        Some(format!(": {text}"))
    };
    let line = |(number, differing): (usize, &Differing<'_>)| {
        let how = (number < EXPLAINED).then(|| how(differing)).flatten();
        format!(
            "disagrees about the version of {}: built against {:#010x}, {} exports {:#010x}{}",
            told(differing.symbol),
            differing.built,
            differing.owner_name,
            differing.there,
            how.unwrap_or_default()
        )
    };
    differing.iter().enumerate().map(line).collect()
}

/// The types of what a module exports; none when it is gone, or says none.
fn types_of(host: &Shared, id: Id) -> Symtypes {
    let text = {
        let modules = host.modules();
        let loaded = modules.get(id).and_then(|module| module.payload());
        loaded.map(|loaded| loaded.types.clone())
    };
    let text = text.unwrap_or_default();
    let text = str::from_utf8(&text).unwrap_or_default();
    Symtypes::parse(text).unwrap_or_default()
}

//! Why a module's versions are not this kernel's.

use crate::host::Shared;
use modfs_core::{Modules, Owner};
use modfs_object::Object;
use modfs_symvers::{Carried, SECTION, Symtypes, difference};

/// A text of types as a file has it.
fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

/// The types of what an object exports, as it carries them: to be kept as long as it is loaded.
pub(crate) fn exported(object: &Object<'_>) -> Box<[u8]> {
    let section = object.section_named(SECTION);
    let all = section.map_or("", |section| text(section.data));
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

/// Where the declaration of a symbol that an object was built against differs from its exporter's, if both are
/// known.
pub(crate) fn differs(
    host: &Shared,
    modules: &Modules<crate::host::Loaded>,
    object: &Object<'_>,
    symbol: &str,
    owner: Owner,
) -> Option<String> {
    let carried = Carried::parse(text(object.section_named(SECTION)?.data)).ok()?;
    let before = carried.imports.values().find(|types| types.has(symbol))?;
    let told = |after: &Symtypes| Some(difference(before, after, symbol)?.to_string());
    match owner {
        Owner::Kernel => {
            let types = host.types();
            let after = types.iter().rev().find(|types| types.has(symbol))?;
            told(after)
        }
        Owner::Module(id) => {
            let types = &modules.get(id)?.payload()?.types;
            told(&Symtypes::parse(text(types)).ok()?)
        }
    }
}

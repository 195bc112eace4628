//! What the tree's modules, and the kernel, export; and what of it an object imports.

use crate::LoadError;
use modfs_client::Tree;
use modfs_core::KERNEL;
use modfs_link::Import;
use modfs_object::{Bind, Object};
use std::collections::{BTreeSet, HashMap};

/// The variable that is each module's own header.
const THIS_MODULE: &str = "__this_module";
/// Where 32-bit fields of modules reach.
const NEAR: u64 = 1 << 31;

/// What somebody exports.
#[derive(Clone, Debug)]
struct Export {
    address: u64,
    crc: Option<u32>,
    gpl: bool,
    owner: String,
}

/// The values of an object's imports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Symbols {
    values: HashMap<usize, u64>,
    /// The addresses of the modules whose symbols are used.
    pub(crate) deps: Vec<u64>,
}

impl Symbols {
    /// Reads the symbols of all that runs in a tree, and looks up what an object needs.
    pub(crate) fn read(tree: &Tree, object: &Object<'_>) -> Result<Symbols, LoadError> {
        let exports = exports(tree);
        let gpl = object.modinfo().is_gpl_compatible();
        let versions: HashMap<&str, u32> = object.versions().into_iter().collect();
        let (mut values, mut users) = (HashMap::new(), BTreeSet::new());
        let (mut missing, mut differing) = (Vec::new(), Vec::new());
        for (index, symbol) in object.imports() {
            let name = symbol.name;
            if name == THIS_MODULE || name == modfs_link::GOT {
                continue;
            }
            let export = match exports.get(name) {
                Some(export) if export.gpl && !gpl => {
                    missing.push(format!(
                        "unresolved symbol {name}: {} exports it for modules with a GPL-compatible \
                         MODULE_LICENSE only",
                        export.owner
                    ));
                    continue;
                }
                Some(export) => export,
                None if symbol.bind == Bind::Weak => continue,
                None => {
                    missing.push(format!("unresolved symbol {name}"));
                    continue;
                }
            };
            if let (Some(crc), Some(wanted)) = (export.crc, versions.get(name))
                && crc != *wanted
            {
                differing.push(format!(
                    "disagrees about the version of {name}: built against {wanted:#010x}, {} exports \
                     {crc:#010x}; modfs explain-version says how they differ",
                    export.owner
                ));
            }
            values.insert(index, export.address);
            users.insert(export.owner.clone());
        }
        if !missing.is_empty() {
            return Err(LoadError::Missing(missing));
        }
        if !differing.is_empty() {
            return Err(LoadError::Versions(differing));
        }
        let owners = users.into_iter().filter(|owner| owner != KERNEL);
        let deps = owners.map(|owner| address_of(tree, &owner)).collect();
        Ok(Symbols { values, deps })
    }

    /// The value of an import; `header` is the module's own.
    pub(crate) fn import(&self, object: &Object<'_>, index: usize, header: u64) -> Option<Import> {
        let own = object.symbols()[index].name == THIS_MODULE;
        let address = match own {
            true => header,
            false => *self.values.get(&index)?,
        };
        Some(Import {
            address,
            near: (address < NEAR).then_some(address),
        })
    }
}

/// Where a module is; 0: it is gone, or nobody may know.
fn address_of(tree: &Tree, module: &str) -> u64 {
    let text = tree.read(module, "address").unwrap_or_default();
    number(&text).unwrap_or(0)
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn exports(tree: &Tree) -> HashMap<String, Export> {
    let mut exports = HashMap::new();
    let modules = tree.modules().unwrap_or_default();
    let running = modules.into_iter().filter(|module| {
        let state = tree.read(module, "state");
        state.is_ok_and(|state| state == "running")
    });
    for owner in running.chain([KERNEL.to_owned()]) {
        for line in tree.lines(&owner, "symbols") {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(crc), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some(address) = number(address) else {
                continue;
            };
            let export = Export {
                address,
                crc: number(crc).and_then(|crc| u32::try_from(crc).ok()),
                gpl: words.next() == Some("gpl"),
                owner: owner.clone(),
            };
            exports.insert(name.to_owned(), export);
        }
    }
    exports
}

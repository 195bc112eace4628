//! What the file of a module tells.

use crate::{Linux, Loaded};
use modfs_core::SymbolLine;
use modfs_depot::Reader;
use modfs_depot::config::Config;
use modfs_depot::probe::Depot;
use modfs_object::ModuleFile;
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use super::lock;

/// What the file of a module tells.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The modinfo, in the file's order.
    pub(super) info: Vec<(String, String)>,
    /// What it exports, without addresses.
    pub(super) exports: Vec<SymbolLine>,
}

impl Facts {
    pub(super) fn of(module: &ModuleFile<'_>) -> Facts {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Facts {
            info: module.modinfo().map(|(t, v)| (text(t), text(v))).collect(),
            exports: module
                .export_terms()
                .iter()
                .map(|terms| SymbolLine {
                    name: text(terms.name),
                    address: 0,
                    crc: terms.crc,
                    gpl: terms.gpl,
                })
                .collect(),
        }
    }

    /// The value of the first entry of this tag.
    fn value(&self, tag: &str) -> Option<&str> {
        let mut info = self.info.iter();
        let (_, value) = info.find(|(known, _)| known == tag)?;
        Some(value)
    }
}

/// What is known of loaded modules, by name: to unpack a file takes long. `None`: nothing.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<String, Option<Arc<Facts>>>>);

impl Cache {
    pub(super) fn get(&self, linux: &Linux, module: &str) -> Option<Arc<Facts>> {
        if let Some(known) = lock(&self.0).get(module) {
            return known.clone();
        }
        let facts = on_disk(linux, module).map(Arc::new);
        lock(&self.0).insert(module.to_owned(), facts.clone());
        facts
    }

    /// Forgets those that are not loaded any more.
    pub(super) fn keep(&self, loaded: &[Loaded]) {
        let is_loaded = |name: &str| loaded.iter().any(|module| module.name == name);
        lock(&self.0).retain(|name, _| is_loaded(name));
    }
}

/// What the file tells that a loaded module is of, which is thought to be the one in the running
/// kernel's directory.
fn on_disk(linux: &Linux, module: &str) -> Option<Facts> {
    let depot = Depot::new(&linux.directory, Config::default());
    let file = depot.path(module).ok()??;
    let mut reader = Reader::default();
    let facts = Facts::of(&ModuleFile::parse(reader.read(&file).ok()?).ok()?);
    // Another version than the one that is loaded is not it.
    let same = ["srcversion", "version"].into_iter().all(|tag| {
        let loaded = fs::read_to_string(linux.file(module, tag));
        loaded.map_or(true, |loaded| facts.value(tag) == Some(loaded.trim_end()))
    });
    same.then_some(facts)
}

/// What the kernel itself shows of a loaded module's modinfo.
pub(super) fn shown(linux: &Linux, module: &str) -> Vec<(String, String)> {
    let mut info = Vec::new();
    for tag in ["version", "srcversion"] {
        if let Ok(value) = fs::read_to_string(linux.file(module, tag)) {
            info.push((tag.to_owned(), value.trim_end().to_owned()));
        }
    }
    info
}

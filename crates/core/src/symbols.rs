//! The symbol table: every exported name, who exports it, and where it is.

use crate::{Address, Export, Owner};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;

/// A symbol that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Where it is.
    pub address: Address,
    /// Checksum of its declaration, when the exporter has one.
    pub crc: Option<u32>,
    /// Who exports it.
    pub owner: Owner,
}

/// Why a symbol may not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Nobody exports it.
    Missing,
    /// The module that exports it is mapped but not running.
    NotRunning(Owner),
    /// It is exported for GPL-compatible modules only.
    GplOnly(Owner),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) owner: Owner,
    pub(crate) address: Address,
    pub(crate) crc: Option<u32>,
    pub(crate) gpl: bool,
    /// Added by hand rather than by the owner's object; only such a one can be taken back.
    pub(crate) added: bool,
    /// How many modules use it; counted only where `added`.
    pub(crate) users: u32,
}

/// All exported names. There is one name space, as in Linux.
#[derive(Debug, Default)]
pub(crate) struct SymbolTable {
    entries: HashMap<Arc<str>, Entry>,
}

impl SymbolTable {
    /// Adds all of `exports`, or none and says which names are taken, with their owners.
    pub(crate) fn add(
        &mut self,
        owner: Owner,
        exports: &[Export],
        added: bool,
    ) -> Result<(), Vec<(String, Owner)>> {
        let mut taken = Vec::new();
        for (done, export) in exports.iter().enumerate() {
            let clash = match self.entries.entry_ref(&*export.name) {
                EntryRef::Occupied(entry) => Some(entry.get().owner),
                EntryRef::Vacant(vacant) => {
                    vacant.insert_entry_with_key(
                        export.name.clone(),
                        Entry {
                            owner,
                            address: export.address,
                            crc: export.crc,
                            gpl: export.gpl,
                            added,
                            users: 0,
                        },
                    );
                    None
                }
            };
            let Some(holder) = clash else { continue };
            for undo in &exports[..done] {
                self.entries.remove(&undo.name);
            }
            taken.push((String::from(&*export.name), holder));
            for later in &exports[done + 1..] {
                if let Some(entry) = self.entries.get(&later.name) {
                    taken.push((String::from(&*later.name), entry.owner));
                }
            }
            return Err(taken);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    /// The names `owner` exports, sorted.
    pub(crate) fn of(&self, owner: Owner) -> Vec<(Arc<str>, &Entry)> {
        let mut list: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, e)| e.owner == owner)
            .map(|(n, e)| (n.clone(), e))
            .collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }
}

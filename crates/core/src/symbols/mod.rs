//! The symbol table: every exported name, who exports it, and where it is.

use crate::{Address, Export, Owner};
use alloc::string::String;
use alloc::vec::Vec;
use smol_str::SmolStr;

mod table;

use table::Table;

/// A symbol that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Where it is.
    pub address: Address,
    /// What stands for it within reach of modules; 0: nothing.
    pub near: Address,
    /// Checksum of its declaration, when the exporter has one.
    pub crc: Option<u32>,
    /// Who exports it.
    pub owner: Owner,
    /// It was added by hand. Of such a one, and of a module's, the user has to be known:
    /// [`Modules::depend`](crate::Modules::depend).
    pub by_hand: bool,
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

/// One cache line, with the name if it has at most 23 bytes, as most have: then finding it waits
/// for memory once.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Entry {
    pub(crate) name: SmolStr,
    pub(crate) owner: Owner,
    pub(crate) address: Address,
    pub(crate) near: Address,
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
    table: Table,
}

impl SymbolTable {
    /// Adds all of `exports`, or none and says which names are taken, with their owners.
    pub(crate) fn add(
        &mut self,
        owner: Owner,
        exports: &[Export],
        added: bool,
    ) -> Result<(), Vec<(String, Owner)>> {
        for (done, export) in exports.iter().enumerate() {
            let entry = Entry {
                name: export.name.clone(),
                owner,
                address: export.address,
                near: export.near,
                crc: export.crc,
                gpl: export.gpl,
                added,
                users: 0,
            };
            let Err(there) = self.table.insert(entry) else {
                continue;
            };
            let mut taken = alloc::vec![(String::from(export.name.as_str()), there.owner)];
            for undo in &exports[..done] {
                self.table.remove(&undo.name);
            }
            for later in &exports[done + 1..] {
                if let Some(entry) = self.table.get(&later.name) {
                    taken.push((String::from(later.name.as_str()), entry.owner));
                }
            }
            return Err(taken);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.table.remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.table.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.table.get_mut(name)
    }

    /// The entries of many names, handed to `each` with the number of the name.
    pub(crate) fn find_all<'a>(
        &'a self,
        names: &[&str],
        each: impl FnMut(usize, Option<&'a Entry>),
    ) {
        self.table.find_all(names, each);
    }

    /// What `owner` exports, sorted by name.
    pub(crate) fn of(&self, owner: Owner) -> Vec<&Entry> {
        let mut list: Vec<_> = self.table.iter().filter(|e| e.owner == owner).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }
}

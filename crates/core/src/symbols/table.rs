//! The table of all exported names.
//!
//! A load asks for many names at once, and the table of a large kernel is in no near cache, so
//! waiting for memory is most of a look-up. It is therefore made so that there is little to wait
//! for and those waits overlap: open addressing, where each entry is one cache line with its name,
//! and [`Table::find_all`], which touches the first entry of many names before it looks at one.

use super::Entry;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::RandomState;

/// How many names are looked for together: as many cache lines as stay in the nearest cache.
const TOGETHER: usize = 128;

/// Entries by name.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// A power of two of them, at most half in use; or none.
    slots: Vec<Option<Entry>>,
    used: usize,
    hasher: RandomState,
}

impl Table {
    fn hash(&self, name: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    /// The slot of a name.
    fn slot(&self, name: &str, hash: u64) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = hash as usize & self.mask();
        loop {
            if self.slots[at].as_ref()?.name == name {
                return Some(at);
            }
            at = (at + 1) & self.mask();
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.slots[self.slot(name, self.hash(name))?].as_ref()
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        let slot = self.slot(name, self.hash(name))?;
        self.slots[slot].as_mut()
    }

    /// The entries of many names, handed to `each` with the number of the name.
    pub(crate) fn find_all<'a>(
        &'a self,
        names: &[&str],
        mut each: impl FnMut(usize, Option<&'a Entry>),
    ) {
        if self.slots.is_empty() {
            return (0..names.len()).for_each(|number| each(number, None));
        }
        let mask = self.mask();
        let mut number = 0;
        for names in names.chunks(TOGETHER) {
            let mut hashes = [0; TOGETHER];
            for (hash, name) in hashes.iter_mut().zip(names) {
                *hash = self.hash(name);
            }
            // Loads that nothing else depends on: the processor waits for many at once.
            let there = |hash: &&u64| self.slots[**hash as usize & mask].is_some();
            core::hint::black_box(hashes[..names.len()].iter().filter(there).count());
            for (hash, name) in hashes.iter().zip(names) {
                let slot = self.slot(name, *hash);
                each(number, slot.and_then(|slot| self.slots[slot].as_ref()));
                number += 1;
            }
        }
    }

    /// Adds an entry, unless its name is there already: then returns that one.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<(), &Entry> {
        let hash = self.hash(&entry.name);
        if let Some(there) = self.slot(&entry.name, hash) {
            return self.slots[there].as_ref().map_or(Ok(()), Err);
        }
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.used += 1;
        self.put(entry, hash);
        Ok(())
    }

    fn put(&mut self, entry: Entry, hash: u64) {
        let mut at = hash as usize & self.mask();
        while self.slots[at].is_some() {
            at = (at + 1) & self.mask();
        }
        self.slots[at] = Some(entry);
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        let old = core::mem::take(&mut self.slots);
        self.slots.resize_with(size, || None);
        for entry in old.into_iter().flatten() {
            let hash = self.hash(&entry.name);
            self.put(entry, hash);
        }
    }

    /// Takes a name out.
    pub(crate) fn remove(&mut self, name: &str) {
        let Some(mut hole) = self.slot(name, self.hash(name)) else {
            return;
        };
        self.used -= 1;
        self.slots[hole] = None;
        // Whatever was put further on because of this slot moves up, so that no search ends
        // at the hole too early.
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask();
            let Some(entry) = &self.slots[at] else { break };
            let home = self.hash(&entry.name) as usize & self.mask();
            let from_home = at.wrapping_sub(home) & self.mask();
            let from_hole = at.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                self.slots[hole] = self.slots[at].take();
                hole = at;
            }
        }
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Owner;
    use alloc::collections::BTreeMap;
    use alloc::format;

    fn entry(name: &str, address: u64) -> Entry {
        Entry {
            name: name.into(),
            owner: Owner::Kernel,
            address,
            near: address,
            crc: None,
            gpl: false,
            added: false,
            users: 0,
        }
    }

    /// Against a map: what is put in is found, by itself and among others, and what is taken out
    /// is not, however the names collide.
    #[test]
    fn random_against_a_map() {
        let mut table = Table::default();
        let mut map = BTreeMap::new();
        let mut seed = 1u64;
        let mut next = |n: u64| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for round in 0..30_000 {
            let name = format!("symbol_{}", next(700));
            match next(3) {
                0 => {
                    table.remove(&name);
                    map.remove(&name);
                }
                _ => {
                    let added = table.insert(entry(&name, round)).is_ok();
                    assert_eq!(added, !map.contains_key(&name));
                    map.entry(name).or_insert(round);
                }
            }
            if round % 500 == 0 {
                let names: Vec<_> = (0..800).map(|n| format!("symbol_{n}")).collect();
                let names: Vec<&str> = names.iter().map(|n| &**n).collect();
                let mut seen = 0;
                table.find_all(&names, |number, found| {
                    assert_eq!(number, seen);
                    seen += 1;
                    assert_eq!(found.map(|e| e.address), map.get(names[number]).copied());
                    let alone = table.get(names[number]).map(|e| e.address);
                    assert_eq!(alone, map.get(names[number]).copied());
                });
                assert_eq!((seen, table.iter().count()), (names.len(), map.len()));
            }
        }
    }

    #[test]
    fn an_entry_is_a_cache_line() {
        assert_eq!(size_of::<Option<Entry>>(), 64);
    }

    #[test]
    fn an_empty_table_knows_nothing() {
        let table = Table::default();
        assert!(table.get("a").is_none());
        table.find_all(&["a", "b"], |_, found| assert!(found.is_none()));
    }
}

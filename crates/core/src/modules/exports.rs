//! Symbols: who may use which, and who does.

use super::{Export, Id, Modules, Owner};
use crate::symbols::Entry;
use crate::{Errno, Flags, Refusal, Resolved, State, SymbolLine, Unresolved};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl<P> Modules<P> {
    /// Looks a symbol up for a module; `gpl` says whether its licence is GPL-compatible.
    ///
    /// # Errors
    /// Why it may not be used.
    pub fn resolve(&self, name: &str, gpl: bool) -> Result<Resolved, Unresolved> {
        self.resolved(self.symbols.get(name), gpl)
    }

    /// As [`Modules::resolve`] for many names at once, which is faster: each outcome is handed to
    /// `each` with the number of its name, in order.
    pub fn resolve_all(
        &self,
        names: &[&str],
        gpl: bool,
        mut each: impl FnMut(usize, Result<Resolved, Unresolved>),
    ) {
        self.symbols.find_all(names, |number, entry| {
            each(number, self.resolved(entry, gpl))
        });
    }

    #[inline]
    fn resolved(&self, entry: Option<&Entry>, gpl: bool) -> Result<Resolved, Unresolved> {
        let entry = entry.ok_or(Unresolved::Missing)?;
        if let Owner::Module(id) = entry.owner
            && self.get(id).is_none_or(|m| m.state != State::Running)
        {
            return Err(Unresolved::NotRunning(entry.owner));
        }
        if entry.gpl && !gpl {
            return Err(Unresolved::GplOnly(entry.owner));
        }
        Ok(Resolved {
            address: entry.address,
            near: entry.near,
            crc: entry.crc,
            owner: entry.owner,
            by_hand: entry.added,
        })
    }

    /// Records that `id`, which is being linked, uses these symbols: a reference on each
    /// module that exports one. Symbols that nobody exports, or a module that is not running,
    /// are passed over; those of the kernel's own need not be said.
    pub fn depend<'a>(&mut self, id: Id, names: impl Iterator<Item = &'a str>) {
        let Some(at) = self.index(id) else { return };
        for name in names {
            let Some(owner) = self.symbols.get(name).map(|entry| entry.owner) else {
                continue;
            };
            if let Owner::Module(dep) = owner
                && self.get(dep).is_none_or(|m| m.state != State::Running)
            {
                continue;
            }
            let Some(entry) = self.symbols.get_mut(name) else {
                continue;
            };
            if entry.added {
                entry.users += 1;
                self.list[at].1.borrowed.push(name.into());
            }
            if let Owner::Module(dep) = owner {
                self.refer(id, dep);
            }
        }
    }

    /// Takes a reference of one module on another, once.
    pub(super) fn refer(&mut self, id: Id, dep: Id) {
        let Some(module) = self.get_mut(id) else {
            return;
        };
        if dep == id || module.deps.contains(&dep) {
            return;
        }
        module.deps.push(dep);
        if let Some(module) = self.get_mut(dep) {
            module.refs.push(id);
            module.gate.set(Flags::USED_ONCE);
        }
    }

    /// What `owner` exports, sorted by name.
    pub fn exports(&self, owner: Owner) -> Vec<SymbolLine> {
        self.symbols
            .of(owner)
            .into_iter()
            .map(|entry| SymbolLine {
                name: entry.name.to_string(),
                // Of one out of reach modules still use the address itself, where they have
                // room for one.
                address: if entry.near == 0 {
                    entry.address
                } else {
                    entry.near
                },
                crc: entry.crc,
                gpl: entry.gpl,
            })
            .collect()
    }

    /// The kernel's own exports.
    ///
    /// # Errors
    /// EEXIST: a name is taken; then none is added.
    pub fn export(&mut self, exports: &[Export]) -> Result<(), Refusal> {
        self.symbols
            .add(Owner::Kernel, exports, false)
            .map_err(|taken| self.taken(&taken))
    }

    /// Adds a symbol to those of a module, or of the kernel, by hand.
    ///
    /// # Errors
    /// EINVAL: an empty name. EEXIST: the name is taken. ENOENT: no such module.
    pub fn add_symbol(&mut self, owner: Owner, export: Export) -> Result<(), Refusal> {
        if export.name.is_empty() {
            return Err(Refusal::new(Errno::EINVAL, "a symbol needs a name"));
        }
        if let Owner::Module(id) = owner
            && self.index(id).is_none()
        {
            return Err(Errno::ENOENT.into());
        }
        let name = export.name.clone();
        self.symbols
            .add(owner, &[export], true)
            .map_err(|taken| self.taken(&taken))?;
        if let Owner::Module(id) = owner
            && let Some(module) = self.get_mut(id)
        {
            module.exports.push(name);
        }
        Ok(())
    }

    fn taken(&self, taken: &[(String, Owner)]) -> Refusal {
        let reasons = taken
            .iter()
            .map(|(name, owner)| {
                format!("{name} is exported by {} already", self.owner_name(*owner))
            })
            .collect();
        Refusal::all(Errno::EEXIST, reasons)
    }

    /// Takes back a symbol that was added by hand.
    ///
    /// # Errors
    /// ENOENT: `owner` exports no such symbol. EPERM: it was not added by hand. EBUSY: used.
    pub fn del_symbol(&mut self, owner: Owner, name: &str) -> Result<(), Refusal> {
        let entry = self.symbols.get(name).filter(|e| e.owner == owner);
        let Some(entry) = entry else {
            return Err(Refusal::new(
                Errno::ENOENT,
                format!("{} exports no {name}", self.owner_name(owner)),
            ));
        };
        if !entry.added {
            return Err(Refusal::new(
                Errno::EPERM,
                format!(
                    "{name} is part of {}: it goes with it",
                    self.owner_name(owner)
                ),
            ));
        }
        if entry.users > 0 {
            let users = self
                .iter()
                .filter(|(_, m)| m.borrowed.iter().any(|n| **n == *name))
                .map(|(_, m)| format!("{name} is used by {}", m.name))
                .collect();
            return Err(Refusal::all(Errno::EBUSY, users));
        }
        self.symbols.remove(name);
        if let Owner::Module(id) = owner
            && let Some(module) = self.get_mut(id)
        {
            module.exports.retain(|n| **n != *name);
        }
        Ok(())
    }
}

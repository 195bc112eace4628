//! The module list.

use crate::symbols::SymbolTable;
use crate::{
    Address, Command, Errno, Flags, Gate, InitArgs, KERNEL, NAME_MAX, Refusal, State, Status,
    verdict,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use smol_str::SmolStr;

mod exports;
mod sweep;

pub use sweep::Sweep;

/// Names a module for as long as it is in the list; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU64);

impl Id {
    /// The id as a number, to be kept where a type cannot be (in a C structure).
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// Who exports a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The kernel itself.
    Kernel,
    /// A module.
    Module(Id),
}

/// A symbol to be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: SmolStr,
    /// Where it is.
    pub address: Address,
    /// What stands for it within reach of modules: itself, or a stub that jumps there. 0: nothing
    /// does.
    pub near: Address,
    /// Checksum of its declaration, when known.
    pub crc: Option<u32>,
    /// Only for modules whose licence is GPL-compatible.
    pub gpl: bool,
}

/// What is said of a module when it enters the list.
#[derive(Clone, Debug)]
pub struct NewModule<'a> {
    /// Its name.
    pub name: &'a str,
    /// The module file that is being mapped.
    pub file: &'a str,
}

/// Whether the module has an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Being linked by [`Modules::begin_map`] (new) or [`Modules::begin_relink`] (again).
    Pending { again: bool },
    /// There is an image.
    Done,
    /// The image of a failed init, kept only while calls into it drain.
    Draining,
    /// None: init failed and the image is gone. The next init links anew.
    None,
}

/// A module in the list. `P` is what the kernel keeps with it: its image.
#[derive(Debug)]
pub struct Module<P> {
    name: Arc<str>,
    file: Arc<str>,
    state: State,
    link: Link,
    /// Linked outside: it is never linked here, and keeps its place when its init fails.
    outside: bool,
    gate: Arc<Gate>,
    deps: Vec<Id>,
    /// Latest last; shown the other way round.
    refs: Vec<Id>,
    exports: Vec<SmolStr>,
    /// Symbols added by hand that it uses.
    borrowed: Vec<SmolStr>,
    address: Address,
    size: u64,
    payload: Option<P>,
}

impl<P> Module<P> {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The module file it is mapped from.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its use count.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// What the kernel keeps with it; `None` while it is mapped for the first time.
    pub fn payload(&self) -> Option<&P> {
        self.payload.as_ref()
    }

    /// What the kernel keeps with it; `None` while it is mapped for the first time.
    pub fn payload_mut(&mut self) -> Option<&mut P> {
        self.payload.as_mut()
    }

    /// Where its image is; 0: it has none at present.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Sets what [`Status`] says of the image: its start, and its size in bytes.
    pub fn set_extent(&mut self, address: Address, size: u64) {
        self.address = address;
        self.size = size;
    }
}

/// The module list and the symbol table.
///
/// Every `begin_…` that succeeds is followed by exactly one matching `finish_…`, `fail_…`,
/// `abort_…`, `cancel_…` or [`Modules::fault`]. In between, the other commands are refused with
/// EBUSY by the state, so the caller need not hold its lock.
#[derive(Debug)]
pub struct Modules<P> {
    /// In the order of mapping, the newest last.
    list: Vec<(Id, Module<P>)>,
    symbols: SymbolTable,
    /// The last that was given out.
    last: u64,
}

impl<P> Default for Modules<P> {
    fn default() -> Modules<P> {
        Modules {
            list: Vec::new(),
            symbols: SymbolTable::default(),
            last: 0,
        }
    }
}

impl<P> Modules<P> {
    /// An empty list.
    pub fn new() -> Modules<P> {
        Modules::default()
    }

    fn index(&self, id: Id) -> Option<usize> {
        self.list.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    /// The module of this id.
    pub fn get(&self, id: Id) -> Option<&Module<P>> {
        self.index(id).map(|i| &self.list[i].1)
    }

    /// The module of this id.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut Module<P>> {
        self.index(id).map(|i| &mut self.list[i].1)
    }

    /// The id of this name, also of a module that is still being mapped.
    pub fn find(&self, name: &str) -> Option<Id> {
        let (id, _) = self.list.iter().find(|(_, m)| *m.name == *name)?;
        Some(*id)
    }

    /// All modules, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Module<P>)> {
        self.list.iter().rev().map(|(id, m)| (*id, m))
    }

    fn name(&self, id: Id) -> String {
        self.get(id)
            .map_or_else(|| format!("#{}", id.0), |m| m.name.to_string())
    }

    /// How an owner is called in a message.
    pub fn owner_name(&self, owner: Owner) -> String {
        match owner {
            Owner::Kernel => KERNEL.to_string(),
            Owner::Module(id) => self.name(id),
        }
    }

    /// Finds the mapped module `name`/`file` and checks that its state allows `command`.
    ///
    /// # Errors
    /// ENOENT: this file is not mapped. Otherwise the errno of [`crate::TABLE`]; EBUSY also
    /// while it is being linked, or calls into the image of a failed init have not returned.
    pub fn admit(&self, name: &str, file: &str, command: Command) -> Result<Id, Refusal> {
        let found = self.find(name).and_then(|id| Some((id, self.get(id)?)));
        let Some((id, module)) = found.filter(|(_, m)| *m.file == *file) else {
            return Err(Refusal::new(
                Errno::ENOENT,
                format!("{file} is not mapped: write `map {file}` first"),
            ));
        };
        self.admit_state(module, command)?;
        Ok(id)
    }

    fn admit_state(&self, module: &Module<P>, command: Command) -> Result<(), Refusal> {
        if let Err(errno) = verdict(Some(module.state), command) {
            return Err(Refusal::new(
                errno,
                refused(&module.name, module.state, command),
            ));
        }
        match module.link {
            Link::Pending { .. } => Err(Refusal::new(
                Errno::EBUSY,
                format!("{} is being mapped at this moment", module.name),
            )),
            Link::Draining if module.gate.count() > 0 => Err(Refusal::new(
                Errno::EBUSY,
                format!(
                    "{}: init failed, but it is still used {} times (an open device or a call \
                     under way)",
                    module.name,
                    module.gate.count()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Enters a module that is about to be linked.
    ///
    /// # Errors
    /// EINVAL: an empty name. ENAMETOOLONG. EEXIST: the name is taken, or the kernel's own.
    pub fn begin_map(&mut self, new: &NewModule<'_>) -> Result<Id, Refusal> {
        if new.name.is_empty() {
            return Err(Refusal::new(Errno::EINVAL, "a module needs a name"));
        }
        if new.name.len() > NAME_MAX {
            return Err(Refusal::new(
                Errno::ENAMETOOLONG,
                format!("a module name has at most {NAME_MAX} bytes"),
            ));
        }
        if new.name == KERNEL {
            return Err(Refusal::new(Errno::EEXIST, "`kernel` is the kernel itself"));
        }
        if let Some(held) = self.find(new.name).and_then(|id| self.get(id)) {
            return Err(Refusal::new(
                Errno::EEXIST,
                format!(
                    "{}: {} is mapped already ({})",
                    held.name, held.file, held.state
                ),
            ));
        }
        self.last += 1;
        let id = Id(NonZeroU64::new(self.last).unwrap_or(NonZeroU64::MAX));
        let gate = Gate::new();
        gate.shut();
        let name: Arc<str> = new.name.into();
        let file = if new.file == new.name {
            name.clone()
        } else {
            new.file.into()
        };
        let module = Module {
            name,
            file,
            state: State::Uninitialized,
            link: Link::Pending { again: false },
            outside: false,
            gate: Arc::new(gate),
            deps: Vec::new(),
            refs: Vec::new(),
            exports: Vec::new(),
            borrowed: Vec::new(),
            address: 0,
            size: 0,
            payload: None,
        };
        self.list.push((id, module));
        Ok(id)
    }

    /// Prepares a module whose init failed to be linked anew, if it has no image. Returns
    /// whether it has to be linked: then the old image may be freed, and
    /// [`Modules::finish_map`] or [`Modules::abort_map`] must follow.
    ///
    /// # Errors
    /// As [`Modules::admit`] for init.
    pub fn begin_relink(&mut self, name: &str, file: &str) -> Result<(Id, bool), Refusal> {
        let id = self.admit(name, file, Command::Init)?;
        self.settle(id);
        let again = match self.get_mut(id) {
            Some(module) if module.link == Link::None => {
                module.link = Link::Pending { again: true };
                true
            }
            _ => false,
        };
        Ok((id, again))
    }

    /// The module has its image: its exports enter the table, to be seen once it runs.
    ///
    /// # Errors
    /// EEXIST: an export's name is taken; each is a reason. [`Modules::abort_map`] must follow.
    pub fn finish_map(&mut self, id: Id, exports: &[Export], payload: P) -> Result<(), Refusal> {
        if let Err(taken) = self.symbols.add(Owner::Module(id), exports, false) {
            let reasons = taken
                .into_iter()
                .map(|(name, owner)| {
                    format!(
                        "exports {name}, which {} exports already",
                        self.owner_name(owner)
                    )
                })
                .collect();
            return Err(Refusal::all(Errno::EEXIST, reasons));
        }
        if let Some(module) = self.get_mut(id) {
            // There may be some already, added by hand.
            let names = exports.iter().map(|e| e.name.clone());
            module.exports.extend(names);
            module.payload = Some(payload);
            module.link = Link::Done;
        }
        Ok(())
    }

    /// What an image that was linked outside exports and uses is known, since it is about to be started. A
    /// name that is taken is left out, and returned: in 2.4 several modules could export one.
    pub fn set_image(&mut self, id: Id, exports: &[Export], deps: &[Id]) -> Vec<(String, Owner)> {
        let mut taken = Vec::new();
        for export in exports {
            match self
                .symbols
                .add(Owner::Module(id), core::slice::from_ref(export), false)
            {
                Ok(()) => {
                    if let Some(module) = self.get_mut(id) {
                        module.exports.push(export.name.clone());
                    }
                }
                Err(others) => taken.extend(others),
            }
        }
        for dep in deps {
            self.refer(id, *dep);
        }
        taken
    }

    /// The module is an image that was linked outside.
    pub fn set_outside(&mut self, id: Id) {
        if let Some(module) = self.get_mut(id) {
            module.outside = true;
        }
    }

    /// The module could not be linked: its references are given back. A new one leaves the
    /// list; one that was to be linked anew is as it was before.
    pub fn abort_map(&mut self, id: Id) {
        self.release(id);
        let Some(at) = self.index(id) else { return };
        match self.list[at].1.link {
            Link::Pending { again: true } => self.list[at].1.link = Link::None,
            _ => {
                self.list.remove(at);
            }
        }
    }

    /// Init is about to be called: the module counts as used once, by its own init.
    ///
    /// # Errors
    /// As [`Modules::admit`] for init; EBUSY also when there is no image because init has failed
    /// meanwhile, and [`Modules::begin_relink`] has to come first.
    pub fn begin_init(&mut self, id: Id, args: &InitArgs) -> Result<(), Refusal> {
        let Some(at) = self.index(id) else {
            return Err(Errno::ENOENT.into());
        };
        self.admit_state(&self.list[at].1, Command::Init)?;
        let module = &mut self.list[at].1;
        if module.link != Link::Done {
            return Err(Refusal::new(
                Errno::EBUSY,
                format!("{}: another init has just failed; try again", module.name),
            ));
        }
        module.state = State::Initializing;
        module.gate.reopen();
        module.gate.hold();
        // What an init that failed left behind tells nothing of this one.
        module.gate.clear(Flags::ALL);
        if args.autoclean {
            module.gate.set(Flags::AUTOCLEAN);
        }
        Ok(())
    }

    /// Init is not called after all: everything is as before [`Modules::begin_init`].
    pub fn cancel_init(&mut self, id: Id) {
        if let Some(module) = self.get_mut(id) {
            module.gate.unhold();
            module.gate.shut();
            module.state = State::Uninitialized;
        }
    }

    /// Init has returned 0.
    pub fn finish_init(&mut self, id: Id) {
        if let Some(module) = self.get_mut(id) {
            module.gate.unhold();
            module.state = State::Running;
        }
    }

    /// Init has failed: the module is uninitialized again, its exports and references are gone
    /// (2.4 kept the references). Returns whether the image may be freed: not while calls into
    /// it have not returned. Then it may once [`Modules::begin_relink`] or [`Modules::unmap`]
    /// has succeeded.
    pub fn fail_init(&mut self, id: Id) -> bool {
        let Some(module) = self.get_mut(id) else {
            return false;
        };
        module.gate.unhold();
        module.gate.shut();
        module.state = State::Uninitialized;
        module.link = Link::Draining;
        self.settle(id)
    }

    /// Lets go of the image of a failed init once nothing runs in it.
    fn settle(&mut self, id: Id) -> bool {
        let Some(module) = self.get_mut(id) else {
            return false;
        };
        if module.link != Link::Draining || module.gate.count() > 0 {
            return false;
        }
        module.link = match module.outside {
            true => Link::Done,
            false => Link::None,
        };
        if !module.outside {
            module.address = 0;
            module.size = 0;
        }
        self.release(id);
        true
    }

    /// Cleanup is about to be called: no new use or reference can be taken from here on.
    ///
    /// # Errors
    /// As [`Modules::admit`] for exit; EBUSY with each user as a reason.
    pub fn begin_exit(&mut self, id: Id) -> Result<(), Refusal> {
        let Some(at) = self.index(id) else {
            return Err(Errno::ENOENT.into());
        };
        let module = &self.list[at].1;
        self.admit_state(module, Command::Exit)?;
        let mut users: Vec<String> = module
            .refs
            .iter()
            .rev()
            .map(|user| format!("{} is used by {}", module.name, self.name(*user)))
            .collect();
        loop {
            if users.is_empty() && module.gate.close() {
                self.list[at].1.state = State::Exiting;
                return Ok(());
            }
            match module.gate.count() {
                // The last use ended between the two looks.
                0 if users.is_empty() => continue,
                0 => {}
                1 => users.push(format!(
                    "{} is in use once (an open device, a mount, or a call under way)",
                    module.name
                )),
                n => users.push(format!(
                    "{} is in use {n} times (open devices, mounts, or calls under way)",
                    module.name
                )),
            }
            break;
        }
        Err(Refusal::all(Errno::EBUSY, users))
    }

    /// Cleanup is not called after all: everything is as before [`Modules::begin_exit`].
    pub fn cancel_exit(&mut self, id: Id) {
        if let Some(module) = self.get_mut(id)
            && module.state == State::Exiting
        {
            module.state = State::Running;
            module.gate.reopen();
        }
    }

    /// Cleanup has returned: exports and references are gone. `swept` says that this was the
    /// sweep's doing, which marks dependencies that lost their last reference by it.
    pub fn finish_exit(&mut self, id: Id, swept: bool) {
        let deps = self.get(id).map(|m| m.deps.clone()).unwrap_or_default();
        self.release(id);
        for dep in deps {
            if swept
                && let Some(module) = self.get(dep)
                && module.refs.is_empty()
            {
                module.gate.set(Flags::JUST_FREED);
            }
        }
        if let Some(module) = self.get_mut(id) {
            module.state = State::Deleted;
        }
    }

    /// The module's code faulted: from now on it can neither be used anew nor left.
    pub fn fault(&mut self, id: Id) {
        if let Some(module) = self.get_mut(id) {
            if module.state == State::Initializing {
                module.gate.unhold();
            }
            module.state = State::Faulted;
            module.gate.shut();
        }
    }

    /// Takes a module out of the list, and gives its image to be freed.
    ///
    /// # Errors
    /// As [`Modules::admit`] for unmap.
    pub fn unmap(&mut self, name: &str, file: &str) -> Result<Option<P>, Refusal> {
        let id = self.admit(name, file, Command::Unmap)?;
        self.release(id);
        match self.index(id) {
            Some(at) => Ok(self.list.remove(at).1.payload),
            None => Ok(None),
        }
    }

    /// Gives back references and exports.
    fn release(&mut self, id: Id) {
        let Some(module) = self.get_mut(id) else {
            return;
        };
        let exports = core::mem::take(&mut module.exports);
        let deps = core::mem::take(&mut module.deps);
        let borrowed = core::mem::take(&mut module.borrowed);
        for name in exports {
            self.symbols.remove(&name);
        }
        for name in borrowed {
            if let Some(entry) = self.symbols.get_mut(&name) {
                entry.users -= 1;
            }
        }
        for dep in deps {
            if let Some(module) = self.get_mut(dep) {
                module.refs.retain(|user| *user != id);
            }
        }
    }

    /// What is known of a module; `None` when it is not mapped, or being mapped at this moment.
    pub fn status(&self, id: Id) -> Option<Status> {
        let module = self.get(id)?;
        if module.link == (Link::Pending { again: false }) {
            return None;
        }
        Some(Status {
            file: module.file.to_string(),
            pieces: Vec::new(),
            state: module.state,
            address: module.address,
            size: module.size,
            usecount: i64::try_from(module.gate.count()).unwrap_or(i64::MAX),
            flags: module.gate.flags(),
            deps: module.deps.iter().map(|id| self.name(*id)).collect(),
            refs: module.refs.iter().rev().map(|id| self.name(*id)).collect(),
        })
    }
}

/// Why `command` is refused in `state`, in words.
fn refused(name: &str, state: State, command: Command) -> String {
    match (state, command) {
        (State::Faulted, _) => format!(
            "{name}: its code faulted; it stays, since its memory may still be in use, until \
             the host ends"
        ),
        (_, Command::Map) => format!("{name} is mapped already ({state})"),
        (State::Running, Command::Init) => format!("{name} is running already"),
        (State::Running, Command::Unmap) => format!("{name} is running: write `exit` first"),
        (State::Uninitialized, _) => format!("{name} is not running: it was not initialised"),
        (State::Deleted, _) => {
            format!("{name} has exited: `unmap` and `map` it to start it again")
        }
        (State::Initializing, _) => format!("{name}: its init has not returned"),
        (State::Exiting, _) => format!("{name}: its cleanup has not returned"),
        (State::Running, Command::Exit) => format!("{name} is running"),
    }
}

//! The running kernel behind a tree of files.
//!
//! Linux has one step where the tree has two, `map` and `init`. Here `map` unpacks an object, checks
//! all that can be checked before it is loaded, and keeps it; `init` loads it. `exit` unloads it,
//! and `unmap` forgets it. So references to the modules whose symbols it uses are taken by `init`
//! only.
//!
//! A module's directory has its name; for one that was mapped here, `-` and `_` in it are alike.
//! What others load is there as well, as modules without a file.

mod check;
mod facts;
mod parameters;
mod request;
mod staged;

use crate::exports::Exports;
use crate::watch::Watch;
use crate::{InsertError, Linux, Loaded, vermagic};
use facts::{Cache, Facts};
use modfs_core::{
    Command, Errno, Flags, InitArgs, KERNEL, Kernel, MapArgs, Parameter, Refusal, State, Status,
    SymbolLine, verdict,
};
use staged::{Phase, Staged};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The running Linux kernel, for a tree of files.
///
/// Nothing it does holds a lock while the kernel loads or unloads a module.
#[derive(Debug)]
pub struct LinuxKernel {
    linux: Linux,
    /// What was mapped here, by directory.
    staged: Mutex<BTreeMap<String, Staged>>,
    /// What is known of loaded modules from their files.
    cache: Cache,
    watch: Mutex<Look>,
    own_symbols: OnceLock<Vec<SymbolLine>>,
    version: String,
}

#[derive(Debug)]
struct Look {
    watch: Watch,
    /// The last look found modules that come or go, of which nothing may be told when they have.
    unsettled: bool,
}

impl Default for LinuxKernel {
    fn default() -> LinuxKernel {
        LinuxKernel::new(Linux::default())
    }
}

/// Locks; what is kept under the locks here is consistent at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The errno of a failed call.
fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// The kernel's name of the module that a directory is for.
fn name_of(directory: &str) -> String {
    directory.replace('-', "_")
}

/// The state of a module that the kernel has.
fn state_of(loaded: &Loaded) -> State {
    match loaded.state.as_str() {
        "Loading" => State::Initializing,
        "Unloading" => State::Exiting,
        _ => State::Running,
    }
}

impl LinuxKernel {
    /// The kernel that `linux` shows. It is noticed from now on when modules come and go.
    pub fn new(linux: Linux) -> LinuxKernel {
        LinuxKernel {
            watch: Mutex::new(Look {
                watch: Watch::start(&linux.proc),
                unsettled: true,
            }),
            version: vermagic::running(&linux).unwrap_or(linux.release.clone()),
            linux,
            staged: Mutex::default(),
            cache: Cache::default(),
            own_symbols: OnceLock::new(),
        }
    }

    /// The module of a directory as the kernel has it, among `all`; `None` also for one that was
    /// mapped in another directory.
    fn among<'a>(&self, directory: &str, all: &'a [Loaded]) -> Option<&'a Loaded> {
        let name = name_of(directory);
        let staged = lock(&self.staged);
        let place = staged.keys().find(|place| name_of(place) == name);
        let is_here = match place {
            Some(place) => place == directory,
            None => name == directory,
        };
        drop(staged);
        all.iter().find(|module| is_here && module.name == name)
    }

    /// Whether the state lets a command be, and the file is the one that it can be about.
    fn may(&self, directory: &str, file: &str, command: Command) -> Result<Status, Refusal> {
        let status = self.status(directory);
        let state = status.as_ref().map(|status| status.state);
        let word = state.map_or("not mapped", State::word);
        verdict(state, command)
            .map_err(|errno| Refusal::new(errno, format!("{directory} is {word}")))?;
        let status = status.ok_or(Errno::ENOENT)?;
        if status.file != file {
            let reason = format!("{file} is not what is mapped");
            return Err(Refusal::new(Errno::ENOENT, reason));
        }
        Ok(status)
    }

    /// What the file of a module tells: the one that was mapped, or the one on disk.
    fn facts(&self, directory: &str) -> Option<Arc<Facts>> {
        let staged = lock(&self.staged);
        if let Some(staged) = staged.get(directory) {
            return Some(Arc::clone(&staged.facts));
        }
        drop(staged);
        self.cache.get(&self.linux, &name_of(directory))
    }

    /// Why a module was not unloaded.
    fn stays(&self, name: &str, error: &io::Error, log: Vec<String>) -> Refusal {
        let mut reasons = Vec::new();
        for holder in self.linux.holders(name) {
            reasons.push(format!("{name} is used by {holder}"));
        }
        let uses = self.linux.uses(name).unwrap_or(0) - reasons.len() as i64;
        if uses > 0 {
            let times = match uses {
                1 => "once".to_owned(),
                uses => format!("{uses} times"),
            };
            let by = "an open device, a mount, or an interface that is up";
            reasons.push(format!("{name} is in use {times} (as by {by})"));
        }
        let errno = match errno(error) {
            // The tree's word for what is in use.
            Errno::EAGAIN => Errno::EBUSY,
            Errno::EBUSY if reasons.is_empty() => {
                reasons.push(format!("{name} has no exit: it cannot be unloaded"));
                Errno::EBUSY
            }
            Errno::EPERM => {
                reasons.push("modules are unloaded by root, where the kernel lets them be".into());
                Errno::EPERM
            }
            other => other,
        };
        reasons.extend(log.iter().map(|line| format!("the kernel says: {line}")));
        Refusal::all(errno, reasons)
    }
}

impl Kernel for LinuxKernel {
    fn map(
        &self,
        module: &str,
        file: &str,
        object: Arc<Vec<u8>>,
        args: MapArgs,
    ) -> Result<(), Refusal> {
        let taken = || self.is_taken(module);
        taken()?;
        let staged = check::staged(&self.linux, module, file, object, args.force)?;
        // Somebody may have been faster.
        let mut all = lock(&self.staged);
        if all.keys().any(|place| name_of(place) == name_of(module)) {
            drop(all);
            return taken().and(Err(Errno::EEXIST.into()));
        }
        all.insert(module.to_owned(), staged);
        Ok(())
    }

    fn unmap(&self, module: &str, file: &str) -> Result<(), Refusal> {
        self.may(module, file, Command::Unmap)?;
        let mut all = lock(&self.staged);
        // Somebody may have begun to load it.
        if all
            .get(module)
            .is_some_and(|it| it.phase == Phase::Starting)
        {
            return Err(Errno::EBUSY.into());
        }
        all.remove(module);
        Ok(())
    }

    fn init(&self, module: &str, file: &str, args: &InitArgs) -> Result<(), Refusal> {
        self.may(module, file, Command::Init)?;
        let parameters = parameters::line(&args.parameters)?;
        let start = staged::Start::begin(&self.staged, module)?;
        let linux = &self.linux;
        let done = linux.insert_image(start.image(), &parameters, start.force());
        let error = match done {
            Ok(()) => {
                start.succeeded();
                return Ok(());
            }
            Err(error) => error,
        };
        let reasons = error.reasons();
        let (errno, own) = match &error {
            InsertError::Kernel { errno, .. } => (Errno::from_raw(errno.raw_os_error()), None),
            InsertError::Read(error) => (self::errno(error), Some(error.to_string())),
            InsertError::File(text) => (Errno::EINVAL, Some(text.clone())),
        };
        let own = match errno {
            Errno::EPERM if reasons.is_empty() => {
                Some("modules are loaded by root, where the kernel lets them be".into())
            }
            _ => own,
        };
        Err(Refusal::all(
            errno,
            own.into_iter().chain(reasons).collect(),
        ))
    }

    fn exit(&self, module: &str, file: &str) -> Result<(), Refusal> {
        self.may(module, file, Command::Exit)?;
        let name = name_of(module);
        let mut kmsg = crate::Kmsg::from_now();
        let removed = self.linux.remove(&name, false);
        removed.map_err(|error| self.stays(&name, &error, kmsg.lines()))
    }

    fn status(&self, module: &str) -> Option<Status> {
        let all = self.linux.loaded().unwrap_or_default();
        let loaded = self.among(module, &all);
        let staged = lock(&self.staged);
        let staged = staged.get(module);
        if loaded.is_none() && staged.is_none() {
            return None;
        }
        let file = staged.map_or(String::new(), |staged| staged.file.clone());
        let phase = staged.map(|staged| staged.phase);
        let state = match (phase, loaded) {
            (Some(Phase::Starting), _) => State::Initializing,
            (_, Some(loaded)) => state_of(loaded),
            (Some(Phase::Started), None) => State::Deleted,
            (_, None) => State::Uninitialized,
        };
        let Some(loaded) = loaded else {
            let staged = staged?;
            return Some(Status {
                file,
                pieces: Vec::new(),
                state,
                address: 0,
                size: staged.image.len() as u64,
                usecount: 0,
                flags: Flags::default(),
                deps: match state {
                    State::Deleted => Vec::new(),
                    _ => staged.needed.clone(),
                },
                refs: Vec::new(),
            });
        };
        let uses = usize::try_from(loaded.uses).unwrap_or(0);
        let is_dep = |other: &&Loaded| other.used_by.contains(&loaded.name);
        Some(Status {
            file,
            pieces: Vec::new(),
            state,
            address: loaded.address,
            size: loaded.size,
            usecount: i64::try_from(uses.saturating_sub(loaded.used_by.len())).unwrap_or(i64::MAX),
            flags: match uses {
                0 => Flags::default(),
                _ => Flags::USED_ONCE,
            },
            deps: all.iter().filter(is_dep).map(|m| m.name.clone()).collect(),
            refs: loaded.used_by.clone(),
        })
    }

    fn loaded(&self, anew: bool) -> Option<Vec<String>> {
        let mut look = lock(&self.watch);
        let told = look.watch.look();
        if !(told || anew || look.unsettled) {
            return None;
        }
        // The news is taken out: should the list not be read, the next look has to.
        look.unsettled = true;
        let all = self.linux.loaded().ok()?;
        look.unsettled = all.iter().any(|module| state_of(module) != State::Running);
        drop(look);
        self.cache.keep(&all);
        let staged = lock(&self.staged);
        let place = |module: &Loaded| {
            let mut places = staged.keys();
            let place = places.find(|place| name_of(place) == module.name);
            place.unwrap_or(&module.name).clone()
        };
        // The kernel has the newest first.
        Some(all.iter().rev().map(place).collect())
    }

    fn symbols(&self, module: &str) -> Vec<SymbolLine> {
        if module == KERNEL {
            // They stay as they are for as long as the kernel runs.
            let own = || Exports::read(&self.linux).of("").to_vec();
            return self.own_symbols.get_or_init(own).clone();
        }
        let facts = self.facts(module);
        let terms = facts.as_ref().map_or(&[][..], |facts| &facts.exports);
        let all = self.linux.loaded().unwrap_or_default();
        let Some(loaded) = self.among(module, &all) else {
            return terms.to_vec();
        };
        let mut lines = Exports::read(&self.linux).of(&loaded.name).to_vec();
        for line in &mut lines {
            if let Some(terms) = terms.iter().find(|terms| terms.name == line.name) {
                (line.crc, line.gpl) = (terms.crc, terms.gpl);
            }
        }
        lines
    }

    fn add_symbol(&self, _module: &str, _symbol: SymbolLine) -> Result<(), Refusal> {
        Err(not_ours())
    }

    fn del_symbol(&self, _module: &str, _name: &str) -> Result<(), Refusal> {
        Err(not_ours())
    }

    fn info(&self, module: &str) -> Vec<(String, String)> {
        match self.facts(module) {
            Some(facts) => facts.info.clone(),
            None => facts::shown(&self.linux, &name_of(module)),
        }
    }

    fn parameters(&self, module: &str) -> Vec<Parameter> {
        parameters::list(&self.linux, &name_of(module))
    }

    fn parameter(&self, module: &str, name: &str) -> Result<String, Refusal> {
        parameters::get(&self.linux, &name_of(module), name)
    }

    fn set_parameter(&self, module: &str, name: &str, value: &str) -> Result<(), Refusal> {
        parameters::set(&self.linux, &name_of(module), name, value)
    }

    fn request(&self, name: &str) -> Result<(), Refusal> {
        request::run(&self.helper(), name)
    }

    /// Linux does not remember which modules were loaded on demand: there are none to remove.
    fn autoclean(&self) -> Vec<String> {
        Vec::new()
    }

    fn helper(&self) -> String {
        request::helper(&self.linux)
    }

    fn set_helper(&self, path: &str) -> Result<(), Refusal> {
        request::set_helper(&self.linux, path)
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn tainted(&self) -> u32 {
        self.linux.tainted()
    }
}

fn not_ours() -> Refusal {
    let reason = "the table of symbols is the kernel's own: it changes with its modules only";
    Refusal::new(Errno::EPERM, reason)
}

#[cfg(test)]
mod tests;

//! The host as a [`Kernel`].

use crate::call::{Failure, Owner, call};
use crate::host::{Loaded, Shared};
use crate::image::{self, Image};
use crate::linked::{counts_itself, is_image, settle};
use crate::log::Level;
use crate::oops;
use crate::params::{self, Params};
use crate::{RUSTC, VERMAGIC};
use modfs_core::{
    Command, Errno, Export, Flags, Force, Id, InitArgs, KERNEL, Kernel, MapArgs, Modules,
    NewModule, Owner as Exporter, Parameter, Refusal, State, Status, Sweep, SymbolLine,
};
use modfs_link::{Param, Value};
use modfs_object::Modinfo;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What starting or stopping a module needs of it.
struct Start {
    owner: Arc<Owner>,
    image: Arc<Image>,
    params: Arc<Params>,
}

impl Shared {
    /// Calls a function of a module; a fault in it is reported, and ends the module's use.
    ///
    /// # Errors
    /// EFAULT: it faulted.
    ///
    /// # Safety
    /// As [`call`].
    pub(crate) unsafe fn call(
        &self,
        owner: &Arc<Owner>,
        function: u64,
        arguments: [u64; 5],
    ) -> Result<u64, Refusal> {
        // SAFETY: the caller's.
        match unsafe { call(self, owner, function, arguments) } {
            Ok(returned) => Ok(returned),
            Err(Failure::Panic(panic)) => {
                let report = oops::panicked(self, &panic, &owner.name);
                self.log.write(Level::Err, &report);
                let mut reasons = vec![format!("{} panicked at {}", owner.name, panic.text)];
                if !panic.clean {
                    reasons.push(format!(
                        "{} stays as it is, faulted, until the host ends: not all of its \
                         destructors could be run",
                        owner.name
                    ));
                    self.mark_faulted(owner.id);
                    for id in oops::modules_of(self, &panic) {
                        self.mark_faulted(id);
                    }
                }
                Err(Refusal::all(Errno::EIO, reasons))
            }
            Err(Failure::Fault(fault)) => {
                let oops = oops::report(self, &fault, &owner.name);
                self.log.write(Level::Emerg, &oops.text);
                let advice = format!(
                    "{} stays as it is, faulted, until the host ends; the report is in the log",
                    owner.name
                );
                self.log.write(Level::Emerg, &advice);
                self.mark_faulted(owner.id);
                for id in oops.modules {
                    self.mark_faulted(id);
                }
                Err(Refusal::all(Errno::EFAULT, vec![oops.summary, advice]))
            }
        }
    }

    fn mark_faulted(&self, id: Id) {
        let mut modules = self.modules();
        modules.fault(id);
        if let Some(loaded) = modules.get(id).and_then(|module| module.payload()) {
            loaded.owner.dead.store(true, Ordering::Relaxed);
        }
    }

    /// Links `object` as the module `id`, for which a map or relink has begun, and ends that.
    fn place(&self, id: Id, name: &str, object: Arc<Vec<u8>>, force: Force) -> Result<(), Refusal> {
        let linked = image::link(self, id, name, &object, force);
        let mut modules = self.modules();
        let placed = linked.and_then(|linked| {
            let module = modules.get(id).ok_or(Errno::ENOENT)?;
            let owner = Owner {
                id,
                name: module.name().clone(),
                gate: module.gate().clone(),
                dead: AtomicBool::new(false),
            };
            let (address, size) = (linked.image.address(), linked.image.size());
            let (taints, notes) = (linked.taints, linked.notes.clone());
            let shown = self.watchers.show(name, &object, &linked, &self.log);
            let loaded = Loaded {
                object: Some(object),
                force,
                taints,
                types: linked.types,
                image: Some(Arc::new(linked.image)),
                pieces: Vec::new(),
                listed: Vec::new(),
                info: linked.info,
                params: Arc::new(Params::new(linked.params)),
                owner: Arc::new(owner),
                shown,
            };
            modules.finish_map(id, &linked.exports, loaded)?;
            if let Some(module) = modules.get_mut(id) {
                module.set_extent(address, size);
            }
            Ok((taints, notes))
        });
        if placed.is_err() {
            modules.abort_map(id);
        }
        drop(modules);
        let (taints, notes) = placed?;
        self.taints.fetch_or(taints, Ordering::Relaxed);
        for note in notes {
            self.log.write(Level::Warning, &note);
        }
        Ok(())
    }

    /// From here on nobody else can start it, or take its image away. Returns whether it is a linked image.
    fn begin_init(&self, id: Id, args: &InitArgs) -> Result<bool, Refusal> {
        let mut modules = self.modules();
        modules.begin_init(id, args)?;
        let loaded = modules.get(id).and_then(|module| module.payload());
        Ok(loaded.is_some_and(Loaded::is_linked))
    }

    /// Calls a function of a module that takes nothing.
    ///
    /// # Errors
    /// As [`Shared::call`].
    pub(crate) fn call_plain(&self, owner: &Arc<Owner>, function: u64) -> Result<u64, Refusal> {
        // SAFETY: the module's function, which takes no arguments; the caller holds the module.
        unsafe { self.call(owner, function, [0; 5]) }
    }

    /// Keeps from a sweep the modules that say by themselves that they are used, or may not be unloaded.
    fn keep_users(&self, sweep: &mut Sweep) {
        let candidates: Vec<(Id, Arc<Owner>)> = {
            let modules = self.modules();
            modules.iter().for_each(|(_, module)| settle(module));
            let linked = modules.iter().filter_map(|(id, module)| {
                let loaded = module.payload().filter(|loaded| loaded.is_linked())?;
                let may_go = Flags::AUTOCLEAN.union(Flags::USED_ONCE);
                let asked = module.gate().flags().contains(may_go);
                asked.then(|| (id, loaded.owner.clone()))
            });
            linked.collect()
        };
        for (id, owner) in candidates {
            if self.asks_to_stay(&owner.name, id).is_err() {
                sweep.keep(id);
            }
        }
    }

    fn start_of(&self, id: Id) -> Result<Start, Refusal> {
        let modules = self.modules();
        let loaded = modules
            .get(id)
            .and_then(|module| module.payload())
            .ok_or(Errno::ENOENT)?;
        Ok(Start {
            owner: loaded.owner.clone(),
            image: loaded.image.clone().ok_or(Errno::ENOENT)?,
            params: loaded.params.clone(),
        })
    }

    /// Sets the parameters of a module that is about to be started: all, or none when one is
    /// wrong.
    fn prepare(
        &self,
        id: Id,
        module: &str,
        args: &InitArgs,
        linked: bool,
    ) -> Result<Start, Refusal> {
        let start = self.start_of(id)?;
        if linked {
            return Ok(start);
        }
        for (param, values) in self.parse(module, &start.params.list, args)? {
            start.params.store(&start.image, param, values)?;
        }
        Ok(start)
    }

    /// Checks the parameters; nothing is stored yet.
    fn parse<'a>(
        &self,
        module: &str,
        params: &'a [Param],
        args: &InitArgs,
    ) -> Result<Vec<(&'a Param, Vec<Value>)>, Refusal> {
        let mut parsed = Vec::new();
        let mut reasons = Vec::new();
        let mut errno = Errno::EINVAL;
        for arg in &args.parameters {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (arg.as_str(), None),
            };
            // `-` and `_` are one in a parameter's name, as in Linux.
            let Some(param) = params
                .iter()
                .find(|p| p.name.replace('-', "_") == name.replace('-', "_"))
            else {
                let text = format!("{module}: unknown parameter '{name}' ignored");
                self.log.write(Level::Warning, &text);
                continue;
            };
            match param.parse(value).map_err(params::refused) {
                Ok(values) => parsed.push((param, values)),
                Err(refusal) => {
                    errno = refusal.errno;
                    reasons.extend(refusal.reasons);
                }
            }
        }
        if reasons.is_empty() {
            Ok(parsed)
        } else {
            Err(Refusal::all(errno, reasons))
        }
    }

    /// Runs constructors and init. `Err`: it faulted, or returned an error.
    fn run_init(&self, start: &Start) -> Result<(), Refusal> {
        for function in &start.image.constructors {
            // SAFETY: a constructor of the module, which init keeps mapped.
            unsafe { self.call(&start.owner, *function, [0; 5])? };
        }
        if start.image.init_function == 0 {
            return Ok(());
        }
        // SAFETY: the module's init, which takes no arguments.
        let returned =
            unsafe { self.call(&start.owner, start.image.init_function, [0; 5])? } as i32;
        match Errno::from_init(returned) {
            None => Ok(()),
            Some(errno) => {
                let text = format!("{}: init returned {returned}: {errno}", start.owner.name);
                Err(Refusal::new(errno, text))
            }
        }
    }

    fn run_exit(&self, start: &Start) -> Result<(), Refusal> {
        if start.image.exit_function != 0 {
            // SAFETY: the module's cleanup, which takes no arguments; the module is mapped.
            unsafe { self.call(&start.owner, start.image.exit_function, [0; 5])? };
        }
        for function in &start.image.destructors {
            // SAFETY: a destructor of the module, which is mapped.
            unsafe { self.call(&start.owner, *function, [0; 5])? };
        }
        Ok(())
    }

    /// Takes away what the module registered and did not take back itself.
    fn sweep_registrations(&self, owner: &Arc<Owner>) {
        self.locals.drop_module(self, owner);
        for what in self
            .devices
            .remove_owner(owner.id)
            .chain(self.procs.remove_owner(owner.id))
            .chain(self.filesystems.remove_owner(owner.id))
        {
            let text = format!("{}: left {what} registered: taken back", owner.name);
            self.log.write(Level::Warning, &text);
        }
    }

    fn stop(&self, id: Id, swept: bool) -> Result<(), Refusal> {
        let start = self.start_of(id)?;
        let exited = self.run_exit(&start);
        if start.owner.is_dead() {
            return exited;
        }
        self.sweep_registrations(&start.owner);
        let mut modules = self.modules();
        not_faulted(&modules, id)?;
        modules.finish_exit(id, swept);
        // After a panic it has exited all the same.
        exited
    }

    /// Where a mapped module is in its life.
    pub(crate) fn state(&self, module: &str) -> Option<State> {
        let modules = self.modules();
        Some(modules.get(modules.find(module)?)?.state())
    }

    fn exporter(&self, module: &str) -> Result<Exporter, Refusal> {
        if module == KERNEL {
            return Ok(Exporter::Kernel);
        }
        let id = self.modules().find(module);
        id.map(Exporter::Module).ok_or_else(|| not_mapped(module))
    }

    /// The loaded parts of a module that a look at it needs.
    fn look<R>(&self, module: &str, f: impl FnOnce(&Loaded, State) -> R) -> Option<R> {
        let modules = self.modules();
        let module = modules.get(modules.find(module)?)?;
        Some(f(module.payload()?, module.state()))
    }

    fn find_parameter(
        &self,
        module: &str,
        name: &str,
    ) -> Result<(Param, Arc<Image>, Arc<Params>, State), Refusal> {
        let found = self.look(module, |loaded, state| {
            let param = loaded.params.list.iter().find(|p| p.name == name)?;
            let image = loaded.image.clone()?;
            Some((param.clone(), image, loaded.params.clone(), state))
        });
        found
            .flatten()
            .ok_or_else(|| Refusal::new(Errno::ENOENT, format!("{module} has no parameter {name}")))
    }
}

/// What ends in `finish_…` must not: another thread, in a device or a function of the module, has
/// faulted meanwhile, which ended it already.
fn not_faulted(modules: &Modules<Loaded>, id: Id) -> Result<(), Refusal> {
    match modules.get(id) {
        Some(module) if module.state() == State::Faulted => {
            let text = format!("{}: its code faulted on another thread", module.name());
            Err(Refusal::new(Errno::EFAULT, text))
        }
        _ => Ok(()),
    }
}

/// What is known of a module.
pub(crate) fn status_of(modules: &Modules<Loaded>, id: Id) -> Option<Status> {
    let module = modules.get(id)?;
    settle(module);
    let mut status = modules.status(id)?;
    if let Some(loaded) = module.payload() {
        loaded.complete(&mut status);
    }
    Some(status)
}

/// What a module exports: of a linked image first its own table, in its order.
fn with_listed(modules: &Modules<Loaded>, id: Id, found: Vec<SymbolLine>) -> Vec<SymbolLine> {
    let module = modules
        .get(id)
        .filter(|module| module.state() != State::Uninitialized);
    let listed = module
        .and_then(|module| module.payload())
        .map_or(&[][..], |loaded| &loaded.listed);
    let own: HashSet<&str> = listed.iter().map(|line| line.name.as_str()).collect();
    let by_hand = |line: &SymbolLine| !own.contains(line.name.as_str());
    let added: Vec<SymbolLine> = found.into_iter().filter(by_hand).collect();
    listed.iter().cloned().chain(added).collect()
}

fn not_mapped(module: &str) -> Refusal {
    Refusal::new(Errno::ENOENT, format!("{module} is not mapped"))
}

impl Kernel for Shared {
    fn map(
        &self,
        module: &str,
        file: &str,
        object: Arc<Vec<u8>>,
        args: MapArgs,
    ) -> Result<(), Refusal> {
        if is_image(&object) {
            if args.force != Force::default() {
                let text = format!(
                    "{file} is a linked image, of which no version is compared: map it without -f"
                );
                return Err(Refusal::new(Errno::EINVAL, text));
            }
            return self.map_piece(module, file, object.len() as u64, args.mode);
        }
        let new = NewModule { name: module, file };
        let id = self.modules().begin_map(&new)?;
        self.place(id, module, object, args.force)
    }

    fn fill(&self, module: &str, file: &str, content: Arc<Vec<u8>>) -> Result<(), Refusal> {
        self.fill_piece(module, file, content)
    }

    fn unmap(&self, module: &str, file: &str) -> Result<(), Refusal> {
        if self.unmap_piece(module, file)? {
            return Ok(());
        }
        let file = self.listed_file(module, file);
        // The image goes when the lock is no longer held.
        let loaded = self.modules().unmap(module, &file)?;
        drop(loaded);
        Ok(())
    }

    fn init(&self, module: &str, file: &str, args: &InitArgs) -> Result<(), Refusal> {
        let listed = self.listed_file(module, file);
        let (id, again, frozen) = {
            let mut modules = self.modules();
            let (id, again) = modules.begin_relink(module, &listed)?;
            let loaded = modules.get_mut(id).and_then(|m| m.payload_mut());
            let frozen = loaded.and_then(|loaded| {
                if again {
                    loaded.shown = None;
                    loaded.image = None;
                }
                Some((loaded.object.clone()?, loaded.force))
            });
            (id, again, frozen)
        };
        if let Some((object, force)) = frozen.filter(|_| again) {
            self.place(id, module, object, force)?;
        }
        // From here on nobody else can start it, or take its image away.
        let linked = self.begin_init(id, args)?;
        let placed = match linked {
            true => self.place_image(id, module, file, args),
            false => Ok(()),
        };
        let start = match placed.and_then(|()| self.prepare(id, module, args, linked)) {
            Ok(start) => start,
            Err(refusal) => {
                self.modules().cancel_init(id);
                return Err(refusal);
            }
        };
        match self.run_init(&start) {
            Ok(()) => {
                if linked {
                    self.image_runs(id, &start.image);
                }
                start.image.drop_init();
                let mut modules = self.modules();
                not_faulted(&modules, id)?;
                modules.finish_init(id);
                if let Some(module) = modules.get_mut(id) {
                    module.set_extent(start.image.address(), start.image.size());
                    if let Some(loaded) = module.payload_mut() {
                        loaded.object = None;
                    }
                }
                Ok(())
            }
            Err(refusal) if start.owner.is_dead() => Err(refusal),
            Err(refusal) => {
                self.sweep_registrations(&start.owner);
                start.owner.dead.store(true, Ordering::Relaxed);
                let mut modules = self.modules();
                not_faulted(&modules, id)?;
                if modules.fail_init(id)
                    && let Some(loaded) = modules.get_mut(id).and_then(|m| m.payload_mut())
                {
                    loaded.image = None;
                }
                Err(refusal)
            }
        }
    }

    fn exit(&self, module: &str, file: &str) -> Result<(), Refusal> {
        let file = self.listed_file(module, file);
        let mut modules = self.modules();
        let id = modules.admit(module, &file, Command::Exit)?;
        if self.has_images() {
            drop(modules);
            self.asks_to_stay(module, id)?;
            modules = self.modules();
        }
        modules.begin_exit(id)?;
        if self.has_images()
            && let Err(refusal) = counts_itself(&modules, id)
        {
            // It has begun to count meanwhile.
            modules.cancel_exit(id);
            return Err(refusal);
        }
        drop(modules);
        self.stop(id, false)
    }

    fn status(&self, module: &str) -> Option<Status> {
        let modules = self.modules();
        status_of(&modules, modules.find(module)?)
    }

    fn symbols(&self, module: &str) -> Vec<SymbolLine> {
        match self.exporter(module) {
            Ok(exporter) => {
                let modules = self.modules();
                let found = modules.exports(exporter);
                match exporter {
                    Exporter::Module(id) => with_listed(&modules, id, found),
                    Exporter::Kernel => found,
                }
            }
            Err(_) => Vec::new(),
        }
    }

    fn add_symbol(&self, module: &str, symbol: SymbolLine) -> Result<(), Refusal> {
        let exporter = self.exporter(module)?;
        let export = Export {
            name: symbol.name.as_str().into(),
            address: symbol.address,
            near: self.near(symbol.address),
            crc: symbol.crc,
            gpl: symbol.gpl,
        };
        self.modules().add_symbol(exporter, export)
    }

    fn del_symbol(&self, module: &str, name: &str) -> Result<(), Refusal> {
        let exporter = self.exporter(module)?;
        self.modules().del_symbol(exporter, name)
    }

    fn info(&self, module: &str) -> Vec<(String, String)> {
        let info = self.look(module, |loaded, _| {
            let owned = |(tag, value): (&str, &str)| (tag.to_owned(), value.to_owned());
            Modinfo::parse(&loaded.info).entries().map(owned).collect()
        });
        info.unwrap_or_default()
    }

    fn parameters(&self, module: &str) -> Vec<Parameter> {
        let found = self.look(module, |loaded, _| {
            (loaded.params.clone(), loaded.image.clone())
        });
        let Some((params, Some(image))) = found else {
            return Vec::new();
        };
        let one = |param: &Param| Parameter {
            name: param.name.clone(),
            mode: param.mode,
        };
        // Not those whose variables were for init only.
        params
            .list
            .iter()
            .filter(|param| params::is_there(param, &image))
            .map(one)
            .collect()
    }

    fn parameter(&self, module: &str, name: &str) -> Result<String, Refusal> {
        let (param, image, _, _) = self.find_parameter(module, name)?;
        params::show(&image, &param)
    }

    fn set_parameter(&self, module: &str, name: &str, value: &str) -> Result<(), Refusal> {
        let (param, image, params, state) = self.find_parameter(module, name)?;
        if param.mode & 0o222 == 0 {
            let text = format!("{module}: parameter {name} cannot be changed");
            return Err(Refusal::new(Errno::EPERM, text));
        }
        if state != State::Running {
            let text = format!("{module} is {state}: give the parameter to init");
            return Err(Refusal::new(Errno::EBUSY, text));
        }
        let values = param.parse(Some(value)).map_err(params::refused)?;
        params.store(&image, &param, values)
    }

    fn request(&self, name: &str) -> Result<(), Refusal> {
        self.request_module(name)
    }

    fn autoclean(&self) -> Vec<String> {
        let mut sweep = Sweep::default();
        let mut gone = Vec::new();
        if self.has_images() {
            self.keep_users(&mut sweep);
        }
        loop {
            let (id, name, status) = {
                let mut modules = self.modules();
                let Some(id) = modules.next_stale(&mut sweep) else {
                    return gone;
                };
                if counts_itself(&modules, id).is_err() {
                    // It has begun to count meanwhile.
                    modules.cancel_exit(id);
                    sweep.keep(id);
                    continue;
                }
                let name = modules
                    .get(id)
                    .map(|m| m.name().to_string())
                    .unwrap_or_default();
                (id, name, status_of(&modules, id))
            };
            let files = status.map_or(Vec::new(), |status| match status.pieces.is_empty() {
                true => vec![status.file],
                false => status.pieces.into_iter().map(|piece| piece.file).collect(),
            });
            let stopped = self.stop(id, true);
            let unmap = |file: &String| self.unmap(&name, file).is_ok();
            if stopped.is_ok() && files.iter().all(unmap) {
                gone.push(name);
            }
        }
    }

    fn helper(&self) -> String {
        self.helper.path()
    }

    fn set_helper(&self, path: &str) -> Result<(), Refusal> {
        self.helper.set_path(path)
    }

    fn taint(&self, bits: u32) -> Result<(), Refusal> {
        self.taints.fetch_or(bits, Ordering::Relaxed);
        Ok(())
    }

    fn tainted(&self) -> u32 {
        self.taints.load(Ordering::Relaxed)
    }

    fn version(&self) -> String {
        VERMAGIC.to_owned()
    }

    fn rustc(&self) -> String {
        RUSTC.to_owned()
    }
}

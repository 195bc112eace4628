//! A kernel in memory, for tests. States follow `modfs_core::verdict`; an object is text whose
//! lines say how the module behaves:
//!
//! ```text
//! module                 first line of every object
//! export NAME            it exports a symbol
//! import NAME            it needs a symbol, of the kernel (`printk`) or of a running module
//! param NAME MODE        it has a parameter
//! init N                 what init returns
//! hang                   init returns when `release` is called
//! linger                 map begins when `release` is called
//! ```

use modfs_core::{
    Command, Errno, Flags, InitArgs, KERNEL, Kernel, MapArgs, Parameter, Refusal, State, Status,
    SymbolLine, verdict,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Double {
    modules: Mutex<BTreeMap<String, Mapped>>,
    released: Mutex<bool>,
    release: Condvar,
    helper: Mutex<String>,
    /// What `loaded` tells next.
    told: Mutex<bool>,
}

struct Mapped {
    status: Status,
    object: Arc<Vec<u8>>,
    exports: Vec<SymbolLine>,
    added: Vec<String>,
    parameters: BTreeMap<String, (u32, String)>,
}

fn words(object: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(object);
    let lines = text.lines();
    lines
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect()
}

fn arguments(object: &[u8], word: &str) -> Vec<Vec<String>> {
    let mut lines = words(object);
    lines.retain(|line| line[0] == word);
    lines
}

fn line(name: &str) -> SymbolLine {
    SymbolLine {
        name: name.to_owned(),
        address: 0x1000 + name.len() as u64,
        crc: None,
        gpl: false,
    }
}

impl Double {
    pub(crate) fn new() -> Arc<Double> {
        Arc::default()
    }

    /// Lets every init that hangs return.
    pub(crate) fn release(&self) {
        *self.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.release.notify_all();
    }

    /// Others load a module. `told`: the kernel tells of it by itself.
    pub(crate) fn load(&self, name: &str, told: bool) {
        let mapped = Mapped {
            status: Status {
                file: String::new(),
                pieces: Vec::new(),
                state: State::Running,
                address: 0,
                size: 1,
                usecount: 0,
                flags: Flags::default(),
                deps: Vec::new(),
                refs: Vec::new(),
            },
            object: Arc::default(),
            exports: Vec::new(),
            added: Vec::new(),
            parameters: BTreeMap::new(),
        };
        self.modules().insert(name.to_owned(), mapped);
        self.tell(told);
    }

    /// Others unload a module.
    pub(crate) fn unload(&self, name: &str, told: bool) {
        self.modules().remove(name);
        self.tell(told);
    }

    fn tell(&self, told: bool) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) |= told;
    }

    fn modules(&self) -> MutexGuard<'_, BTreeMap<String, Mapped>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hang(&self) {
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        while !*released {
            released = self
                .release
                .wait(released)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn with<T>(
        &self,
        module: &str,
        file: &str,
        command: Command,
        act: impl FnOnce(&mut Mapped) -> T,
    ) -> Result<T, Refusal> {
        let mut modules = self.modules();
        let mapped = modules.get_mut(module).filter(|m| m.status.file == file);
        verdict(mapped.as_ref().map(|m| m.status.state), command)?;
        Ok(act(mapped.ok_or(Errno::ENOENT)?))
    }
}

impl Kernel for Double {
    fn map(
        &self,
        module: &str,
        file: &str,
        object: Arc<Vec<u8>>,
        _: MapArgs,
    ) -> Result<(), Refusal> {
        if !arguments(&object, "linger").is_empty() {
            self.hang();
        }
        let mut modules = self.modules();
        verdict(modules.get(module).map(|m| m.status.state), Command::Map)?;
        if words(&object)
            .first()
            .is_none_or(|line| line[0] != "module")
        {
            return Err(Refusal::new(Errno::ENOEXEC, "not an object"));
        }
        let mut deps = Vec::new();
        let mut missing = Vec::new();
        for import in arguments(&object, "import") {
            let exporter = modules.iter().find(|(_, m)| {
                m.status.state == State::Running && m.exports.iter().any(|e| e.name == import[1])
            });
            match exporter {
                Some((name, _)) => deps.push(name.clone()),
                None if import[1] == "printk" => {}
                None => missing.push(format!("unresolved symbol {}", import[1])),
            }
        }
        if !missing.is_empty() {
            return Err(Refusal::all(Errno::ENOENT, missing));
        }
        for dep in &deps {
            if let Some(dep) = modules.get_mut(dep) {
                dep.status.refs.insert(0, module.to_owned());
                dep.status.flags = dep.status.flags.union(Flags::USED_ONCE);
            }
        }
        let exports = arguments(&object, "export");
        let parameters = arguments(&object, "param");
        let mapped = Mapped {
            status: Status {
                file: file.to_owned(),
                pieces: Vec::new(),
                state: State::Uninitialized,
                address: 0x7f00_0000,
                size: object.len() as u64,
                usecount: 0,
                flags: Flags::default(),
                deps,
                refs: Vec::new(),
            },
            exports: exports.iter().map(|e| line(&e[1])).collect(),
            added: Vec::new(),
            parameters: parameters
                .into_iter()
                .map(|p| {
                    (
                        p[1].clone(),
                        (u32::from_str_radix(&p[2], 8).unwrap_or(0), String::new()),
                    )
                })
                .collect(),
            object,
        };
        modules.insert(module.to_owned(), mapped);
        Ok(())
    }

    fn unmap(&self, module: &str, file: &str) -> Result<(), Refusal> {
        self.with(module, file, Command::Unmap, |_| ())?;
        let mut modules = self.modules();
        let gone = modules.get(module).map(|m| m.status.state);
        verdict(gone, Command::Unmap)?;
        modules.remove(module);
        for other in modules.values_mut() {
            other.status.refs.retain(|name| name != module);
        }
        Ok(())
    }

    fn init(&self, module: &str, file: &str, args: &InitArgs) -> Result<(), Refusal> {
        let object = self.with(module, file, Command::Init, |mapped| {
            mapped.status.state = State::Initializing;
            if args.autoclean {
                mapped.status.flags = mapped.status.flags.union(Flags::AUTOCLEAN);
            }
            for parameter in &args.parameters {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                if let Some((_, slot)) = mapped.parameters.get_mut(name) {
                    *slot = value.to_owned();
                }
            }
            Arc::clone(&mapped.object)
        })?;
        if !arguments(&object, "hang").is_empty() {
            self.hang();
        }
        let returned = arguments(&object, "init");
        let returned = returned
            .first()
            .map_or(0, |line| line[1].parse().unwrap_or(0));
        let failed = Errno::from_init(returned);
        if let Some(mapped) = self.modules().get_mut(module) {
            mapped.status.state = match failed {
                None => State::Running,
                Some(_) => State::Uninitialized,
            };
        }
        failed.map_or(Ok(()), |errno| {
            Err(Refusal::new(errno, format!("init returned {returned}")))
        })
    }

    fn exit(&self, module: &str, file: &str) -> Result<(), Refusal> {
        self.with(module, file, Command::Exit, |mapped| {
            let refs = mapped.status.refs.iter();
            let users: Vec<_> = refs.map(|name| format!("used by module {name}")).collect();
            if !users.is_empty() {
                return Err(Refusal::all(Errno::EBUSY, users));
            }
            mapped.status.state = State::Deleted;
            Ok(())
        })??;
        if file.is_empty() {
            self.unload(module, true);
        }
        Ok(())
    }

    fn loaded(&self, anew: bool) -> Option<Vec<String>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = std::mem::take(&mut *told);
        (told || anew).then(|| self.modules().keys().cloned().collect())
    }

    fn status(&self, module: &str) -> Option<Status> {
        Some(self.modules().get(module)?.status.clone())
    }

    fn symbols(&self, module: &str) -> Vec<SymbolLine> {
        if module == KERNEL {
            return vec![line("printk")];
        }
        let modules = self.modules();
        modules
            .get(module)
            .map_or(Vec::new(), |m| m.exports.clone())
    }

    fn add_symbol(&self, module: &str, symbol: SymbolLine) -> Result<(), Refusal> {
        let mut modules = self.modules();
        let mapped = modules.get_mut(module).ok_or(Errno::ENOENT)?;
        if mapped.exports.iter().any(|e| e.name == symbol.name) {
            return Err(Errno::EEXIST.into());
        }
        mapped.added.push(symbol.name.clone());
        mapped.exports.push(symbol);
        Ok(())
    }

    fn del_symbol(&self, module: &str, name: &str) -> Result<(), Refusal> {
        let mut modules = self.modules();
        let mapped = modules.get_mut(module).ok_or(Errno::ENOENT)?;
        if !mapped.exports.iter().any(|e| e.name == name) {
            return Err(Errno::ENOENT.into());
        }
        if !mapped.added.iter().any(|n| n == name) {
            return Err(Errno::EPERM.into());
        }
        mapped.exports.retain(|e| e.name != name);
        mapped.added.retain(|n| n != name);
        Ok(())
    }

    fn info(&self, module: &str) -> Vec<(String, String)> {
        let known = self.modules().contains_key(module);
        let pair = ("description".to_owned(), "two\nlines".to_owned());
        known.then_some(pair).into_iter().collect()
    }

    fn parameters(&self, module: &str) -> Vec<Parameter> {
        let modules = self.modules();
        let parameters = modules.get(module).map(|m| m.parameters.iter());
        parameters
            .into_iter()
            .flatten()
            .map(|(name, (mode, _))| Parameter {
                name: name.clone(),
                mode: *mode,
            })
            .collect()
    }

    fn parameter(&self, module: &str, name: &str) -> Result<String, Refusal> {
        let modules = self.modules();
        let mapped = modules.get(module).ok_or(Errno::ENOENT)?;
        let (_, value) = mapped.parameters.get(name).ok_or(Errno::ENOENT)?;
        Ok(value.clone())
    }

    fn set_parameter(&self, module: &str, name: &str, value: &str) -> Result<(), Refusal> {
        let mut modules = self.modules();
        let mapped = modules.get_mut(module).ok_or(Errno::ENOENT)?;
        if mapped.status.state != State::Running {
            return Err(Errno::EBUSY.into());
        }
        let (_, slot) = mapped.parameters.get_mut(name).ok_or(Errno::ENOENT)?;
        *slot = value.to_owned();
        Ok(())
    }

    fn request(&self, name: &str) -> Result<(), Refusal> {
        match name {
            "known" => Ok(()),
            _ => Err(Refusal::new(Errno::ENOENT, format!("no module {name}"))),
        }
    }

    fn autoclean(&self) -> Vec<String> {
        let mut modules = self.modules();
        let clean = |m: &Mapped| {
            m.status.state == State::Running
                && m.status.flags.contains(Flags::AUTOCLEAN)
                && m.status.refs.is_empty()
        };
        let names = modules.iter().filter(|(_, m)| clean(m));
        let names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
        modules.retain(|name, _| !names.contains(name));
        names
    }

    fn helper(&self) -> String {
        self.helper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_helper(&self, path: &str) -> Result<(), Refusal> {
        if path.len() > 255 {
            return Err(Errno::ENAMETOOLONG.into());
        }
        *self.helper.lock().unwrap_or_else(PoisonError::into_inner) = path.to_owned();
        Ok(())
    }

    fn version(&self) -> String {
        "double 1".to_owned()
    }
}

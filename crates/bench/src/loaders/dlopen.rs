//! glibc's dlopen(3), by libloading.

use super::{From, Loader, Running};
use crate::Result;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

pub(crate) struct Dlopen;

pub(crate) struct Module(Library);

impl Dlopen {
    pub(crate) fn open(path: &std::path::Path) -> Result<Module> {
        // SAFETY: what is loaded here was made here, and has no constructors.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let module = Module(library.map_err(|e| e.to_string())?);
        // SAFETY: its type.
        let init = unsafe { module.0.get::<extern "C" fn() -> i32>("init_module") };
        match init.map_err(|e| e.to_string())?() {
            0 => Ok(module),
            error => Err(format!("init returned {error}")),
        }
    }
}

impl Module {
    pub(crate) fn call(&self, export: &str) -> Result<i64> {
        // SAFETY: its type.
        let function = unsafe { self.0.get::<extern "C" fn() -> i64>(export) };
        Ok(function.map_err(|e| e.to_string())?())
    }

    /// The address of an export.
    pub(crate) fn address(&self, export: &str) -> Result<*const ()> {
        // SAFETY: only the address is used.
        let symbol = unsafe { self.0.get::<*const ()>(export) };
        Ok(symbol.map_err(|e| e.to_string())?.as_raw_ptr().cast())
    }

    pub(crate) fn close(self) -> Result<()> {
        // SAFETY: its type.
        let exit = unsafe { self.0.get::<extern "C" fn()>("cleanup_module") };
        exit.map_err(|e| e.to_string())?();
        self.0.close().map_err(|e| e.to_string())
    }
}

impl Loader for Dlopen {
    fn load(&self, _: &str, from: From<'_>) -> Result<Box<dyn Running + '_>> {
        match from {
            From::File(path) => Ok(Box::new(Dlopen::open(path)?)),
            From::Memory(_) => Err("takes files only".into()),
        }
    }
}

impl Running for Module {
    fn call(&self, export: &str) -> Result<Option<i64>> {
        Module::call(self, export).map(Some)
    }

    fn unload(self: Box<Self>) -> Result<()> {
        self.close()
    }
}

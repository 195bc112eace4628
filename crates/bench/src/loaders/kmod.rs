//! `kmod-loader`: objects for Linux 6.6, with a host that gives it memory and symbols.

use super::{From, Loader, Running};
use crate::Result;
use crate::services::Services;
use kmod_loader::{KernelModuleHelper, ModuleLoader, ModuleOwner, SectionMemOps, SectionPerm};
use std::collections::HashMap;
use std::fs;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

pub(crate) type Table = HashMap<String, usize>;

/// What it resolves symbols with: it asks a type, not a value. A table that was here stays.
static TABLE: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());

pub(crate) struct Kmod;

pub(crate) fn table(services: &Services) -> Table {
    services.all.iter().cloned().collect()
}

impl Kmod {
    pub(crate) fn new(services: &Services) -> Result<Kmod> {
        if cfg!(debug_assertions) {
            // `Module::params_mut` makes a slice of a null pointer when there are none.
            return Err("stops at its own null slice where debug assertions are on".into());
        }
        let table = Box::leak(Box::new(table(services)));
        TABLE.store(table, Ordering::Release);
        Ok(Kmod)
    }
}

struct Helper;

impl KernelModuleHelper for Helper {
    /// Touched at once, as in its own example.
    fn vmalloc(size: usize) -> Box<dyn SectionMemOps> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new mapping.
        let at = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, -1, 0) };
        let at = if at == libc::MAP_FAILED {
            ptr::null_mut()
        } else {
            at.cast()
        };
        Box::new(Pages { at, size })
    }

    fn resolve_symbol(name: &str) -> Option<usize> {
        // SAFETY: null, or a table that stays.
        let table = unsafe { TABLE.load(Ordering::Acquire).as_ref() };
        table?.get(name).copied()
    }
}

struct Pages {
    at: *mut u8,
    size: usize,
}

// SAFETY: memory that belongs to nobody else.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl SectionMemOps for Pages {
    fn as_ptr(&self) -> *const u8 {
        self.at
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.at
    }

    fn change_perms(&mut self, perms: SectionPerm) -> bool {
        let mut access = 0;
        for (perm, bit) in [
            (SectionPerm::READ, libc::PROT_READ),
            (SectionPerm::WRITE, libc::PROT_WRITE),
            (SectionPerm::EXECUTE, libc::PROT_EXEC),
        ] {
            if perms.contains(perm) {
                access |= bit;
            }
        }
        // SAFETY: a mapping of its own.
        unsafe { libc::mprotect(self.at.cast(), self.size, access) == 0 }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: a mapping of its own, which nothing uses any more.
        unsafe { libc::munmap(self.at.cast(), self.size) };
    }
}

impl Loader for Kmod {
    fn load(&self, _: &str, from: From<'_>) -> Result<Box<dyn Running + '_>> {
        let object = match from {
            From::Memory(object) => object.clone(),
            From::File(path) => Arc::new(fs::read(path).map_err(|e| e.to_string())?),
        };
        let text = |error| format!("{error:?}");
        let loader = ModuleLoader::<Helper>::new(&object).map_err(text)?;
        let mut module = loader.load_module(c"".to_owned()).map_err(text)?;
        match module.call_init().map_err(text)? {
            0 => Ok(Box::new(Module(module))),
            error => Err(format!("init returned {error}")),
        }
    }
}

struct Module(ModuleOwner<Helper>);

impl Running for Module {
    fn call(&self, _: &str) -> Result<Option<i64>> {
        Ok(None)
    }

    fn unload(mut self: Box<Self>) -> Result<()> {
        self.0.call_exit();
        Ok(())
    }
}

//! Relink, the crate `elf_loader`: relocatable objects.

use super::{From, Loader, Running};
use crate::Result;
use crate::services::Services;
use elf_loader::arch::NativeArch;
use elf_loader::image::{LocalScope, ModuleScope, SyntheticModule, SyntheticSymbol};
use elf_loader::input::ElfBinary;
use elf_loader::{AddressSpaceId, Domain, Relocator};
use std::ffi::CString;

pub(crate) struct Relink {
    domain: Domain<NativeArch>,
    scope: LocalScope<NativeArch>,
}

/// The services, and the name that gcc leaves undefined in every -fPIC object.
pub(crate) fn symbols(services: &Services) -> Result<Vec<SyntheticSymbol>> {
    let symbol = |(name, address): &(String, usize)| {
        let name = CString::new(name.as_str()).map_err(|e| e.to_string())?;
        let address = std::ptr::with_exposed_provenance(*address);
        Ok(SyntheticSymbol::function(name, address))
    };
    let mut all: Vec<SyntheticSymbol> = services.all.iter().map(symbol).collect::<Result<_>>()?;
    let table = c"_GLOBAL_OFFSET_TABLE_";
    all.push(SyntheticSymbol::object(table, (&raw const DATA).cast(), 8));
    Ok(all)
}

static DATA: u64 = 0;

pub(crate) fn domain() -> Domain<NativeArch> {
    Domain::native(AddressSpaceId::PROCESS)
}

pub(crate) fn table(
    domain: &Domain<NativeArch>,
    symbols: Vec<SyntheticSymbol>,
) -> SyntheticModule<NativeArch> {
    SyntheticModule::new(domain, "host", symbols)
}

impl Relink {
    pub(crate) fn new(services: &Services) -> Result<Relink> {
        let domain = domain();
        let mut group = ModuleScope::new(domain.id());
        group
            .replace([table(&domain, symbols(services)?)])
            .map_err(|e| e.to_string())?;
        Ok(Relink {
            domain,
            scope: LocalScope::from_group(group),
        })
    }
}

/// Reused for every load, as it is meant to be.
static LOADER: elf_loader::Loader = elf_loader::Loader::new();

type Module = elf_loader::image::LoadedObject;

impl Loader for Relink {
    fn load(&self, name: &str, from: From<'_>) -> Result<Box<dyn Running + '_>> {
        let mut run = LOADER.run(self.domain.clone());
        let raw = match from {
            From::Memory(object) => run.load_object(ElfBinary::new(name, object)),
            From::File(path) => run.load_object(path.to_str().ok_or("not UTF-8")?),
        };
        let module = Relocator::new()
            .run(raw.map_err(|e| e.to_string())?)
            .with_local_scope(self.scope.clone())
            .and_then(|relocation| relocation.relocate())
            .map_err(|e| e.to_string())?;
        // SAFETY: its type.
        match unsafe { function::<i32>(&module, "init_module") }?() {
            0 => Ok(Box::new(module)),
            error => Err(format!("init returned {error}")),
        }
    }
}

/// # Safety
/// The function is of this type, and not called once the module is gone.
unsafe fn function<T>(module: &Module, name: &str) -> Result<extern "C" fn() -> T> {
    // SAFETY: the caller's.
    let symbol = unsafe { module.get::<extern "C" fn() -> T>(name) };
    let symbol = symbol.map_err(|e| e.to_string())?;
    Ok(*symbol.ok_or_else(|| format!("no {name}"))?)
}

impl Running for Module {
    fn call(&self, export: &str) -> Result<Option<i64>> {
        // SAFETY: its type.
        Ok(Some(unsafe { function::<i64>(self, export) }?()))
    }

    fn unload(self: Box<Self>) -> Result<()> {
        // SAFETY: its type.
        unsafe { function::<()>(&self, "cleanup_module") }?();
        Ok(())
    }
}

//! modfs: a host, driven by its `Kernel` as the tree drives it.

use super::{From, Loader, Running};
use crate::Result;
use crate::services::Services;
use modfs_host::{Host, HostExport};

pub(crate) struct Modfs {
    pub(crate) host: Host,
}

/// The services, as the host exports them.
pub(crate) fn exports(services: &Services) -> Vec<HostExport> {
    let function = |(name, address): &(String, usize)| {
        HostExport::function(name, std::ptr::with_exposed_provenance(*address))
    };
    services.all.iter().map(function).collect()
}

pub(crate) fn host() -> Result<Host> {
    // SAFETY: the modules are the ones generated here.
    unsafe { Host::new() }.map_err(|e| e.to_string())
}

impl Modfs {
    pub(crate) fn new(services: &Services) -> Result<Modfs> {
        let host = host()?;
        host.export(&exports(services)).map_err(|e| e.to_string())?;
        Ok(Modfs { host })
    }
}

impl Loader for Modfs {
    fn load(&self, name: &str, from: From<'_>) -> Result<Box<dyn Running + '_>> {
        let loaded = match from {
            From::Memory(object) => self.host.load(name, object.clone(), &[]),
            From::File(path) => self.host.load_file(name, path, &[]),
        };
        loaded.map_err(|e| e.to_string())?;
        Ok(Box::new(Module {
            modfs: self,
            name: name.to_owned(),
        }))
    }
}

struct Module<'a> {
    modfs: &'a Modfs,
    name: String,
}

impl Running for Module<'_> {
    fn call(&self, export: &str) -> Result<Option<i64>> {
        let address = self.modfs.host.symbol(export);
        let address = address.ok_or_else(|| format!("no {export}"))?;
        let code = std::ptr::with_exposed_provenance::<()>(address as usize);
        // SAFETY: a function of this type in a module that is loaded.
        let function = unsafe { std::mem::transmute::<*const (), extern "C" fn() -> i64>(code) };
        Ok(Some(function()))
    }

    fn unload(self: Box<Self>) -> Result<()> {
        self.modfs
            .host
            .unload(&self.name)
            .map_err(|e| e.to_string())
    }
}

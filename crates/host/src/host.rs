//! The host: its module list, its exports, its log, and what modules registered.

use crate::call::Owner;
use crate::debug::{Shown, Watchers};
use crate::device::Devices;
use crate::exports::{self, HostExport};
use crate::fault;
use crate::filesystem::Filesystems;
use crate::helper::Helper;
use crate::image::Image;
use crate::linked::Piece;
use crate::locals::Locals;
use crate::log::{Level, Log, Record};
use crate::params::Params;
use crate::procfs::Procs;
use crate::stubs::Stubs;
use modfs_arena::Arena;
use modfs_core::{Address, Export, Force, InitArgs, Kernel, MapArgs, Modules, Refusal, SymbolLine};
use modfs_link::Staging;
use modfs_module::KERNEL_SYMTYPES;
use modfs_symvers::{BadLine, Checksums, Symtypes};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What the host keeps with a module.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The file it was mapped from; `None` once it runs, since then it is never linked anew.
    pub(crate) object: Option<Arc<Vec<u8>>>,
    /// What was not looked at when it was mapped.
    pub(crate) force: Force,
    /// What it taints the kernel with ([`modfs_core::taint`]).
    pub(crate) taints: u32,
    /// The declarations of what it exports, as text.
    pub(crate) types: Box<[u8]>,
    /// `None` once a failed init's image is freed, and of a linked image until init.
    pub(crate) image: Option<Arc<Image>>,
    /// The mapped files of a linked image; none of an object.
    pub(crate) pieces: Vec<Piece>,
    /// What a linked image exports, as its table has it.
    pub(crate) listed: Vec<SymbolLine>,
    /// The section `.modinfo`.
    pub(crate) info: Box<[u8]>,
    pub(crate) params: Arc<Params>,
    pub(crate) owner: Arc<Owner>,
    /// What gdb was told of it.
    pub(crate) shown: Option<Shown>,
}

/// All of a host, shared by those who use it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) arena: &'static Arena,
    modules: Mutex<Modules<Loaded>>,
    /// Kept for the modules that jump there.
    stubs: Mutex<Vec<Stubs>>,
    pub(crate) log: Log,
    pub(crate) devices: Devices,
    pub(crate) procs: Procs,
    pub(crate) filesystems: Filesystems,
    pub(crate) helper: Helper,
    pub(crate) locals: Locals,
    pub(crate) watchers: Watchers,
    /// What the next image can be put together in.
    pub(crate) spare: Mutex<Option<Staging>>,
    /// The declarations of what the program exports, those of every host first.
    pub(crate) types: Mutex<Vec<Symtypes>>,
    /// What has tainted this kernel ([`modfs_core::taint`]).
    pub(crate) taints: AtomicU32,
    /// Set once a linked image has been mapped.
    pub(crate) images: AtomicBool,
    /// This host, for what outlives the call it is met in.
    pub(crate) me: Weak<Shared>,
}

impl Shared {
    /// The module list. Never held while module code runs.
    pub(crate) fn modules(&self) -> MutexGuard<'_, Modules<Loaded>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn types(&self) -> MutexGuard<'_, Vec<Symtypes>> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands for an address within reach of modules: itself, if it is in the arena.
    pub(crate) fn near(&self, address: Address) -> Address {
        if self.arena.contains(address) {
            address
        } else {
            0
        }
    }

    /// Maps an object and starts it, or leaves nothing behind.
    pub(crate) fn insert(
        &self,
        name: &str,
        object: Arc<Vec<u8>>,
        args: &InitArgs,
    ) -> Result<(), Refusal> {
        self.map(name, name, object, MapArgs::default())?;
        self.init(name, name, args).inspect_err(|_| {
            // Fails only for a module that faulted, which has to stay.
            let _ = self.unmap(name, name);
        })
    }

    fn export(&self, exports: &[HostExport]) -> Result<(), Refusal> {
        let out_of_memory =
            |error: io::Error| Refusal::new(modfs_core::Errno::ENOMEM, error.to_string());
        let functions: Vec<&HostExport> = exports.iter().filter(|e| e.function).collect();
        let targets: Vec<u64> = functions.iter().map(|e| e.address).collect();
        let stubs = Stubs::new(self.arena, &targets).map_err(out_of_memory)?;
        let near = functions
            .iter()
            .enumerate()
            .map(|(i, e)| (*e, stubs.address(i)));
        let variables = exports
            .iter()
            .filter(|e| !e.function)
            .map(|e| (e, self.near(e.address)));
        let types = self.types();
        let mut sums: Vec<Checksums<'_>> = types.iter().rev().map(Checksums::new).collect();
        let mut sum = |name: &str| sums.iter_mut().find_map(|sums| sums.of(name));
        let table: Vec<Export> = near
            .chain(variables)
            .map(|(export, near)| Export {
                name: export.name.as_str().into(),
                address: export.address,
                near,
                crc: export.crc.or_else(|| sum(&export.name)),
                gpl: export.gpl,
            })
            .collect();
        drop(types);
        self.modules().export(&table)?;
        self.stubs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(stubs);
        Ok(())
    }
}

/// A program as a kernel. Clones are the same host.
#[derive(Clone, Debug)]
pub struct Host(Arc<Shared>);

impl Host {
    /// A host with the exports that `include/modfs` declares, and no modules.
    ///
    /// # Errors
    /// There is no room below 2 GiB, or a system call failed: memfd_create(2), mmap(2),
    /// sigaction(2).
    ///
    /// # Safety
    /// Modules become part of this process: whoever can have one loaded, by this host's methods
    /// or by the files of a tree it is shown in, must be trusted with the process. Handlers of
    /// SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGTRAP that are installed later must pass on what
    /// is not theirs to the ones that were there.
    #[allow(
        unsafe_code,
        reason = "a contract for the caller; nothing unsafe is done"
    )]
    pub unsafe fn new() -> io::Result<Host> {
        let arena = Arena::get()?;
        let types = Symtypes::parse(KERNEL_SYMTYPES).map_err(io::Error::other)?;
        fault::install()?;
        let shared = Arc::new_cyclic(|me| Shared {
            arena,
            modules: Mutex::default(),
            stubs: Mutex::default(),
            log: Log::new(),
            devices: Devices::default(),
            procs: Procs::default(),
            filesystems: Filesystems::default(),
            helper: Helper::default(),
            locals: Locals::default(),
            watchers: Watchers::default(),
            spare: Mutex::default(),
            types: Mutex::new(vec![types]),
            taints: AtomicU32::new(0),
            images: AtomicBool::new(false),
            me: me.clone(),
        });
        shared
            .export(&exports::standard())
            .map_err(|refusal| io::Error::other(refusal.to_string()))?;
        Ok(Host(shared))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    #[cfg(feature = "autoload")]
    pub(crate) fn of(shared: Arc<Shared>) -> Host {
        Host(shared)
    }

    /// The host as the kernel behind a tree.
    pub fn kernel(&self) -> Arc<dyn Kernel> {
        self.0.clone()
    }

    /// Tells how the program's own exports are declared: the text of `modfs symvers --dump`. What is exported
    /// from then on has the checksum of its declaration, and modules that were built against another are refused,
    /// with the reason.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn declare(&self, symtypes: &str) -> Result<(), BadLine> {
        let types = Symtypes::parse(symtypes)?;
        self.0.types().push(types);
        Ok(())
    }

    /// Adds exports of the program's own.
    ///
    /// # Errors
    /// EEXIST: a name is taken; then none is added. ENOMEM: no room for their stubs.
    pub fn export(&self, exports: &[HostExport]) -> Result<(), Refusal> {
        self.0.export(exports)
    }

    /// Maps an object and starts it, or leaves nothing behind.
    ///
    /// # Errors
    /// As [`Kernel::map`] and [`Kernel::init`].
    pub fn load(
        &self,
        name: &str,
        object: impl Into<Arc<Vec<u8>>>,
        parameters: &[&str],
    ) -> Result<(), Refusal> {
        let args = InitArgs {
            parameters: parameters.iter().map(ToString::to_string).collect(),
            autoclean: false,
        };
        self.0.insert(name, object.into(), &args)
    }

    /// As [`Host::load`], of a file.
    ///
    /// # Errors
    /// What reading the file says. Otherwise as [`Host::load`].
    pub fn load_file(&self, name: &str, file: &Path, parameters: &[&str]) -> Result<(), Refusal> {
        let object = read(file).map_err(|error| {
            let errno = modfs_core::Errno::from_raw(error.raw_os_error().unwrap_or(0));
            Refusal::new(errno, format!("{}: {error}", file.display()))
        })?;
        self.load(name, object, parameters)
    }

    /// Stops a module and unmaps it.
    ///
    /// # Errors
    /// As [`Kernel::exit`]; then nothing has changed, except after EIO: a cleanup that panicked has
    /// ended all the same, and the module is gone.
    pub fn unload(&self, name: &str) -> Result<(), Refusal> {
        let file = {
            let modules = self.0.modules();
            let module = modules.find(name).and_then(|id| modules.get(id));
            module.map_or_else(|| Arc::from(name), |module| module.file().clone())
        };
        let exited = self.0.exit(name, &file);
        if exited.is_err() && self.0.state(name) != Some(modfs_core::State::Deleted) {
            return exited;
        }
        if self.0.has_images() {
            self.unmap(name)?;
        } else {
            self.0.unmap(name, &file)?;
        }
        exited
    }

    /// Unmaps a module: of a linked image all files.
    fn unmap(&self, name: &str) -> Result<(), Refusal> {
        while let Some(status) = self.0.status(name) {
            self.0.unmap(name, &status.file)?;
        }
        Ok(())
    }

    /// Takes linked images whose code and variables share pages, as 2.4's insmod makes them (module files of
    /// mode 0700). They are in pages of their own, the only ones that are both writable and executable.
    ///
    /// # Errors
    /// The process, or the system, forbids such pages.
    pub fn allow_wx(&self) -> io::Result<()> {
        self.0.arena.allow_wx()
    }

    /// Unmounts the file systems that nobody has open, then stops and unmaps every module that can
    /// be, users before what they use. Returns the
    /// names of those that could not, with the reasons.
    pub fn unload_all(&self) -> Vec<(String, Refusal)> {
        self.0.unmount_all();
        loop {
            let names: Vec<String> = {
                let modules = self.0.modules();
                modules.iter().map(|(_, m)| m.name().to_string()).collect()
            };
            let mut left = Vec::new();
            for name in &names {
                let status = self.0.status(name);
                let running = status
                    .as_ref()
                    .is_some_and(|s| s.state == modfs_core::State::Running);
                let result = match status {
                    _ if running => self.unload(name),
                    Some(_) => self.unmap(name),
                    None => continue,
                };
                if let Err(refusal) = result {
                    left.push((name.clone(), refusal));
                }
            }
            // Users are newer than what they use, so one round does it, unless others load.
            if left.len() == names.len() || left.is_empty() {
                return left;
            }
        }
    }

    /// Where a running module's, or the host's own, export is.
    pub fn symbol(&self, name: &str) -> Option<Address> {
        Some(self.0.modules().resolve(name, true).ok()?.address)
    }

    /// Calls a function that a running module exports, with up to five arguments of integer or
    /// pointer type. The module is in use during the call, and a fault in it is survived.
    ///
    /// # Errors
    /// ENOENT: no running module exports it. EFAULT: it faulted.
    ///
    /// # Safety
    /// The function takes these arguments, and does with them what it may.
    #[allow(
        unsafe_code,
        reason = "the types of a module's function are not known here"
    )]
    pub unsafe fn call(&self, function: &str, arguments: [u64; 5]) -> Result<u64, Refusal> {
        let found = {
            let modules = self.0.modules();
            modules
                .resolve(function, true)
                .ok()
                .and_then(|resolved| match resolved.owner {
                    modfs_core::Owner::Module(id) => {
                        let loaded = modules.get(id)?.payload()?;
                        Some((resolved.address, loaded.owner.pin()?))
                    }
                    modfs_core::Owner::Kernel => None,
                })
        };
        let Some((address, pin)) = found else {
            let text = format!("no running module exports {function}");
            return Err(Refusal::new(modfs_core::Errno::ENOENT, text));
        };
        // SAFETY: the caller's; `pin` keeps the module mapped.
        unsafe { self.0.call(pin.owner(), address, arguments) }
    }

    /// Names of the mapped modules, the newest first.
    pub fn names(&self) -> Vec<String> {
        self.0
            .modules()
            .iter()
            .map(|(_, m)| m.name().to_string())
            .collect()
    }

    /// The log: what modules and the host itself printed.
    pub fn log(&self) -> Vec<Record> {
        self.0.log.records()
    }

    /// Writes a message of the host's own into the log.
    pub fn print(&self, level: Level, text: &str) {
        self.0.log.write(level, text);
    }

    /// Whether the log is written to standard error too; it is not at first.
    pub fn echo_log(&self, echo: bool) {
        self.0.log.set_echo(echo);
    }

    /// Whether gdb is told of modules that are mapped from now on; it is not at first, since a
    /// copy of each object is kept for it.
    pub fn show_to_gdb(&self, show: bool) {
        self.0.watchers.set_gdb(show);
    }

    /// Writes the functions of modules that are mapped from now on to `/tmp/perf-PID.map`, where
    /// perf looks for them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn show_to_perf(&self) -> io::Result<()> {
        self.0.watchers.start_perf()
    }

    /// Who loads the module that a name stands for, or says why not, when no helper is set. A name
    /// that is asked for while it is being loaded is not to be waited for.
    pub fn set_resolver(
        &self,
        resolver: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.0.helper.set_resolver(Arc::new(resolver));
    }

    /// Adds to the environment of the helper program.
    pub fn set_helper_environment(&self, environment: Vec<(OsString, OsString)>) {
        self.0.helper.set_environment(environment);
    }

    /// Tells the helper program, by MODFS_TREE, where this host's modules are shown as files.
    pub fn set_tree(&self, tree: &Path) {
        self.0.helper.set_tree(tree);
    }
}

/// Reads a whole file, with as few system calls as will do: a module is read in less time than
/// these take. To be told that a small file has ended costs less than to ask for its size.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    const SMALL: usize = 8 << 10;
    let mut file = File::open(file)?;
    let mut bytes = Vec::with_capacity(SMALL);
    file.by_ref().take(SMALL as u64).read_to_end(&mut bytes)?;
    if bytes.len() == SMALL {
        file.read_to_end(&mut bytes)?;
    }
    bytes.shrink_to_fit();
    Ok(bytes)
}

//! From an object's bytes to an image in the arena.

use crate::functions::Functions;
use crate::host::Shared;
use crate::linked::Head;
use crate::versions::{self, Differing};
use crate::{RUSTC, VERMAGIC, cstruct};
use modfs_arena::{Arena, Block, Kind};
use modfs_core::{Errno, Export, Force, Id, Owner, Refusal, Unresolved, taint};
use modfs_link::{GOT, Import, Layout, PARTS, Param, Part, Provided, Staging};
use modfs_object::image::Header;
use modfs_object::{Bind, Error as ObjectError, Modinfo, Object};
use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A module's memory, and where in it what is.
#[derive(Debug)]
pub(crate) struct Image {
    /// By [`Part`]; a part without bytes has no block.
    core: [Option<Block>; 3],
    /// The init part, until it is given back.
    init: Mutex<[Option<Block>; 3]>,
    /// Of a linked image, which has no parts.
    outside: Option<Outside>,
    pub(crate) bases: [u64; PARTS],
    /// `init_module`; 0: none.
    pub(crate) init_function: u64,
    /// `cleanup_module`; 0: none.
    pub(crate) exit_function: u64,
    /// The table of frames of a module that unwinds; 0: none.
    pub(crate) frames: u64,
    /// In the order to call them.
    pub(crate) constructors: Vec<u64>,
    /// In the order to call them.
    pub(crate) destructors: Vec<u64>,
    pub(crate) functions: Functions,
}

/// The files of a linked image.
#[derive(Debug)]
struct Outside {
    /// And which are for init only.
    files: Mutex<Vec<(Arc<Block>, bool)>>,
    head: Head,
}

impl Outside {
    fn files(&self) -> MutexGuard<'_, Vec<(Arc<Block>, bool)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> u64 {
        self.files().iter().map(|(file, _)| file.size()).sum()
    }

    fn has_code(&self, address: u64) -> bool {
        self.files()
            .iter()
            .any(|(file, _)| matches!(file.kind(), Kind::Code | Kind::Wx) && file.contains(address))
    }
}

/// What linking gives besides the image.
pub(crate) struct Linked {
    pub(crate) image: Image,
    /// The section `.modinfo`.
    pub(crate) info: Box<[u8]>,
    pub(crate) params: Vec<Param>,
    pub(crate) exports: Vec<Export>,
    /// The declarations of those, as text.
    pub(crate) types: Box<[u8]>,
    /// What it taints the kernel with ([`taint`]).
    pub(crate) taints: u32,
    /// What is to be told of that once it is there.
    pub(crate) notes: Vec<String>,
}

/// The variable that each module may ask for.
pub(crate) const PROVIDED: [Provided; 1] = [Provided {
    name: "__this_module",
    size: cstruct::MODULE_SIZE,
}];

impl Image {
    /// Where the image is: its code, or its data when it has no code.
    pub(crate) fn address(&self) -> u64 {
        let block = self.core.iter().flatten().next();
        block.map_or_else(|| self.head().map_or(0, Head::address), Block::address)
    }

    /// Bytes of all blocks there are at present.
    pub(crate) fn size(&self) -> u64 {
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        self.core
            .iter()
            .chain(init.iter())
            .flatten()
            .map(Block::size)
            .sum::<u64>()
            + self.outside.as_ref().map_or(0, Outside::size)
    }

    /// The header of a linked image.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.outside.as_ref().map(|outside| &outside.head)
    }

    /// A linked image, of which no more is known than its header says.
    pub(crate) fn linked(head: Head, header: &Header, files: Vec<(Arc<Block>, bool)>) -> Image {
        Image {
            core: Default::default(),
            init: Mutex::default(),
            outside: Some(Outside {
                files: Mutex::new(files),
                head,
            }),
            bases: [0; PARTS],
            init_function: header.init,
            exit_function: header.cleanup,
            frames: match header.archdata_end > header.archdata_start {
                true => header.archdata_start,
                false => 0,
            },
            constructors: Vec::new(),
            destructors: Vec::new(),
            functions: Functions::default(),
        }
    }

    /// Gives the init part back.
    pub(crate) fn drop_init(&self) {
        let parts = std::mem::take(&mut *self.init.lock().unwrap_or_else(PoisonError::into_inner));
        drop(parts);
        if let Some(outside) = &self.outside {
            outside.files().retain(|(_, is_init)| !is_init);
        }
    }

    /// Whether the code at an address is this image's.
    pub(crate) fn has_code(&self, address: u64) -> bool {
        let in_block = |block: &Option<Block>| {
            block
                .as_ref()
                .is_some_and(|b| b.kind() == Kind::Code && b.contains(address))
        };
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        self.core.iter().any(in_block)
            || init.iter().any(in_block)
            || self
                .outside
                .as_ref()
                .is_some_and(|outside| outside.has_code(address))
    }

    /// Calls `f` with the block that a variable is in and its offset there.
    pub(crate) fn with_data<R>(&self, address: u64, f: impl FnOnce(&Block, u64) -> R) -> Option<R> {
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = self.core.iter().chain(init.iter()).flatten();
        let block = blocks.find(|b| b.kind() == Kind::Data && b.contains(address))?;
        Some(f(block, address - block.address()))
    }
}

/// The buffers that images are put together in: kept from one to the next, unless another thread
/// has them, or they are large.
struct Spare<'a> {
    host: &'a Shared,
    staging: Staging,
}

impl<'a> Spare<'a> {
    /// No larger buffers are kept.
    const KEPT: usize = 1 << 20;

    fn take(host: &'a Shared) -> Spare<'a> {
        let spare = host
            .spare
            .try_lock()
            .ok()
            .and_then(|mut spare| spare.take());
        Spare {
            host,
            staging: spare.unwrap_or_default(),
        }
    }
}

impl Drop for Spare<'_> {
    fn drop(&mut self) {
        let staging = std::mem::take(&mut self.staging);
        if staging.capacity() <= Spare::KEPT
            && let Ok(mut spare) = self.host.spare.try_lock()
        {
            *spare = Some(staging);
        }
    }
}

/// Links `bytes` as the module `id`, which is being mapped. On success it holds a reference on
/// each module whose symbols it uses.
pub(crate) fn link(
    host: &Shared,
    id: Id,
    name: &str,
    bytes: &[u8],
    force: Force,
) -> Result<Linked, Refusal> {
    let object = Object::parse(bytes, modfs_object::EM_X86_64).map_err(not_an_object)?;
    let info_bytes = object.section_named(".modinfo").map_or(&[][..], |s| s.data);
    let info = Modinfo::parse(info_bytes);
    let mut notes = Vec::new();
    let mut taints = licence(host, name, &info, &mut notes);
    match check_vermagic(&info) {
        Err(refusal) if force.vermagic => taints |= forced(name, &refusal.reasons, &mut notes),
        checked => checked?,
    }
    check_rustc(&info)?;
    let layout = Layout::new(&object, &PROVIDED).map_err(not_linkable)?;
    let (mut imports, differing) = resolve(host, id, &object, &info)?;
    if !differing.is_empty() {
        let mut reasons = versions::explained(host, &object, &differing);
        if !force.modversions {
            let advice = "build it anew against what there is: modfs build --symvers EXPORTER.ko";
            reasons.push(advice.into());
            return Err(Refusal::all(Errno::EINVAL, reasons));
        }
        taints |= forced(name, &reasons, &mut notes);
    }
    let (core, init) = allocate(host.arena, &layout)?;
    let bases = bases(&core, &init);
    let mut staging = Spare::take(host);
    modfs_link::link(
        &object,
        &layout,
        &bases,
        |symbol| imports.get(symbol),
        &mut staging.staging,
    )
    .map_err(not_linkable)?;
    let staging = &staging.staging;
    let functions = |fini| layout.functions(&object, &bases, staging, fini);
    let address_of = |symbol: usize| {
        let (part, offset) = layout.symbol(&object, symbol)?;
        Some(bases[part as usize] + offset)
    };
    let entry = |name: &str| object.global(name).and_then(address_of).unwrap_or(0);
    let mut destructors = functions(true);
    destructors.reverse();
    let exports = object.exports().into_iter().filter_map(|export| {
        let address = address_of(export.symbol)?;
        Some(Export {
            name: export.name.into(),
            address,
            near: address,
            crc: export.crc,
            gpl: export.gpl,
        })
    });
    let linked = Linked {
        types: versions::exported(&object),
        taints,
        notes,
        exports: exports.collect(),
        params: Param::read_all(&object, &layout, &bases, staging)
            .map_err(|error| not_linkable(vec![error]))?,
        image: Image {
            init_function: entry("init_module"),
            exit_function: entry("cleanup_module"),
            constructors: functions(false),
            destructors,
            frames: layout
                .frames(&object)
                .map_or(0, |(part, offset)| bases[part as usize] + offset),
            core,
            init: Mutex::new(init),
            outside: None,
            functions: Functions::of(&object, &layout, &bases),
            bases,
        },
        info: info_bytes.into(),
    };
    publish(&linked.image, &object, &layout, staging, id, name)?;
    Ok(linked)
}

fn not_an_object(error: ObjectError) -> Refusal {
    Refusal::new(Errno::ENOEXEC, error.to_string())
}

/// More lines than this help nobody.
const MOST_REASONS: usize = 32;

fn not_linkable(errors: Vec<modfs_link::Error>) -> Refusal {
    let too_big = errors
        .iter()
        .any(|e| matches!(e, modfs_link::Error::TooBig { .. }));
    let errno = if too_big {
        Errno::E2BIG
    } else {
        Errno::ENOEXEC
    };
    let mut reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let more = reasons.len().saturating_sub(MOST_REASONS);
    reasons.truncate(MOST_REASONS);
    if more > 0 {
        reasons.push(format!("… and {more} more of the kind"));
    }
    Refusal::all(errno, reasons)
}

/// What a module taints the kernel with by its licence; `notes` takes what is to be told of the first that does.
fn licence(host: &Shared, name: &str, info: &Modinfo<'_>, notes: &mut Vec<String>) -> u32 {
    if info.is_gpl_compatible() {
        return 0;
    }
    if host.taints.load(Ordering::Relaxed) & taint::PROPRIETARY == 0 {
        let licence = told(info.get("license").unwrap_or("unspecified"));
        notes.push(format!(
            "{name}: module license '{licence}' taints the kernel"
        ));
    }
    taint::PROPRIETARY
}

/// What was found wrong is to be told, and not minded.
fn forced(name: &str, reasons: &[String], notes: &mut Vec<String>) -> u32 {
    /// The log has other use.
    const MOST: usize = 16;
    for reason in reasons.iter().take(MOST) {
        notes.push(format!(
            "{name}: by force, which taints the kernel: {reason}"
        ));
    }
    taint::FORCED
}

fn check_vermagic(info: &Modinfo<'_>) -> Result<(), Refusal> {
    match info.get("vermagic") {
        Some(found) if found != VERMAGIC => Err(Refusal::new(
            Errno::ENOEXEC,
            format!(
                "built for version \"{found}\", this kernel is \"{VERMAGIC}\": build it anew \
                 with this kernel's `modfs build`"
            ),
        )),
        _ => Ok(()),
    }
}

fn check_rustc(info: &Modinfo<'_>) -> Result<(), Refusal> {
    match info.get("rustc") {
        Some(found) if found != RUSTC => Err(Refusal::new(
            Errno::ENOEXEC,
            format!("built by \"{found}\", this kernel by \"{RUSTC}\": build both by the same"),
        )),
        _ => Ok(()),
    }
}

/// The values of an object's imports, by symbol index.
struct Imports {
    /// Sorted by symbol, and asked for in that order.
    values: Vec<(usize, Import)>,
    next: usize,
}

impl Imports {
    fn get(&mut self, symbol: usize) -> Option<Import> {
        let (at, import) = self.values.get(self.next)?;
        if *at != symbol {
            return None;
        }
        self.next += 1;
        Some(*import)
    }
}

fn resolve<'a>(
    host: &Shared,
    id: Id,
    object: &Object<'a>,
    info: &Modinfo<'_>,
) -> Result<(Imports, Vec<Differing<'a>>), Refusal> {
    let gpl = info.is_gpl_compatible();
    let mut versions = object.versions();
    versions.sort_unstable();
    let is_ours = |name: &str| {
        name.starts_with('_') && (name == GOT || PROVIDED.iter().any(|p| p.name == name))
    };
    let most = object.imports().len();
    let (mut imports, mut names) = (Vec::with_capacity(most), Vec::with_capacity(most));
    for (index, symbol) in object.imports().filter(|(_, symbol)| !is_ours(symbol.name)) {
        imports.push((index, symbol.bind));
        names.push(symbol.name);
    }
    let mut values = Vec::with_capacity(imports.len());
    let mut used = Vec::new();
    let mut unresolved = Reasons::default();
    let mut differing: Vec<Differing<'_>> = Vec::new();
    let mut modules = host.modules();
    modules.resolve_all(&names, gpl, |number, outcome| {
        let ((index, bind), name) = (imports[number], names[number]);
        match outcome {
            Ok(resolved) => {
                if let Some(crc) = resolved.crc
                    && let Some(wanted) = version_of(&versions, name)
                    && wanted != crc
                {
                    // Some are told; a damaged object may name one again and again.
                    if differing.len() < MOST_DIFFERING
                        && differing.iter().all(|known| known.symbol != name)
                    {
                        differing.push(Differing {
                            symbol: name,
                            built: wanted,
                            there: crc,
                            owner: resolved.owner,
                            owner_name: modules.owner_name(resolved.owner),
                        });
                    }
                }
                if resolved.by_hand || resolved.owner != Owner::Kernel {
                    used.push(name);
                }
                let near = (resolved.near != 0).then_some(resolved.near);
                let address = resolved.address;
                values.push((index, Import { address, near }));
            }
            Err(_) if bind == Bind::Weak => {}
            Err(why) => {
                let owner = |owner| {
                    let state = match owner {
                        Owner::Kernel => None,
                        Owner::Module(id) => modules.get(id).map(|m| m.state()),
                    };
                    (modules.owner_name(owner), state)
                };
                unresolved.add(|| explain(&told(name), &why, owner));
            }
        }
    });
    unresolved.refuse(Errno::ENOENT)?;
    modules.depend(id, used.into_iter());
    Ok((Imports { values, next: 0 }, differing))
}

/// So many symbols of other versions are told.
const MOST_DIFFERING: usize = 64;

/// Reasons for a refusal. A damaged object could give millions, so only so many are told.
#[derive(Default)]
struct Reasons {
    told: Vec<String>,
    more: usize,
}

impl Reasons {
    /// A module with more imports than the host has exports is rare; all of one are told.
    const MOST: usize = 1024;

    fn add(&mut self, reason: impl FnOnce() -> String) {
        if self.told.len() < Reasons::MOST {
            self.told.push(reason());
        } else {
            self.more += 1;
        }
    }

    fn refuse(mut self, errno: Errno) -> Result<(), Refusal> {
        if self.more > 0 {
            self.told
                .push(format!("… and {} more of the kind", self.more));
        }
        match self.told.is_empty() {
            true => Ok(()),
            false => Err(Refusal::all(errno, self.told)),
        }
    }
}

/// A name as a message tells it: that of a damaged object may be megabytes long.
pub(crate) fn told(name: &str) -> Cow<'_, str> {
    const LONGEST: usize = 256;
    match name.char_indices().find(|(at, _)| *at >= LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}

fn version_of(versions: &[(&str, u32)], name: &str) -> Option<u32> {
    let at = versions.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
    Some(versions[at].1)
}

/// What helps where a compiler calls a function of a library that modules do not have.
fn advice(name: &str) -> Option<&'static str> {
    Some(match name {
        "__stack_chk_fail" => "build with -fno-stack-protector",
        "__cxa_atexit" | "__dso_handle" | "atexit" => {
            "static objects with destructors: build with g++ -fno-use-cxa-atexit, or do without"
        }
        "mcount" | "_mcount" | "__fentry__" => "build without -pg",
        "__morestack" => "build without -fsplit-stack",
        "__tls_get_addr" => "thread-local variables cannot be in a module",
        _ => return None,
    })
}

fn explain(
    name: &str,
    why: &Unresolved,
    owner: impl Fn(Owner) -> (String, Option<modfs_core::State>),
) -> String {
    match why {
        Unresolved::Missing => match advice(name) {
            Some(advice) => format!("unresolved symbol {name}: {advice}"),
            None => format!("unresolved symbol {name}"),
        },
        Unresolved::NotRunning(by) => {
            let (owner, state) = owner(*by);
            let state = state.map_or("gone", modfs_core::State::word);
            format!("unresolved symbol {name}: {owner} exports it, but is {state}")
        }
        Unresolved::GplOnly(by) => {
            let (owner, _) = owner(*by);
            format!(
                "unresolved symbol {name}: {owner} exports it for modules with a GPL-compatible \
                 MODULE_LICENSE only"
            )
        }
    }
}

type Blocks = [Option<Block>; 3];

fn allocate(arena: &'static Arena, layout: &Layout) -> Result<(Blocks, Blocks), Refusal> {
    let block = |part: Part| {
        let extent = layout.extent(part);
        if extent.size == 0 {
            return Ok(None);
        }
        let kind = match part {
            Part::Text | Part::InitText => Kind::Code,
            Part::Rodata | Part::InitRodata => Kind::Rodata,
            Part::Data | Part::InitData => Kind::Data,
        };
        let no_room = |_| {
            let text = format!("no room for {} bytes of {}", extent.size, part.name());
            Refusal::new(Errno::ENOMEM, text)
        };
        arena
            .alloc(kind, extent.size, extent.align)
            .map(Some)
            .map_err(no_room)
    };
    let core = [block(Part::Text)?, block(Part::Rodata)?, block(Part::Data)?];
    let init = [
        block(Part::InitText)?,
        block(Part::InitRodata)?,
        block(Part::InitData)?,
    ];
    Ok((core, init))
}

/// The address of each part. One without bytes gets that of another, so that what refers to its
/// start is within reach.
fn bases(core: &Blocks, init: &Blocks) -> [u64; PARTS] {
    let any = core
        .iter()
        .chain(init)
        .flatten()
        .next()
        .map_or(0, Block::address);
    let mut bases = [any; PARTS];
    for (base, block) in bases.iter_mut().zip(core.iter().chain(init)) {
        if let Some(block) = block {
            *base = block.address();
        }
    }
    bases
}

fn publish(
    image: &Image,
    object: &Object<'_>,
    layout: &Layout,
    staging: &Staging,
    id: Id,
    name: &str,
) -> Result<(), Refusal> {
    let no_room =
        |error: std::io::Error| Refusal::new(Errno::ENOMEM, format!("writing the image: {error}"));
    let init = image.init.lock().unwrap_or_else(PoisonError::into_inner);
    for (part, block) in Part::ALL.iter().zip(image.core.iter().chain(init.iter())) {
        if let Some(block) = block {
            block.write(0, staging.part(*part)).map_err(no_room)?;
            let extent = layout.extent(*part);
            // Data is zero already; the others are when they are new, which they may not be.
            if block.kind() != Kind::Data && extent.size > extent.filled {
                let zeros = vec![0; (extent.size - extent.filled) as usize];
                block.write(extent.filled, &zeros).map_err(no_room)?;
            }
        }
    }
    for (index, offset) in layout.extras() {
        if object.symbols()[index].name == PROVIDED[0].name
            && let Some(data) = &image.core[Part::Data as usize]
        {
            data.write(offset, &cstruct::module_struct(id.get(), name))
                .map_err(no_room)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of a megabyte can import one name of half of that 20 000 times: told in full, that
    /// was 10 GB.
    #[test]
    fn reasons_are_limited() {
        let name = "é".repeat(500_000);
        let mut reasons = Reasons::default();
        for _ in 0..20_000 {
            reasons.add(|| explain(&told(&name), &Unresolved::Missing, |_| Default::default()));
        }
        let refusal = reasons.refuse(Errno::ENOENT).unwrap_err();
        assert_eq!(refusal.reasons.len(), Reasons::MOST + 1);
        let bytes: usize = refusal.reasons.iter().map(String::len).sum();
        assert!(bytes < 400 * Reasons::MOST, "{bytes}");
        assert!(Reasons::default().refuse(Errno::ENOENT).is_ok());
        assert_eq!(told("short"), "short");
    }
}

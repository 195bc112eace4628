//! From an object's bytes to an image in the arena.

use crate::host::Shared;
use crate::params::Param;
use crate::{VERMAGIC, cstruct};
use modfs_arena::{Arena, Block, Kind};
use modfs_core::{Errno, Export, Id, Owner, Refusal, Unresolved};
use modfs_link::{Import, Layout, PARTS, Part, Provided, Staging};
use modfs_object::{Bind, Error as ObjectError, Modinfo, Object};
use std::sync::{Arc, Mutex, PoisonError};

/// A module's memory, and where in it what is.
#[derive(Debug)]
pub(crate) struct Image {
    /// By [`Part`]; a part without bytes has no block.
    core: [Option<Block>; 3],
    /// The init part, until it is given back.
    init: Mutex<[Option<Block>; 3]>,
    pub(crate) bases: [u64; PARTS],
    /// `init_module`; 0: none.
    pub(crate) init_function: u64,
    /// `cleanup_module`; 0: none.
    pub(crate) exit_function: u64,
    /// In the order to call them.
    pub(crate) constructors: Vec<u64>,
    /// In the order to call them.
    pub(crate) destructors: Vec<u64>,
}

/// What linking gives besides the image.
pub(crate) struct Linked {
    pub(crate) image: Image,
    pub(crate) info: Modinfo,
    pub(crate) params: Vec<Param>,
    pub(crate) exports: Vec<Export>,
}

/// The variable that each module may ask for.
const PROVIDED: [Provided; 1] = [Provided {
    name: "__this_module",
    size: cstruct::MODULE_SIZE,
}];

impl Image {
    /// Where the image is: its code, or its data when it has no code.
    pub(crate) fn address(&self) -> u64 {
        let block = self.core.iter().flatten().next();
        block.map_or(0, Block::address)
    }

    /// Bytes of all blocks there are at present.
    pub(crate) fn size(&self) -> u64 {
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        self.core
            .iter()
            .chain(init.iter())
            .flatten()
            .map(Block::size)
            .sum()
    }

    /// Gives the init part back.
    pub(crate) fn drop_init(&self) {
        let parts = std::mem::take(&mut *self.init.lock().unwrap_or_else(PoisonError::into_inner));
        drop(parts);
    }

    /// Whether the code at an address is this image's.
    pub(crate) fn has_code(&self, address: u64) -> bool {
        let in_block = |block: &Option<Block>| {
            block
                .as_ref()
                .is_some_and(|b| b.kind() == Kind::Code && b.contains(address))
        };
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        self.core.iter().any(in_block) || init.iter().any(in_block)
    }

    /// Calls `f` with the block that a variable is in and its offset there.
    pub(crate) fn with_data<R>(&self, address: u64, f: impl FnOnce(&Block, u64) -> R) -> Option<R> {
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = self.core.iter().chain(init.iter()).flatten();
        let block = blocks.find(|b| b.kind() == Kind::Data && b.contains(address))?;
        Some(f(block, address - block.address()))
    }
}

/// Links `bytes` as the module `id`, which is being mapped. On success it holds a reference on
/// each module whose symbols it uses.
pub(crate) fn link(host: &Shared, id: Id, name: &str, bytes: &[u8]) -> Result<Linked, Refusal> {
    let object = Object::parse(bytes, modfs_object::EM_X86_64).map_err(not_an_object)?;
    let info = object.modinfo();
    check_vermagic(&info)?;
    let layout = Layout::new(&object, &PROVIDED).map_err(not_linkable)?;
    let mut imports = resolve(host, id, &object, &info)?;
    let (core, init) = allocate(host.arena, &layout)?;
    let bases = bases(&core, &init);
    let mut staging = Staging::default();
    modfs_link::link(
        &object,
        &layout,
        &bases,
        |symbol| imports.get(symbol),
        &mut staging,
    )
    .map_err(not_linkable)?;
    let functions = |fini| pointers(&object, &layout, &bases, &staging, fini);
    let address_of = |symbol: usize| {
        let (part, offset) = layout.symbol(&object, symbol)?;
        Some(bases[part as usize] + offset)
    };
    let entry = |wanted: &str| {
        let found = object
            .symbols()
            .iter()
            .position(|s| s.name == wanted && s.bind != Bind::Local);
        found.and_then(address_of).unwrap_or(0)
    };
    let mut destructors = functions(true);
    destructors.reverse();
    let exports = object.exports().into_iter().filter_map(|export| {
        Some(Export {
            name: export.name.into(),
            address: address_of(export.symbol)?,
            crc: export.crc,
            gpl: export.gpl,
        })
    });
    let linked = Linked {
        exports: exports.collect(),
        params: Param::read_all(&object, &layout, &bases, &staging)?,
        image: Image {
            init_function: entry("init_module"),
            exit_function: entry("cleanup_module"),
            constructors: functions(false),
            destructors,
            core,
            init: Mutex::new(init),
            bases,
        },
        info,
    };
    publish(&linked.image, &object, &layout, &staging, id, name)?;
    Ok(linked)
}

fn not_an_object(error: ObjectError) -> Refusal {
    Refusal::new(Errno::ENOEXEC, error.to_string())
}

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

/// More lines than this help nobody.
const MOST_REASONS: usize = 32;

fn check_vermagic(info: &Modinfo) -> Result<(), Refusal> {
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

fn resolve(host: &Shared, id: Id, object: &Object<'_>, info: &Modinfo) -> Result<Imports, Refusal> {
    let gpl = info.is_gpl_compatible();
    let versions = object.versions();
    let mut values = Vec::new();
    let mut used = Vec::new();
    let mut unresolved = Vec::new();
    let mut differing = Vec::new();
    let mut modules = host.modules();
    for (index, symbol) in object.imports() {
        let name = symbol.name;
        if name == "_GLOBAL_OFFSET_TABLE_" || PROVIDED.iter().any(|p| p.name == name) {
            continue;
        }
        match modules.resolve(name, gpl) {
            Ok(resolved) => {
                let wanted = versions
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, crc)| *crc);
                if let (Some(wanted), Some(crc)) = (wanted, resolved.crc)
                    && wanted != crc
                {
                    let owner = modules.owner_name(resolved.owner);
                    differing.push(format!(
                        "disagrees about the version of {name}: built against {wanted:#010x}, \
                         {owner} exports {crc:#010x}"
                    ));
                }
                used.push(name);
                values.push((index, host.import(resolved.address)));
            }
            Err(_) if symbol.bind == Bind::Weak => {}
            Err(why) => {
                unresolved.push(explain(name, &why, |owner| {
                    let state = match owner {
                        Owner::Kernel => None,
                        Owner::Module(id) => modules.get(id).map(|m| m.state()),
                    };
                    (modules.owner_name(owner), state)
                }));
            }
        }
    }
    if !unresolved.is_empty() {
        return Err(Refusal::all(Errno::ENOENT, unresolved));
    }
    if !differing.is_empty() {
        return Err(Refusal::all(Errno::EINVAL, differing));
    }
    modules.depend(id, used.into_iter());
    Ok(Imports { values, next: 0 })
}

fn explain(
    name: &str,
    why: &Unresolved,
    owner: impl Fn(Owner) -> (String, Option<modfs_core::State>),
) -> String {
    match why {
        Unresolved::Missing => format!("unresolved symbol {name}"),
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

fn pointers(
    object: &Object<'_>,
    layout: &Layout,
    bases: &[u64; PARTS],
    staging: &Staging,
    fini: bool,
) -> Vec<u64> {
    let mut list = Vec::new();
    for (part, offset, len) in layout.constructors(object, fini) {
        let bytes = staging
            .at(bases, bases[part as usize] + offset, len)
            .unwrap_or(&[]);
        for word in bytes.chunks_exact(8) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or([0; 8]));
            // 0 and -1 were end marks once.
            if word != 0 && word != u64::MAX {
                list.push(word);
            }
        }
    }
    list
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
    for (index, symbol) in object.imports() {
        if symbol.name == PROVIDED[0].name
            && let Some((_, offset)) = layout.symbol(object, index)
            && let Some(data) = &image.core[Part::Data as usize]
        {
            data.write(offset, &cstruct::module_struct(id.get(), name))
                .map_err(no_room)?;
        }
    }
    Ok(())
}

/// Where in a module an address is, as an oops shows it: `symbol+0x12/0x40`.
pub(crate) fn symbolise(
    bytes: &Arc<Vec<u8>>,
    bases: &[u64; PARTS],
    address: u64,
) -> Option<String> {
    let object = Object::parse(bytes, modfs_object::EM_X86_64).ok()?;
    let layout = Layout::new(&object, &PROVIDED).ok()?;
    let mut best: Option<(u64, u64, bool, &str)> = None;
    for (index, symbol) in object.symbols().iter().enumerate() {
        let Some((part, offset)) = layout.symbol(&object, index) else {
            continue;
        };
        let start = bases[part as usize] + offset;
        let inside = start <= address && address < start + layout.extent(part).size;
        if symbol.name.is_empty() || !inside || !matches!(part, Part::Text | Part::InitText) {
            continue;
        }
        // Of several names for a place: the nearest, one that has a size, a global one last,
        // since the alias `init_module` says less than the function's own name.
        let key = (start, symbol.size, symbol.bind == Bind::Local);
        if best.is_none_or(|(s, z, l, _)| (s, z, l) < key) {
            best = Some((key.0, key.1, key.2, symbol.name));
        }
    }
    let (start, size, _, name) = best?;
    Some(format!("{name}+{:#x}/{size:#x}", address - start))
}

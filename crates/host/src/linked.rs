//! Linked images: modules whose files hold what is to be in memory, made by a loader outside.
//!
//! `map` gives each file its place, by its mode; `init` reads the header and checks a copy of all
//! ([`modfs_object::image`]), puts it into place, and starts the module as any other.

use crate::call::Owner;
use crate::host::{Loaded, Shared};
use crate::image::Image;
use crate::log::Level;
use crate::params::Params;
use modfs_arena::{Block, Kind};
use modfs_core::{
    Command, Errno, Export, Flags, Force, Id, InitArgs, Module, Modules, NewModule, Piece as Place,
    Refusal, State, Status, SymbolLine, verdict,
};
use modfs_object::image::{self, GPLONLY, ImageError, offset};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A mapped file of an image.
#[derive(Debug)]
pub(crate) struct Piece {
    file: Arc<str>,
    pub(crate) block: Arc<Block>,
    /// What is to be there.
    content: Option<Arc<Vec<u8>>>,
}

impl Piece {
    /// Files of this name, or that begin so and go on with a dot, are given back when init has returned.
    const INIT: &str = "init";

    fn is_init(&self) -> bool {
        let rest = self.file.strip_prefix(Piece::INIT);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The header of a running image, in which the module counts itself.
#[derive(Debug)]
pub(crate) struct Head {
    block: Arc<Block>,
    /// A function that says whether it may be unloaded; 0: none, the count does.
    can_unload: u64,
}

impl Head {
    /// Where it is.
    pub(crate) fn address(&self) -> u64 {
        self.block.address()
    }

    /// The count that the module's own code keeps.
    fn uses(&self) -> u32 {
        let count = self.block.fetch_add(offset::USECOUNT, 0).unwrap_or(0);
        u32::try_from(count).unwrap_or(0)
    }

    /// What the module's own code has noted since the last call.
    fn take_flags(&self) -> Flags {
        let noted = Flags::VISITED.union(Flags::USED_ONCE);
        let bits = u64::from(noted.bits());
        let word = self.block.fetch_clear(offset::FLAGS, bits).unwrap_or(0);
        [Flags::VISITED, Flags::USED_ONCE]
            .into_iter()
            .filter(|flag| word & u64::from(flag.bits()) != 0)
            .fold(Flags::default(), Flags::union)
    }
}

/// Refuses a module whose own count is not 0.
///
/// # Errors
/// EBUSY.
pub(crate) fn counts_itself(modules: &Modules<Loaded>, id: Id) -> Result<(), Refusal> {
    let module = modules.get(id);
    let image = module
        .and_then(|module| module.payload())
        .and_then(|loaded| loaded.image.as_ref());
    let head = image
        .and_then(|image| image.head())
        .filter(|head| head.can_unload == 0);
    match (module, head.map_or(0, Head::uses)) {
        (Some(module), uses) if uses > 0 => {
            let text = format!("{} is in use {uses} times, by its own count", module.name());
            Err(Refusal::new(Errno::EBUSY, text))
        }
        _ => Ok(()),
    }
}

/// Whether a file holds an image, or is to: an object begins with its magic.
pub(crate) fn is_image(content: &[u8]) -> bool {
    !content.is_empty() && content.iter().all(|byte| *byte == 0)
}

fn invalid(error: ImageError) -> Refusal {
    Refusal::new(Errno::EINVAL, error.to_string())
}

impl Loaded {
    /// Whether it is a linked image.
    pub(crate) fn is_linked(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Whether it is an image whose header is at an address.
    pub(crate) fn is_headed(&self, address: u64) -> bool {
        let head = self.image.as_ref().and_then(|image| image.head());
        head.is_some_and(|head| head.address() == address)
    }

    /// Adds to a status what only the host knows.
    pub(crate) fn complete(&self, status: &mut Status) {
        let place = |piece: &Piece| Place {
            file: piece.file.to_string(),
            address: piece.block.address(),
        };
        status.pieces = self.pieces.iter().map(place).collect();
        if let Some(first) = status.pieces.first() {
            status.file.clone_from(&first.file);
        }
        if let Some(head) = self.image.as_ref().and_then(|image| image.head()) {
            status.usecount = match head.can_unload {
                0 => status.usecount + i64::from(head.uses()),
                _ => -1,
            };
        }
    }

    fn size(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.block.size()).sum()
    }
}

/// Takes over what a module has noted in its own header.
pub(crate) fn settle(module: &Module<Loaded>) {
    let image = module.payload().and_then(|loaded| loaded.image.as_ref());
    if let Some(head) = image.and_then(|image| image.head())
        && module.state() == State::Running
    {
        module.gate().set(head.take_flags());
    }
}

impl Shared {
    /// Whether there has ever been an image: otherwise nothing has to be looked for.
    pub(crate) fn has_images(&self) -> bool {
        self.images.load(Ordering::Acquire)
    }

    /// Gives a file of an image a place of the kind that its mode says.
    fn piece(&self, file: &str, size: u64, mode: u32) -> Result<Piece, Refusal> {
        const ALIGN: u64 = 4096;
        let kind = match (mode & 0o222 != 0, mode & 0o111 != 0) {
            (true, true) if self.arena.allows_wx() => Kind::Wx,
            (true, true) => {
                let text = format!(
                    "{file} is both writable and executable (mode {:04o}): this host maps no such \
                     image unless it is started with --allow-wx; give it code of mode 0500 and data of \
                     mode 0600 in files of their own",
                    mode & 0o777
                );
                return Err(Refusal::new(Errno::EPERM, text));
            }
            (false, true) => Kind::Code,
            (true, false) => Kind::Data,
            (false, false) => Kind::Rodata,
        };
        let block = self.arena.alloc(kind, size, ALIGN).map_err(|_| {
            let text = format!("no room for {size} bytes of {file}");
            Refusal::new(Errno::ENOMEM, text)
        })?;
        if !matches!(kind, Kind::Data | Kind::Wx) {
            // What was there before is nobody's business, and no code.
            let zeros = vec![0; usize::try_from(size).unwrap_or(0)];
            block.write(0, &zeros).map_err(no_room)?;
        }
        Ok(Piece {
            file: file.into(),
            block: Arc::new(block),
            content: None,
        })
    }

    /// Maps a file of an image: the module's first, or a further one.
    pub(crate) fn map_piece(
        &self,
        module: &str,
        file: &str,
        size: u64,
        mode: u32,
    ) -> Result<(), Refusal> {
        let piece = self.piece(file, size, mode)?;
        self.images.store(true, Ordering::Release);
        let mut modules = self.modules();
        let held = modules.find(module).and_then(|id| modules.get_mut(id));
        if let Some(held) = held
            && held.state() == State::Uninitialized
            && let Some(loaded) = held.payload_mut()
            && loaded.is_linked()
            && loaded.pieces.iter().all(|piece| *piece.file != *file)
        {
            loaded.pieces.push(piece);
            let (address, size) = (loaded.pieces[0].block.address(), loaded.size());
            held.set_extent(address, size);
            return Ok(());
        }
        let new = NewModule { name: module, file };
        let id = modules.begin_map(&new)?;
        let entered = modules.get(id).ok_or(Errno::ENOENT)?;
        let owner = Owner {
            id,
            name: entered.name().clone(),
            gate: entered.gate().clone(),
            dead: AtomicBool::new(false),
        };
        let (address, size) = (piece.block.address(), piece.block.size());
        let loaded = Loaded {
            object: None,
            force: Force::default(),
            taints: 0,
            types: Box::default(),
            image: None,
            pieces: vec![piece],
            listed: Vec::new(),
            info: Box::default(),
            params: Arc::new(Params::new(Vec::new())),
            owner: Arc::new(owner),
            shown: None,
        };
        modules.finish_map(id, &[], loaded)?;
        modules.set_outside(id);
        if let Some(module) = modules.get_mut(id) {
            module.set_extent(address, size);
        }
        Ok(())
    }

    /// Takes the place of one of several files away; `false`: it is the last, or of no image.
    pub(crate) fn unmap_piece(&self, module: &str, file: &str) -> Result<bool, Refusal> {
        if !self.has_images() {
            return Ok(false);
        }
        let mut modules = self.modules();
        let held = modules.find(module).and_then(|id| modules.get(id));
        let pieces = held
            .and_then(|held| held.payload())
            .map(|loaded| &loaded.pieces);
        let at = pieces.and_then(|pieces| pieces.iter().position(|piece| *piece.file == *file));
        let several = pieces.is_some_and(|pieces| pieces.len() > 1);
        let (Some(held), Some(at), true) = (held, at, several) else {
            return Ok(false);
        };
        let listed = held.file().clone();
        // As for the last one: also not while calls into it have not returned.
        let id = modules.admit(module, &listed, Command::Unmap)?;
        let held = modules.get_mut(id).ok_or(Errno::ENOENT)?;
        let loaded = held.payload_mut().ok_or(Errno::ENOENT)?;
        loaded.image = None;
        let gone = loaded.pieces.remove(at);
        let (address, size) = (loaded.pieces[0].block.address(), loaded.size());
        held.set_extent(address, size);
        drop(modules);
        drop(gone);
        Ok(true)
    }

    /// The name under which the module list knows a file: of an image it is that of the first.
    pub(crate) fn listed_file<'f>(&self, module: &str, file: &'f str) -> Cow<'f, str> {
        if !self.has_images() {
            return file.into();
        }
        let modules = self.modules();
        let held = modules.find(module).and_then(|id| modules.get(id));
        let of_it = held.filter(|held| {
            let loaded = held.payload();
            loaded.is_some_and(|loaded| loaded.pieces.iter().any(|piece| *piece.file == *file))
        });
        of_it.map_or_else(|| file.into(), |held| held.file().to_string().into())
    }

    /// Keeps what is to be in a file's place.
    pub(crate) fn fill_piece(
        &self,
        module: &str,
        file: &str,
        content: Arc<Vec<u8>>,
    ) -> Result<(), Refusal> {
        let mut modules = self.modules();
        let held = modules.find(module).and_then(|id| modules.get_mut(id));
        let held = held.ok_or(Errno::ENOENT)?;
        verdict(Some(held.state()), Command::Init)?;
        let loaded = held.payload_mut().ok_or(Errno::ENOENT)?;
        let mut pieces = loaded.pieces.iter_mut();
        let piece = pieces.find(|piece| *piece.file == *file);
        let piece = piece.ok_or(Errno::ENOENT)?;
        if content.len() as u64 != piece.block.size() {
            let text = format!("{file} has another length than when it was mapped");
            return Err(Refusal::new(Errno::EINVAL, text));
        }
        piece.content = Some(content);
        Ok(())
    }

    /// Checks an image for which init has begun, and puts it into place. `file` is the one with the header.
    pub(crate) fn place_image(
        &self,
        id: Id,
        module: &str,
        file: &str,
        args: &InitArgs,
    ) -> Result<(), Refusal> {
        let (mut blocks, mut contents) = (Vec::new(), Vec::new());
        {
            let modules = self.modules();
            let loaded = modules.get(id).and_then(|module| module.payload());
            let loaded = loaded.ok_or(Errno::ENOENT)?;
            // The one with the header first.
            let (head, others): (Vec<_>, Vec<_>) =
                loaded.pieces.iter().partition(|piece| *piece.file == *file);
            for piece in head.into_iter().chain(others) {
                blocks.push((piece.block.clone(), piece.is_init()));
                contents.push(piece.content.clone().ok_or(Errno::EINVAL)?);
            }
        }
        if !matches!(blocks[0].0.kind(), Kind::Data | Kind::Wx) {
            let text = format!("{file} holds the header, and so has to be writable (mode 0600)");
            return Err(Refusal::new(Errno::EINVAL, text));
        }
        let pieces: Vec<_> = blocks
            .iter()
            .zip(&contents)
            .map(|((block, _), content)| image::Piece {
                address: block.address(),
                bytes: content,
            })
            .collect();
        let image = image::Image::read(&pieces, module).map_err(invalid)?;
        let (executable, header) = (|address| is_code(&blocks, address), &image.header);
        for (address, what) in [
            (header.init, "init"),
            (header.cleanup, "cleanup"),
            (header.can_unload, "can_unload"),
        ] {
            if address != 0 && !executable(address) {
                let text = format!("header: {what} is not in a file that is executable");
                return Err(Refusal::new(Errno::EINVAL, text));
            }
        }
        outlives_init(&image, &blocks)?;
        for ((block, _), content) in blocks.iter().zip(&contents) {
            block.write(0, content).map_err(no_room)?;
        }
        let head = &blocks[0].0;
        let flags = header.flags | INITIALIZING;
        for (at, value) in [
            // For who asks by a pointer to the header whose it is.
            (offset::NEXT, id.get()),
            (offset::USECOUNT, 1),
            (offset::FLAGS, flags),
            (offset::REFS, 0),
        ] {
            let bytes: [u8; 8] = u64::to_le_bytes(value);
            head.write(at, &bytes).map_err(no_room)?;
        }
        self.enter_image(id, module, &image, blocks, args)
    }

    /// Makes known what an image exports and uses, and where it is.
    fn enter_image(
        &self,
        id: Id,
        module: &str,
        image: &image::Image<'_>,
        blocks: Vec<(Arc<Block>, bool)>,
        args: &InitArgs,
    ) -> Result<(), Refusal> {
        let export = |(name, address): &(&str, u64)| Export {
            name: name.strip_prefix(GPLONLY).unwrap_or(name).into(),
            address: *address,
            near: *address,
            crc: None,
            gpl: name.starts_with(GPLONLY),
        };
        let exports: Vec<Export> = image.symbols.iter().map(export).collect();
        for parameter in &args.parameters {
            let text = format!("{module}: parameter '{parameter}' ignored: it is a linked image");
            self.log.write(Level::Warning, &text);
        }
        let address = blocks[0].0.address();
        let head = Head {
            block: blocks[0].0.clone(),
            can_unload: image.header.can_unload,
        };
        let placed = Arc::new(Image::linked(head, &image.header, blocks));
        let mut modules = self.modules();
        let deps = deps_of(&modules, id, image)?;
        let taken = modules.set_image(id, &exports, &deps);
        for (name, owner) in taken.iter().take(MOST_TOLD) {
            let owner = modules.owner_name(*owner);
            let text = format!("{module}: exports {name}, which {owner} exports already: not used");
            self.log.write(Level::Warning, &text);
        }
        let held = modules.get_mut(id).ok_or(Errno::ENOENT)?;
        held.set_extent(address, placed.size());
        if image.header.flags & image::AUTOCLEAN != 0 {
            held.gate().set(Flags::AUTOCLEAN);
        }
        if let Some(loaded) = held.payload_mut() {
            loaded.image = Some(placed);
            loaded.listed = exports
                .into_iter()
                .map(|export| SymbolLine {
                    name: export.name.to_string(),
                    address: export.address,
                    crc: None,
                    gpl: export.gpl,
                })
                .collect();
            loaded.owner.dead.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Its init has returned 0: what was for init only goes.
    pub(crate) fn image_runs(&self, id: Id, image: &Image) {
        if let Some(head) = image.head() {
            head.block.fetch_add(offset::USECOUNT, -1);
            head.block.fetch_clear(offset::FLAGS, INITIALIZING);
        }
        let mut modules = self.modules();
        let loaded = modules.get_mut(id).and_then(|module| module.payload_mut());
        if let Some(loaded) = loaded {
            loaded.pieces.retain(|piece| !piece.is_init());
            loaded
                .pieces
                .iter_mut()
                .for_each(|piece| piece.content = None);
        }
    }

    /// Whether an image says of itself that it may not be unloaded.
    ///
    /// # Errors
    /// EBUSY: so it says.
    pub(crate) fn asks_to_stay(&self, module: &str, id: Id) -> Result<(), Refusal> {
        let function = {
            let modules = self.modules();
            counts_itself(&modules, id)?;
            let held = modules
                .get(id)
                .filter(|held| held.state() == State::Running);
            let loaded = held.and_then(|held| held.payload());
            let asked = loaded.and_then(|loaded| {
                let function = loaded.image.as_ref()?.head()?.can_unload;
                (function != 0).then(|| (loaded.owner.clone(), function))
            });
            match asked {
                Some(asked) => asked,
                None => return Ok(()),
            }
        };
        match self.ask(&function.0, function.1)? {
            0 => Ok(()),
            said => {
                let text = format!("{module} says that it cannot be unloaded ({said})");
                Err(Refusal::new(Errno::EBUSY, text))
            }
        }
    }

    /// Calls a function of a running image that takes nothing and returns an int.
    fn ask(&self, owner: &Arc<Owner>, function: u64) -> Result<i32, Refusal> {
        if !owner.gate.try_hold() {
            return Err(Errno::EBUSY.into());
        }
        let said = match owner.is_dead() {
            true => Err(Errno::EBUSY.into()),
            false => self.call_plain(owner, function),
        };
        owner.gate.unhold();
        said.map(|value| value as i32)
    }
}

/// The modules whose headers an image's table of references names. What was mapped after the image is not what
/// it was linked against, even where that was.
fn deps_of(
    modules: &Modules<Loaded>,
    own: Id,
    image: &image::Image<'_>,
) -> Result<Vec<Id>, Refusal> {
    let running = modules.iter().filter(|(_, m)| m.state() == State::Running);
    let known: HashMap<u64, Id> = running.map(|(id, module)| (module.address(), id)).collect();
    let find = |address: &u64| {
        let known = known.get(address).copied();
        known.filter(|id| *id < own).ok_or_else(|| {
            let text = match known {
                None => format!("found dependency at {address:#x} that is (no longer?) a module"),
                Some(later) => format!(
                    "found dependency {} that was mapped after this image: link it again",
                    modules.owner_name(modfs_core::Owner::Module(later))
                ),
            };
            Refusal::new(Errno::EINVAL, text)
        })
    };
    image.deps.iter().map(find).collect()
}

/// Refuses an image that would need what goes when init has returned.
fn outlives_init(image: &image::Image<'_>, blocks: &[(Arc<Block>, bool)]) -> Result<(), Refusal> {
    let stays = |address: u64| {
        let ends = |block: &Block| block.address() + block.size();
        let within = |block: &Block| (block.address()..=ends(block)).contains(&address);
        blocks.iter().any(|(block, init)| !init && within(block))
    };
    let header = &image.header;
    let named = [
        (header.cleanup, "cleanup"),
        (header.can_unload, "can_unload"),
        (header.archdata_start, "archdata"),
    ];
    let symbols = image
        .symbols
        .iter()
        .map(|(_, value)| (*value, "the value of a symbol"));
    let gone = named
        .into_iter()
        .chain(symbols)
        .find(|(address, _)| *address != 0 && !stays(*address));
    match gone {
        _ if blocks[0].1 => Err(Refusal::new(
            Errno::EINVAL,
            "the header is in a file for init only",
        )),
        Some((_, what)) => {
            let text = format!("header: {what} is in a file for init only");
            Err(Refusal::new(Errno::EINVAL, text))
        }
        None => Ok(()),
    }
}

/// Of what a damaged table could give millions so many are told.
const MOST_TOLD: usize = 32;

/// `MOD_INITIALIZING`.
const INITIALIZING: u64 = 64;

fn is_code(blocks: &[(Arc<Block>, bool)], address: u64) -> bool {
    blocks
        .iter()
        .any(|(block, _)| matches!(block.kind(), Kind::Code | Kind::Wx) && block.contains(address))
}

fn no_room(error: std::io::Error) -> Refusal {
    Refusal::new(Errno::ENOMEM, format!("writing the image: {error}"))
}

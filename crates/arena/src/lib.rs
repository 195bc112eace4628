//! Module memory in a Linux process.
//!
//! There is one arena in a process: a range below 2 GiB that every x86_64 code model reaches
//! with 32-bit fields, reserved once and never grown. It has four regions, and a [`Block`] is
//! a piece of one of them:
//!
//! | region | mapping | written by |
//! |--------|---------|------------|
//! | code   | a memfd, read and execute, shared | pwrite(2) to the memfd |
//! | rodata | a memfd, read, shared | pwrite(2) to the memfd |
//! | data   | anonymous, read and write, private | the modules |
//! | wx     | anonymous, private; inaccessible until [`Arena::allow_wx`] | the modules |
//!
//! So, unless the last is allowed, no page is ever both writable and executable, no writable alias of code is mapped, and a
//! module adds no mapping: publishing one is a system call that changes no page table.
//! Small blocks share pages.
//!
//! Freed code is overwritten with traps (`int3`) until it is used again; beyond the last block
//! the memfd ends, where executing is SIGBUS. Memory is given back to the system when blocks
//! at the end of a region go, and, except for code, when free pages in between add up.
//!
//! A forked child gets a private copy of code and constants before fork(2) returns in either
//! process (pthread_atfork(3)), since the parent goes on changing the shared ones.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::io::{Errno, pwrite};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

mod fork;
mod free;

use free::FreeList;

/// Which region of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Executable, never writable.
    Code,
    /// Constants.
    Rodata,
    /// Variables.
    Data,
    /// Code and variables that share pages, once [`Arena::allow_wx`] has been called.
    Wx,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Code, Kind::Rodata, Kind::Data, Kind::Wx];

    /// Whether it is memory of this process alone, which modules write.
    fn is_private(self) -> bool {
        matches!(self, Kind::Data | Kind::Wx)
    }
}

/// There is no room in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The region.
    pub kind: Kind,
    /// Bytes that were asked for.
    pub size: u64,
}

const PAGE: u64 = 4096;
/// What every block's size and place is a multiple of: a cache line, so that modules do not
/// slow each other down by sharing one.
const GRANULE: u64 = 64;
/// `int3`.
const TRAP: u8 = 0xcc;
/// The arena is somewhere in here: above what vm.mmap_min_addr and a fixed-address program take,
/// and where a sign-extended 32-bit field still reaches.
const LOWEST: u64 = 0x1000_0000;
const HIGHEST: u64 = 0x8000_0000;
/// Sizes of the regions at best; halved as long as they do not fit.
const SIZES: [u64; 4] = [128 << 20, 128 << 20, 256 << 20, 64 << 20];
/// How much free memory may stay resident at the end of a region, and in between, before it is
/// given back: a load after an unload finds its pages there.
const WARM: u64 = 256 << 10;
/// From this size on fresh pages are cheaper than zeroing.
const FRESH: u64 = 128 << 10;

#[derive(Debug)]
struct Region {
    kind: Kind,
    base: u64,
    size: u64,
    /// The memfd; none for private memory.
    file: Option<OwnedFd>,
}

#[derive(Debug)]
struct RegionState {
    free: FreeList,
    /// Pages of this region may be resident up to here.
    resident: u64,
    /// Bytes freed below `resident` since pages in between were last given back.
    idle: u64,
}

/// The arena of this process.
#[derive(Debug)]
pub struct Arena {
    regions: [Region; 4],
    state: Mutex<[RegionState; 4]>,
    wx: AtomicBool,
}

impl Arena {
    /// The arena, reserved at the first call.
    ///
    /// # Errors
    /// No free range below 2 GiB, or memfd_create(2), mmap(2) or pthread_atfork(3) failed.
    pub fn get() -> io::Result<&'static Arena> {
        static ARENA: OnceLock<Arena> = OnceLock::new();
        static RESERVE: Mutex<()> = Mutex::new(());
        if let Some(arena) = ARENA.get() {
            return Ok(arena);
        }
        let _one_at_a_time = RESERVE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(arena) = ARENA.get() {
            return Ok(arena);
        }
        let arena = Arena::reserve()?;
        let arena = ARENA.get_or_init(|| arena);
        fork::register()?;
        Ok(arena)
    }

    fn reserve() -> io::Result<Arena> {
        let mut sizes = SIZES;
        loop {
            match Arena::reserve_of(sizes) {
                Err(_) if sizes[0] > (8 << 20) => sizes = sizes.map(|size| size / 2),
                other => return other,
            }
        }
    }

    fn reserve_of(sizes: [u64; 4]) -> io::Result<Arena> {
        let whole: u64 = sizes.iter().sum();
        let base = find_room(whole)?;
        let mut at = base;
        let mut build = |kind: Kind| -> io::Result<Region> {
            let size = sizes[kind as usize];
            let region = Region::map(kind, at, size)?;
            at += size;
            Ok(region)
        };
        let regions = [
            build(Kind::Code)?,
            build(Kind::Rodata)?,
            build(Kind::Data)?,
            build(Kind::Wx)?,
        ];
        let state = Kind::ALL.map(|kind| RegionState {
            free: FreeList::new(sizes[kind as usize]),
            resident: 0,
            idle: 0,
        });
        Ok(Arena {
            regions,
            state: Mutex::new(state),
            wx: AtomicBool::new(false),
        })
    }

    /// Lets blocks of [`Kind::Wx`] be taken: from now on there are pages that are both writable and
    /// executable.
    ///
    /// # Errors
    /// What mprotect(2) says: EACCES where the process, or the system, forbids such pages.
    pub fn allow_wx(&self) -> io::Result<()> {
        let region = &self.regions[Kind::Wx as usize];
        let all = MprotectFlags::READ | MprotectFlags::WRITE | MprotectFlags::EXEC;
        // SAFETY: the region is this arena's own mapping, in which nothing is yet.
        unsafe {
            let at = ptr::with_exposed_provenance_mut(region.base as usize);
            mprotect(at, region.size as usize, all)?;
        }
        self.wx.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether blocks of [`Kind::Wx`] can be taken.
    pub fn allows_wx(&self) -> bool {
        self.wx.load(Ordering::Acquire)
    }

    /// Takes a block of `size` bytes, zeroed for data and wx, at a multiple of `align`, a power of two
    /// up to a page. A block of no size has an address too.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn alloc(&'static self, kind: Kind, size: u64, align: u64) -> Result<Block, NoRoom> {
        debug_assert!(align.is_power_of_two() && align <= PAGE);
        let no_room = NoRoom { kind, size };
        let taken = size
            .max(1)
            .checked_next_multiple_of(GRANULE)
            .ok_or(no_room)?;
        if kind == Kind::Wx && !self.allows_wx() {
            return Err(no_room);
        }
        let region = &self.regions[kind as usize];
        let offset = {
            let state = &mut self.lock()[kind as usize];
            let offset = state.free.take(taken, align.max(GRANULE)).ok_or(no_room)?;
            state.resident = state.resident.max(offset + taken);
            offset
        };
        let block = Block {
            arena: self,
            kind,
            address: region.base + offset,
            size,
            taken,
        };
        if kind.is_private() {
            block.zero();
        }
        Ok(block)
    }

    /// Whether an address is in the code region, of a live module or not.
    pub fn is_code(&self, address: u64) -> bool {
        [Kind::Code, Kind::Wx]
            .iter()
            .any(|kind| self.regions[*kind as usize].contains(address))
    }

    /// Whether an address is in the arena: then 32-bit fields of modules reach it.
    pub fn contains(&self, address: u64) -> bool {
        self.regions.iter().any(|region| region.contains(address))
    }

    /// How many bytes are taken by blocks, by region: code, rodata, data, wx.
    pub fn used(&self) -> [u64; 4] {
        let state = self.lock();
        Kind::ALL.map(|kind| self.regions[kind as usize].size - state[kind as usize].free.total())
    }

    fn lock(&self) -> MutexGuard<'_, [RegionState; 4]> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self, kind: Kind, address: u64, taken: u64) {
        let region = &self.regions[kind as usize];
        let offset = address - region.base;
        let mut state = self.lock();
        if kind == Kind::Code {
            // Under the lock, so that a forked child's copy never has a half-freed block.
            region.trap(offset, taken);
        }
        if kind == Kind::Wx {
            // SAFETY: the range is free memory of this region, mapped readable and writable: nothing
            // refers to it.
            unsafe {
                let at = ptr::with_exposed_provenance_mut::<u8>(address as usize);
                ptr::write_bytes(at, TRAP, taken as usize);
            }
        }
        let state = &mut state[kind as usize];
        state.free.give(offset, taken);
        state.idle += taken;
        let end = state.free.tail().next_multiple_of(PAGE);
        if state.resident > end + WARM {
            region.cut(end, state.resident);
            state.resident = end;
        }
        // Freed code must trap, and a page that was given back reads as zeros: code in between
        // stays until the end recedes.
        if kind != Kind::Code && state.idle > WARM {
            for (start, len) in state.free.iter() {
                region.give_back(start, start + len, state.resident);
            }
            state.idle = 0;
        }
    }
}

impl Region {
    fn map(kind: Kind, base: u64, size: u64) -> io::Result<Region> {
        let at = ptr::with_exposed_provenance_mut::<c_void>(base as usize);
        let len = size as usize;
        let file = match kind {
            Kind::Code => Some(memfd(c"modfs-code")?),
            Kind::Rodata => Some(memfd(c"modfs-rodata")?),
            Kind::Data | Kind::Wx => None,
        };
        match &file {
            // SAFETY: the range was reserved by `find_room` for this arena and holds nothing.
            Some(file) => unsafe {
                mmap(
                    at,
                    len,
                    protection(kind),
                    MapFlags::SHARED | MapFlags::FIXED,
                    file,
                    0,
                )?
            },
            // SAFETY: as above.
            None => unsafe {
                let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
                mmap_anonymous(at, len, protection(kind), flags)?
            },
        };
        Ok(Region {
            kind,
            base,
            size,
            file,
        })
    }

    fn contains(&self, address: u64) -> bool {
        (self.base..self.base + self.size).contains(&address)
    }

    fn trap(&self, offset: u64, len: u64) {
        const PIECE: u64 = 16 * PAGE;
        static TRAPS: [u8; PIECE as usize] = [TRAP; PIECE as usize];
        let Some(file) = &self.file else { return };
        let mut done = 0;
        while done < len {
            let piece = (len - done).min(PIECE) as usize;
            // The pages are there already, so this cannot run out of memory.
            if write_all(file, &TRAPS[..piece], offset + done).is_err() {
                return;
            }
            done += piece as u64;
        }
    }

    /// Gives back everything from `end`, a multiple of a page, up to `resident`.
    fn cut(&self, end: u64, resident: u64) {
        match &self.file {
            // What fails here costs memory, nothing else.
            Some(file) => drop(ftruncate(file, end)),
            None => self.give_back(end, resident, resident),
        }
    }

    /// Gives back the whole pages of a free range below `resident`.
    fn give_back(&self, start: u64, end: u64, resident: u64) {
        let start = start.next_multiple_of(PAGE);
        let end = end.min(resident) / PAGE * PAGE;
        if start >= end {
            return;
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match &self.file {
            Some(file) => drop(fallocate(file, flags, start, end - start)),
            // SAFETY: the range is free memory of a private region: nothing refers to it.
            None => unsafe {
                let at = ptr::with_exposed_provenance_mut((self.base + start) as usize);
                // What fails here costs memory, nothing else.
                let _ = madvise(at, (end - start) as usize, Advice::LinuxDontNeed);
            },
        }
    }
}

fn protection(kind: Kind) -> ProtFlags {
    match kind {
        Kind::Code => ProtFlags::READ | ProtFlags::EXEC,
        Kind::Rodata => ProtFlags::READ,
        Kind::Data => ProtFlags::READ | ProtFlags::WRITE,
        // Until it is allowed.
        Kind::Wx => ProtFlags::empty(),
    }
}

/// Reserves a range below 2 GiB.
fn find_room(size: u64) -> io::Result<u64> {
    const STEP: u64 = 16 << 20;
    let mut base = LOWEST;
    while base + size <= HIGHEST {
        let at = ptr::with_exposed_provenance_mut::<c_void>(base as usize);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: FIXED_NOREPLACE never replaces a mapping.
        match unsafe { mmap_anonymous(at, size as usize, ProtFlags::empty(), flags) } {
            Ok(got) if got == at => return Ok(base),
            // A kernel before 4.17 takes the address as a hint.
            // SAFETY: this is the mapping that was just made.
            Ok(got) => unsafe { munmap(got, size as usize)? },
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        base += STEP;
    }
    Err(io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!(
            "no {} MiB of address space are free below 2 GiB",
            size >> 20
        ),
    ))
}

fn memfd(name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC;
    // With vm.memfd_noexec=2 only a memfd that cannot be executed as a file may be made; it can
    // be mapped executable all the same. Kernels before 6.3 do not know the flag.
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        other => Ok(other?),
    }
}

fn write_all(file: impl AsFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match pwrite(&file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A piece of the arena; dropping it gives it back. Nothing may execute, read or write it then.
#[derive(Debug)]
pub struct Block {
    arena: &'static Arena,
    kind: Kind,
    address: u64,
    size: u64,
    taken: u64,
}

impl Block {
    /// Where it is.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size in bytes, as asked for.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which region it is in.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: u64) -> bool {
        (self.address..self.address + self.size).contains(&address)
    }

    /// Copies `bytes` to `offset`.
    ///
    /// Code and constants are visible to every thread when this returns. A thread may execute
    /// them once it has learned of them through some synchronisation, as it does of any pointer.
    ///
    /// # Errors
    /// InvalidInput: not within the block. Otherwise what pwrite(2) says: out of memory.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let region = &self.arena.regions[self.kind as usize];
        match &region.file {
            Some(file) => write_all(file, bytes, self.address - region.base + offset),
            None => {
                // SAFETY: the target is within this block of a private region, which is mapped
                // readable and writable; `bytes` cannot be in it, since safe code has no
                // references into the arena. Module code that races with this is the module's
                // doing, as with any memory it shares.
                unsafe {
                    let at = ptr::with_exposed_provenance_mut((self.address + offset) as usize);
                    ptr::copy(bytes.as_ptr(), at, bytes.len());
                }
                Ok(())
            }
        }
    }

    /// Copies variables at `offset` out. Returns `false`, and copies nothing, when they are not
    /// all in the block, or it is not of a private region (a memfd may end before a block does).
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> bool {
        let end = offset.checked_add(bytes.len() as u64);
        if !self.kind.is_private() || end.is_none_or(|end| end > self.size) {
            return false;
        }
        // SAFETY: the source is within this block of a private region, which is mapped readable.
        unsafe {
            let at = ptr::with_exposed_provenance::<u8>((self.address + offset) as usize);
            ptr::copy(at, bytes.as_mut_ptr(), bytes.len());
        }
        true
    }

    /// Adds to an int at `offset` in one step, and returns what it was; `None` when it is not in the
    /// block, not aligned, or in no private region.
    pub fn fetch_add(&self, offset: u64, number: i32) -> Option<i32> {
        let at = self.word(offset, 4)?;
        // SAFETY: four aligned bytes of this block, mapped readable and writable. Whoever uses them
        // otherwise, in a module, does so by single instructions.
        let int = unsafe { AtomicI32::from_ptr(at.cast()) };
        Some(int.fetch_add(number, Ordering::AcqRel))
    }

    /// Clears bits of a word of eight bytes at `offset` in one step, and returns what it was; `None` as for
    /// [`Block::fetch_add`].
    pub fn fetch_clear(&self, offset: u64, bits: u64) -> Option<u64> {
        let at = self.word(offset, 8)?;
        // SAFETY: as above, eight bytes.
        let word = unsafe { AtomicU64::from_ptr(at.cast()) };
        Some(word.fetch_and(!bits, Ordering::AcqRel))
    }

    fn word(&self, offset: u64, size: u64) -> Option<*mut u8> {
        let end = offset.checked_add(size)?;
        let address = self.address + offset;
        let fits = end <= self.size && address.is_multiple_of(size) && self.kind.is_private();
        fits.then(|| ptr::with_exposed_provenance_mut(address as usize))
    }

    fn zero(&self) {
        let (start, end) = (self.address, self.address + self.taken);
        let at = |address: u64| ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: the range is this new block of a private region, to which nothing refers yet.
        unsafe {
            if self.taken < FRESH {
                ptr::write_bytes(at(start), 0, self.taken as usize);
                return;
            }
            let (first, last) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
            let pages = (last - first) as usize;
            if madvise(at(first).cast(), pages, Advice::LinuxDontNeed).is_err() {
                ptr::write_bytes(at(first), 0, pages);
            }
            ptr::write_bytes(at(start), 0, (first - start) as usize);
            ptr::write_bytes(at(last), 0, (end - last) as usize);
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.arena.free(self.kind, self.address, self.taken);
    }
}

#[cfg(test)]
mod tests;

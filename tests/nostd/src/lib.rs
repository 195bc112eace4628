//! A kernel without std and without libc: it maps, starts, stops and unmaps two modules, one of
//! which uses the other, and links an object.

#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout as Block};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};
use modfs_core::{Command, Errno, Export, Id, InitArgs, Modules, NewModule, Owner, State};
use modfs_link::{Import, Layout, PARTS, Part, Staging, link};
use modfs_object::{EM_X86_64, Object};

const HEAP: usize = 8 << 20;

/// Memory that is given out once and never taken back.
struct Bump {
    heap: UnsafeCell<[u8; HEAP]>,
    used: AtomicUsize,
}

// SAFETY: the heap is only handed out, in pieces that do not overlap, as `used` is atomic.
unsafe impl Sync for Bump {}

// SAFETY: each piece lies within the heap, is aligned as asked and given out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        let base = self.heap.get() as usize;
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let start = (base + used).next_multiple_of(block.align()) - base;
            let Some(end) = start.checked_add(block.size()).filter(|end| *end <= HEAP) else {
                return core::ptr::null_mut();
            };
            let swapped =
                self.used
                    .compare_exchange(used, end, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                // SAFETY: `start` is at most `end`, which is within the heap.
                Ok(_) => return unsafe { self.heap.get().cast::<u8>().add(start) },
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Block) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump {
    heap: UnsafeCell::new([0; HEAP]),
    used: AtomicUsize::new(0),
};

unsafe extern "C" {
    /// Ends the program.
    fn modfs_nostd_exit(code: i32) -> !;
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    // SAFETY: may be called at any time.
    unsafe { modfs_nostd_exit(101) }
}

/// Runs everything: 0, or the number of the line where something was not as it should be.
///
/// # Safety
/// `object` points to `len` bytes that stay as they are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn modfs_nostd_main(object: *const u8, len: usize) -> i32 {
    // SAFETY: by contract.
    let object = unsafe { core::slice::from_raw_parts(object, len) };
    match modules().and_then(|()| image(object)) {
        Ok(()) => 0,
        Err(line) => (line as i32 & 0xff).max(1),
    }
}

/// `Err` with this line's number unless the condition holds. An exit code has 8 bits, so that
/// only the lower ones are seen.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err(line!());
        }
    };
}

fn map(list: &mut Modules<Vec<u8>>, name: &str, export: &str, import: &str) -> Result<Id, u32> {
    let new = NewModule { name, file: name };
    let id = list.begin_map(&new).map_err(|_| line!())?;
    if !import.is_empty() {
        list.resolve(import, true).map_err(|_| line!())?;
        list.depend(id, [import].into_iter());
    }
    let export = Export {
        name: export.into(),
        address: 0x1000_0000,
        near: 0x1000_0000,
        crc: Some(1),
        gpl: false,
    };
    list.finish_map(id, &[export], Vec::from(name.as_bytes()))
        .map_err(|_| line!())?;
    Ok(id)
}

fn modules() -> Result<(), u32> {
    let mut list = Modules::new();
    let lib = map(&mut list, "lib", "f", "")?;
    let args = InitArgs::default();
    check!(list.begin_init(lib, &args).is_ok());
    list.finish_init(lib);
    let user = map(&mut list, "user", "g", "f")?;
    check!(list.begin_init(user, &args).is_ok());
    list.finish_init(user);
    let status = list.status(lib).ok_or(line!())?;
    check!(status.refs == [String::from("user")]);
    check!(list.exports(Owner::Module(user)).len() == 1);
    check!(
        list.admit("user", "user", Command::Init)
            .map_err(|e| e.errno)
            == Err(Errno::EEXIST)
    );
    check!(list.begin_exit(lib).map_err(|e| e.errno) == Err(Errno::EBUSY));
    let gate = list.get(user).ok_or(line!())?.gate().clone();
    check!(gate.try_get());
    check!(list.begin_exit(user).is_err());
    check!(gate.put());
    for (id, name) in [(user, "user"), (lib, "lib")] {
        check!(list.begin_exit(id).is_ok());
        check!(!list.get(id).ok_or(line!())?.gate().try_get());
        list.finish_exit(id, false);
        check!(list.get(id).map(|m| m.state()) == Some(State::Deleted));
        let image = list.unmap(name, name).map_err(|_| line!())?;
        check!(image.as_deref() == Some(name.as_bytes()));
    }
    check!(list.iter().count() == 0);
    Ok(())
}

fn image(bytes: &[u8]) -> Result<(), u32> {
    const IMPORT: u64 = 0x3000_0040;
    let object = Object::parse(bytes, EM_X86_64).map_err(|_| line!())?;
    let info = object.modinfo();
    check!(info.is_gpl_compatible());
    let layout = Layout::new(&object, &[]).map_err(|_| line!())?;
    let mut bases = [0; PARTS];
    for (base, part) in bases.iter_mut().zip(Part::ALL) {
        *base = 0x1000_0000 + part as u64 * 0x0400_0000;
    }
    let mut staging = Staging::default();
    let import = |_| {
        Some(Import {
            address: IMPORT,
            near: Some(IMPORT),
        })
    };
    check!(link(&object, &layout, &bases, import, &mut staging).is_ok());
    // `pointers` holds the address of the import and that of the string.
    let index = object
        .symbols()
        .iter()
        .position(|s| s.name == "pointers")
        .ok_or(line!())?;
    let (part, offset) = layout.symbol(&object, index).ok_or(line!())?;
    let words = staging
        .at(&bases, bases[part as usize] + offset, 16)
        .ok_or(line!())?;
    let word = |at: usize| {
        let word = words.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(word))
    };
    check!(word(0) == Some(IMPORT));
    let text = word(8).ok_or(line!())?;
    check!(staging.string_at(&bases, text) == Some("no libc"));
    // An object that is cut off is refused, not followed.
    check!(Object::parse(&bytes[..bytes.len() / 2], EM_X86_64).is_err());
    Ok(())
}

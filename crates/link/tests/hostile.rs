//! Whatever the bytes are, they are taken or refused: no panic, and no more memory than the file
//! and the declared sizes call for.

#![allow(clippy::unwrap_used)]

use modfs_link::{Import, Layout, Part, Staging, link};
use modfs_object::{EM_X86_64, Object};
use std::alloc::{GlobalAlloc, System};
use std::cell::Cell;

mod support;
use support::*;

/// Counts what each thread has allocated, and the most it ever had.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is handed on to the system's allocator; counting allocates nothing, as the cells
// need neither a constructor nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        NOW.set(NOW.get().wrapping_add(layout.size()));
        MOST.set(MOST.get().max(NOW.get()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        NOW.set(NOW.get().wrapping_sub(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEMORY: usize = 64 << 20;
/// Images up to here are linked; the arena, which gives the addresses, has not much more.
const IMAGE: u64 = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    NotParsed,
    NotLaidOut,
    TooBig,
    NotLinked,
    Linked,
}

/// Does with a file all that a kernel does with it.
fn take(bytes: &[u8]) -> Outcome {
    let Ok(object) = Object::parse(bytes, EM_X86_64) else {
        return Outcome::NotParsed;
    };
    for export in object.exports() {
        assert!(export.symbol < object.symbols().len());
    }
    object.modinfo();
    object.versions();
    object.imports().count();
    let Ok(layout) = Layout::new(&object, &[THIS_MODULE]) else {
        return Outcome::NotLaidOut;
    };
    for fini in [false, true] {
        layout.constructors(&object, fini);
    }
    for (index, _) in object.symbols().iter().enumerate() {
        if let Some((part, offset)) = layout.symbol(&object, index) {
            assert!(offset <= layout.extent(part).size);
        }
    }
    let size = |part: Part| layout.extent(part).size;
    if Part::ALL.into_iter().map(size).sum::<u64>() > IMAGE {
        return Outcome::TooBig;
    }
    let import = |index: usize| match index % 5 {
        0 => None,
        1 => Some(Import {
            address: 0x7fff_0000_1000,
            near: None,
        }),
        _ => near(0x3000_0000),
    };
    match link(&object, &layout, &BASES, import, &mut Staging::default()) {
        Ok(()) => Outcome::Linked,
        Err(errors) => {
            assert!(!errors.is_empty());
            Outcome::NotLinked
        }
    }
}

/// As `take`, but looks after the memory, and says which file it was if that panics.
fn survive(bytes: &[u8], what: impl Fn() -> String) -> Outcome {
    let before = NOW.get();
    MOST.set(before);
    let outcome = std::panic::catch_unwind(|| take(bytes)).unwrap_or_else(|panic| {
        eprintln!("{}", what());
        std::panic::resume_unwind(panic)
    });
    let used = MOST.get() - before;
    assert!(used <= MEMORY, "{used} bytes of memory: {}", what());
    outcome
}

/// Objects of several makers.
fn samples() -> Vec<Elf> {
    let mut samples = vec![
        compile("gcc", &["-O1", "-fno-pic", "-fcommon"], "everything.c").1,
        compile(
            "clang",
            &["-O2", "-fPIC", "-ffunction-sections"],
            "everything.c",
        )
        .1,
    ];
    samples.push(
        assemble(
            "
            .section .text.one,\"axG\",@progbits,one,comdat
            .weak one
            one: call two
            .section .text.two,\"axG\",@progbits,two,comdat
            .globl two
            two: movq host_add@GOTPCREL(%rip), %rax
            .section .init_array.5,\"aw\",@init_array
            .quad one
            .section .fini_array,\"aw\",@fini_array
            .quad two
            .section .modinfo,\"a\"
            .asciz \"license=GPL\"
            .section __ksymtab_gpl,\"a\"
            __ksymtab_two: .quad two
            .section __kcrctab_gpl,\"a\"
            __crc_two: .long 5
            .section __versions,\"a\"
            .quad 77
            .ascii \"host_add\"
            .zero 48
            .bss
            .zero 100
            .comm common, 100, 32
            .data
            .weak maybe
            .quad maybe, one@SIZE, two@GOTOFF, __this_module, common
            .byte maybe
            ",
        )
        .1,
    );
    let samples: Vec<Elf> = samples.into_iter().map(Elf).collect();
    for sample in &samples {
        assert_ne!(take(&sample.0), Outcome::NotParsed);
        assert_ne!(take(&sample.0), Outcome::NotLaidOut);
    }
    samples
}

#[test]
fn every_truncation_is_refused() {
    for sample in samples() {
        let Elf(bytes) = sample;
        for len in 0..bytes.len() {
            let outcome = survive(&bytes[..len], || format!("the first {len} bytes"));
            // The section table is at the end.
            assert_eq!(
                outcome,
                Outcome::NotParsed,
                "{len} of {} bytes",
                bytes.len()
            );
        }
        let longer = [&bytes[..], &[0xff; 100]].concat();
        assert_eq!(survive(&longer, String::new), take(&bytes), "a longer file");
    }
}

/// xorshift64*.
fn random(state: &mut u64) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize
}

#[test]
fn random_changes_are_survived() {
    for (n, sample) in samples().into_iter().enumerate() {
        let mut outcomes = [0; 5];
        for seed in 1..=10_000u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut bytes = sample.0.clone();
            for _ in 0..1 + random(&mut state) % 8 {
                let at = random(&mut state) % bytes.len();
                bytes[at] = random(&mut state) as u8;
            }
            let outcome = survive(&bytes, || format!("sample {n}, seed {seed}"));
            outcomes[outcome as usize] += 1;
        }
        assert!(
            outcomes[0] > 0 && outcomes[3] + outcomes[4] > 0,
            "{outcomes:?}"
        );
    }
}

/// Values that are off by one, overflow, or change their meaning with their sign.
fn odd_values(len: usize, now: u64) -> Vec<u64> {
    let len = len as u64;
    let mut values = vec![
        0,
        1,
        2,
        3,
        7,
        8,
        24,
        63,
        64,
        0x7f,
        0xff,
        0x1000,
        0x1001,
        0x7fff,
        0xff00,
        0xff02,
        0xfff1,
        0xfff2,
        0xffff,
        len - 1,
        len,
        len + 1,
        now.wrapping_sub(1),
        now.wrapping_add(1),
        now.wrapping_neg(),
        now ^ 0x8000_0000_0000_0000,
        0x3fff_ffff,
        0x4000_0000,
        0x4000_0001,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        1 << 40,
        1 << 63,
        (1 << 63) - 1,
        u64::MAX - len,
        u64::MAX - 63,
        u64::MAX - 7,
        u64::MAX - 1,
        u64::MAX,
    ];
    values.retain(|value| *value != now);
    values
}

/// Sets one field after the other of one structure to odd values.
fn odd_fields(sample: &Elf, base: usize, fields: &[Field], what: &str) {
    for field in fields {
        for value in odd_values(sample.0.len(), sample.get(base, *field)) {
            let mut elf = sample.clone();
            elf.set(base, *field, value);
            survive(&elf.0, || {
                format!("{what} at {base}: {field:?} = {value:#x}")
            });
        }
    }
}

#[test]
fn odd_elf_headers_are_survived() {
    for sample in samples() {
        odd_fields(&sample, 0, &header::ALL, "header");
    }
}

#[test]
fn odd_section_headers_are_survived() {
    for sample in samples() {
        for index in 0..sample.count() {
            odd_fields(&sample, sample.section(index), &section::ALL, "section");
        }
    }
}

#[test]
fn odd_symbols_are_survived() {
    for sample in samples() {
        for at in sample.symbols() {
            odd_fields(&sample, at, &symbol::ALL, "symbol");
        }
    }
}

#[test]
fn odd_relocations_are_survived() {
    for sample in samples() {
        for table in sample.of_type(SHT_RELA) {
            if sample.section_name(table).starts_with(".rela.eh_frame") {
                continue;
            }
            for at in sample.entries(table).into_iter().step_by(3) {
                odd_fields(&sample, at, &relocation::ALL, "relocation");
            }
        }
    }
}

#[test]
fn every_relocation_kind_is_survived_anywhere() {
    let (_, bytes) = assemble(".globl here\n.data\nhere: .quad here\n.zero 12\n");
    let sample = Elf(bytes);
    let at = sample.entries(sample.named(".rela.data"))[0];
    let symbols = sample.symbols().len();
    for kind in (0..64).chain([u32::MAX]) {
        for offset in (0..24).chain([u64::MAX, u64::MAX - 7, 1 << 32]) {
            for symbol in 0..symbols {
                let mut elf = sample.clone();
                elf.set(at, relocation::TYPE, u64::from(kind));
                elf.set(at, relocation::OFFSET, offset);
                elf.set(at, relocation::SYMBOL, symbol as u64);
                survive(&elf.0, || format!("kind {kind}, {offset:#x}, {symbol}"));
            }
        }
    }
}

#[test]
fn sections_of_every_type_and_flag_are_survived() {
    for sample in samples() {
        for index in 1..sample.count() {
            let at = sample.section(index);
            for kind in (0..20).chain([0x6fff_fff6, 0x7000_0001, 0x4000_0014]) {
                for flags in 0..8 {
                    let mut elf = sample.clone();
                    elf.set(at, section::TYPE, kind);
                    elf.set(at, section::FLAGS, flags);
                    survive(&elf.0, || format!("section {index}: {kind:#x}, {flags}"));
                }
            }
        }
    }
}

#[test]
fn many_errors_with_long_names_take_little_memory() {
    let long = "n".repeat(100_000);
    let (_, bytes) = assemble(&format!(
        ".section {long},\"aw\"\n.globl {long}_\n{long}_:\n.rept 50000\n.byte short\n.endr\n"
    ));
    let mut elf = Elf(bytes);
    let symbols = elf.symbols();
    let name = elf.get(symbols[elf.symbol_named(&format!("{long}_"))], symbol::NAME);
    let short = symbols[elf.symbol_named("short")];
    elf.set(short, symbol::NAME, name);
    assert_eq!(survive(&elf.0, || "long names".into()), Outcome::NotLinked);
    let table = elf.of_type(SHT_RELA)[0];
    for at in elf.entries(table) {
        elf.set(at, relocation::TYPE, 1000);
    }
    assert_eq!(survive(&elf.0, || "long names".into()), Outcome::NotLaidOut);
}

#[test]
fn random_bytes_are_refused() {
    let mut state = 1;
    for _ in 0..2000 {
        let len = random(&mut state) % 600;
        let mut bytes: Vec<u8> = (0..len).map(|_| random(&mut state) as u8).collect();
        survive(&bytes, String::new);
        let magic = [0x7f, b'E', b'L', b'F', 2, 1, 1];
        for (byte, magic) in bytes.iter_mut().zip(magic) {
            *byte = magic;
        }
        survive(&bytes, String::new);
    }
}

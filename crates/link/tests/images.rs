//! Where things go, and what relocations come out as.

#![allow(clippy::unwrap_used)]

use modfs_link::{Error, Extent, Import, PARTS, Part, Staging, link};
use modfs_object::Place;

mod support;
use support::*;

/// A host function that is far away, with a stub nearby.
const FAR: Import = Import {
    address: 0x7f12_3456_7890,
    near: Some(0x1300_0040),
};
/// A host variable that is far away: no stub can stand for it.
const FAR_VARIABLE: Import = Import {
    address: 0x7f12_0000_1000,
    near: None,
};

fn everything(name: &str) -> Option<Import> {
    match name {
        "host_add" | "host_log" => Some(FAR),
        "host_counter" | "host_table" => Some(FAR_VARIABLE),
        _ => None,
    }
}

fn flags() -> Vec<Vec<&'static str>> {
    let mut all = Vec::new();
    for level in ["-O0", "-O1", "-O2", "-O3"] {
        for model in [&["-fPIC"][..], &["-fPIC", "-fno-plt"]] {
            for extra in [
                &[][..],
                &["-ffunction-sections", "-fdata-sections"],
                &["-fcommon"],
            ] {
                all.push([&[level], model, extra].concat());
            }
        }
    }
    all
}

#[test]
fn each_symbol_is_in_the_part_that_its_use_asks_for() {
    for compiler in COMPILERS {
        for flags in flags() {
            let (_, bytes) = compile(compiler, &flags, "everything.c");
            let linked = linked(&bytes, everything);
            for (name, part) in [
                ("choose", Part::Text),
                ("finish", Part::Text),
                ("own", Part::Text),
                ("constant", Part::Rodata),
                ("scale", Part::Rodata),
                ("pairs", Part::Rodata),
                ("initialised", Part::Data),
                ("current", Part::Data),
                ("tentative", Part::Data),
                ("tentative_too", Part::Data),
                ("kept", Part::Data),
                ("__this_module", Part::Data),
                ("begin", Part::InitText),
                ("once_constant", Part::InitRodata),
                ("once", Part::InitData),
            ] {
                assert_eq!(linked.part(name), part, "{compiler} {flags:?}: {name}");
            }
            // Nothing that is written is executed, and nothing that is executed is written.
            for (index, section) in linked.object.sections().iter().enumerate() {
                let Some((part, _)) = linked.layout.section(index) else {
                    continue;
                };
                let code = matches!(part, Part::Text | Part::InitText);
                assert_eq!(section.exec, code, "{}", section.name);
                assert!(!code || !section.write, "{}", section.name);
            }
        }
    }
}

#[test]
fn nothing_overlaps_and_everything_is_aligned() {
    for compiler in COMPILERS {
        for flags in flags() {
            let (_, bytes) = compile(compiler, &flags, "everything.c");
            let linked = linked(&bytes, everything);
            let mut ranges: [Vec<(u64, u64)>; PARTS] = Default::default();
            for (index, section) in linked.object.sections().iter().enumerate() {
                if let Some((part, offset)) = linked.layout.section(index) {
                    assert_eq!(offset % section.align, 0, "{}", section.name);
                    ranges[part as usize].push((offset, offset + section.size));
                }
            }
            for (index, symbol) in linked.object.symbols().iter().enumerate() {
                if let Some((part, offset)) = linked.layout.symbol(&linked.object, index)
                    && !matches!(symbol.place, Place::Section(_))
                {
                    ranges[part as usize].push((offset, offset + symbol.size));
                }
            }
            for part in Part::ALL {
                let Extent {
                    size,
                    filled,
                    align,
                } = linked.layout.extent(part);
                assert!(filled <= size && align.is_power_of_two() && align <= 4096);
                assert_eq!(linked.staging.part(part).len() as u64, filled);
                let list = &mut ranges[part as usize];
                list.retain(|(start, end)| start < end);
                list.sort_unstable();
                for pair in list.windows(2) {
                    assert!(pair[0].1 <= pair[1].0, "{part:?}: {pair:?}");
                }
                assert!(list.iter().all(|(_, end)| *end <= size), "{part:?}");
            }
        }
    }
}

#[test]
fn pointers_of_the_object_hold_what_they_point_at() {
    for compiler in COMPILERS {
        for flags in flags() {
            let (_, bytes) = compile(compiler, &flags, "everything.c");
            let linked = linked(&bytes, everything);
            let at = |name| linked.word64(linked.address(name));
            assert_eq!(at("outside"), FAR_VARIABLE.address);
            assert_eq!(at("past"), FAR_VARIABLE.address + 20);
            assert_eq!(at("inside"), linked.address("kept") + 400);
            assert_eq!(at("self"), linked.address("__this_module"));
            assert_eq!(at("maybe_pointer"), 0, "weak and missing");
            let pairs = linked.address("pairs");
            // A pointer holds the true address of a far function, not its stub's.
            assert_eq!(linked.word64(pairs + 8), FAR.address);
            assert_eq!(linked.word64(pairs + 24), linked.address("own"));
            let name = |at| linked.staging.string_at(&BASES, linked.word64(at));
            assert_eq!(name(pairs), Some("add"));
            assert_eq!(name(pairs + 16), Some("own"));
            assert_eq!(name(pairs + 32), Some("a message of some length"));
            assert_eq!(name(linked.address("current")), Some("current"));
            assert_eq!(linked.word32(linked.address("initialised")), 42);
        }
    }
}

#[test]
fn a_call_goes_to_the_stub_and_a_load_finds_the_true_address() {
    let (_, bytes) = assemble(
        "
        .globl here
        here:
        call host_add@PLT
        call host_add
        call *host_add@GOTPCREL(%rip)
        movq host_counter@GOTPCREL(%rip), %rax
        movabsq $host_add, %rax
        ",
    );
    let linked = linked(&bytes, everything);
    let here = linked.address("here");
    let stub = FAR.near.unwrap();
    assert_eq!(linked.follow(here + 1) + 4, stub);
    assert_eq!(linked.follow(here + 6) + 4, stub);
    let entry = linked.follow(here + 12) + 4;
    assert_eq!(linked.word64(entry), FAR.address);
    assert_eq!(entry % 8, 0);
    let counter = linked.follow(here + 19) + 4;
    assert_eq!(linked.word64(counter), FAR_VARIABLE.address);
    assert_ne!(entry, counter);
    let text = BASES[Part::Text as usize]..BASES[Part::Rodata as usize];
    assert!(text.contains(&entry), "the table is not writable");
    assert_eq!(linked.word64(here + 25), FAR.address);
}

#[test]
fn each_symbol_has_one_entry_in_the_global_offset_table() {
    let text = "movq host_add@GOTPCREL(%rip), %rax\n".repeat(50);
    let (_, bytes) = assemble(&text);
    let linked = linked(&bytes, everything);
    let code = (50 * 7u64).next_multiple_of(8);
    assert_eq!(linked.layout.extent(Part::Text).size, code + 8);
}

#[test]
fn what_only_the_loader_reads_takes_no_memory() {
    let text = [
        ".modinfo",
        "__versions",
        "__ksymtab",
        "__ksymtab_gpl",
        "__kcrctab",
    ]
    .map(|name| format!(".section {name},\"a\"\n.quad 1\n"))
    .concat();
    let (_, bytes) = assemble(&text);
    let linked = linked(&bytes, everything);
    for part in Part::ALL {
        assert_eq!(linked.layout.extent(part).size, 0, "{}", part.name());
    }
}

#[test]
fn a_far_variable_is_refused_by_name_unless_built_with_fpic() {
    for compiler in COMPILERS {
        let (_, bytes) = compile(compiler, &["-O2", "-fno-pic"], "everything.c");
        let errors = link_errors(&bytes, everything);
        assert!(!errors.is_empty());
        for error in &errors {
            let Error::Range { symbol, .. } = error else {
                panic!("{error}");
            };
            assert!(
                symbol == "host_counter" || symbol == "host_table",
                "{error}"
            );
            assert!(error.to_string().contains("build with -fPIC"), "{error}");
        }
        let (_, bytes) = compile(compiler, &["-O2", "-fPIC"], "everything.c");
        linked(&bytes, everything);
    }
}

#[test]
fn offsets_from_the_global_offset_table() {
    let (_, bytes) = assemble(
        "
        .globl here, base, where
        here:
        leaq _GLOBAL_OFFSET_TABLE_(%rip), %rbx
        movq host_add@GOTPCREL(%rip), %rax
        .data
        base: .quad 7
        where: .quad base@GOTOFF, base@GOTOFF + 16, host_add@GOTOFF
        ",
    );
    let linked = linked(&bytes, everything);
    let kinds: Vec<u32> = linked
        .object
        .sections()
        .iter()
        .flat_map(|s| s.relocations())
        .map(|r| r.kind)
        .collect();
    assert!(kinds.contains(&26) && kinds.contains(&25), "{kinds:?}");
    let here = linked.address("here");
    let table = linked.follow(here + 3) + 4;
    // The only entry of the table is at its start.
    assert_eq!(linked.follow(here + 10) + 4, table);
    let at = linked.address("where");
    let base = linked.address("base");
    assert_eq!(table.wrapping_add(linked.word64(at)), base);
    assert_eq!(table.wrapping_add(linked.word64(at + 8)), base + 16);
    assert_eq!(table.wrapping_add(linked.word64(at + 16)), FAR.address);
}

#[test]
fn a_table_without_entries_has_a_place_too() {
    let (_, bytes) = assemble(".globl here\nhere: leaq _GLOBAL_OFFSET_TABLE_(%rip), %rbx\n");
    let linked = linked(&bytes, |_| None);
    let here = linked.address("here");
    let table = linked.follow(here + 3) + 4;
    assert!((here..here + 16).contains(&table), "{table:#x}");
}

#[test]
fn the_medium_code_model_reaches_its_variables_through_the_table() {
    for compiler in COMPILERS {
        let flags = [
            "-O2",
            "-fPIC",
            "-mcmodel=medium",
            "-mlarge-data-threshold=64",
        ];
        let flags = if compiler == "gcc" {
            &flags[..]
        } else {
            &flags[..3]
        };
        let (_, bytes) = compile(compiler, flags, "everything.c");
        let linked = linked(&bytes, everything);
        assert_eq!(linked.part("kept"), Part::Data);
        let at = linked.address("inside");
        assert_eq!(linked.word64(at), linked.address("kept") + 400);
    }
}

#[test]
fn narrow_fields_refuse_what_does_not_fit_by_name() {
    for (text, name) in [
        (".byte host_add", "R_X86_64_8"),
        (".short host_add", "R_X86_64_16"),
        (".byte host_add - .", "R_X86_64_PC8"),
        (".short host_add - .", "R_X86_64_PC16"),
    ] {
        let (_, bytes) = assemble(&format!(".data\n{text}\n"));
        let errors = link_errors(&bytes, everything);
        let [Error::Range { name: found, .. }] = &errors[..] else {
            panic!("{}", told(&errors));
        };
        assert_eq!(found, name);
        assert!(told(&errors).contains("host_add"));
    }
}

#[test]
fn what_is_weak_and_missing_is_0_and_what_is_not_weak_is_told() {
    let text = ".weak maybe\n.data\n.globl at\nat: .quad maybe, maybe + 8\n.long maybe\n";
    let (_, bytes) = assemble(text);
    let there = linked(&bytes, |_| None);
    let at = there.address("at");
    assert_eq!((there.word64(at), there.word64(at + 8)), (0, 8));
    let there = linked(&bytes, |_| near(0x3000_0000));
    assert_eq!(there.word64(there.address("at")), 0x3000_0000);

    let (_, bytes) = assemble(".data\n.quad one, two, one, one\n.text\ncall two\n");
    let errors = link_errors(&bytes, |_| None);
    let mut names: Vec<_> = errors.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    assert_eq!(names, ["unresolved symbol one", "unresolved symbol two"]);
}

#[test]
fn common_symbols_are_zeroed_variables_aligned_as_they_ask() {
    let (_, bytes) =
        assemble(".comm a,3,1\n.comm b,100,64\n.comm c,8,8\n.data\n.globl at\nat: .quad a, b, c\n");
    let linked = linked(&bytes, |_| None);
    for (name, size, align) in [("a", 3, 1), ("b", 100, 64), ("c", 8, 8)] {
        assert_eq!(linked.part(name), Part::Data);
        assert_eq!(linked.address(name) % align, 0);
        let end = linked.address(name) + size - BASES[Part::Data as usize];
        let extent = linked.layout.extent(Part::Data);
        assert!(end <= extent.size);
        assert!(linked.address(name) >= BASES[Part::Data as usize] + extent.filled);
    }
    let at = linked.address("at");
    assert_eq!(linked.word64(at + 8), linked.address("b"));
}

#[test]
fn zeros_come_last_and_are_not_staged() {
    let (_, bytes) = assemble(".bss\n.zero 1000000\n.data\n.quad 1\n.comm c,4096,32\n");
    let linked = linked(&bytes, |_| None);
    let extent = linked.layout.extent(Part::Data);
    assert_eq!(extent.filled, 8);
    assert!(extent.size >= 1_004_096);
}

#[test]
fn padding_in_code_traps() {
    let (_, bytes) =
        assemble(".text\nret\n.section .text.far,\"ax\"\n.balign 64\n.globl far\nfar: ret\n");
    let linked = linked(&bytes, |_| None);
    let text = BASES[Part::Text as usize];
    assert_eq!(linked.address("far"), text + 64);
    assert!(linked.bytes(text + 1, 63).iter().all(|b| *b == 0xcc));
}

#[test]
fn constructors_run_by_priority_and_destructors_backwards() {
    for compiler in COMPILERS {
        for flags in flags() {
            let (_, bytes) = compile(compiler, &flags, "everything.c");
            let linked = linked(&bytes, everything);
            let called = |fini| {
                let mut list = Vec::new();
                for (part, offset, len) in linked.layout.constructors(&linked.object, fini) {
                    assert_eq!(part, Part::Rodata, "pointers to code are not writable");
                    assert_eq!(len % 8, 0);
                    for at in (0..len).step_by(8) {
                        list.push(linked.word64(BASES[part as usize] + offset + at));
                    }
                }
                list
            };
            let wanted = ["earlier", "early", "late"].map(|name| linked.address(name));
            assert_eq!(called(false), wanted, "{compiler} {flags:?}");
            assert_eq!(called(true), [linked.address("leave")]);
        }
    }
}

#[test]
fn priorities_are_numbers_not_words() {
    let mut text = String::new();
    for section in [
        ".init_array",
        ".init_array.10",
        ".init_array.9",
        ".init_array.00100",
    ] {
        text += &format!(".section {section},\"aw\",@init_array\n.quad 0\n");
    }
    let (_, bytes) = assemble(&text);
    let linked = linked(&bytes, |_| None);
    let order: Vec<_> = linked
        .layout
        .constructors(&linked.object, false)
        .into_iter()
        .map(|place| {
            let mut sections = linked.object.sections().iter().enumerate();
            let found = sections
                .find(|(i, _)| linked.layout.section(*i) == Some((place.0, place.1)))
                .unwrap();
            found.1.name
        })
        .collect();
    let wanted = [
        ".init_array.9",
        ".init_array.10",
        ".init_array.00100",
        ".init_array",
    ];
    assert_eq!(order, wanted);
}

#[test]
fn a_reference_into_a_second_comdat_copy_goes_to_the_first() {
    let (_, bytes) = assemble(
        "
        .section .text.one,\"axG\",@progbits,one,comdat
        .weak one
        one: ret
        .section .text.two,\"axG\",@progbits,two,comdat
        .weak two
        two: nop; ret
        .text
        .globl here
        here: call one
        call two
        ",
    );
    let mut elf = Elf(bytes);
    let one = elf.symbol_named("one");
    let two = elf.symbol_named("two");
    let groups = elf.of_type(SHT_GROUP);
    elf.set(elf.section(groups[1]), section::INFO, one as u64);
    // The second copy has a symbol of its own name only: nothing can stand for it.
    let errors = link_errors(&elf.0, |_| None);
    assert_eq!(errors, [Error::NotLoaded("two".into(), ".text.two".into())]);
    // Both copies define `one`.
    let symbols = elf.symbols();
    let name = elf.get(symbols[one], symbol::NAME);
    elf.set(symbols[two], symbol::NAME, name);
    let linked = linked(&elf.0, |_| None);
    let kept = linked.layout.symbol(&linked.object, one).unwrap();
    assert_eq!(linked.layout.symbol(&linked.object, two), None);
    let here = linked.address("here");
    let kept = BASES[kept.0 as usize] + kept.1;
    assert_eq!(linked.follow(here + 1) + 4, kept);
    assert_eq!(linked.follow(here + 6) + 4, kept);
}

#[test]
fn objects_put_together_by_ld_are_linked_like_one() {
    let part = |name: &str, calls: &str| {
        let text = format!(
            "
            .section .text.shared,\"axG\",@progbits,shared,comdat
            .weak shared
            shared: nop; ret
            .text
            .globl {name}
            {name}: call shared
            call {calls}
            .section .init_array,\"aw\",@init_array
            .quad {name}
            "
        );
        assemble(&text).0
    };
    let (a, b) = (part("a", "b"), part("b", "host_add"));
    let both = new_file("o");
    let mut ld = std::process::Command::new("ld");
    run(ld.arg("-r").args([&a, &b]).arg("-o").arg(&both), "");
    let bytes = std::fs::read(both).unwrap();
    let linked = linked(&bytes, everything);
    let (a, b) = (linked.address("a"), linked.address("b"));
    for at in [a, b] {
        assert_eq!(linked.follow(at + 1) + 4, linked.address("shared"));
    }
    assert_eq!(linked.follow(a + 6) + 4, b);
    assert_eq!(linked.follow(b + 6) + 4, FAR.near.unwrap());
    let [(part, offset, 16)] = linked.layout.constructors(&linked.object, false)[..] else {
        panic!("two constructors in one array");
    };
    let array = BASES[part as usize] + offset;
    assert_eq!((linked.word64(array), linked.word64(array + 8)), (a, b));
}

#[test]
fn staging_is_used_again_without_traces() {
    let (_, long) = assemble(".data\n.fill 5000, 1, 0xff\n.section .rodata\n.fill 99, 1, 1\n");
    let (_, short) = assemble(".data\n.quad 1\n.zero 8\n");
    let mut staging = Staging::default();
    let object = parse(&long);
    let layout = modfs_link::Layout::new(&object, &[]).unwrap();
    link(&object, &layout, &BASES, |_| None, &mut staging).unwrap();
    assert!(staging.part(Part::Rodata).len() >= 99);
    let object = parse(&short);
    let layout = modfs_link::Layout::new(&object, &[]).unwrap();
    link(&object, &layout, &BASES, |_| None, &mut staging).unwrap();
    assert!(staging.part(Part::Rodata).is_empty());
    assert_eq!(staging.part(Part::Data)[..8], 1u64.to_le_bytes());
    assert_eq!(staging.part(Part::Data)[8..], [0; 8]);
    let start = BASES[Part::Data as usize];
    assert!(staging.at(&BASES, start, 16).is_some());
    for (address, len) in [(start, 17), (start + 16, 1), (start - 1, 1), (u64::MAX, 2)] {
        assert!(staging.at(&BASES, address, len).is_none(), "{address:#x}");
    }
}

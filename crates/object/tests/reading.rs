//! What is read of objects that real compilers and assemblers made.

#![allow(clippy::unwrap_used)]

use modfs_object::{Bind, EM_X86_64, Error, Export, Object, Place, SectionKind, SymbolKind};

mod support;
use support::*;

fn parse(bytes: &[u8]) -> Object<'_> {
    Object::parse(bytes, EM_X86_64).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn sections_symbols_and_modinfo_of_an_ordinary_module() {
    for compiler in COMPILERS {
        for flags in [&["-O0", "-g"][..], &["-O2", "-fPIC"], &["-O3", "-fno-pic"]] {
            let (_, bytes) = compile(compiler, flags, "module.c");
            let object = parse(&bytes);
            assert_eq!(object.machine(), EM_X86_64);

            let text = object.section_named(".text").unwrap();
            assert!(text.alloc && text.exec && !text.write);
            assert_eq!(text.kind, SectionKind::Bytes);
            assert_eq!(text.data.len() as u64, text.size);
            let bss = object.section_named(".bss").unwrap();
            assert!(bss.alloc && bss.write && !bss.exec);
            assert_eq!((bss.kind, bss.data.len()), (SectionKind::Zeros, 0));
            assert!(bss.size >= 400);
            assert!(!object.section_named(".symtab").unwrap().alloc);
            assert!(object.section_named(".none").is_none());

            let number = object.symbols()[object.global("number").unwrap()];
            assert_eq!((number.kind, number.size), (SymbolKind::Object, 4));
            let Place::Section(at) = number.place else {
                panic!("{number:?}");
            };
            let value = &object.sections()[at as usize].data[number.value as usize..][..4];
            assert_eq!(value, 7i32.to_le_bytes());
            let entry = object.symbols()[object.global("entry").unwrap()];
            assert_eq!(
                (entry.kind, entry.bind),
                (SymbolKind::Function, Bind::Global)
            );
            assert!(object.global("twice").is_none(), "it is local");
            assert!(object.global("host_add").is_none(), "it is an import");

            let mut imports: Vec<_> = object.imports().map(|(_, s)| (s.name, s.bind)).collect();
            imports.retain(|(name, _)| *name != "_GLOBAL_OFFSET_TABLE_");
            imports.sort_by_key(|(name, _)| *name);
            assert_eq!(
                imports,
                [
                    ("host_add", Bind::Global),
                    ("host_counter", Bind::Global),
                    ("host_extra", Bind::Weak)
                ]
            );

            let info = object.modinfo();
            assert_eq!(info.get("author"), Some("Somebody"));
            assert!(info.is_gpl_compatible());
            let mut aliases: Vec<_> = info.all("alias").collect();
            aliases.sort_unstable();
            assert_eq!(aliases, ["b=c", "char-major-10-*"]);
        }
    }
}

#[test]
fn relocations_are_those_of_the_section() {
    let (_, bytes) = assemble(".data\n.quad 0\n.quad there + 24\n.quad 0\nlocal: .quad local\n");
    let object = parse(&bytes);
    let data = object.section_named(".data").unwrap();
    let list: Vec<_> = data.relocations().collect();
    assert_eq!(list.len(), 2);
    assert_eq!((list[0].offset, list[0].kind, list[0].addend), (8, 1, 24));
    assert_eq!(object.symbols()[list[0].symbol].name, "there");
    assert_eq!((list[1].offset, list[1].addend), (24, 24));
    let symbol = object.symbols()[list[1].symbol];
    assert_eq!(
        object.section_named(".text").unwrap().relocations().len(),
        0
    );
    assert!(
        matches!(symbol.place, Place::Section(at) if object.sections()[at as usize].name == ".data")
    );
}

#[test]
fn exports_with_checksums_and_licences() {
    let (_, bytes) = assemble(
        "
        .globl plain, only, inline_crc, unmarked, __crc_only
        plain: only: inline_crc: unmarked: ret
        .section __ksymtab,\"a\"
        __ksymtab_plain: .quad plain
        __ksymtab_inline_crc: .quad inline_crc
        __ksymtab_gone: .quad 0
        .section __ksymtab_gpl,\"a\"
        __ksymtab_only: .quad only
        .section __kcrctab,\"a\"
        .long 0
        __crc_inline_crc: .long 0xfeedface
        .set __crc_only, 0xdeadbeef
        ",
    );
    let object = parse(&bytes);
    let mut exports = object.exports();
    exports.sort_by_key(|e| e.name);
    let expected = [
        ("inline_crc", Some(0xfeed_face), false),
        ("only", Some(0xdead_beef), true),
        ("plain", None, false),
    ];
    assert_eq!(exports.len(), expected.len(), "{exports:?}");
    for (export, (name, crc, gpl)) in exports.iter().zip(expected) {
        let symbol = export.symbol;
        assert_eq!(object.symbols()[symbol].name, name);
        let wanted = Export {
            name,
            symbol,
            crc,
            gpl,
        };
        assert_eq!(*export, wanted);
    }
}

#[test]
fn a_mark_for_an_import_exports_nothing() {
    let (_, bytes) = assemble(".section __ksymtab,\"a\"\n__ksymtab_elsewhere: .quad elsewhere\n");
    assert!(parse(&bytes).exports().is_empty());
    let (_, bytes) = assemble(".globl f\nf: ret\n__ksymtab_f: .quad f\n");
    assert!(parse(&bytes).exports().is_empty(), "not in __ksymtab");
}

#[test]
fn versions_are_read_entry_by_entry() {
    let (_, bytes) = assemble(
        "
        .section __versions,\"a\"
        .quad 0x12345678
        .ascii \"first\"
        .zero 64 - 13
        .quad 0x9abcdef0
        .ascii \"second\"
        .zero 64 - 14
        .quad 1
        .fill 56, 1, 'x'
        .quad 2
        ",
    );
    // The third name has no end, the fourth entry is cut off.
    assert_eq!(
        parse(&bytes).versions(),
        [("first", 0x1234_5678), ("second", 0x9abc_def0)]
    );
}

#[test]
fn more_sections_than_16_bits_can_count() {
    use std::fmt::Write;
    const COUNT: usize = 66_000;
    let mut text = String::new();
    for n in 0..COUNT {
        writeln!(text, ".section .d.{n},\"aw\"\n.long {n}").unwrap();
    }
    text += "last: .quad last\n";
    let (_, bytes) = assemble(&text);
    let object = parse(&bytes);
    assert!(object.sections().len() > COUNT);
    let last = object.symbols().iter().find(|s| s.name == "last").unwrap();
    let Place::Section(at) = last.place else {
        panic!("{last:?}");
    };
    let section = object.sections()[at as usize];
    assert_eq!(section.name, format!(".d.{}", COUNT - 1));
    assert_eq!(section.data[..4], (COUNT as u32 - 1).to_le_bytes());
    assert_eq!(section.relocations().len(), 1);
    // Numbers that are reserved for something else are still not sections.
    let mut elf = Elf(bytes);
    let symbols = elf.symbols();
    let last = symbols[elf.symbol_named("last")];
    for reserved in [0xff00, 0xff02, 0xff3f] {
        elf.set(last, symbol::SHNDX, reserved);
        let error = Object::parse(&elf.0, EM_X86_64).map(drop).unwrap_err();
        assert!(matches!(error, Error::SymbolSection { .. }), "{error}");
    }
}

#[test]
fn of_two_comdat_groups_of_one_name_the_first_is_kept() {
    let (_, bytes) = assemble(
        "
        .section .text.one,\"axG\",@progbits,one,comdat
        .weak one
        one: ret
        .section .text.two,\"axG\",@progbits,two,comdat
        .weak two
        two: nop; ret
        .section .data.alone,\"awG\",@progbits,one
        .quad 1
        ",
    );
    let object = parse(&bytes);
    assert!(object.sections().iter().all(|s| !s.discarded));
    // As if two objects that both have `one` had been put together without merging.
    let mut elf = Elf(bytes);
    let one = elf.symbol_named("one") as u64;
    let groups = elf.of_type(SHT_GROUP);
    let comdat: Vec<_> = groups
        .into_iter()
        .filter(|g| elf.bytes_of(*g)[0] == 1)
        .collect();
    assert_eq!(comdat.len(), 2);
    elf.set(elf.section(comdat[1]), section::INFO, one);
    let object = parse(&elf.0);
    let discarded = object.sections().iter().filter(|s| s.discarded);
    assert_eq!(discarded.map(|s| s.name).collect::<Vec<_>>(), [".text.two"]);
}

#[test]
fn an_object_without_sections_is_an_empty_module() {
    let (_, bytes) = assemble("");
    let mut elf = Elf(bytes);
    elf.set(0, header::SHOFF, 0);
    elf.set(0, header::SHNUM, 0);
    elf.set(0, header::SHSTRNDX, 0);
    let object = parse(&elf.0);
    assert!(object.sections().is_empty() && object.symbols().is_empty());
    assert!(object.exports().is_empty() && object.versions().is_empty());
    assert_eq!(object.modinfo().entries().len(), 0);
}

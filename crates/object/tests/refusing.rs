//! What is refused, and that it is said why.

#![allow(clippy::unwrap_used)]

use modfs_object::{EM_X86_64, Error, Object};

mod support;
use support::*;

fn refused(bytes: &[u8]) -> Error {
    match Object::parse(bytes, EM_X86_64) {
        Ok(_) => panic!("taken"),
        Err(error) => error,
    }
}

/// A small object with a bit of everything.
fn sample() -> Elf {
    let (_, bytes) = assemble(
        "
        .globl f
        f: call elsewhere
        ret
        .data
        word: .quad f
        .bss
        .zero 64
        .section .text.g,\"axG\",@progbits,g,comdat
        .weak g
        g: ret
        ",
    );
    let elf = Elf(bytes);
    Object::parse(&elf.0, EM_X86_64).unwrap();
    elf
}

/// The error when one field of the ELF header is changed.
fn with_header(field: Field, value: u64) -> Error {
    let mut elf = sample();
    elf.set(0, field, value);
    refused(&elf.0)
}

/// The error when one field of a section's header is changed.
fn with_section(name: &str, field: Field, value: u64) -> Error {
    let mut elf = sample();
    let at = elf.section(elf.named(name));
    elf.set(at, field, value);
    refused(&elf.0)
}

#[test]
fn what_is_no_object() {
    assert_eq!(refused(b""), Error::Short(0));
    assert_eq!(refused(b"\x7fEL"), Error::Short(3));
    assert_eq!(refused(&sample().0[..63]), Error::Short(63));
    for other in [&b"!<arch>\n"[..], b"#!/bin/sh\n", &[0; 100], b"MZ\x90\0"] {
        assert_eq!(refused(other), Error::NotElf);
    }
}

#[test]
fn what_is_no_relocatable_object() {
    let text = "int main(void) { return 0; }";
    for (flags, says) in [
        (&["-no-pie"][..], "this is a program"),
        (&["-shared", "-fPIC"], "this is a shared object"),
        (&["-pie", "-fPIE"], "this is a shared object or a program"),
    ] {
        let error = refused(&build("gcc", flags, text));
        assert!(matches!(error, Error::NotRelocatable(_)), "{error}");
        let words = error.to_string();
        assert!(words.contains(says), "{words}");
        assert!(words.contains("cc -c"), "{words}");
    }
    for kind in [0, 4, 5, 0xfe00] {
        let error = with_header(header::TYPE, kind);
        assert!(matches!(error, Error::NotRelocatable(_)), "{error}");
    }
}

#[test]
fn what_is_for_another_machine() {
    assert_eq!(with_header(header::CLASS, 1), Error::Class(1));
    assert_eq!(with_header(header::CLASS, 0), Error::Class(0));
    assert_eq!(with_header(header::DATA, 2), Error::Endian(2));
    for machine in [0, 3, 183, 243] {
        assert_eq!(
            with_header(header::MACHINE, machine),
            Error::Machine {
                found: machine as u16,
                wanted: EM_X86_64
            }
        );
    }
    assert!(matches!(
        Object::parse(&sample().0, 183),
        Err(Error::Machine { found: 62, .. })
    ));
}

#[test]
fn a_section_table_that_is_not_in_the_file() {
    let len = sample().0.len() as u64;
    for (field, value) in [
        (header::SHOFF, len),
        (header::SHOFF, len - 1),
        (header::SHOFF, u64::MAX),
        (header::SHOFF, u64::MAX - 63),
        (header::SHNUM, 0xffff),
        (header::SHENTSIZE, 63),
        (header::SHENTSIZE, 0),
        (header::SHSTRNDX, 0xffff),
        (header::SHSTRNDX, 0xff00),
        (header::SHSTRNDX, 0),
        (header::SHSTRNDX, 1),
    ] {
        let error = with_header(field, value);
        assert!(
            matches!(error, Error::Damaged(_) | Error::Name { .. }),
            "{field:?} {value:#x}: {error}"
        );
    }
}

#[test]
fn a_section_that_is_not_in_the_file() {
    let elf = sample();
    let len = elf.0.len() as u64;
    let index = elf.named(".data");
    for (field, value) in [
        (section::OFFSET, len - 1),
        (section::OFFSET, u64::MAX - 3),
        (section::SIZE, len),
        (section::SIZE, u64::MAX),
    ] {
        assert_eq!(
            with_section(".data", field, value),
            Error::SectionBounds {
                index,
                name: ".data".into()
            },
            "{field:?} {value:#x}"
        );
    }
}

#[test]
fn sections_that_share_bytes() {
    let elf = sample();
    let text = elf.section_of(elf.named(".text"), section::OFFSET);
    assert_eq!(
        with_section(".data", section::OFFSET, text + 1),
        Error::Overlap(".text".into(), ".data".into())
    );
    let symbols = elf.section_of(elf.named(".symtab"), section::OFFSET);
    let error = with_section(".data", section::OFFSET, symbols);
    assert!(matches!(error, Error::Overlap(..)), "{error}");
}

#[test]
fn an_alignment_that_is_no_power_of_two() {
    for align in [3, 6, 0x1001, u64::MAX] {
        assert_eq!(
            with_section(".data", section::ALIGN, align),
            Error::Alignment(".data".into(), align)
        );
    }
    // 0 means 1.
    let mut elf = sample();
    let at = elf.section(elf.named(".data"));
    elf.set(at, section::ALIGN, 0);
    let object = Object::parse(&elf.0, EM_X86_64).unwrap();
    assert_eq!(object.section_named(".data").unwrap().align, 1);
}

#[test]
fn names_that_cannot_be_read() {
    let error = with_section(".data", section::NAME, u64::from(u32::MAX));
    assert!(
        matches!(
            error,
            Error::Name {
                what: "section",
                ..
            }
        ),
        "{error}"
    );
    let mut elf = sample();
    let index = elf.symbol_named("f");
    let at = elf.symbols()[index];
    elf.set(at, symbol::NAME, u64::from(u32::MAX));
    assert_eq!(
        refused(&elf.0),
        Error::Name {
            what: "symbol",
            index
        }
    );
    let mut elf = sample();
    let strings = elf.section_of(elf.named(".strtab"), section::OFFSET) as usize;
    let name = strings + elf.get(elf.symbols()[index], symbol::NAME) as usize;
    elf.0[name] = 0xff;
    assert!(matches!(
        refused(&elf.0),
        Error::Name { what: "symbol", .. }
    ));
}

#[test]
fn a_symbol_in_a_section_that_does_not_exist() {
    let count = sample().count() as u64;
    // 0xff02 is the large common section of x86_64, 0xffff says that the number is elsewhere.
    for shndx in [count, 0x100, 0xff00, 0xff02, 0xff3f, 0xffff] {
        let mut elf = sample();
        let at = elf.symbols()[elf.symbol_named("f")];
        elf.set(at, symbol::SHNDX, shndx);
        let error = refused(&elf.0);
        assert_eq!(
            error,
            Error::SymbolSection {
                symbol: "f".into(),
                section: shndx as usize
            }
        );
    }
}

#[test]
fn a_symbol_outside_its_section() {
    let elf = sample();
    let size = elf.section_of(elf.named(".text"), section::SIZE);
    for value in [size + 1, 1 << 40, u64::MAX] {
        let mut elf = sample();
        let at = elf.symbols()[elf.symbol_named("f")];
        elf.set(at, symbol::VALUE, value);
        assert_eq!(
            refused(&elf.0),
            Error::SymbolBounds {
                symbol: "f".into(),
                section: ".text".into()
            }
        );
    }
    // The end is a place.
    let mut elf = sample();
    let at = elf.symbols()[elf.symbol_named("f")];
    elf.set(at, symbol::VALUE, size);
    assert!(Object::parse(&elf.0, EM_X86_64).is_ok());
}

#[test]
fn relocations_of_nothing() {
    let count = sample().count() as u64;
    for target in [0, count, u64::from(u32::MAX)] {
        assert_eq!(
            with_section(".rela.data", section::INFO, target),
            Error::RelocationTarget(".rela.data".into())
        );
    }
    let symbols = sample().symbols().len();
    for symbol in [symbols, 0xff_ffff, u32::MAX as usize] {
        let mut elf = sample();
        let at = elf.entries(elf.named(".rela.data"))[0];
        elf.set(at, relocation::SYMBOL, symbol as u64);
        assert_eq!(
            refused(&elf.0),
            Error::RelocationSymbol {
                section: ".data".into(),
                symbol
            }
        );
    }
    let mut elf = sample();
    let text = elf.named(".text") as u64;
    let at = elf.section(elf.named(".rela.data"));
    elf.set(at, section::INFO, text);
    assert_eq!(
        refused(&elf.0),
        Error::Damaged("a section has two relocation tables")
    );
}

#[test]
fn relocations_without_addends() {
    const SHT_REL: u64 = 9;
    let mut elf = sample();
    let at = elf.section(elf.named(".rela.data"));
    elf.set(at, section::TYPE, SHT_REL);
    assert_eq!(refused(&elf.0), Error::Rel(".rela.data".into()));
}

#[test]
fn groups_that_name_nothing() {
    let symbols = sample().symbols().len() as u64;
    let error = with_section(".group", section::INFO, symbols);
    assert_eq!(error, Error::Damaged("a section group names no symbol"));
    // A second group of the same name, with a member that does not exist.
    let (_, bytes) = assemble(
        "
        .section .text.a,\"axG\",@progbits,a,comdat
        .weak a
        a: ret
        .section .text.b,\"axG\",@progbits,b,comdat
        .weak b
        b: ret
        ",
    );
    let mut elf = Elf(bytes);
    let groups = elf.of_type(SHT_GROUP);
    let a = elf.symbol_named("a") as u64;
    elf.set(elf.section(groups[1]), section::INFO, a);
    let member = elf.section_of(groups[1], section::OFFSET) as usize + 4;
    elf.set(member, (0, 4), 0xff_ffff);
    let error = refused(&elf.0);
    assert_eq!(error, Error::Damaged("a section group names no section"));
}

#[test]
fn thread_local_variables_are_refused_by_name_with_advice() {
    for compiler in COMPILERS {
        for (text, name) in [
            ("__thread int mine; int f(void) { return mine; }", "mine"),
            (
                "static __thread int mine = 3; int *f(void) { return &mine; }",
                "mine",
            ),
            (
                "extern __thread int theirs; int f(void) { return theirs; }",
                "theirs",
            ),
        ] {
            for flags in [&["-c", "-O2"][..], &["-c", "-O2", "-fPIC"]] {
                let error = refused(&build(compiler, flags, text));
                let Error::ThreadLocal(what) = &error else {
                    panic!("{compiler}: {error}");
                };
                assert!(
                    what.contains(name) || what.contains(".tbss") || what.contains(".tdata"),
                    "{what}"
                );
                assert!(
                    error
                        .to_string()
                        .contains("keep per-thread data in the host")
                );
            }
        }
    }
}

#[test]
fn a_section_that_can_be_written_and_executed() {
    let (_, bytes) = assemble(".section .both,\"awx\"\nret\n");
    assert_eq!(refused(&bytes), Error::WriteExec(".both".into()));
}

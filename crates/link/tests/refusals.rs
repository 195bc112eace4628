//! What cannot be in a module is refused by name, and it is said what helps.

#![allow(clippy::unwrap_used)]

use modfs_link::{Error, Layout, Part};
use modfs_object::{EM_X86_64, Object};

mod support;
use support::*;

#[test]
fn indirect_functions_are_refused_by_name() {
    for compiler in COMPILERS {
        let text = "
            static int one(void) { return 1; }
            static int (*pick(void))(void) { return one; }
            int chosen(void) __attribute__((ifunc(\"pick\")));
        ";
        let errors = layout_errors(&build(compiler, &["-c", "-O2"], text));
        assert_eq!(errors, [Error::Ifunc("chosen".into())]);
        assert!(told(&errors).contains("choose at init"));
    }
}

#[test]
fn the_large_code_model_with_pic_is_refused_with_advice() {
    for compiler in COMPILERS {
        let flags = ["-O2", "-fPIC", "-mcmodel=large"];
        let (_, bytes) = compile(compiler, &flags, "everything.c");
        let errors = layout_errors(&bytes);
        for error in &errors {
            let Error::Unsupported { name, advice, .. } = error else {
                panic!("{error}");
            };
            assert!(name.starts_with("R_X86_64_"), "{name}");
            assert!(advice.contains("without -mcmodel=large"), "{error}");
        }
        assert!(told(&errors).contains("host_add"), "{}", told(&errors));
        // Each relocation and symbol is named once.
        let mut lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), all);
    }
}

#[test]
fn thread_local_relocations_are_refused_even_without_such_a_symbol() {
    for relocation in ["R_X86_64_TPOFF32", "R_X86_64_GOTTPOFF", "R_X86_64_TLSGD"] {
        let text = format!(".data\n.reloc 0, {relocation}, plain\n.quad 0\n");
        let (_, bytes) = assemble(&text);
        // as marks the symbol as thread-local: then the parser says so.
        match Object::parse(&bytes, EM_X86_64) {
            Err(error) => assert!(error.to_string().contains("plain"), "{error}"),
            Ok(_) => {
                let errors = told(&layout_errors(&bytes));
                assert!(errors.contains(relocation), "{errors}");
                assert!(errors.contains("per-thread data in the host"), "{errors}");
            }
        }
    }
}

#[test]
fn relocations_of_shared_objects_and_unknown_ones_are_refused_by_name() {
    let (_, bytes) = assemble(".data\n.quad plain\n");
    for (kind, says) in [
        (5, "R_X86_64_COPY against plain"),
        (8, "R_X86_64_RELATIVE against plain"),
        (3, "R_X86_64_GOT32 against plain"),
        (37, "R_X86_64_IRELATIVE against plain"),
        (40, "R_X86_64_PLT32_BND against plain"),
        (43, "number 43 against plain"),
        (u32::MAX, "number 4294967295 against plain"),
    ] {
        let mut elf = Elf(bytes.clone());
        let at = elf.entries(elf.named(".rela.data"))[0];
        elf.set(at, relocation::TYPE, u64::from(kind));
        let errors = told(&layout_errors(&elf.0));
        assert!(errors.contains(says), "{errors}");
        assert!(errors.starts_with(".data: "), "{errors}");
    }
}

#[test]
fn constructors_of_the_old_form_are_refused() {
    for section in [".ctors", ".ctors.65435", ".dtors"] {
        let (_, bytes) = assemble(&format!(".section {section},\"aw\"\n.quad 0\n"));
        let errors = layout_errors(&bytes);
        assert_eq!(errors, [Error::OldConstructors(section.into())]);
        assert!(told(&errors).contains("-fuse-init-array"));
    }
}

#[test]
fn more_than_a_page_of_alignment_is_refused() {
    for text in [".data\n.balign 8192\n.quad 1\n", ".comm big, 8, 8192\n"] {
        let (_, bytes) = assemble(text);
        let errors = layout_errors(&bytes);
        assert!(
            matches!(&errors[..], [Error::Alignment { align: 8192, .. }]),
            "{}",
            told(&errors)
        );
    }
    let (_, bytes) = assemble(".data\n.balign 4096\n.quad 1\n");
    assert_eq!(
        linked(&bytes, |_| None).layout.extent(Part::Data).align,
        4096
    );
}

#[test]
fn an_absurd_size_is_refused() {
    for text in [
        ".bss\n.zero 0x40000001\n",
        ".bss\n.zero 0x30000000\n.comm big, 0x30000000, 8\n",
        ".comm big, 0x7fffffffffffffff, 8\n",
    ] {
        let (_, bytes) = assemble(text);
        let errors = layout_errors(&bytes);
        assert!(
            matches!(&errors[..], [Error::TooBig { part: "data", .. }]),
            "{}",
            told(&errors)
        );
    }
}

#[test]
fn what_is_not_loaded_cannot_be_referred_to() {
    let (_, bytes) = assemble(
        ".section .comment\nnote: .long 1\n.data\n.quad note\n.section .modinfo,\"a\"\nm: .long 2\n\
         .data\n.quad m\n",
    );
    let errors = told(&link_errors(&bytes, |_| None));
    for says in [
        ".comment is in section .comment, which is not loaded",
        ".modinfo is in section .modinfo, which is not loaded",
    ] {
        assert!(errors.contains(says), "{errors}");
    }
}

#[test]
fn relocations_outside_their_section_are_told_with_their_place() {
    let (_, bytes) = assemble(".data\n.quad plain\n");
    for offset in [1, 8, 0x1000, u64::MAX - 7, u64::MAX] {
        let mut elf = Elf(bytes.clone());
        let at = elf.entries(elf.named(".rela.data"))[0];
        elf.set(at, relocation::OFFSET, offset);
        assert_eq!(
            link_errors(&elf.0, |_| near(0x3000_0000)),
            [Error::Bounds {
                section: ".data".into(),
                offset
            }]
        );
    }
}

#[test]
fn relocations_of_zeros_are_refused() {
    let (_, bytes) = assemble(".data\n.quad plain\n");
    const SHT_NOBITS: u64 = 8;
    let mut elf = Elf(bytes);
    let at = elf.section(elf.named(".data"));
    elf.set(at, section::TYPE, SHT_NOBITS);
    assert_eq!(
        link_errors(&elf.0, |_| near(0x3000_0000)),
        [Error::ZerosRelocated(".data".into())]
    );
}

#[test]
fn a_machine_without_linker_is_refused() {
    let (_, bytes) = assemble(".data\n.quad 1\n");
    let mut elf = Elf(bytes);
    elf.set(0, header::MACHINE, 183);
    let object = Object::parse(&elf.0, 183).unwrap();
    let errors = Layout::new(&object, &[]).map(drop).unwrap_err();
    assert_eq!(errors, [Error::Machine(183)]);
}

#[test]
fn of_countless_errors_the_first_256_are_told_and_long_names_are_cut() {
    let long = "n".repeat(10_000);
    let (_, bytes) = assemble(&format!(".data\n.rept 1000\n.byte {long}\n.endr\n"));
    let errors = link_errors(&bytes, |_| near(0x3000_0000));
    assert_eq!(errors.len(), 256);
    for error in errors {
        let words = error.to_string();
        assert!(words.len() < 500 && words.contains("nnn..."), "{words}");
    }
    let many: String = (0..1000).map(|n| format!(".quad missing_{n}\n")).collect();
    let (_, bytes) = assemble(&format!(".data\n{many}"));
    assert_eq!(link_errors(&bytes, |_| None).len(), 256);
    let mut elf = Elf(bytes);
    for at in elf.entries(elf.named(".rela.data")) {
        elf.set(at, relocation::TYPE, 1000);
    }
    assert_eq!(layout_errors(&elf.0).len(), 256);
}

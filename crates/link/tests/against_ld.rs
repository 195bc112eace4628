//! Every section is linked, byte for byte, as GNU ld links it to the same addresses.
//!
//! ld gets a script that puts each section where the layout has it. Only the place of the global
//! offset table is ld's own, so a field that points into it is followed instead: both entries
//! must hold the same address.

#![allow(clippy::unwrap_used)]

use modfs_link::Part;
use modfs_object::SectionKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

mod support;
use support::*;

/// R_X86_64_GOTPCREL, GOTPCRELX, REX_GOTPCRELX.
const THROUGH_GOT: [u32; 3] = [9, 41, 42];

/// An address for each import; the weak ones stay missing, which ld is told as address 0, or it
/// would change the instructions.
fn import_address(name: &str) -> Option<u64> {
    Some(match name {
        "host_add" => 0x3000_0010,
        "host_log" => 0x3000_0123,
        "host_counter" => 0x3000_1004,
        "host_table" => 0x3000_2000,
        // For fields of 8 and 16 bits.
        "tiny" => 0x42,
        "small" => 0x1234,
        "beside" => BASES[Part::Data as usize] + 60,
        _ => return None,
    })
}

/// The sections that ld made, by name: address and bytes.
struct ByLd(BTreeMap<String, (u64, Vec<u8>)>);

impl ByLd {
    fn read(program: &Path) -> ByLd {
        const ADDRESS: Field = (16, 8);
        const SHT_NOBITS: u64 = 8;
        let elf = Elf(std::fs::read(program).unwrap());
        let mut sections = BTreeMap::new();
        for index in 0..elf.count() {
            let bytes = match elf.section_of(index, section::TYPE) {
                SHT_NOBITS => Vec::new(),
                _ => elf.bytes_of(index).to_vec(),
            };
            let address = elf.section_of(index, ADDRESS);
            sections.insert(elf.section_name(index).to_string(), (address, bytes));
        }
        ByLd(sections)
    }

    fn word64(&self, address: u64) -> u64 {
        let found = self.0.values().find_map(|(start, bytes)| {
            let at = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(at..at.checked_add(8)?)
        });
        let word = found.unwrap_or_else(|| panic!("ld has nothing at {address:#x}"));
        u64::from_le_bytes(word.try_into().unwrap())
    }
}

/// Has ld link the object to where `ours` has each section; section `n` is called `.m<n>`.
fn by_ld(object: &Path, ours: &Linked<'_>) -> ByLd {
    let copy = new_file("o");
    let script = new_file("ld");
    let program = new_file("out");
    let mut text = String::from("SECTIONS {\n");
    // ld merges equal strings, and so moves them: it gets an object that says not to.
    let mut objcopy = Command::new("objcopy");
    for (index, section) in ours.object.sections().iter().enumerate() {
        let Some((part, offset)) = ours.layout.section(index) else {
            continue;
        };
        let address = BASES[part as usize] + offset;
        let name = section.name;
        writeln!(text, "  .m{index} {address:#x} : {{ KEEP(*({name})) }}").unwrap();
        if !section.write && !section.exec {
            objcopy.arg("--set-section-flags");
            objcopy.arg(format!("{name}=alloc,load,readonly,data,contents"));
        }
    }
    text += "  .got 0x38000000 : { *(.got) *(.got.plt) }\n  /DISCARD/ : { *(*) }\n}\n";
    for (index, symbol) in ours.object.symbols().iter().enumerate() {
        let sectionless = !matches!(symbol.place, modfs_object::Place::Section(_));
        let own = ours.layout.symbol(&ours.object, index);
        let own = own.map(|(part, offset)| BASES[part as usize] + offset);
        let missing = || (symbol.bind == modfs_object::Bind::Weak).then_some(0);
        let address = own.or_else(|| import_address(symbol.name)).or_else(missing);
        if let Some(address) = address
            && sectionless
        {
            writeln!(text, "{} = {address:#x};", symbol.name).unwrap();
        }
    }
    std::fs::write(&script, text).unwrap();
    run(objcopy.arg(object).arg(&copy), "");
    let mut ld = Command::new("ld");
    ld.args(["-static", "-nostdlib", "--no-relax", "--entry=0"])
        .args(["--no-warn-rwx-segments", "--build-id=none", "-T"])
        .args([&script, &copy, Path::new("-o"), &program]);
    run(&mut ld, "");
    ByLd::read(&program)
}

/// Links an object and compares; the kinds of the relocations that were compared.
fn compare(object: &Path, bytes: &[u8]) -> BTreeSet<u32> {
    let ours = linked(bytes, |name| import_address(name).and_then(near));
    let theirs = by_ld(object, &ours);
    let mut kinds = BTreeSet::new();
    let mut compared = 0;
    for (index, section) in ours.object.sections().iter().enumerate() {
        let Some((part, offset)) = ours.layout.section(index) else {
            continue;
        };
        let start = BASES[part as usize] + offset;
        if section.size == 0 {
            continue;
        }
        let (address, by_ld) = &theirs.0[&format!(".m{index}")];
        assert_eq!(*address, start, "{}", section.name);
        if section.kind == SectionKind::Zeros {
            assert!(
                ours.staging.at(&BASES, start, 1).is_none(),
                "zeros are not staged"
            );
            continue;
        }
        let mut mine = ours.bytes(start, section.size).to_vec();
        let mut by_ld = by_ld.clone();
        for relocation in section.relocations() {
            kinds.insert(relocation.kind);
            if !THROUGH_GOT.contains(&relocation.kind) {
                continue;
            }
            let field = relocation.offset as usize..relocation.offset as usize + 4;
            let place = start + relocation.offset;
            let entry = |bytes: &[u8]| {
                let value = i32::from_le_bytes(bytes[field.clone()].try_into().unwrap());
                let value = i64::from(value) - relocation.addend;
                place.wrapping_add_signed(value)
            };
            assert_eq!(
                ours.word64(entry(&mine)),
                theirs.word64(entry(&by_ld)),
                "GOT entry of {}",
                ours.object.symbols()[relocation.symbol].name
            );
            mine[field.clone()].fill(0);
            by_ld[field].fill(0);
        }
        if let Some(at) = mine.iter().zip(&by_ld).position(|(a, b)| a != b) {
            panic!("{}+{at:#x} ({start:#x}) differs", section.name);
        }
        assert_eq!(mine.len(), by_ld.len(), "{}", section.name);
        compared += mine.len();
    }
    assert!(compared > 0);
    kinds
}

/// Compiles `everything.c` with each combination of flags and compares each.
fn compare_all(compiler: &str, models: &[&[&str]]) -> BTreeSet<u32> {
    const EXTRAS: [&[&str]; 4] = [
        &[],
        &["-ffunction-sections", "-fdata-sections"],
        &["-fcommon", "-fno-stack-protector"],
        &["-g", "-fno-asynchronous-unwind-tables"],
    ];
    let mut kinds = BTreeSet::new();
    for level in ["-O0", "-O1", "-O2", "-O3"] {
        for model in models {
            for extra in EXTRAS {
                let mut flags = vec![level];
                flags.extend(*model);
                flags.extend(extra);
                let (object, bytes) = compile(compiler, &flags, "everything.c");
                let compared = std::panic::catch_unwind(|| compare(&object, &bytes))
                    .unwrap_or_else(|e| {
                        eprintln!("{compiler} {flags:?}: {}", object.display());
                        std::panic::resume_unwind(e)
                    });
                kinds.extend(compared);
            }
        }
    }
    kinds
}

const PIC: &[&str] = &["-fPIC"];
const NO_PIC: &[&str] = &["-fno-pic"];
const PIE: &[&str] = &["-fPIE"];
const NO_PLT: &[&str] = &["-fPIC", "-fno-plt"];
const NO_PIC_NO_PLT: &[&str] = &["-fno-pic", "-fno-plt"];

#[test]
fn what_gcc_makes_is_linked_as_ld_links_it() {
    let kinds = compare_all("gcc", &[PIC, NO_PIC, PIE, NO_PLT, NO_PIC_NO_PLT]);
    // 64, PC32, PLT32, 32, GOTPCRELX and its form with a REX prefix.
    assert!(
        kinds.is_superset(&BTreeSet::from([1, 2, 4, 10, 41, 42])),
        "{kinds:?}"
    );
}

#[test]
fn what_clang_makes_is_linked_as_ld_links_it() {
    let kinds = compare_all("clang", &[PIC, NO_PIC, PIE, NO_PLT, NO_PIC_NO_PLT]);
    assert!(
        kinds.is_superset(&BTreeSet::from([1, 2, 4, 41, 42])),
        "{kinds:?}"
    );
}

#[test]
fn other_code_models_are_linked_as_ld_links_them() {
    for compiler in COMPILERS {
        for model in ["-mcmodel=kernel", "-mcmodel=medium", "-mcmodel=large"] {
            let (object, bytes) = compile(compiler, &["-O2", "-fno-pic", model], "everything.c");
            compare(&object, &bytes);
        }
    }
}

#[test]
fn relocations_that_compilers_seldom_make_are_linked_as_ld_links_them() {
    let (object, bytes) = assemble(
        "
        .data
        .globl block
        .type block, @object
        .size block, 40
        block:
        .byte tiny              # 8
        .byte tiny + 1
        .byte beside - .        # PC8
        .byte tiny - 0x60
        .short small            # 16
        .short small - 2
        .short beside - .       # PC16
        .long host_add          # 32
        .long small - 0x1234
        .long host_counter + 9
        .quad host_add - .      # PC64
        .quad block - . + 3
        .long block@SIZE        # SIZE32
        .quad block@SIZE + 2    # SIZE64
        .quad tiny
        .long host_add - .      # PC32
        .text
        movq $host_add, %rax    # 32S
        movq $host_table + 8, %rax
        movq host_counter@GOTPCREL(%rip), %rax
        .byte 0x8b, 0x05        # as old assemblers: GOTPCREL
        .reloc ., R_X86_64_GOTPCREL, host_counter - 4
        .long 0
        call host_add@PLT
        movabsq $block + 5, %rax
        .reloc ., R_X86_64_NONE, host_log
        nop
        ",
    );
    let kinds = compare(&object, &bytes);
    let all = [0, 1, 2, 4, 9, 10, 11, 12, 13, 14, 15, 24, 32, 33, 42];
    assert_eq!(kinds, BTreeSet::from(all));
}

//! Module files of other machines, and odd ones.

use crate::common::need;
use crate::root::{Root, fails, indexed, ok, quiet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(command: &mut Command) {
    ok(&command
        .output()
        .unwrap_or_else(|e| panic!("this test needs {command:?}: {e}")));
}

const TEXT: &str = ".section .modinfo,\"a\"\n.asciz \"license=GPL\"\n.asciz \"alias=odd:*\"\n\
    .asciz \"parm=a:b\"\n.text\n.globl odd_f\nodd_f: ret\n\
    .section __ksymtab,\"a\"\n__ksymtab_odd_f: .long 0\n\
    .globl __crc_odd_f\n.set __crc_odd_f, 0x89abcdef\n\
    .section __versions,\"a\"\n.long 0x11223344\n.asciz \"printk\"\n.org 64\n\
    .text\n.long base_f\n";

/// A module for a machine of 32 bits.
fn of_32_bits(root: &Root, file: &str) -> PathBuf {
    need("as", "binutils");
    let source = root.conf("odd.s", TEXT);
    let object = root.file(file);
    run(Command::new("as")
        .args(["--32", "-o"])
        .arg(&object)
        .arg(source));
    object
}

/// An ELF file for a machine with the other byte order, made by hand: the tools that are at hand
/// everywhere make none. It has a modinfo, exports `big_f` with a checksum, and needs `base_f`.
fn of_big_endian() -> Vec<u8> {
    let versions = {
        let mut entry = vec![0; 64];
        entry[4..8].copy_from_slice(&0x0102_0304u32.to_be_bytes());
        entry[8..14].copy_from_slice(b"printk");
        entry
    };
    let strings = b"\0big_f\0__ksymtab_big_f\0__crc_big_f\0base_f\0";
    let place = |name: &[u8]| {
        let found = strings.windows(name.len()).position(|part| part == name);
        found.unwrap() as u32
    };
    let mut symbols = vec![0u8; 24];
    // Name, global, section, value.
    for (name, section, value) in [
        (place(b"big_f\0"), 1u16, 0u64),
        (place(b"__ksymtab_big_f"), 1, 0),
        (place(b"__crc_big_f"), 0xfff1, 0xaabb_ccdd),
        (place(b"base_f"), 0, 0),
    ] {
        symbols.extend(name.to_be_bytes());
        symbols.extend([0x10, 0]);
        symbols.extend(section.to_be_bytes());
        symbols.extend(value.to_be_bytes());
        symbols.extend(0u64.to_be_bytes());
    }
    let names = b"\0__ksymtab\0.modinfo\0__versions\0.symtab\0.strtab\0.shstrtab\0";
    let name = |name: &[u8]| {
        names
            .windows(name.len())
            .position(|part| part == name)
            .unwrap() as u32
    };
    let sections: [(u32, u32, &[u8], u32, u64); 6] = [
        (name(b"__ksymtab"), 1, &[0; 8], 0, 0),
        (
            name(b".modinfo"),
            1,
            b"license=big\0alias=big:*\0parm=x:y\0",
            0,
            0,
        ),
        (name(b"__versions"), 1, &versions, 0, 0),
        (name(b".symtab"), 2, &symbols, 5, 24),
        (name(b".strtab"), 3, strings, 0, 0),
        (name(b".shstrtab"), 3, names, 0, 0),
    ];
    let mut file = vec![0u8; 64];
    let mut headers = vec![0u8; 64];
    for (name, kind, bytes, link, entry) in sections {
        let at = file.len() as u64;
        file.extend(bytes);
        headers.extend(name.to_be_bytes());
        headers.extend(kind.to_be_bytes());
        headers.extend([0; 16]);
        headers.extend(at.to_be_bytes());
        headers.extend((bytes.len() as u64).to_be_bytes());
        headers.extend(link.to_be_bytes());
        headers.extend(1u32.to_be_bytes());
        headers.extend(1u64.to_be_bytes());
        headers.extend(entry.to_be_bytes());
    }
    let at = file.len() as u64;
    file.extend(headers);
    let mut header = b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_REL, s390.
    header.extend([0, 1, 0, 22, 0, 0, 0, 1]);
    header.extend([0; 16]);
    header.extend(at.to_be_bytes());
    header.extend([0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 7, 0, 6]);
    file[..64].copy_from_slice(&header);
    file
}

#[test]
fn a_module_of_32_bits() {
    let root = indexed();
    let file = of_32_bits(&root, "kernel/odd.ko");
    quiet(&root.depmod(&[]));
    assert!(
        root.read("modules.dep")
            .contains("kernel/odd.ko: kernel/base.ko\n")
    );
    assert!(
        root.read("modules.symbols")
            .contains("alias symbol:odd_f odd\n")
    );
    assert_eq!(root.planned(&["-R", "odd:1"]), "odd\n");
    assert_eq!(quiet(&root.modinfo(&["-l", "odd"])), "GPL\n");
    assert_eq!(quiet(&root.modinfo(&["-p", "odd"])), "a:b\n");
    let file = file.to_str().unwrap();
    assert_eq!(
        quiet(&root.modprobe(&["--show-exports", file])),
        "0x89abcdef\todd_f\n"
    );
    assert_eq!(
        quiet(&root.modprobe(&["--show-modversions", file])),
        "0x11223344\tprintk\n"
    );
}

#[test]
fn a_module_of_a_big_endian_machine() {
    let root = indexed();
    let file = root.write("kernel/big.ko", &of_big_endian());
    quiet(&root.depmod(&[]));
    assert!(
        root.read("modules.dep")
            .contains("kernel/big.ko: kernel/base.ko\n")
    );
    assert!(
        root.read("modules.symbols")
            .contains("alias symbol:big_f big\n")
    );
    assert_eq!(root.planned(&["-R", "big:1"]), "big\n");
    assert_eq!(quiet(&root.modinfo(&["-l", "big"])), "big\n");
    let file = file.to_str().unwrap();
    assert_eq!(
        quiet(&root.modprobe(&["--show-exports", file])),
        "0xaabbccdd\tbig_f\n"
    );
    assert_eq!(
        quiet(&root.modprobe(&["--show-modversions", file])),
        "0x01020304\tprintk\n"
    );
}

/// Each byte of it another one, and each part of it cut off: an answer or an error, no more.
#[test]
fn a_damaged_module_of_any_kind_is_no_harm() {
    let root = indexed();
    let whole = of_big_endian();
    let names: Vec<String> = (0..whole.len())
        .map(|at| format!("kernel/x{at}.ko"))
        .collect();
    for (at, name) in names.iter().enumerate() {
        let mut other = whole.clone();
        other[at] ^= 0xff;
        root.write(name, &other);
        root.write(&format!("kernel/y{at}.ko"), &whole[..at]);
    }
    let output = root.depmod(&[]);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{:?}",
        output.status
    );
    let mut arguments = vec!["-p"];
    let files: Vec<String> = names
        .iter()
        .map(|name| root.file(name).to_str().unwrap().to_owned())
        .collect();
    arguments.extend(files.iter().map(String::as_str));
    let output = root.modinfo(&arguments);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{:?}",
        output.status
    );
    assert!(!crate::root::said(&output).contains("panicked"));
}

#[test]
fn the_id_of_a_build() {
    let root = indexed();
    let file = root.compiled(
        "kernel/id.ko",
        "static const struct { int n, d, t; char o[4]; unsigned char id[20]; } id \
         __attribute__((section(\".note.gnu.build-id\"), used, aligned(4))) = \
         {4, 20, 3, \"GNU\", {0xab, 0xcd, 1, 2, 3}};\n\
         static const char l[] __attribute__((section(\".modinfo\"), used)) = \"license=GPL\";\n",
    );
    quiet(&root.depmod(&[]));
    let id = "abcd010203000000000000000000000000000000";
    assert_eq!(
        root.short(&quiet(&root.modinfo(&["id"]))),
        format!("filename:       kernel/id.ko\nlicense:        GPL\nbuild-id:       {id}\n")
    );
    assert_eq!(
        quiet(&root.modinfo(&["-F", "build-id", "id"])),
        format!("{id}\n")
    );
    let json = quiet(&root.modinfo(&["--json", file.to_str().unwrap()]));
    assert!(json.contains(&format!("\"build_id\": \"{id}\"")), "{json}");
}

#[test]
fn a_module_without_anything() {
    let root = indexed();
    root.compiled("kernel/bare.ko", "");
    quiet(&root.depmod(&[]));
    assert_eq!(
        root.short(&quiet(&root.modinfo(&["bare"]))),
        "filename:       kernel/bare.ko\n"
    );
    assert_eq!(root.planned(&["-D", "bare"]), "insmod kernel/bare.ko \n");
}

#[test]
fn a_stripped_module_is_one_still() {
    let root = indexed();
    need("strip", "binutils");
    for file in ["kernel/base.ko", "kernel/sub/mid-dle.ko", "kernel/top.ko"] {
        run(Command::new("strip")
            .arg("--strip-debug")
            .arg(root.file(file)));
    }
    quiet(&root.depmod(&["--rebuild"]));
    assert!(
        root.read("modules.dep")
            .contains("kernel/top.ko: kernel/sub/mid-dle.ko kernel/base.ko\n")
    );
}

#[test]
fn what_is_no_module_is_named() {
    let root = indexed();
    let at = |name: &str, bytes: &[u8]| root.write(name, bytes).to_str().unwrap().to_owned();
    for (file, why) in [
        (at("a.ko", b""), "truncated"),
        (at("b.ko", b"#!/bin/sh\n"), "not an ELF object"),
        (at("c.ko", b"\x7fELF\x02\x01\x01"), "truncated"),
        (
            at("d.ko", &[b"\x7fELF\x09\x01".as_slice(), &[0; 99]].concat()),
            "class",
        ),
    ] {
        for arguments in [&["modinfo"][..], &["modprobe", "--show-exports"]] {
            let output = root.tool(arguments[0], &[&arguments[1..], &[&file]].concat());
            let said = fails(&output);
            assert!(said.contains(why) && said.contains(&file), "{file}: {said}");
        }
        fs::remove_file(Path::new(&file)).unwrap();
    }
}

/// Who may use an export: as the kernel's build lays it out, with and without symbols for checksums.
#[test]
fn the_terms_of_exports() {
    need("as", "binutils");
    let root = indexed();
    let text = ".section .modinfo,\"a\"\n.asciz \"license=GPL\"\n.text\n\
        one: ret\ntwo: ret\nthree: ret\n\
        .section __ksymtab_strings,\"aMS\",@progbits,1\n\
        __kstrtabns_one: .asciz \"\"\n__kstrtabns_two: .asciz \"SPACE\"\n\
        .section __ksymtab,\"a\"\n\
        __ksymtab_one: .long one - .\n.long 0, 0\n__ksymtab_three: .long three - .\n.long 0, 0\n\
        .section __ksymtab_gpl,\"a\"\n__ksymtab_two: .long two - .\n.long 0, 0\n\
        .section __kcrctab,\"a\"\n.long 0x11111111, 0x33333333\n\
        .section __kcrctab_gpl,\"a\"\n.globl __crc_two\n__crc_two: .long 0x22222222\n";
    let source = root.conf("terms.s", text);
    let object = root.file("terms.ko");
    run(Command::new("as").arg("-o").arg(&object).arg(source));
    let shown = ok(&root.tool("modinfo", &["--json", object.to_str().unwrap()]));
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let wanted = serde_json::json!([
        {"name": "one", "crc": "0x11111111", "gpl": false, "namespace": null},
        {"name": "three", "crc": "0x33333333", "gpl": false, "namespace": null},
        {"name": "two", "crc": "0x22222222", "gpl": true, "namespace": "SPACE"},
    ]);
    assert_eq!(json[0]["exports"], wanted);
}

//! Textbook modules compile unchanged and without a warning, and give what the loader looks for.

// Clippy's allow-unwrap-in-tests does not reach helpers of integration tests.
#![allow(clippy::unwrap_used)]

mod common;

use common::{COMPILERS, compile, here};
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;

/// Each level with another standard: they do not depend on each other.
const LEVELS: [(&str, &str); 4] = [
    ("-std=gnu89", "-O0"),
    ("-std=gnu11", "-O2"),
    ("-std=gnu17", "-O3"),
    ("-std=gnu99", "-Os"),
];
const MODELS: [&[&str]; 3] = [&["-fPIC"], &["-fno-pic"], &["-fPIC", "-fno-plt"]];

/// The C files of a directory of this crate, at least one.
fn sources(dir: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(here(dir))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "c"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no C file in {dir}");
    found
}

/// Compiles each source in all variants of one compiler and hands each object to `check`.
fn variants(compiler: &str, sources: &[PathBuf], check: fn(&str, &[u8])) {
    let dir = tempfile::tempdir().unwrap();
    let object = dir.path().join("module.o");
    for source in sources {
        let stem = source.file_stem().unwrap().to_str().unwrap();
        for (std, level) in LEVELS {
            for model in MODELS {
                let mut flags = vec![std, level];
                flags.extend(model);
                compile(compiler, &flags, source, &object).unwrap_or_else(|e| panic!("{e}"));
                check(stem, &std::fs::read(&object).unwrap());
            }
        }
    }
}

fn in_all_variants(dir: &str, check: fn(&str, &[u8])) {
    let sources = sources(dir);
    thread::scope(|scope| {
        for compiler in COMPILERS {
            let sources = &sources;
            scope.spawn(move || variants(compiler, sources, check));
        }
    });
}

fn globals(file: &object::File<'_>) -> BTreeSet<String> {
    file.symbols()
        .filter(|s| s.is_global() && s.is_definition())
        .map(|s| s.name().unwrap().to_string())
        .collect()
}

fn modinfo(file: &object::File<'_>) -> Vec<String> {
    let data = file.section_by_name_bytes(b".modinfo").unwrap();
    let text = String::from_utf8(data.data().unwrap().to_vec()).unwrap();
    assert!(text.ends_with('\0') && !text.contains("\0\0"), "{text:?}");
    text.trim_end_matches('\0')
        .split('\0')
        .map(String::from)
        .collect()
}

fn params(file: &object::File<'_>) -> u64 {
    let section = file.section_by_name("__param").unwrap();
    assert!(section.align() <= 8);
    assert_eq!(section.size() % 48, 0);
    section.size() / 48
}

fn check(stem: &str, bytes: &[u8]) {
    let file = object::File::parse(bytes).unwrap();
    let globals = globals(&file);
    if stem != "exports" {
        assert!(globals.contains("init_module"), "{stem}");
    }
    match stem {
        "sections" => {
            for name in [
                ".init.text",
                ".exit.text",
                ".init.data",
                ".init.rodata",
                ".exit.data",
            ] {
                assert!(file.section_by_name(name).is_some(), "{name}");
            }
        }
        "documented" => assert_eq!(
            modinfo(&file).into_iter().collect::<BTreeSet<_>>(),
            [
                "license=GPL v2",
                "author=A. Author <author@example.org>",
                "description=A sample",
                "version=1.0",
                "alias=hello-sample",
                "softdep=pre: one post: two",
                "intree=Y",
                "device=testdevice",
            ]
            .map(String::from)
            .into()
        ),
        "parameters" => {
            assert_eq!(params(&file), 17);
            let info = modinfo(&file);
            for line in [
                "parmtype=a_byte:byte",
                "parmtype=a_bool:bool",
                "parmtype=not_a_bool:invbool",
                "parmtype=numbers:array of int",
                "parmtype=names:array of charp",
                "parmtype=outer:int",
                "parmtype=buffer:string",
                "parm=an_int:An integer",
            ] {
                assert!(info.iter().any(|l| l == line), "{line} not in {info:?}");
            }
        }
        "old" => {
            assert_eq!(params(&file), 3);
            assert!(modinfo(&file).contains(&"parm_ports=1-4s".to_string()));
        }
        "exports" => {
            for (symbol, section) in [
                ("shared_value", "__ksymtab"),
                ("shared_text", "__ksymtab"),
                ("shared_add", "__ksymtab"),
                ("shared_stop", "__ksymtab_gpl"),
            ] {
                assert!(globals.contains(symbol));
                let name = format!("__ksymtab_{symbol}");
                let entry = file.symbols().find(|s| s.name() == Ok(&name)).unwrap();
                let at = entry.section_index().unwrap();
                assert_eq!(file.section_by_index(at).unwrap().name(), Ok(section));
                assert_eq!(entry.size(), 8);
            }
        }
        _ => {}
    }
}

#[test]
fn textbook_modules() {
    in_all_variants("tests/hello", check);
}

#[test]
fn sample_modules() {
    let samples = here("../../modules");
    for entry in std::fs::read_dir(&samples).unwrap() {
        let dir = entry.unwrap().path();
        // Those in Rust have none.
        if dir.is_dir() && !dir.join("Cargo.toml").exists() {
            in_all_variants(dir.to_str().unwrap(), |_, bytes| {
                object::File::parse(bytes).unwrap();
            });
        }
    }
}

/// The variables that parameters name are of the type that they say.
#[test]
fn wrong_parameters_do_not_compile() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("wrong.c");
    for (code, said) in [
        (
            "static int p; module_param(p, bool, 0);",
            "not of type bool",
        ),
        ("static long p; module_param(p, int, 0);", "not of type int"),
        (
            "static const char *p; module_param(p, charp, 0);",
            "not of type charp",
        ),
        (
            "static int p[2]; module_param_array(p, short, NULL, 0);",
            "elements are not of type short",
        ),
        (
            "static int p[2]; static char n; module_param_array(p, int, &n, 0);",
            "not the address of an int",
        ),
        (
            "static char p[2]; module_param_string(p, p, 3, 0);",
            "shorter than its length",
        ),
    ] {
        std::fs::write(&source, format!("#include <linux/module.h>\n{code}\n")).unwrap();
        for compiler in COMPILERS {
            let error = compile(compiler, &[], &source, Path::new("/dev/null"))
                .expect_err(&format!("{compiler} takes {code}"));
            assert!(error.contains(said), "{error}");
        }
    }
}

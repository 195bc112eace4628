//! The list of headers and the directory agree, and each header stands alone.

// Clippy's allow-unwrap-in-tests does not reach helpers of integration tests.
#![allow(clippy::unwrap_used)]

mod common;

use common::{COMPILERS, compile, here};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn tree(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for sub in fs::read_dir(dir).unwrap() {
        let sub = sub.unwrap();
        for file in fs::read_dir(sub.path()).unwrap() {
            let file = file.unwrap();
            let name = format!(
                "{}/{}",
                sub.file_name().display(),
                file.file_name().display()
            );
            found.insert(name, fs::read_to_string(file.path()).unwrap());
        }
    }
    found
}

#[test]
fn list_and_directory_agree() {
    let listed: BTreeMap<String, String> = modfs_module::HEADERS
        .iter()
        .map(|(path, text)| (path.to_string(), text.to_string()))
        .collect();
    assert_eq!(listed.len(), modfs_module::HEADERS.len(), "listed twice");
    assert_eq!(listed, tree(&here("include")));
}

/// Each header compiles as the only one, twice over, without any of the C library's.
#[test]
fn each_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("one.c");
    let object = dir.path().join("one.o");
    for (path, _) in modfs_module::HEADERS {
        fs::write(
            &source,
            format!("#include <{path}>\n#include <{path}>\nint x;\n"),
        )
        .unwrap();
        for compiler in COMPILERS {
            for std in ["gnu89", "gnu17"] {
                let std = format!("-std={std}");
                let dirs = compiler_headers(compiler);
                let mut flags = vec![std.as_str(), "-ffreestanding", "-nostdinc"];
                flags.extend(["-isystem", &dirs]);
                compile(compiler, &flags, &source, &object)
                    .unwrap_or_else(|e| panic!("{path}: {e}"));
            }
        }
    }
}

/// The directory of the compiler's own headers.
fn compiler_headers(compiler: &str) -> String {
    let output = std::process::Command::new(compiler)
        .arg("-print-file-name=include")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

//! What every host exports, as the headers declare it: `kernel.symtypes` of the crate `modfs-module`, which
//! modules are built against and hosts compare with. `WRITE_SYMTYPES=1` has it written anew.

mod common;

use modfs_core::KERNEL;
use modfs_module::{HEADERS, KERNEL_SYMTYPES};
use modfs_symvers::{Symtypes, read};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Variables that point to what is exported, since a compiler tells only of what it makes.
const PREFIX: &str = "modfs_pointer_to_";

/// The words of a text of C.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("a compiler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}

fn declared_by(compiler: &str) -> Symtypes {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    modfs_build::write_headers(&path("include")).expect("headers");
    let mut source = String::new();
    for (header, _) in HEADERS {
        writeln!(source, "#include <{header}>").expect("text");
    }
    let compile = |source: &str, arguments: &[&str]| {
        std::fs::write(path("x.c"), source).expect("write");
        let mut command = Command::new(compiler);
        command.args(["-ffreestanding", "-DMODULE", "-I"]);
        command.arg(path("include")).args(arguments);
        run(command.arg(path("x.c")))
    };
    let headers = String::from_utf8(compile(&source, &["-E", "-P"])).expect("text");
    let headers: std::collections::BTreeSet<&str> = words(&headers).collect();
    let host = common::host();
    let names: Vec<String> = host
        .kernel()
        .symbols(KERNEL)
        .into_iter()
        .map(|symbol| symbol.name)
        .filter(|name| headers.contains(name.as_str()))
        .collect();
    for name in &names {
        writeln!(source, "__typeof__({name}) *{PREFIX}{name};").expect("text");
    }
    let object = path("x.o");
    compile(&source, &["-g", "-c", "-o", &object.display().to_string()]);
    let variables: Vec<String> = names.iter().map(|name| format!("{PREFIX}{name}")).collect();
    let types = read(
        &std::fs::read(object).expect("object"),
        variables.iter().map(String::as_str),
    );
    // Without the pointer, which is the last word.
    let lines = types.expect("DWARF").to_string();
    let lines = lines.lines().map(|line| match line.strip_prefix(PREFIX) {
        Some(declaration) => declaration.strip_suffix(" *").expect("a pointer"),
        None => line,
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    Symtypes::parse(&text).expect("lines")
}

#[test]
fn are_those_of_the_headers() {
    let types = declared_by("gcc");
    assert!(types.symbols().any(|symbol| symbol == "printk"));
    assert_eq!(types.to_string(), declared_by("clang").to_string());
    if std::env::var_os("WRITE_SYMTYPES").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../module/kernel.symtypes");
        return std::fs::write(file, types.to_string()).expect("write");
    }
    assert_eq!(
        types.to_string(),
        KERNEL_SYMTYPES,
        "the headers have changed: WRITE_SYMTYPES=1 cargo test -p modfs-host --test symtypes"
    );
}

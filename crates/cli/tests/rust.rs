//! Modules in Rust, from nothing: `modfs new`, `modfs build`, and what they say when they cannot.

mod common;

use common::{Kernel, MODFS, Ran, Setup, need, need_root, quoted, run, sh};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Cargo may have to wait for another.
const PATIENCE: Duration = Duration::from_secs(90);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Runs what was typed in a folder.
fn typed(dir: &TempDir, typed: &str) -> Ran {
    let script = typed.replace("modfs ", &format!("{} ", quoted(MODFS)));
    let mut command = sh(&script);
    command
        .current_dir(dir.path())
        .env_remove("CC")
        .env_remove("CARGO");
    run(command, PATIENCE)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("readdir");
    let names = entries.map(|e| e.expect("readdir").file_name());
    let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Changes a file of a package.
fn change(dir: &TempDir, file: &str, from: &str, to: &str) {
    let path = dir.path().join(file);
    let text = fs::read_to_string(&path).expect("read");
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).expect("write");
}

/// The commands of the block in README that begins with this line.
fn commands_of_readme(first: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(path).expect("README.md");
    let mut blocks = text.split("```console\n").skip(1);
    let block = blocks.find(|block| block.starts_with(first));
    let block = block.unwrap_or_else(|| panic!("README.md has no block that begins {first}"));
    let lines = block.split("```").next().unwrap_or_default().lines();
    lines
        .map(|line| line.strip_prefix("$ ").expect("a command").to_owned())
        .collect()
}

/// The newcomer's path, as README has it.
#[test]
fn template_to_loaded_module_in_three_commands() {
    let kernel = Kernel::start(&[]);
    let commands = commands_of_readme("$ modfs new hello\n");
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in &commands {
        run(kernel.shell(command), PATIENCE).ok();
    }
    assert_eq!(kernel.state("hello"), "running");
    assert_eq!(kernel.log().matches("Hello, you!\n").count(), 1);
    kernel.sh("rmmod hello").ok();
    assert!(kernel.log().contains("Goodbye, you!\n"), "{}", kernel.log());
    assert_eq!(kernel.names(), Vec::<String>::new());
}

/// Cargo runs `cargo-modfs` for `cargo modfs`.
#[test]
fn as_a_command_of_cargo() {
    let kernel = Kernel::stopped(Setup::default());
    run(kernel.shell("cargo modfs new x"), PATIENCE).ok();
    let made = run(kernel.shell("cargo modfs build x"), PATIENCE).ok();
    assert!(made.trim_end().ends_with("/x/x.ko") && Path::new(made.trim_end()).exists());
    let said = kernel.sh("cargo modfs new x; exit $?");
    assert!(
        said.code != Some(0) && said.err.contains("new: cannot make x"),
        "{said:#?}"
    );
    // By its own name it is what it is by any other.
    kernel
        .sh("cargo-modfs new y && cargo-modfs modfs new z")
        .ok();
    assert!(kernel.path("y/Cargo.toml").exists() && kernel.path("z/Cargo.toml").exists());
    let said = kernel.sh("cargo-modfs").fails();
    assert!(said.contains("Usage"), "{said}");
}

#[test]
fn a_new_package() {
    let dir = folder();
    typed(&dir, "modfs new a_name && modfs new with-dash").ok();
    assert_eq!(names(dir.path()), ["a_name", "with-dash"]);
    assert_eq!(
        names(&dir.path().join("a_name")),
        [".gitignore", "Cargo.toml", "src"]
    );
    let made = typed(&dir, "modfs build with-dash").ok();
    assert!(made.ends_with("/with-dash/with_dash.ko\n"), "{made}");
    for (name, why) in [
        ("a_name", "new: cannot make a_name: File exists"),
        ("9x", "cannot be a package's name"),
        ("a+b", "cannot be a package's name"),
        ("'two words'", "cannot be a module's name"),
        ("''", "a value is required"),
        ("..", "cannot be a module's name"),
        (&"x".repeat(56), "at most 55"),
        ("no/where/x", "new: cannot make no/where/x: No such file"),
        ("", "Usage"),
    ] {
        let said = typed(&dir, &format!("modfs new {name}")).fails();
        assert!(said.contains(why), "{name}: {said}");
        assert_eq!(names(dir.path()), ["a_name", "with-dash"], "{name}");
    }
}

#[test]
fn only_what_has_changed_is_built_again() {
    let dir = folder();
    typed(&dir, "modfs new hello").ok();
    let first = typed(&dir, "modfs build -v hello").err;
    assert!(first.contains("Compiling modfs-module"), "{first}");
    let module = dir.path().join("hello/hello.ko");
    let object = fs::read(&module).expect("read");
    let again = typed(&dir, "modfs build -v hello").err;
    assert!(!again.contains("Compiling"), "{again}");
    assert_eq!(fs::read(&module).expect("read"), object, "the same again");
    change(&dir, "hello/src/lib.rs", "Hello, ", "Good day, ");
    let changed = typed(&dir, "modfs build -v hello").err;
    assert!(changed.contains("Compiling hello"), "{changed}");
    assert!(!changed.contains("Compiling modfs-module"), "{changed}");
    assert_ne!(fs::read(&module).expect("read"), object);
    let other = typed(&dir, "modfs build -o x.ko --name other hello").ok();
    assert_eq!(other, "x.ko\n");
    let object = fs::read(dir.path().join("x.ko")).expect("read");
    assert!(object.windows(11).any(|bytes| bytes == b"name=other\0"));
}

/// With a cargo that has never seen the network.
#[test]
fn without_a_network() {
    need("unshare", "util-linux");
    need_root("it makes a name space without a network");
    let dir = folder();
    typed(&dir, "modfs new hello").ok();
    let home = "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_HOME=$PWD/cargo";
    for _ in 0..2 {
        typed(&dir, &format!("{home} unshare --net modfs build hello")).ok();
    }
}

#[test]
fn says_what_is_missing_or_wrong() {
    let dir = folder();
    typed(&dir, "modfs new hello && mkdir only").ok();
    let cc = typed(&dir, "command -v cc").ok();
    symlink(cc.trim_end(), dir.path().join("only/cc")).expect("symlink");
    for (command, why) in [
        (
            "PATH=$PWD/only modfs build hello",
            "build: cannot run cargo, ",
        ),
        ("CARGO=/no/cargo modfs build hello", "https://rustup.rs"),
        (
            "modfs build --cc gone hello",
            "the C compiler gone cannot be run",
        ),
        ("modfs build --name a/b hello", "cannot be a module's name"),
        (
            "modfs build -o no/x.ko hello",
            "cannot write to the directory no",
        ),
    ] {
        let said = typed(&dir, command).fails();
        assert!(said.contains(why), "{command}: {said}");
    }
    typed(
        &dir,
        "rm hello/src/lib.rs && echo 'fn main() {}' > hello/src/main.rs",
    )
    .ok();
    let said = typed(&dir, "modfs build hello").fails();
    assert!(said.contains("lib"), "{said}");
    assert_eq!(names(dir.path()), ["hello", "only"]);
    assert!(!dir.path().join("hello/hello.ko").exists());
}

/// What cannot be built leaves the old module; what uses std is told so.
#[test]
fn a_source_that_is_wrong() {
    const LIB: &str = "hello/src/lib.rs";
    const STD: &str = "build: the module, or a package that it depends on, uses std; a module has \
                       core and alloc: ";
    const ELSEWHERE: &str = "\nunsafe extern \"Rust\" {
        #[link_name = \"_ZN9elsewhere4call17h0123456789abcdefE\"]
        safe fn elsewhere();
    }
    export! { pub fn calls() { elsewhere() } }
    struct";
    let dir = folder();
    typed(&dir, "modfs new hello && mkdir -p needs_std/src").ok();
    let manifest = "[package]\nname = \"needs_std\"\nedition = \"2024\"\n";
    fs::write(dir.path().join("needs_std/Cargo.toml"), manifest).expect("write");
    fs::write(dir.path().join("needs_std/src/lib.rs"), "pub fn f() {}\n").expect("write");
    let needs_std = "[dependencies]\nneeds_std = { path = \"../needs_std\" }";
    change(&dir, "hello/Cargo.toml", "[dependencies]", needs_std);
    typed(&dir, "modfs build hello").ok();
    let old = fs::read(dir.path().join("hello/hello.ko")).expect("read");
    let source = fs::read_to_string(dir.path().join(LIB)).expect("read");
    for (from, to, why) in [
        ("fn init()", "fn init(", "--> src/lib.rs:"),
        ("Ok(Hello)", "Ok(7)", "mismatched types"),
        ("whom.get());", "unknown);", "cannot find value `unknown`"),
        ("#![no_std]\n", "", STD),
        ("\nstruct", "\nextern crate std;\nstruct", STD),
        ("\nstruct", "\nuse needs_std as _;\nstruct", STD),
        ("\nstruct", ELSEWHERE, "have:\n  elsewhere::call"),
    ] {
        change(&dir, LIB, from, to);
        let said = typed(&dir, "modfs build hello").fails();
        assert!(said.contains(why), "{to}: {said}");
        assert_eq!(
            fs::read(dir.path().join("hello/hello.ko")).expect("read"),
            old
        );
        fs::write(dir.path().join(LIB), &source).expect("write");
    }
    let left = names(&dir.path().join("hello"));
    let expected = [
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "hello.ko",
        "src",
        "target",
    ];
    assert_eq!(left, expected);
    typed(&dir, "modfs build hello").ok();
}

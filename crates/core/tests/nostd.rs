//! The crates a kernel is built from need no std and no libc: a program made of them alone, and
//! of what `tests/nostd` has, is built, linked and run.

#![cfg(all(not(loom), target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/nostd")
        .join(file)
}

/// Runs a tool; what it said on standard output.
fn run<S: AsRef<OsStr>>(tool: &str, args: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(tool);
    command.args(args);
    // What this test was built with (`--cfg loom`, say) is not for the program.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{tool}: {e}; this test needs it"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_program_without_std_and_libc_runs_modules_and_links_an_object() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nostd");
    std::fs::create_dir_all(&out).unwrap();
    // Offline, and with the lock file as it is: `cargo update --manifest-path
    // tests/nostd/Cargo.toml --workspace` brings it up to date when a dependency changed.
    let manifest = source("Cargo.toml");
    let cargo = [
        OsStr::new("build"),
        OsStr::new("--release"),
        OsStr::new("--locked"),
        OsStr::new("--offline"),
        OsStr::new("--manifest-path"),
        manifest.as_os_str(),
        OsStr::new("--target-dir"),
        out.as_os_str(),
    ];
    run(env!("CARGO"), cargo);
    let library = out.join("release/libmodfs_nostd.a");

    let object = out.join("object.o");
    let compile = ["-O2", "-fPIC", "-ffreestanding", "-Wall", "-Werror", "-c"];
    let mut args: Vec<&OsStr> = compile.iter().map(OsStr::new).collect();
    let object_source = source("object.c");
    args.extend([object_source.as_os_str(), "-o".as_ref(), object.as_ref()]);
    run("cc", args);

    let program = out.join("program");
    let define = format!("-DOBJECT=\"{}\"", object.display());
    let link = [
        "-O2",
        "-ffreestanding",
        "-fno-builtin",
        "-fno-stack-protector",
        "-fno-pie",
        "-Wall",
        "-Werror",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--gc-sections",
        "-Wl,--fatal-warnings",
        "-Wl,-z,noexecstack",
        define.as_str(),
    ];
    let mut args: Vec<&OsStr> = link.iter().map(OsStr::new).collect();
    let start = source("start.c");
    args.extend([
        start.as_os_str(),
        library.as_ref(),
        "-o".as_ref(),
        program.as_ref(),
    ]);
    run("cc", args);

    let undefined = run("nm", [OsStr::new("-u"), program.as_ref()]);
    assert_eq!(undefined.trim(), "", "the program needs something else");
    let headers = run("readelf", [OsStr::new("-lW"), program.as_ref()]);
    for needs_a_loader in ["INTERP", "DYNAMIC", "TLS"] {
        assert!(!headers.contains(needs_a_loader), "{headers}");
    }
    let status = Command::new(&program).status().unwrap();
    assert_eq!(
        status.code(),
        Some(0),
        "{status}; 101, 102: it panicked; otherwise the line of tests/nostd/src/lib.rs, modulo 256"
    );
}

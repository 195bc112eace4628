//! What is not a plain cargo command: `cargo xtask COMMAND`.

#![forbid(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

mod fuzz;
mod genksyms;
mod kmod;
mod package;
mod qemu;
mod signatures;
mod symvers;
mod tidy;
mod tools;
mod unmodified;

const USAGE: &str = "usage: cargo xtask COMMAND
  tidy    check the tree's rules
  loom    check the use-count protocol in every interleaving
  long    the tests that take minutes: stress for 60 s, 100 kills, 100 000 cycles
  fuzz [SECONDS]
          run every fuzz target for so long, 20 s each by default
  fuzz-seeds [--commit]
          compile objects for them to begin with
  bench [--quick] [--only PART] [--rounds N] [--cycles N] [--md FILE]
          run the benches beside the peers; paste what they print into BENCHMARKS.md
  kmod    compare depmod, modprobe and modinfo with Debian's kmod on Debian's trees, from apt,
          and check the signatures of all their modules
  genksyms
          compare the checksums of Debian's kernel headers with its own genksyms, from apt
  symvers time the checksums of a large object
  unmodified
          run kmod and a static busybox, from apt, on a host's modules: the cases of tests/unmodified
  qemu [CASE | FOLDER]
          run them on Debian's kernels in QEMU, beside kmod's: the cases of tests/linux
  package make one static file of modfs, and a Debian package
  tools   time them beside kmod, on a tree packed by xz, zstd, gzip and not at all";

fn main() -> ExitCode {
    let command = env::args().nth(1).unwrap_or_default();
    let argument = env::args().nth(2);
    let result = match command.as_str() {
        "tidy" => tidy::run(&root()),
        "loom" => loom(),
        "long" => long(),
        "fuzz" => fuzz::run_all(&root(), argument.as_deref()),
        "fuzz-seeds" => fuzz::seeds(&root(), argument.as_deref()),
        "bench" => bench(),
        "kmod" => kmod::run(&root()),
        "genksyms" => genksyms::run(&root()),
        "symvers" => symvers::run(&root()),
        "unmodified" => unmodified::run(&root()),
        "qemu" => qemu::run(&root(), argument.as_deref()),
        "package" => package::run(&root()),
        "tools" => tools::run(&root()),
        "measured" => tools::measured(&env::args().skip(2).collect::<Vec<_>>()),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A target folder of its own keeps other flags from rebuilding everything.
fn loom() -> Result<(), String> {
    cargo(
        &[
            "test",
            "--release",
            "--package",
            "modfs-core",
            "--test",
            "gate_model",
            "--target-dir",
            "target/loom",
        ],
        &[("RUSTFLAGS", "--cfg loom")],
    )
}

fn long() -> Result<(), String> {
    cargo(
        &[
            "test",
            "--release",
            "--package",
            "modfs-host",
            "--test",
            "cycles",
            "--test",
            "rust_cycles",
        ],
        &[("MODFS_CYCLES", "100000")],
    )?;
    cargo(
        &[
            "test",
            "--release",
            "--package",
            "modfs-cli",
            "--test",
            "stress",
            "--test",
            "kill",
        ],
        &[("MODFS_STRESS_SECONDS", "60"), ("MODFS_KILLS", "100")],
    )
}

/// Builds a package as it is shipped.
fn release(package: &str) -> Result<(), String> {
    cargo(
        &["build", "--quiet", "--release", "--package", package],
        &[],
    )
}

/// With what comes after `bench`.
fn bench() -> Result<(), String> {
    let given: Vec<String> = env::args().skip(2).collect();
    let mut arguments = vec![
        "run",
        "--quiet",
        "--release",
        "--package",
        "modfs-bench",
        "--",
    ];
    arguments.extend(given.iter().map(String::as_str));
    cargo(&arguments, &[])
}

/// A program from the registry, installed into `target/tools` unless it is there.
fn tool(root: &Path, name: &str, version: &str) -> Result<PathBuf, String> {
    let tools = root.join("target/tools");
    let program = tools.join("bin").join(name);
    if !program.exists() {
        let to = tools.to_string_lossy();
        let install = ["install", "--quiet", "--locked", name, "--version", version];
        cargo(&[&install[..], &["--root", &to]].concat(), &[])?;
    }
    Ok(program)
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo {}: {status}", arguments.join(" ")))
    }
}

//! Fuzzing: objects of real compilers to begin with, and a bounded run of every target.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The targets, and how they are to be bounded. Most objects that compilers make for `object`
/// and `link` are smaller than this.
const TARGETS: [&str; 15] = [
    "object",
    "link",
    "control",
    "parameters",
    "container",
    "module_file",
    "index",
    "modprobe_conf",
    "depmod_files",
    "signature",
    "image",
    "old_calls",
    "c_declarations",
    "dwarf",
    "symtypes",
];
const BOUNDS: [&str; 4] = [
    // Of it 1 GiB is what a compressed module may become.
    "-rss_limit_mb=2048",
    "-max_len=65536",
    // Far more than any input takes; a hang, or something quadratic, is a finding.
    "-timeout=10",
    "-print_final_stats=1",
];
/// The version of cargo-fuzz.
const FUZZ: &str = "0.13.2";
/// For each target.
const SECONDS: u64 = 20;

/// How modules are compiled, and how else objects come about.
const MODULE: [&str; 8] = [
    "-std=gnu11",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-DMODULE",
    "-D__KERNEL__",
    "-DKBUILD_MODNAME=\"seed\"",
    "-w",
];
const FLAGS: [(&str, &[&str]); 5] = [
    ("pic", &["-O2", "-fPIC"]),
    (
        "static",
        &["-Os", "-fno-pic", "-mcmodel=kernel", "-fcommon"],
    ),
    (
        "sections",
        &["-O1", "-fPIC", "-ffunction-sections", "-fdata-sections"],
    ),
    (
        "unwinds",
        &[
            "-O0",
            "-fPIC",
            "-fasynchronous-unwind-tables",
            "-fexceptions",
        ],
    ),
    ("debug", &["-Og", "-g", "-fPIC"]),
];
const COMPILERS: [&str; 2] = ["gcc", "clang"];
/// Those that are in the tree, since the target `link` has them built in: name, compiler, flags,
/// source.
const COMMITTED: [(&str, &str, &[&str], &str); 6] = [
    ("odd", "gcc", &[], "fuzz/objects/odd.s"),
    ("lib-gcc", "gcc", &["-O2", "-fPIC"], "modules/lib/lib.c"),
    (
        "user-clang",
        "clang",
        &["-O2", "-fPIC"],
        "modules/user/user.c",
    ),
    (
        "everything-gcc",
        "gcc",
        &["-O1", "-fno-pic", "-fcommon"],
        EVERYTHING,
    ),
    (
        "everything-clang",
        "clang",
        &["-O2", "-fPIC", "-ffunction-sections"],
        EVERYTHING,
    ),
    (
        "parameters",
        "gcc",
        &["-O2", "-fPIC"],
        "fuzz/objects/parameters.c",
    ),
];
const EVERYTHING: &str = "crates/link/tests/c/everything.c";

/// Compiles samples into `fuzz/corpus`; with `--commit` instead those in `fuzz/seeds/object`.
pub(crate) fn seeds(root: &Path, argument: Option<&str>) -> Result<(), String> {
    match argument {
        None => corpus(root),
        Some("--commit") => {
            for (name, compiler, flags, source) in COMMITTED {
                let object = root.join(format!("fuzz/seeds/object/{name}.elf"));
                compile(root, compiler, flags, &root.join(source), &object)?;
            }
            Ok(())
        }
        Some(other) => Err(format!("fuzz-seeds takes --commit or nothing, not {other}")),
    }
}

fn corpus(root: &Path) -> Result<(), String> {
    let targets = ["object", "link", "module_file"];
    let [objects, links, modules] = targets.map(|t| root.join("fuzz/corpus").join(t));
    for folder in [&objects, &links, &modules] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let mut sources = vec![root.join(EVERYTHING), root.join("fuzz/objects/odd.s")];
    sources.push(root.join("fuzz/objects/parameters.c"));
    for name in crate::tidy::folders(&root.join("modules")) {
        let source = root.join("modules").join(&name).join(name + ".c");
        sources.extend(source.exists().then_some(source));
    }
    let mut count = 0;
    for source in &sources {
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        for compiler in COMPILERS {
            for (kind, flags) in FLAGS {
                let object = objects.join(format!("{stem}-{compiler}-{kind}"));
                compile(root, compiler, flags, source, &object)?;
                let read = fs::read(&object);
                let bytes = read.map_err(|e| format!("{}: {e}", object.display()))?;
                // See fuzz/fuzz_targets/link.rs: choice 0, with values.
                let name = format!("{stem}-{compiler}-{kind}");
                write(&links.join(&name), &[&[0, 0], &bytes[..]].concat())?;
                write(&modules.join(name), &bytes)?;
                count += 1;
            }
        }
    }
    for choice in 1..=COMMITTED.len() as u8 {
        for values in 0..4 {
            let name = format!("seed-{choice}-{values}");
            write(&links.join(name), &[choice, values])?;
        }
    }
    println!("{count} objects in fuzz/corpus");
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn compile(
    root: &Path,
    compiler: &str,
    flags: &[&str],
    source: &Path,
    object: &Path,
) -> Result<(), String> {
    let mut command = Command::new(compiler);
    command.args(MODULE).args(flags);
    // Paths are in what -g writes; the same seeds should come out everywhere.
    command.current_dir(root);
    command.arg("-Icrates/module/include").arg("-c");
    command.arg(source.strip_prefix(root).unwrap_or(source));
    run(command.arg("-o").arg(object))
}

/// Builds the targets and runs each, over the seeds and what was found before.
///
/// This works with a stable compiler: what libFuzzer needs of rustc are LLVM's coverage passes,
/// which are stable flags (`-C passes`, `-C llvm-args`). A sanitizer is not: that is what
/// `--sanitizer none` is for. All that is fuzzed is safe Rust; overflow checks and debug
/// assertions are on.
pub(crate) fn run_all(root: &Path, seconds: Option<&str>) -> Result<(), String> {
    let seconds = match seconds {
        None => SECONDS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| *seconds > 0)
            .ok_or_else(|| format!("fuzz takes a number of seconds, not {text}"))?,
    };
    seeds(root, None)?;
    let tool = crate::tool(root, "cargo-fuzz", FUZZ)?;
    let fuzz = |command: &str| {
        let mut fuzz = Command::new(&tool);
        fuzz.args([command, "--sanitizer", "none", "--fuzz-dir", "fuzz"]);
        fuzz.current_dir(root);
        // libFuzzer is C++; clang is there in any case, and g++ may not be.
        if std::env::var_os("CXX").is_none() {
            fuzz.env("CXX", "clang++");
        }
        // What unpacks is in C: libFuzzer is to see the ways through it too.
        if std::env::var_os("CC").is_none() && std::env::var_os("CFLAGS").is_none() {
            fuzz.env("CC", "clang");
            fuzz.env("CFLAGS", "-fsanitize=fuzzer-no-link");
        }
        // One that is set for the workspace would be shared with other flags.
        fuzz.args(["--target-dir", "fuzz/target"]);
        fuzz
    };
    run(&mut fuzz("build"))?;
    let mut failed = Vec::new();
    for target in TARGETS {
        let corpus = PathBuf::from("fuzz/corpus").join(target);
        fs::create_dir_all(root.join(&corpus)).map_err(|e| format!("fuzz/corpus: {e}"))?;
        let mut command = fuzz("run");
        command.arg(target).arg(corpus);
        let seeds = PathBuf::from("fuzz/seeds").join(target);
        // Those of `module_file` are all compiled.
        command.args(root.join(&seeds).is_dir().then_some(seeds));
        command.arg("--").args(BOUNDS);
        command.arg(format!("-max_total_time={seconds}"));
        println!("==> {target}, {seconds} s");
        if let Err(text) = run(&mut command) {
            eprintln!("{text}");
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "failed: {}; what did it is in fuzz/artifacts. To see it again:\n\
         target/tools/bin/cargo-fuzz run --sanitizer none TARGET fuzz/artifacts/TARGET/FILE",
        failed.join(", ")
    ))
}

fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .map_err(|e| format!("cannot run {shown}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown}: {status}"))
    }
}

//! Modules in Rust: a cargo package whose library is a module.
//!
//! Cargo makes rlibs of the package and what it depends on; those, `core` and `alloc` are linked
//! into one relocatable object of which only what is used is kept. A module has nothing of
//! `std`: that is what makes unloading it sound.

use crate::cc::Compiler;
use crate::job::check_name;
use crate::output::{self, Parts};
use crate::{Built, Error, Options, sdk};
use modfs_object::{EM_X86_64, Object};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One section of each kind, where rustc makes one a function; and without what nobody needs in a
/// module: bitcode for link-time optimisation is half of `core`.
const SCRIPT: &str = "\
SECTIONS {
    .text : { *(.text .text.*) }
    .rodata : { *(.rodata .rodata.*) }
    .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) }
    .data : { *(.data .data.*) }
    .bss : { *(.bss .bss.*) }
    .gcc_except_table : { *(.gcc_except_table .gcc_except_table.*) }
    .eh_frame : { KEEP(*(.eh_frame)) }
    .modinfo : { KEEP(*(.modinfo)) }
    __param : { KEEP(*(__param)) }
    __ksymtab : { KEEP(*(__ksymtab)) }
    __ksymtab_gpl : { KEEP(*(__ksymtab_gpl)) }
    /DISCARD/ : { *(.llvmbc) *(.llvmcmd) *(.comment) *(.note.GNU-stack) }
}
";

/// Builds the package in `package`.
pub(crate) fn build(package: &Path, options: &Options) -> Result<Built, Error> {
    let compiler = Compiler::find(options)?;
    let scratch = output::scratch()?;
    let package = fs::canonicalize(package).map_err(|e| Error::io("cannot read", package, &e))?;
    let built = cargo(&package, options)?;
    let name = options.name.clone().unwrap_or(built.name);
    check_name(&name)?;
    let output = options
        .output
        .clone()
        .unwrap_or_else(|| package.join(format!("{name}.ko")));

    let script = scratch.path().join("module.ld");
    fs::write(&script, SCRIPT).map_err(|e| Error::io("cannot write", &script, &e))?;
    let flags: Vec<OsString> = vec![
        "-Wl,-z,noexecstack".into(),
        "-Wl,-T".into(),
        script.into_os_string(),
    ];
    let mut arguments = flags.clone();
    arguments.push("-Wl,--gc-sections".into());
    for root in ["init_module", "cleanup_module"] {
        arguments.push(format!("-Wl,--undefined={root}").into());
    }
    arguments.extend(["-Wl,--whole-archive".into(), built.module.into_os_string()]);
    arguments.extend(["-Wl,--no-whole-archive".into(), "-Wl,--start-group".into()]);
    arguments.extend(built.others.into_iter().map(PathBuf::into_os_string));
    arguments.extend(sysroot(&package)?.into_iter().map(PathBuf::into_os_string));
    arguments.push("-Wl,--end-group".into());

    let object = scratch.path().join("module.o");
    compiler.link(&arguments, &object)?;
    let more = format!(
        "MODULE_INFO(rustc, \"{}\");\n{}",
        rustc_version(&package)?,
        shims(&object)?
    );
    let parts = Parts {
        name: &name,
        object: &object,
        flags,
        more,
        output: &output,
    };
    output::finish(&compiler, options, scratch.path(), parts)
}

/// A duplicate lang item: the module has a panic handler, and so has `std`.
const TWO_PANIC_HANDLERS: &str = "E0152";
const STD: &str = "the module, or a package that it depends on, uses std; a module has core and \
                   alloc: #![no_std] in src/lib.rs, and dependencies with \
                   default-features = false where they have a feature std";

/// What cargo made.
struct Libraries {
    name: String,
    /// The package's own library.
    module: PathBuf,
    /// Those it depends on.
    others: Vec<PathBuf>,
}

fn program(variable: &str, name: &str) -> OsString {
    std::env::var_os(variable)
        .filter(|v| !v.is_empty())
        .unwrap_or_else(|| name.into())
}

fn cargo(package: &Path, options: &Options) -> Result<Libraries, Error> {
    let target = package.join("target");
    let sdk = target.join("modfs-sdk");
    sdk::write_sdk(&sdk)?;
    let manifest = package.join("Cargo.toml");
    let patch = format!(
        "patch.crates-io.modfs-module.path={:?}",
        sdk.display().to_string()
    );
    if !package.join("Cargo.lock").exists() {
        lock(&manifest, &patch);
    }
    let mut command = Command::new(program("CARGO", "cargo"));
    command
        .args([
            "build",
            "--release",
            "--lib",
            // Rendered here, to see what kind they are.
            if std::io::stderr().is_terminal() {
                "--message-format=json-diagnostic-rendered-ansi"
            } else {
                "--message-format=json"
            },
        ])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .arg("--config")
        .arg(&patch)
        .args(["--config", "profile.release.panic=\"unwind\""])
        .args(["--config", "profile.release.codegen-units=1"])
        // What is exported is declared there; what no debugger needs is stripped in the end.
        .args(["--config", "profile.release.debug=2"])
        .args(["--config", "profile.release.split-debuginfo=\"off\""])
        // With frames that a call trace of a fault can follow.
        .args([
            "--config",
            "build.rustflags=[\"-Cforce-frame-pointers=yes\"]",
        ])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(package)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if options.verbose {
        eprintln!("{command:?}");
    } else {
        command.arg("--quiet");
    }
    let cannot = |e| {
        Error::Told(format!(
            "cannot run cargo, which a module in Rust is built with: {e}; install Rust \
             (https://rustup.rs), or say in CARGO where it is"
        ))
    };
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let mut artifacts = Vec::new();
    let mut uses_std = false;
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let Some(said) = line
            .ok()
            .and_then(|l| serde_json::from_str::<Value>(&l).ok())
        else {
            continue;
        };
        if said["reason"] == "compiler-artifact" {
            artifacts.push(said);
        } else if let Some(text) = said["message"]["rendered"].as_str() {
            eprint!("{text}");
            uses_std |= said["message"]["code"]["code"] == TWO_PANIC_HANDLERS;
        }
    }
    if !child.wait().map_err(cannot)?.success() {
        if uses_std {
            return Err(Error::Told(STD.into()));
        }
        return Err(Error::Compiler);
    }
    let manifest = manifest.display().to_string();
    let (mut module, mut others) = (None, Vec::new());
    for artifact in artifacts {
        let files = artifact["filenames"].as_array().into_iter().flatten();
        let rlib = files.filter_map(Value::as_str).map(PathBuf::from);
        let Some(rlib) = rlib
            .into_iter()
            .find(|f| f.extension() == Some(OsStr::new("rlib")))
        else {
            continue;
        };
        let is_module = artifact["manifest_path"].as_str() == Some(&manifest);
        match artifact["target"]["name"].as_str() {
            Some(name) if is_module => module = Some((name.replace('-', "_"), rlib)),
            _ => others.push(rlib),
        }
    }
    let (name, module) = module.ok_or_else(|| {
        Error::Told(format!(
            "{} makes no library: a module is one, in src/lib.rs",
            manifest
        ))
    })?;
    Ok(Libraries {
        name,
        module,
        others,
    })
}

/// Has cargo write Cargo.lock of what is on this machine, if it can: without one it asks the
/// registry for packages that it needs none of, and fails where there is no network.
fn lock(manifest: &Path, patch: &str) {
    // Should it fail, the build says why.
    let _ = Command::new(program("CARGO", "cargo"))
        .args(["metadata", "--offline", "--format-version=1", "--quiet"])
        .arg("--manifest-path")
        .arg(manifest)
        .args(["--config", patch])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Run in the package's folder, as cargo is: it may choose a toolchain.
fn rustc(package: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new(program("RUSTC", "rustc"))
        .args(arguments)
        .current_dir(package)
        .output()
        .map_err(|e| Error::Told(format!("cannot run rustc: {e}")))?;
    if !output.status.success() {
        return Err(Error::Told(format!(
            "rustc {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The compiler's version, which the host compares with its own.
fn rustc_version(package: &Path) -> Result<String, Error> {
    rustc(package, &["--version"])
}

/// `core`, `alloc` and what the compiler itself calls.
fn sysroot(package: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = PathBuf::from(rustc(package, &["--print", "target-libdir"])?);
    let entries = fs::read_dir(&folder).map_err(|e| Error::io("cannot read", &folder, &e))?;
    let wanted = ["libcore-", "liballoc-", "libcompiler_builtins-"];
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| Error::io("cannot read", &folder, &e))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if wanted.iter().any(|prefix| name.starts_with(prefix)) && name.ends_with(".rlib") {
            found.push(path);
        }
    }
    if found.len() < wanted.len() {
        return Err(Error::Told(format!(
            "{} has no core and alloc",
            folder.display()
        )));
    }
    Ok(found)
}

/// C for the functions that rustc makes only when it links a program: they have names that change with each
/// version.
fn shims(object: &Path) -> Result<String, Error> {
    let bytes = fs::read(object).map_err(|e| Error::io("cannot read", object, &e))?;
    let object = Object::parse(&bytes, EM_X86_64).map_err(|e| {
        Error::Told(format!(
            "the linker made no object that can be a module: {e}"
        ))
    })?;
    let mut source = String::new();
    let mut missing = Vec::new();
    for (_, symbol) in object.imports() {
        let name = symbol.name;
        // Writing to a String cannot fail.
        let _ = if name.ends_with("__rust_no_alloc_shim_is_unstable_v2") {
            writeln!(source, "void {name}(void); void {name}(void) {{}}")
        } else if name.ends_with("__rust_alloc_error_handler") {
            writeln!(
                source,
                // In C it would have a frame, of which there is no entry in the table of frames.
                "__asm__(\".text\\n.globl {name}\\n.type {name},@function\\n\
                 {name}: jmp modfs_alloc_error@PLT\");"
            )
        } else {
            // What another module exports has a plain name.
            if name.starts_with("_R") || name.starts_with("_ZN") {
                missing.push(format!("  {:#}", rustc_demangle::demangle(name)));
            }
            Ok(())
        };
    }
    if missing.is_empty() {
        return Ok(source);
    }
    Err(Error::Told(format!(
        "the module uses what neither core, alloc nor its packages have:\n{}",
        missing.join("\n")
    )))
}

//! `modfs genksyms`: checksums of C declarations.

use crate::report::print;
use clap::Args;
use modfs_genksyms::{Changes, Language, Reference, parse};
use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `modfs genksyms`.
#[derive(Args, Debug)]
pub(crate) struct GenksymsArgs {
    /// As modutils for this version of Linux, a 2.4; without it as Linux does today
    #[arg(short, long, value_name = "A.B.C")]
    kernel: Option<String>,
    /// Before each checksum; with --kernel
    #[arg(short, long, default_value = "", requires = "kernel")]
    prefix: String,
    /// Print on standard error what each checksum is of
    #[arg(short = 'D', long)]
    dump: bool,
    /// Write the types that the checksums are of to a file, a line each; not with --kernel
    #[arg(short = 'T', long, value_name = "FILE", conflicts_with = "kernel")]
    dump_types: Option<PathBuf>,
    /// Say on standard error which types have changed since this file was written
    #[arg(short, long, value_name = "FILE", conflicts_with = "kernel")]
    reference: Option<PathBuf>,
    /// Fail when one has
    #[arg(long, requires = "reference")]
    preserve: bool,
    /// Print what could not be understood, and fail then
    #[arg(short, long)]
    warnings: bool,
    /// Do not print it after all
    #[arg(short, long)]
    quiet: bool,
}

/// The first version whose checksums are of this kind.
const SECOND: [u32; 3] = [2, 1, 18];

/// Reads preprocessed C from standard input, and prints the checksums of what it exports.
pub(crate) fn run(args: &GenksymsArgs) -> Result<ExitCode, String> {
    let language = match &args.kernel {
        None => Language::Today,
        Some(version) => old(version)?,
    };
    let mut source = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut source);
    read.map_err(|e| format!("genksyms: standard input: {e}"))?;
    let source = String::from_utf8(source).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("genksyms: standard input, line {line}: not UTF-8")
    })?;
    let file_error = |path: &Path, e: io::Error| format!("genksyms: {}: {e}", path.display());
    let reference = match &args.reference {
        Some(path) => {
            let bytes = fs::read(path).map_err(|e| file_error(path, e))?;
            Reference::parse(&String::from_utf8_lossy(&bytes))
        }
        None => Reference::default(),
    };
    let declarations = parse(&source, language);
    if let Some(path) = &args.dump_types {
        fs::write(path, declarations.types()).map_err(|e| file_error(path, e))?;
    }
    let (mut text, mut dump, mut changed) = (String::new(), String::new(), String::new());
    let mut changes = Changes::new(&declarations, &reference);
    let mut messages = declarations.messages().to_vec();
    for sum in declarations.checksums() {
        let sum = match sum {
            Ok(sum) => sum,
            Err(undeclared) => {
                messages.push(undeclared.to_string());
                continue;
            }
        };
        let (name, crc, prefix) = (sum.name, sum.crc, &args.prefix);
        // Writing to a String cannot fail.
        let _ = match language {
            Language::Today => writeln!(text, "#SYMVER {name} 0x{crc:08x}"),
            Language::Old => write!(
                text,
                "#define __ver_{name}\t{prefix}{crc:08x}\n#define {name}\t_set_ver({name})\n"
            ),
        };
        let changes = changes.of(name).join(", ");
        if !changes.is_empty() {
            let word = if args.preserve { "error" } else { "warning" };
            let _ = writeln!(
                changed,
                "genksyms: {word}: {name}: modversion changed because of changes in {changes}"
            );
        }
        let _ = writeln!(dump, "Export {name} == <{}>", sum.text);
    }
    print(text);
    eprint!("{changed}");
    if args.dump {
        eprint!("{dump}");
    }
    if args.warnings && !args.quiet {
        for message in &messages {
            eprintln!("genksyms: {message}");
        }
    }
    let fails = args.warnings && !messages.is_empty() || args.preserve && !changed.is_empty();
    Ok(match fails {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The old language, for a version that had it.
fn old(version: &str) -> Result<Language, String> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([a, b, c]) if [*a, *b, *c] >= SECOND => Ok(Language::Old),
        Some([_, _, _]) => Err(format!(
            "genksyms: the checksums before Linux 2.1.18 are not made: --kernel {version}"
        )),
        _ => Err(format!(
            "genksyms: --kernel {version}: not a version, as 2.4.35"
        )),
    }
}

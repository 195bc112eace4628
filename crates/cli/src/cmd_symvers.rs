//! `modfs symvers`: checksums of what modules, objects and programs export.

use crate::report::print;
use clap::Args;
use modfs_core::KERNEL;
use modfs_symvers::{Exported, Symtypes, Table, Version, difference};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `modfs symvers`.
#[derive(Args, Debug)]
pub(crate) struct SymversArgs {
    /// Modules, objects that were compiled with -g, or programs of whose symbols some are exported
    #[arg(required = true, value_name = "OBJECT")]
    objects: Vec<PathBuf>,
    /// Where the list goes; the types go beside it, as FILE with .symtypes [default: NAME.symvers here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the types, and write nothing
    #[arg(long, conflicts_with = "output")]
    dump: bool,
    /// Print how the second OBJECT's exports differ from the first's, and write nothing; exit with 1 if they do
    #[arg(long, conflicts_with_all = ["output", "dump"])]
    diff: bool,
    /// A symbol that a program exports, which an object does not say of itself; may be given more than once
    #[arg(short, long, value_name = "SYMBOL")]
    symbol: Vec<String>,
    /// Who exports them [default: the module's name, or the file's; with --symbol kernel]
    #[arg(short, long)]
    name: Option<String>,
}

impl SymversArgs {
    /// Where an object's list goes.
    fn list(&self, object: &Path) -> PathBuf {
        let mut here = object.file_stem().unwrap_or_default().to_owned();
        here.push(".symvers");
        self.output.clone().unwrap_or_else(|| here.into())
    }

    fn exported(&self, path: &Path) -> Result<Exported, String> {
        let mut found = match self.symbol.is_empty() {
            true => Exported::read(path).map_err(|error| error.to_string())?,
            false => self.of_program(path)?,
        };
        if let Some(name) = &self.name {
            let versions = found.table.0.iter_mut();
            versions.for_each(|version| version.module.clone_from(name));
        }
        Ok(found)
    }

    fn of_program(&self, path: &Path) -> Result<Exported, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = fs::read(path).map_err(|error| told(&error))?;
        let symbols = self.symbol.iter().map(String::as_str);
        let types = modfs_symvers::read(&bytes, symbols).map_err(|error| told(&error))?;
        let unknown = self.symbol.iter().filter(|symbol| !types.has(symbol));
        let unknown = unknown.cloned().collect();
        Ok(Exported {
            unknown,
            ..Exported::of_types(KERNEL, types)
        })
    }
}

/// Writes lists of checksums.
pub(crate) fn run(args: &SymversArgs) -> Result<ExitCode, String> {
    let failed = |why: String| format!("symvers: {why}");
    if args.diff {
        let [before, after] = &args.objects[..] else {
            return Err(failed("--diff is of two objects".into()));
        };
        let (before, after) = (args.exported(before), args.exported(after));
        let text = diff(&before.map_err(failed)?, &after.map_err(failed)?);
        let code = if text.is_empty() { 0 } else { 1 };
        print(text);
        return Ok(ExitCode::from(code));
    }
    if args.output.is_some() && args.objects.len() > 1 {
        return Err(failed("--output is of one object".into()));
    }
    let lists: Vec<PathBuf> = args.objects.iter().map(|path| args.list(path)).collect();
    if !args.dump {
        distinct(&lists).map_err(failed)?;
    }
    for (path, list) in args.objects.iter().zip(lists) {
        let found = args.exported(path).map_err(failed)?;
        for symbol in &found.unknown {
            eprintln!(
                "modfs: warning: symvers: {}: {symbol} has no checksum, since no compiler has said how it is \
                 declared: compile with -g; a function of Rust has to be #[unsafe(no_mangle)], too",
                path.display()
            );
        }
        if args.dump {
            print(found.types.to_string());
            continue;
        }
        write(&list.with_extension("symtypes"), &found.types.to_string()).map_err(failed)?;
        write(&list, &found.table.to_string()).map_err(failed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether each list, and the types beside it, has a place of its own.
fn distinct(lists: &[PathBuf]) -> Result<(), String> {
    for (at, list) in lists.iter().enumerate() {
        if list.with_extension("symtypes") == *list {
            return Err(format!("{}: that is where the types go", list.display()));
        }
        if lists[..at].contains(list) {
            return Err(format!(
                "two objects would be written to {}: write them one after the other, with --output",
                list.display()
            ));
        }
    }
    Ok(())
}

/// Replaces a file in one step.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".modfs-").permissions(mode);
    let mut file = builder
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(told)?;
    file.write_all(text.as_bytes()).map_err(told)?;
    file.persist(path).map_err(|error| told(error.error))?;
    Ok(())
}

/// A line for each symbol that is not as it was.
fn diff(before: &Exported, after: &Exported) -> String {
    let mut text = String::new();
    let find = |table: &Table, symbol: &str| -> Option<Version> {
        table.0.iter().find(|it| it.symbol == symbol).cloned()
    };
    for old in &before.table.0 {
        let symbol = &old.symbol;
        // Writing to a String cannot fail.
        let _ = match find(&after.table, symbol) {
            None => writeln!(text, "{symbol}: is gone"),
            Some(new) if new.crc == old.crc && new.gpl == old.gpl => continue,
            Some(new) if new.crc == old.crc => match new.gpl {
                true => writeln!(
                    text,
                    "{symbol}: now only for modules with a GPL-compatible licence"
                ),
                false => writeln!(text, "{symbol}: now for modules of any licence"),
            },
            Some(new) => writeln!(
                text,
                "{symbol}: {:#010x}, now {:#010x}{}",
                old.crc,
                new.crc,
                how(&before.types, &after.types, symbol)
            ),
        };
    }
    for new in &after.table.0 {
        if find(&before.table, &new.symbol).is_none() {
            let _ = writeln!(text, "{}: is new", new.symbol);
        }
    }
    text
}

/// How a symbol differs, behind a colon; nothing when that is not known.
pub(crate) fn how(before: &Symtypes, after: &Symtypes, symbol: &str) -> String {
    let found = difference(before, after, symbol);
    found.map(|found| format!(": {found}")).unwrap_or_default()
}

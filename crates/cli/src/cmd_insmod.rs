//! `insmod`: a file into a tree.

use crate::tree::{Refused, Tree, TreeArgs, module_name};
use clap::Args;
use modfs_core::Errno;
use modfs_object::{EM_X86_64, Object};
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `insmod`.
#[derive(Args, Debug)]
pub(crate) struct InsmodArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// The module may be unloaded again by `rmmod -a` once it is not used
    #[arg(short = 'k', long)]
    autoclean: bool,
    /// The name to load it under [default: the file's]
    #[arg(short = 'o', long)]
    name: Option<String>,
    /// The module
    file: PathBuf,
    /// Its parameters
    #[arg(
        value_name = "PARAM=VALUE",
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    parameters: Vec<String>,
}

/// The module file's name in its directory, as in 2.4's emulated system calls.
const FILE: &str = "module";

/// Inserts the module; on an error the tree is as it was.
pub(crate) fn run(args: &InsmodArgs) -> Result<(), String> {
    let failed = |why: &str| {
        format!(
            "insmod: ERROR: could not insert module {}: {why}",
            args.file.display()
        )
    };
    let tree = Tree::open(&args.tree).map_err(|e| format!("insmod: ERROR: {e}"))?;
    let object = fs::read(&args.file).map_err(|e| {
        format!(
            "insmod: ERROR: could not load module {}: {e}",
            args.file.display()
        )
    })?;
    let name = args.name.clone().unwrap_or_else(|| module_name(&args.file));
    if name == modfs_core::KERNEL {
        return Err(failed(
            "File exists: that is the kernel's own name; give another with --name",
        ));
    }
    if tree.is_mapped(&name) {
        return Err(failed(&format!(
            "File exists: a module named {name} is there already"
        )));
    }
    // A directory in which nothing is mapped is no module: it is taken over.
    let made = match fs::create_dir(tree.dir(&name)) {
        Ok(()) => true,
        Err(e) if e.raw_os_error() == Some(Errno::EEXIST.raw()) => false,
        Err(e) => {
            return Err(failed(&format!(
                "{e}: cannot make {}",
                tree.dir(&name).display()
            )));
        }
    };
    let path = tree.path(&name, FILE);
    let inserted = insert(&tree, &name, &object, args);
    if inserted.is_err() && !tree.is_mapped(&name) {
        let _ = fs::remove_file(&path);
        if made {
            let _ = fs::remove_dir(tree.dir(&name));
        }
    }
    inserted.map_err(|refused| {
        let mut text = failed(mod_strerror(refused.errno));
        for reason in &refused.reasons {
            text += &format!("\n  {reason}");
        }
        for (symbol, exporter) in exporters_at_hand(&args.file, &refused.reasons) {
            text += &format!(
                "\n  {symbol} is exported by {}: insert it first",
                exporter.display()
            );
        }
        text
    })
}

/// What an errno means for a module, in kmod's words.
fn mod_strerror(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOEXEC => "Invalid module format",
        Errno::ENOENT => "Unknown symbol in module",
        Errno::EINVAL => "Invalid parameters",
        other => other.text(),
    }
}

fn insert(tree: &Tree, name: &str, object: &[u8], args: &InsmodArgs) -> Result<(), Refused> {
    fs::write(tree.path(name, FILE), object).map_err(|error| Refused {
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        reasons: vec![format!("writing the module file: {error}")],
    })?;
    tree.command(name, &format!("map {FILE}"))?;
    let mut init = String::from("init ");
    if args.autoclean {
        init += "-k ";
    }
    init += FILE;
    for parameter in &args.parameters {
        init.push(' ');
        init += &quoted(parameter);
    }
    tree.command(name, &init).inspect_err(|_| {
        // Fails when it faulted, or its init goes on: then it has to stay.
        let _ = tree.command(name, &format!("unmap {FILE}"));
    })
}

/// A parameter as a line of `control` takes it.
fn quoted(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, value)) if value.contains(char::is_whitespace) => format!("{name}=\"{value}\""),
        _ => parameter.to_owned(),
    }
}

/// Of the symbols that are missing, those that a module in the same directory exports.
fn exporters_at_hand(file: &Path, reasons: &[String]) -> Vec<(String, PathBuf)> {
    let missing: Vec<&str> = reasons
        .iter()
        .filter_map(|reason| reason.strip_prefix("unresolved symbol "))
        .filter(|rest| !rest.contains(':'))
        .collect();
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if missing.is_empty() {
        return Vec::new();
    }
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "ko" || e == "o"))
        .collect();
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let Ok(bytes) = fs::read(&path) else { continue };
        let Ok(object) = Object::parse(&bytes, EM_X86_64) else {
            continue;
        };
        for export in object.exports() {
            if missing.contains(&export.name) {
                found.push((export.name.to_owned(), path.clone()));
            }
        }
    }
    found
}

//! `insmod`: a file into a tree, or into the running Linux.

use crate::linux;
use crate::report::{Messages, print};
use crate::tree::TreeArgs;
use clap::Args;
use modfs_client::{self as client, Start, check_name, module_name};
use modfs_core::Errno;
use modfs_core::Force;
use modfs_depot::{ReadError, Reader};
use modfs_linux::{InsertError, Linux};
use modfs_object::{EM_X86_64, Object};
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `insmod`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct InsmodArgs {
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
    /// The module may be unloaded again by `rmmod -a` once it is not used
    #[arg(short = 'k', long)]
    pub(crate) autoclean: bool,
    /// The name to load it under [default: the file's]
    #[arg(short = 'o', long)]
    pub(crate) name: Option<String>,
    /// Load although checksums and version differ; a host's tree refuses it
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Load although checksums differ; a host's tree refuses it
    #[arg(long)]
    pub(crate) force_modversion: bool,
    /// Load although the version differs; a host's tree refuses it
    #[arg(long)]
    pub(crate) force_vermagic: bool,
    /// Write messages to the system's log
    #[arg(short, long)]
    pub(crate) syslog: bool,
    /// Print what is done
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// The module
    pub(crate) file: PathBuf,
    /// Its parameters
    #[arg(
        value_name = "PARAM=VALUE",
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    pub(crate) parameters: Vec<String>,
}

/// Inserts the module: into the tree that is named, or else into the running Linux.
pub(crate) fn run(args: &InsmodArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "insmod",
        quiet: false,
        verbose: args.verbose,
        syslog: args.syslog,
    };
    if args.verbose {
        print(format!("insmod {}\n", args.file.display()));
    }
    let inserted = match args.tree.tree {
        Some(_) => into_tree(args),
        None => into_linux(args),
    };
    inserted.map_err(|text| messages.failure(text))
}

impl InsmodArgs {
    fn force(&self) -> Force {
        Force {
            modversions: self.force || self.force_modversion,
            vermagic: self.force || self.force_vermagic,
        }
    }
}

fn into_linux(args: &InsmodArgs) -> Result<(), String> {
    let file = args.file.display();
    if args.autoclean || args.name.is_some() {
        return Err(format!(
            "insmod: ERROR: could not insert module {file}: -k and -o are for a host's tree: give \
             --tree DIR or set MODFS_TREE"
        ));
    }
    let parameters = args.parameters.join(" ");
    let done = Linux::default().insert(&args.file, &parameters, args.force());
    done.map_err(|error| match &error {
        InsertError::Read(why) => {
            // As kmod: which word it is depends on whether there is something of that name.
            let done = match args.file.metadata() {
                Ok(_) => "insert",
                Err(_) => "load",
            };
            let why = linux::io_text(why);
            format!("insmod: ERROR: could not {done} module {file}: {why}")
        }
        InsertError::File(why) => {
            format!("insmod: ERROR: could not insert module {file}: {why}")
        }
        InsertError::Kernel { errno, .. } => format!(
            "insmod: ERROR: could not insert module {file}: {}{}",
            linux::insmod_error(*errno),
            linux::reasons(&error)
        ),
    })
}

/// Inserts the module.
fn into_tree(args: &InsmodArgs) -> Result<(), String> {
    let failed = |why: &str| {
        format!(
            "insmod: ERROR: could not insert module {}: {why}",
            args.file.display()
        )
    };
    let tree = args
        .tree
        .open()
        .map_err(|e| format!("insmod: ERROR: {e}"))?;
    let object = read(&args.file).map_err(|e| {
        format!(
            "insmod: ERROR: could not load module {}: {e}",
            args.file.display()
        )
    })?;
    let name = args.name.clone().unwrap_or_else(|| module_name(&args.file));
    check_name(&name).map_err(|why| failed(&format!("{why}; give one with --name")))?;
    if name == modfs_core::KERNEL {
        return Err(failed(
            "File exists: that is the kernel's own name; give another with --name",
        ));
    }
    let start = Start {
        force: args.force(),
        autoclean: args.autoclean,
        parameters: &args.parameters,
    };
    let Err(error) = tree.insert(&name, &object, start) else {
        return Ok(());
    };
    Err(match error {
        client::InsertError::Parameter(why) => failed(&format!("Invalid parameters\n  {why}")),
        client::InsertError::Taken => failed(&format!(
            "File exists: a module named {name} is there already"
        )),
        client::InsertError::Directory(_) | client::InsertError::Write(_) => {
            failed(&format!("{error} in {}", tree.root().display()))
        }
        client::InsertError::Refused(refused) => {
            let mut text = failed(mod_strerror(refused.errno));
            for reason in &refused.reasons {
                text += &format!("\n  {reason}");
            }
            for (symbol, exporter) in exporters_at_hand(&args.file, &object, &refused.reasons) {
                text += &format!(
                    "\n  {symbol} is exported by {}: insert it first",
                    exporter.display()
                );
            }
            text
        }
    })
}

/// The module, unpacked.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut reader = Reader::default();
    match reader.read(file) {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(ReadError::Io(error)) => Err(error.to_string()),
        Err(other) => Err(other.to_string()),
    }
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

/// Of the symbols that `object`, which is in `file`, misses, those that a module in the same
/// directory exports for it.
fn exporters_at_hand(file: &Path, object: &[u8], reasons: &[String]) -> Vec<(String, PathBuf)> {
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
        .filter(|path| path.extension().is_some_and(|e| e == "ko" || e == "o") && path.is_file())
        .collect();
    files.sort();
    let gpl = Object::parse(object, EM_X86_64).is_ok_and(|o| o.modinfo().is_gpl_compatible());
    let mut found = Vec::new();
    for path in files {
        let Ok(bytes) = fs::read(&path) else { continue };
        let Ok(object) = Object::parse(&bytes, EM_X86_64) else {
            continue;
        };
        for export in object.exports() {
            if missing.contains(&export.name) && (gpl || !export.gpl) {
                found.push((export.name.to_owned(), path.clone()));
            }
        }
    }
    found
}

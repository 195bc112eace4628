//! `modfs explain-version`: whether what a module imports still is what it was built against.

use crate::cmd_insmod;
use crate::cmd_symvers::how;
use crate::report::print;
use crate::tree::TreeArgs;
use clap::Args;
use modfs_client::Tree;
use modfs_core::KERNEL;
use modfs_module::{KERNEL_SYMTYPES, VERMAGIC};
use modfs_object::{ModuleFile, Unpacker};
use modfs_symvers::{Carried, Exported, Interfaces, SECTION, Symtypes};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `modfs explain-version`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The module's file
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// Compare with what this module, or list of `modfs symvers` or of Linux, exports, before what is beside
    /// MODULE; may be given more than once
    #[arg(long, value_name = "FILE")]
    symvers: Vec<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
}

/// Who exports what, by all that can be asked.
struct There {
    files: Interfaces,
    /// What a tree's modules and its kernel export with a checksum, and who does.
    running: HashMap<String, (u32, String)>,
    tree: Option<Tree>,
}

impl There {
    fn find(args: &ExplainArgs) -> Result<There, String> {
        let mut files = Interfaces::default();
        let kernel = Symtypes::parse(KERNEL_SYMTYPES).map_err(|bad| bad.to_string())?;
        files.add(Exported::of_types(KERNEL, kernel));
        let folder = args.module.parent().unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        // What is no module there is passed over.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == "ko")
                && let Ok(found) = Exported::read(&path)
            {
                files.add(found);
            }
        }
        for path in &args.symvers {
            files.add(Exported::read(path).map_err(|error| error.to_string())?);
        }
        let tree = match args.tree.tree {
            Some(_) => Some(args.tree.open()?),
            None => None,
        };
        let running = tree.as_ref().map(in_tree).unwrap_or_default();
        Ok(There {
            files,
            running,
            tree,
        })
    }

    /// The version of the kernel that it is for.
    fn vermagic(&self) -> String {
        let tree = self.tree.as_ref();
        let version = tree.and_then(|tree| tree.read(KERNEL, "version").ok());
        version.unwrap_or_else(|| VERMAGIC.to_owned())
    }

    /// A symbol's checksum, who exports it, and its types.
    fn exporter(&self, symbol: &str) -> Option<(u32, String, Option<&Symtypes>)> {
        let in_file = self.files.find(symbol);
        if let Some((crc, owner)) = self.running.get(symbol).cloned() {
            let types = in_file.and_then(|(_, types)| types);
            let types = types.filter(|types| types.checksum(symbol) == Some(crc));
            return Some((crc, owner, types));
        }
        let (version, types) = in_file?;
        Some((version.crc, version.module.clone(), types))
    }
}

/// What something in a tree exports with a checksum.
fn in_tree(tree: &Tree) -> HashMap<String, (u32, String)> {
    let modules = tree.modules().unwrap_or_default();
    let mut found = HashMap::new();
    for owner in modules.into_iter().chain([KERNEL.to_owned()]) {
        for line in tree.lines(&owner, "symbols") {
            let mut words = line.split_ascii_whitespace().skip(1);
            let crc = words.next().and_then(|word| word.strip_prefix("0x"));
            let crc = crc.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            if let (Some(crc), Some(symbol)) = (crc, words.next()) {
                found.insert(symbol.to_owned(), (crc, owner.clone()));
            }
        }
    }
    found
}

/// Says of each symbol that a module imports whether it is as it was when the module was built.
pub(crate) fn run(args: &ExplainArgs) -> Result<ExitCode, String> {
    let file = args.module.display();
    let failed = |why: &dyn std::fmt::Display| format!("explain-version: {file}: {why}");
    let bytes = cmd_insmod::read(&args.module).map_err(|error| failed(&error))?;
    let mut unpacker = Unpacker::new();
    let bytes = unpacker.unpack(&bytes).map_err(|error| failed(&error))?;
    let module = ModuleFile::parse(bytes).map_err(|error| failed(&error))?;
    let carried = module.section(SECTION).unwrap_or_default();
    let carried = Carried::parse(&String::from_utf8_lossy(carried)).map_err(|bad| failed(&bad))?;
    let there = There::find(args).map_err(|why| format!("explain-version: {why}"))?;
    let mut text = String::new();
    let vermagic = module.modinfo().find(|(tag, _)| *tag == b"vermagic");
    let vermagic = vermagic.map(|(_, value)| String::from_utf8_lossy(value));
    // Writing to a String cannot fail.
    let kernel = there.vermagic();
    let _ = match &vermagic {
        Some(found) if *found == kernel => writeln!(text, "version \"{found}\": the same"),
        Some(found) => writeln!(text, "version \"{found}\": here it is \"{kernel}\""),
        None => writeln!(text, "version: the module has none"),
    };
    // A module of Linux is compared with Linux's list, and no kernel is at hand.
    let is_ours = |found: &str| there.tree.is_some() || found.starts_with("modfs-");
    let of_another = vermagic.is_some_and(|found| found != kernel && is_ours(&found));
    let (mut differing, mut anew) = (of_another, Vec::new());
    for import in module.imports() {
        let name = String::from_utf8_lossy(import.name);
        let exporter = there.exporter(&name);
        let _ = match (import.crc, exporter) {
            (None, None) => continue,
            (None, Some((crc, owner, _))) => {
                writeln!(text, "{name}: not checked; {owner} exports {crc:#010x}")
            }
            (Some(built), None) => {
                differing = true;
                writeln!(
                    text,
                    "{name}: built against {built:#010x}; nothing at hand exports it"
                )
            }
            (Some(built), Some((crc, owner, _))) if built == crc => {
                writeln!(text, "{name}: {crc:#010x} of {owner}, the same")
            }
            (Some(built), Some((crc, owner, types))) => {
                differing = true;
                let before = carried.imports.values().find(|types| types.has(&name));
                let how = before.zip(types);
                let how = how.map(|(before, after)| self::how(before, after, &name));
                let line = writeln!(
                    text,
                    "{name}: built against {built:#010x}, {owner} exports {crc:#010x}{}",
                    how.unwrap_or_default()
                );
                anew.push(owner);
                line
            }
        };
    }
    anew.sort_unstable();
    anew.dedup();
    if !anew.is_empty() {
        let further = anew.iter().filter(|owner| *owner != KERNEL);
        let symvers: String = further
            .map(|owner| format!(" --symvers {owner}.ko"))
            .collect();
        let _ = writeln!(text, "Build it anew: modfs build{symvers} …");
    }
    print(text);
    Ok(ExitCode::from(u8::from(differing)))
}

//! `lsmod`: what modules there are.

use crate::report::{Messages, print, print_json};
use crate::tree::TreeArgs;
use clap::Args;
use modfs_client::Tree;
use modfs_linux::Linux;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::ErrorKind;

/// Arguments of `lsmod`.
#[derive(Args, Debug)]
pub(crate) struct LsmodArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// Print an array of JSON objects
    #[arg(long)]
    json: bool,
    /// Write messages to the system's log
    #[arg(short, long)]
    syslog: bool,
    /// Nothing more than without it, as with kmod
    #[arg(short, long)]
    verbose: bool,
}

/// A module that is loaded.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Loaded {
    name: String,
    /// Bytes.
    size: u64,
    /// Users of it that the kernel counts, modules among them; -1: it cannot be unloaded.
    uses: i64,
    /// The modules that use it.
    used_by: Vec<String>,
    /// `running`, or what else.
    state: String,
}

/// Prints the modules of a tree, or without one those of the running Linux, the newest first, in
/// kmod's columns; a module that is not running says so.
pub(crate) fn run(args: &LsmodArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "lsmod",
        quiet: false,
        verbose: args.verbose,
        syslog: args.syslog,
    };
    list(args).map_err(|text| messages.failure(text))
}

fn list(args: &LsmodArgs) -> Result<(), String> {
    let error = |e: String| format!("lsmod: ERROR: {e}");
    let loaded = match args.tree.tree {
        Some(_) => of_tree(&args.tree.open().map_err(error)?),
        None => of_linux(),
    };
    let loaded = loaded.map_err(error)?;
    if args.json {
        return print_json(&loaded).map_err(error);
    }
    let mut table = String::from("Module                  Size  Used by\n");
    for module in &loaded {
        let Loaded {
            name, size, uses, ..
        } = module;
        let _ = write!(table, "{name:<19} {size:>8}  {uses}");
        if !module.used_by.is_empty() {
            let _ = write!(table, " {}", module.used_by.join(","));
        }
        if module.state != "running" {
            let _ = write!(table, " ({})", module.state);
        }
        table.push('\n');
    }
    print(table);
    Ok(())
}

fn of_tree(tree: &Tree) -> Result<Vec<Loaded>, String> {
    let modules = tree
        .modules()
        .map_err(|e| format!("cannot list the modules: {e}"))?;
    let number = |module: &str, file| tree.read(module, file).ok()?.parse().ok();
    let mut loaded = Vec::new();
    for name in modules {
        // It may be gone by now.
        let Ok(state) = tree.read(&name, "state") else {
            continue;
        };
        if state == "unmapped" {
            continue;
        }
        let used_by = tree.lines(&name, "refs");
        loaded.push(Loaded {
            size: number(&name, "size").unwrap_or(0) as u64,
            // As in Linux, a reference counts as a use in this column.
            uses: number(&name, "usecount").unwrap_or(0) + used_by.len() as i64,
            used_by,
            state,
            name,
        });
    }
    Ok(loaded)
}

fn of_linux() -> Result<Vec<Loaded>, String> {
    let modules = Linux::default().loaded().map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            format!("{e} (for the modules of a host give --tree DIR or set MODFS_TREE)")
        }
        _ => e.to_string(),
    })?;
    let module = |module: modfs_linux::Loaded| Loaded {
        name: module.name,
        size: module.size,
        uses: module.uses,
        used_by: module.used_by,
        // In the words of a tree.
        state: match module.state.as_str() {
            "Live" => "running".to_owned(),
            "Loading" => "initializing".to_owned(),
            "Unloading" => "exiting".to_owned(),
            other => other.to_owned(),
        },
    };
    Ok(modules.into_iter().map(module).collect())
}

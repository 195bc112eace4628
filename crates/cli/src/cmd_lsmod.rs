//! `lsmod`: what modules there are.

use crate::tree::{Tree, TreeArgs};
use clap::Args;
use std::fmt::Write as _;
use std::io::Write as _;

/// Arguments of `lsmod`.
#[derive(Args, Debug)]
pub(crate) struct LsmodArgs {
    #[command(flatten)]
    tree: TreeArgs,
}

/// Prints the modules that are mapped, the newest first, in kmod's columns; a module that is not
/// running says so.
pub(crate) fn run(args: &LsmodArgs) -> Result<(), String> {
    let error = |e: String| format!("lsmod: ERROR: {e}");
    let tree = Tree::open(&args.tree).map_err(error)?;
    let modules = tree
        .modules()
        .map_err(|e| error(format!("cannot list the modules: {e}")))?;
    let mut table = String::from("Module                  Size  Used by\n");
    for module in modules {
        let Ok(state) = tree.read(&module, "state") else {
            continue;
        };
        if state == "unmapped" {
            continue;
        }
        let refs = tree.lines(&module, "refs");
        let uses: usize = tree
            .read(&module, "usecount")
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let size = tree.read(&module, "size").unwrap_or_else(|_| "0".into());
        // As in Linux, a reference counts as a use in this column.
        let _ = write!(table, "{module:<19} {size:>8}  {}", uses + refs.len());
        if !refs.is_empty() {
            let _ = write!(table, " {}", refs.join(","));
        }
        if state != "running" {
            let _ = write!(table, " ({state})");
        }
        table.push('\n');
    }
    // Whoever closed our output does not want to know.
    let _ = std::io::stdout().write_all(table.as_bytes());
    Ok(())
}

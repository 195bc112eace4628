//! `rmmod`: modules out of a tree.

use crate::tree::{Tree, TreeArgs};
use clap::Args;
use std::fs;

/// Arguments of `rmmod`.
#[derive(Args, Debug)]
pub(crate) struct RmmodArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// Remove every module that was loaded on demand and is not used
    #[arg(short, long, required_unless_present = "modules")]
    all: bool,
    /// The modules
    #[arg(value_name = "NAME")]
    modules: Vec<String>,
}

/// Removes each module; one that cannot be does not keep the others from it.
pub(crate) fn run(args: &RmmodArgs) -> Result<(), String> {
    let tree = Tree::open(&args.tree).map_err(|e| format!("rmmod: ERROR: {e}"))?;
    let mut errors = Vec::new();
    if args.all
        && let Err(refused) = tree.command(modfs_core::KERNEL, "autoclean")
    {
        errors.push(format!("rmmod: ERROR: autoclean: {}", refused.text()));
    }
    for module in &args.modules {
        if let Err(why) = remove(&tree, &crate::tree::module_name(module.as_ref())) {
            errors.push(format!("rmmod: ERROR: {why}"));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}

fn remove(tree: &Tree, module: &str) -> Result<(), String> {
    let not_loaded = || format!("Module {module} is not currently loaded");
    if module == modfs_core::KERNEL {
        return Err("the kernel itself cannot be removed".into());
    }
    let state = tree.read(module, "state").map_err(|_| not_loaded())?;
    let mut complaint = None;
    if state != "unmapped" {
        let file = tree.file(module).ok().flatten().ok_or_else(not_loaded)?;
        // What never ran, or has exited, is only to be unmapped.
        if !matches!(state.as_str(), "uninitialized" | "deleted") {
            let exit = tree.command(module, &format!("exit {file}"));
            // A module whose cleanup panicked has exited all the same.
            if let Err(refused) = exit {
                if tree.read(module, "state").ok().as_deref() != Some("deleted") {
                    return Err(in_use(tree, module, &refused.text()));
                }
                complaint = Some(format!(
                    "Module {module} is removed, but {}",
                    refused.text()
                ));
            }
        }
        tree.command(module, &format!("unmap {file}"))
            .map_err(|refused| format!("Module {module}: {}", refused.text()))?;
    }
    fs::remove_dir(tree.dir(module))
        .map_err(|e| format!("could not remove {}: {e}", tree.dir(module).display()))?;
    complaint.map_or(Ok(()), Err)
}

fn in_use(tree: &Tree, module: &str, why: &str) -> String {
    let refs = tree.lines(module, "refs");
    match refs.len() {
        0 => format!("Module {module} is in use: {why}"),
        _ => format!("Module {module} is in use by: {}", refs.join(" ")),
    }
}

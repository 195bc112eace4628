//! `rmmod`: modules out of a tree, or out of the running Linux.

use crate::linux::LinuxPlace;
use crate::report::{Messages, print};
use crate::tree::TreeArgs;
use clap::Args;
use modfs_client::{Tree, check_name, module_name};
use std::path::Path;

/// Arguments of `rmmod`.
#[derive(Args, Debug)]
pub(crate) struct RmmodArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// Remove every module that was loaded on demand and is not used
    #[arg(short, long, required_unless_present = "modules")]
    all: bool,
    /// Also what is in use, where the kernel lets that happen; a host's tree refuses it
    #[arg(short, long)]
    force: bool,
    /// Write messages to the system's log
    #[arg(short, long)]
    syslog: bool,
    /// Print what is done
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The modules, or the files that they were inserted from
    #[arg(value_name = "NAME")]
    modules: Vec<String>,
}

/// Removes each module; one that cannot be does not keep the others from it.
pub(crate) fn run(args: &RmmodArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "rmmod",
        quiet: false,
        verbose: args.verbose > 0,
        syslog: args.syslog,
    };
    let removed = match args.tree.tree {
        Some(_) => of_tree(args),
        None => of_linux(args),
    };
    removed.map_err(|text| messages.failure(text))
}

fn of_linux(args: &RmmodArgs) -> Result<(), String> {
    if args.all {
        return Err(
            "rmmod: ERROR: -a is for a host's tree: give --tree DIR or set MODFS_TREE".into(),
        );
    }
    let place = LinuxPlace {
        force_removal: args.force,
        ..LinuxPlace::default()
    };
    let mut errors = Vec::new();
    for module in &args.modules {
        let name = module_name(Path::new(module));
        if args.verbose > 0 {
            print(format!("rmmod {name}\n"));
        }
        if let Err(why) = place.rmmod(&name) {
            errors.push(format!("rmmod: ERROR: {why}"));
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors.join("\n")),
    }
}

fn of_tree(args: &RmmodArgs) -> Result<(), String> {
    let tree = args.tree.open().map_err(|e| format!("rmmod: ERROR: {e}"))?;
    let mut errors = Vec::new();
    if args.all
        && let Err(refused) = tree.command(modfs_core::KERNEL, "autoclean")
    {
        errors.push(format!("rmmod: ERROR: autoclean: {}", refused.text()));
    }
    for module in &args.modules {
        if let Err(why) = tree.remove(&named(&tree, module)) {
            errors.push(format!("rmmod: ERROR: {why}"));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}

/// Which module is meant: the one of this very name, or else the one that `insmod` makes of a file
/// of this name.
fn named(tree: &Tree, given: &str) -> String {
    // Not a path: it could lead out of the tree.
    if check_name(given).is_ok() && tree.dir(given).is_dir() {
        return given.to_owned();
    }
    module_name(Path::new(given))
}

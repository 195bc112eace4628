//! `rmmod`: modules out of a tree, or out of the running Linux.

use crate::linux::LinuxPlace;
use crate::report::{Messages, print};
use crate::tree::{Tree, TreeArgs, check_name, module_name};
use clap::Args;
use modfs_core::Errno;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

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
    let tree = Tree::open(&args.tree).map_err(|e| format!("rmmod: ERROR: {e}"))?;
    let mut errors = Vec::new();
    if args.all
        && let Err(refused) = tree.command(modfs_core::KERNEL, "autoclean")
    {
        errors.push(format!("rmmod: ERROR: autoclean: {}", refused.text()));
    }
    for module in &args.modules {
        if let Err(why) = remove(&tree, &named(&tree, module)) {
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

/// How long to wait for the commands that others have given to the same module.
const OTHERS_END: Duration = Duration::from_secs(2);

/// Removes a module.
///
/// # Errors
/// Why it stays, or what went wrong while it went.
pub(crate) fn remove(tree: &Tree, module: &str) -> Result<(), String> {
    let not_loaded = || format!("Module {module} is not currently loaded");
    check_name(module).map_err(|_| not_loaded())?;
    if module == modfs_core::KERNEL {
        return Err("the kernel itself cannot be removed".into());
    }
    let state = tree.read(module, "state").map_err(|_| not_loaded())?;
    let mut complaint = None;
    if state != "unmapped" {
        // In a tree of Linux's modules one that others loaded has none.
        let file = tree.mapped_file(module).map_err(|_| not_loaded())?;
        let file = file.unwrap_or_default();
        // What never ran, or has exited, is only to be unmapped.
        if !matches!(state.as_str(), "uninitialized" | "deleted") {
            let exit = tree.command(module, &format!("exit {file}"));
            if let Err(refused) = exit {
                let deleted = tree.read(module, "state").is_ok_and(|now| now == "deleted");
                // A module whose cleanup panicked has exited all the same. For any other reason
                // it was somebody else who made it exit.
                if !(deleted && refused.errno == Errno::EIO) {
                    return Err(if deleted || !tree.is_mapped(module) {
                        not_loaded()
                    } else {
                        in_use(tree, module, &refused.text())
                    });
                }
                complaint = Some(format!(
                    "Module {module} is removed, but {}",
                    refused.text()
                ));
            }
        }
        if file.is_empty() {
            return complaint.map_or(Ok(()), Err);
        }
        if let Err(refused) = tree.command(module, &format!("unmap {file}")) {
            return Err(if tree.is_mapped(module) {
                format!("Module {module}: {}", refused.text())
            } else {
                not_loaded()
            });
        }
    }
    match remove_dir(tree, module) {
        Ok(()) => {}
        // Somebody else has removed what we unmapped, or inserted another module meanwhile.
        Err(_) if state != "unmapped" && has_gone(tree, module) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_loaded()),
        Err(error) => {
            let dir = tree.dir(module);
            return Err(format!("could not remove {}: {error}", dir.display()));
        }
    }
    complaint.map_or(Ok(()), Err)
}

/// Removes a directory in which nothing is mapped, once no command of others is under way in it.
fn remove_dir(tree: &Tree, module: &str) -> io::Result<()> {
    let deadline = Instant::now() + OTHERS_END;
    loop {
        let removed = match tree.lock(module) {
            Ok(_claim) => fs::remove_dir(tree.dir(module)),
            // Somebody inserts a module there.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::ResourceBusy.into())
            }
            Err(error) => Err(error),
        };
        match removed {
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy
                    && !tree.is_mapped(module)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            ended => return ended,
        }
    }
}

/// Whether what was unmapped in a directory is no more to be removed from it.
fn has_gone(tree: &Tree, module: &str) -> bool {
    !tree.dir(module).exists() || tree.is_mapped(module)
}

fn in_use(tree: &Tree, module: &str, why: &str) -> String {
    let refs = tree.lines(module, "refs");
    match refs.len() {
        0 => format!("Module {module} is in use: {why}"),
        _ => format!("Module {module} is in use by: {}", refs.join(" ")),
    }
}

//! `lsmod`: what modules there are.

use crate::report::{Messages, print, print_json};
use crate::tree::{Tree, TreeArgs};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

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
        Some(_) => of_tree(&Tree::open(&args.tree).map_err(error)?),
        None => of_linux(Path::new("/proc/modules")),
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

fn of_linux(file: &Path) -> Result<Vec<Loaded>, String> {
    let text = fs::read_to_string(file).map_err(|e| {
        format!(
            "cannot read {}: {e} (for the modules of a host give --tree DIR or set MODFS_TREE)",
            file.display()
        )
    })?;
    let line = |(number, line): (usize, &str)| {
        parse_line(line).ok_or_else(|| {
            let file = file.display();
            format!("{file} line {}: not a module: {line}", number + 1)
        })
    };
    text.lines().enumerate().map(line).collect()
}

/// A line of `/proc/modules`: name, size, use count, users each with a comma after it or `-`,
/// state, address.
fn parse_line(line: &str) -> Option<Loaded> {
    let mut words = line.split(' ');
    let (name, size, uses) = (words.next()?, words.next()?, words.next()?);
    let users = words.next()?;
    Some(Loaded {
        name: name.to_owned(),
        size: size.parse().ok()?,
        // `-`: this kernel cannot unload modules, and does not count.
        uses: match uses {
            "-" => 0,
            count => count.parse().ok()?,
        },
        used_by: users
            .split(',')
            .filter(|user| !matches!(*user, "" | "-" | "[permanent]"))
            .map(str::to_owned)
            .collect(),
        state: match words.next()? {
            "Live" => "running",
            "Loading" => "initializing",
            "Unloading" => "exiting",
            other => other,
        }
        .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_modules() {
        let line =
            parse_line("loop 36864 2 zram,[permanent], Live 0xffffffffc0a6e000 (OE)").unwrap();
        assert_eq!(
            (line.name.as_str(), line.size, line.uses),
            ("loop", 36864, 2)
        );
        assert_eq!(line.used_by, ["zram"]);
        assert_eq!(line.state, "running");
        let line = parse_line("ext4 1040384 - - Unloading 0x0").unwrap();
        assert_eq!((line.uses, line.used_by.len()), (0, 0));
        assert_eq!(line.state, "exiting");
        for bad in ["", "ext4", "ext4 x 0 - Live 0x0", "ext4 1 0 -"] {
            assert_eq!(parse_line(bad), None, "{bad}");
        }
    }
}

//! `modfs ksyms`: the symbols of a tree, as 2.4's ksyms shows them.

use crate::report::print;
use crate::tree::TreeArgs;
use clap::Args;
use modfs_client::Tree;
use modfs_core::KERNEL;
use std::fmt::Write;

/// Arguments of `modfs ksyms`.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct KsymsArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// Those of the kernel too
    #[arg(short, long)]
    all: bool,
    /// A line for each module: where it is, and its size
    #[arg(short, long)]
    info: bool,
    /// The same
    #[arg(short)]
    m: bool,
    /// No line that says what is what
    #[arg(short = 'h', long)]
    noheader: bool,
    /// Print help
    #[arg(short = 'H', long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// Prints the symbols, those of the newest module first.
pub(crate) fn run(args: &KsymsArgs) -> Result<(), String> {
    let failed = |why: String| format!("ksyms: ERROR: {why}");
    let tree = args.tree.open().map_err(failed)?;
    let modules = tree.modules().map_err(|e| failed(e.to_string()))?;
    let mut text = String::new();
    if !args.noheader {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<16}  {:<32}  Defined by", "Address", "Symbol");
    }
    let can_be_asked = |name: &String| {
        let state = tree.read(name, "state").unwrap_or_default();
        matches!(state.as_str(), "running" | "initializing")
    };
    for module in modules.iter().filter(|name| can_be_asked(name)) {
        if args.info || args.m {
            let size = tree.read(module, "size").unwrap_or_default();
            let kib = size.parse::<u64>().unwrap_or(0).div_ceil(1024);
            let at = tree.read(module, "address").unwrap_or_default();
            let (at, size) = (address(&at), format!("({kib}k)"));
            let _ = writeln!(text, "{at}  {size:<32}  [{module}]");
        }
        text += &lines(&tree, module, &format!("[{module}]"));
    }
    if args.all {
        text += &lines(&tree, KERNEL, "");
    }
    print(text);
    Ok(())
}

/// The 16 digits of an address.
fn address(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or("0000000000000000")
}

fn lines(tree: &Tree, module: &str, owner: &str) -> String {
    let line = |line: &String| {
        let mut words = line.split_ascii_whitespace();
        let at = address(words.next()?);
        let name = words.nth(1)?;
        let gpl = match words.next() {
            Some("gpl") => "GPLONLY_",
            _ => "",
        };
        let name = format!("{gpl}{name}");
        Some(format!("{at}  {name:<32}  {owner}\n"))
    };
    let lines = tree.lines(module, "symbols");
    lines.iter().filter_map(line).collect()
}

//! `modfs log`: what the modules of a host printed.

use crate::tree::TreeArgs;
use clap::Args;
use std::io::Write as _;

/// Arguments of `modfs log`.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    tree: TreeArgs,
}

/// Prints `proc/kmsg` beside the tree, without the levels.
pub(crate) fn run(args: &LogArgs) -> Result<(), String> {
    let tree = args.tree.open().map_err(|e| format!("log: {e}"))?;
    let kmsg = tree.dir("..").join("proc/kmsg");
    let text = std::fs::read_to_string(&kmsg)
        .map_err(|e| format!("log: cannot read {}: {e}", kmsg.display()))?;
    let mut out = std::io::stdout().lock();
    for line in text.lines() {
        let line = line
            .strip_prefix('<')
            .and_then(|l| l.split_once('>'))
            .map_or(line, |(_, l)| l);
        // Whoever closed our output does not want to know.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(())
}

//! `modfs coldplug`: the modules of the devices that are there.

use crate::configured::ConfiguredArgs;
use crate::loader::{Loader, LoaderArgs};
use clap::Args;
use modfs_depot::{Level, Report};
use modfs_linux::Linux;
use rustix::io::Errno;
use std::collections::BTreeSet;

/// Arguments of `modfs coldplug`.
#[derive(Args, Debug)]
pub(crate) struct ColdplugArgs {
    #[command(flatten)]
    configured: ConfiguredArgs,
    #[command(flatten)]
    loader: LoaderArgs,
}

/// Without it nothing can be found.
const ALIASES: &str = "modules.alias.bin";

/// Loads the modules of all devices; one that finds none that it can drive is no failure. Loading one may bring devices to light: then those are looked
/// at, until nothing new is there.
pub(crate) fn run(args: &ColdplugArgs) -> Result<(), String> {
    let messages = args.loader.messages("coldplug");
    let depot = args.configured.depot(false, false, &messages);
    let depot = depot.map_err(|e| format!("coldplug: ERROR: {e}"))?;
    let index = depot.directory().join(ALIASES);
    if !index.exists() {
        let text = format!(
            "{} is not there: no alias leads to a module; run depmod, or name another directory \
             (-d, -S)",
            index.display()
        );
        messages.report(Level::Warning, &text);
    }
    let loader = Loader::new(args.loader, &depot, &messages, &[Errno::NODEV]);
    let linux = Linux::default();
    let mut seen = BTreeSet::new();
    loop {
        let there = linux.modaliases();
        let new: Vec<String> = there.difference(&seen).cloned().collect();
        if new.is_empty() {
            return loader.end();
        }
        // For most devices there is no module, since their driver is part of the kernel.
        loader.all(&new);
        if args.loader.dry_run {
            return loader.end();
        }
        seen.extend(new);
    }
}

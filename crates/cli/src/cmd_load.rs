//! `modfs load`: what modules-load.d says.

use crate::configured::ConfiguredArgs;
use crate::loader::{Loader, LoaderArgs};
use clap::Args;
use modfs_depot::config::ModulesLoad;
use modfs_depot::{Level, Report};
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `modfs load`.
#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    configured: ConfiguredArgs,
    #[command(flatten)]
    loader: LoaderArgs,
    /// Read these files or directories in place of modules-load.d and the kernel's command line
    #[arg(value_name = "PATH")]
    places: Vec<PathBuf>,
}

/// systemd's sign that it runs in an initramfs (os-release(5), "/etc/initrd-release").
const INITRD: &str = "/etc/initrd-release";

/// Loads what is configured. As for systemd-modules-load(8), a name that stands for nothing is told, and
/// no failure; nor is a module that finds no device, or misses a symbol.
pub(crate) fn run(args: &LoadArgs) -> Result<(), String> {
    let messages = args.loader.messages("load");
    for place in &args.places {
        if let Err(error) = fs::metadata(place) {
            return Err(format!("load: ERROR: {}: {error}", place.display()));
        }
    }
    let mut wanted = ModulesLoad::read(&args.places, &messages);
    let cmdline = Path::new("/proc/cmdline");
    if args.places.is_empty()
        && let Ok(text) = fs::read_to_string(cmdline)
    {
        wanted.command_line(&text, cmdline, Path::new(INITRD).exists());
    }
    let depot = args.configured.depot(false, false, &messages);
    let depot = depot.map_err(|e| format!("load: ERROR: {e}"))?;
    let excused = &[Errno::NODEV, Errno::NOENT];
    let loader = Loader::new(args.loader, &depot, &messages, excused);
    let names: Vec<String> = wanted.names.iter().map(|(name, _)| name.clone()).collect();
    for unknown in loader.all(&names) {
        let origins = wanted.names.iter().filter(|(name, _)| name == unknown);
        for (name, origin) in origins {
            let directory = depot.directory().display();
            let text = format!("Module {name} of {origin} not found in directory {directory}");
            messages.report(Level::Warning, &text);
        }
    }
    let done = loader.end();
    match wanted.wrong {
        0 => done,
        // Each was reported.
        _ => Err(String::new()),
    }
}

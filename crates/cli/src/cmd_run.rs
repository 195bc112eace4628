//! `modfs run`: a program whose calls about modules a host answers.

use crate::tree::TreeArgs;
use clap::Args;
use modfs_compat::Supervisor;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::{Arc, mpsc};

/// Arguments of `modfs run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// Do not say why calls are refused
    #[arg(short, long)]
    quiet: bool,
    /// The program
    program: OsString,
    /// Its arguments
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<OsString>,
}

/// Runs the program; ends as it does: with its code, or with 128 and the signal's number.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, String> {
    let tree = args.tree.open().map_err(|e| format!("run: {e}"))?;
    let quiet = args.quiet;
    let supervisor = Supervisor::new(tree, move |text| {
        if !quiet {
            // Where it cannot be said, the program goes on all the same.
            let _ = writeln!(std::io::stderr(), "modfs run: {text}");
        }
    });
    let supervisor = supervisor.map_err(|e| format!("run: {e}"))?;
    let uncaught = |e| format!("run: cannot catch signals: {e}");
    // A terminal sends these to the program too, which decides; we go on until it has ended.
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::default()).map_err(uncaught)?;
    }
    let mut signals = Signals::new([SIGHUP, SIGTERM]).map_err(uncaught)?;
    let (send, receive) = mpsc::channel::<u32>();
    // What is meant for the program, but was sent to us.
    std::thread::spawn(move || {
        let Ok(process) = receive.recv() else { return };
        let process = i32::try_from(process).ok().and_then(Pid::from_raw);
        for signal in signals.forever() {
            let signal = match signal {
                SIGHUP => Signal::HUP,
                _ => Signal::TERM,
            };
            let _ = process.map(|process| kill_process(process, signal));
        }
    });
    let mut command = Command::new(&args.program);
    command.args(&args.arguments);
    let status = supervisor.run(command, send);
    let status = status.map_err(|e| format!("run: {}: {e}", args.program.to_string_lossy()))?;
    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

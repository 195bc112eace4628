//! Processes of their own, for what is measured by what a process holds.

use crate::Result;
use crate::loaders::Which;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a child is asked to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Child {
    /// Loads all modules of a crowd, and unloads them.
    #[command(hide = true)]
    Crowd {
        which: Which,
        services: PathBuf,
        exports: usize,
        dir: PathBuf,
        count: usize,
    },
    /// Loads and unloads one module again and again.
    #[command(hide = true)]
    Growth {
        which: Which,
        services: PathBuf,
        exports: usize,
        module: PathBuf,
        warm_up: usize,
        cycles: usize,
        /// What the export has to return; "panic" if it has to panic.
        answer: String,
        /// Load a fresh copy each time.
        #[arg(long)]
        copies: bool,
    },
}

impl Child {
    pub(crate) fn run(&self) -> Result<()> {
        let figures = match self {
            Child::Crowd {
                which,
                services,
                exports,
                dir,
                count,
            } => crate::crowd::child(*which, services, *exports, dir, *count)?,
            Child::Growth {
                which,
                services,
                exports,
                module,
                warm_up,
                cycles,
                answer,
                copies,
            } => {
                let life = crate::growth::Life {
                    module,
                    answer,
                    copies: *copies,
                };
                crate::growth::child(*which, services, *exports, &life, *warm_up, *cycles)?
            }
        };
        println!("{}", figures.map(|figure| figure.to_string()).join(" "));
        Ok(())
    }
}

/// Starts a child and returns its figures.
pub(crate) fn figures<const N: usize>(command: &mut Command) -> Result<[f64; N]> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run myself: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(format!("{}: {last}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = text
        .split_whitespace()
        .filter_map(|f| f.parse().ok())
        .collect();
    figures.try_into().map_err(|_| format!("it said: {text}"))
}

/// This program.
pub(crate) fn command(what: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
    command.arg(what);
    Ok(command)
}

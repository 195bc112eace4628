//! `modfs coldplug`: the modules of the devices that are there.

use crate::configured::ConfiguredArgs;
use crate::jobs;
use crate::linux::LinuxPlace;
use crate::report::{Messages, print};
use clap::Args;
use modfs_depot::board::Board;
use modfs_depot::carry::Carrier;
use modfs_depot::probe::{Action, Depot, Found, Step, Via};
use modfs_depot::{Level, Report};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Arguments of `modfs coldplug`.
#[derive(Args, Debug)]
pub(crate) struct ColdplugArgs {
    #[command(flatten)]
    configured: ConfiguredArgs,
    /// Load so many modules at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Print what would be done, do nothing
    #[arg(short = 'n', long, visible_alias = "show")]
    dry_run: bool,
    /// Write messages to the system's log
    #[arg(short, long)]
    syslog: bool,
    /// Print what is done
    #[arg(short, long)]
    verbose: bool,
}

/// Loads the modules of all devices. Loading one may bring devices to light: then those are looked
/// at, until nothing new is there. That a module finds no device that it can drive is no failure.
pub(crate) fn run(args: &ColdplugArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "coldplug",
        quiet: false,
        verbose: args.verbose,
        syslog: args.syslog,
    };
    let depot = args.configured.depot(false, false, &messages);
    let depot = depot.map_err(|e| format!("coldplug: ERROR: {e}"))?;
    let plug = Coldplug {
        args,
        depot: &depot,
        messages: &messages,
        carrier: Carrier {
            config: depot.config(),
            autoclean: false,
            environment: Vec::new(),
        },
        board: Board::default(),
        place: LinuxPlace {
            may_be_absent: true,
            ..LinuxPlace::default()
        },
        failed: AtomicBool::new(false),
        told: Mutex::default(),
    };
    plug.all();
    match plug.failed.into_inner() {
        false => Ok(()),
        // Each was reported when it happened.
        true => Err(String::new()),
    }
}

struct Coldplug<'a> {
    args: &'a ColdplugArgs,
    depot: &'a Depot,
    messages: &'a Messages,
    carrier: Carrier<'a>,
    board: Board,
    place: LinuxPlace,
    failed: AtomicBool,
    /// What `-n` has printed.
    told: Mutex<BTreeSet<String>>,
}

impl Coldplug<'_> {
    fn all(&self) {
        let threads = match self.args.dry_run {
            true => NonZeroUsize::MIN,
            false => self.args.jobs.unwrap_or_else(jobs::processors),
        };
        let mut seen = BTreeSet::new();
        loop {
            let there = self.place.linux.modaliases();
            let new: Vec<String> = there.difference(&seen).cloned().collect();
            if new.is_empty() {
                break;
            }
            jobs::each(threads, &new, |alias| self.one(alias));
            seen.extend(new);
            if self.args.dry_run {
                break;
            }
        }
        self.board.undo(&self.place);
    }

    /// Loads what an alias stands for; nothing, for most.
    fn one(&self, alias: &str) {
        let answer = match self.depot.find(alias) {
            Ok(answer) => answer,
            Err(error) => return self.fails(error.to_string()),
        };
        let done = answer.load(|found| self.module(found), |why| self.fails(why));
        if let Err(why) = done {
            self.fails(why);
        }
    }

    fn module(&self, found: &Found) -> Result<(), String> {
        if found.via == Via::Builtin {
            return Ok(());
        }
        let config = self.depot.config();
        if let Some(origin) = config.blacklisted(&found.name) {
            let text = format!("{} is blacklisted by {origin}", found.name);
            self.messages.report(Level::Info, &text);
            return Ok(());
        }
        let steps = self.depot.plan(found).map_err(|e| e.to_string())?;
        let say = |step: &Step| match &step.action {
            Action::Insert(path) => print(format!("insmod {}\n", path.display())),
            Action::Run(command) => print(format!("install {command}\n")),
            Action::Builtin | Action::Nothing | Action::Null => {}
        };
        if self.args.dry_run {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let missing = |step: &&Step| {
                !self.place.linux.is_loaded(&step.module) && told.insert(step.module.clone())
            };
            steps.iter().filter(missing).for_each(say);
            return Ok(());
        }
        self.carrier
            .insert_with(&self.board, &steps, &self.place, |step| {
                if self.args.verbose {
                    say(step);
                }
            })
    }

    fn fails(&self, why: String) {
        self.failed.store(true, Ordering::Relaxed);
        self.messages.report(Level::Error, &why);
    }
}

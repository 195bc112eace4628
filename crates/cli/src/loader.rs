//! Loading by many names into the running Linux, as at boot.

use crate::jobs;
use crate::linux::LinuxPlace;
use crate::report::{Messages, print};
use clap::Args;
use modfs_depot::board::Board;
use modfs_depot::carry::{Carrier, Failure};
use modfs_depot::probe::{Action, Depot, Found, Step, Via};
use modfs_depot::{Level, Report};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How it is done.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LoaderArgs {
    /// Load so many modules at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Print what would be done, do nothing
    #[arg(short = 'n', long, visible_alias = "show")]
    pub(crate) dry_run: bool,
    /// Write messages to the system's log
    #[arg(short, long)]
    pub(crate) syslog: bool,
    /// Print what is done
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

impl LoaderArgs {
    /// Messages of a tool.
    pub(crate) fn messages(&self, tool: &'static str) -> Messages {
        Messages {
            tool,
            quiet: false,
            verbose: self.verbose,
            syslog: self.syslog,
        }
    }
}

/// Loads modules; blacklist lines hold.
pub(crate) struct Loader<'a> {
    args: LoaderArgs,
    depot: &'a Depot,
    messages: &'a Messages,
    carrier: Carrier<'a>,
    board: Board,
    place: LinuxPlace,
    /// Of the kernel's answers, those that are no failure.
    excused: &'static [Errno],
    failed: AtomicBool,
    /// What `-n` has printed.
    told: Mutex<BTreeSet<String>>,
}

impl<'a> Loader<'a> {
    /// `excused`: what the kernel may answer without that being a failure.
    pub(crate) fn new(
        args: LoaderArgs,
        depot: &'a Depot,
        messages: &'a Messages,
        excused: &'static [Errno],
    ) -> Loader<'a> {
        Loader {
            excused,
            args,
            depot,
            messages,
            carrier: Carrier {
                config: depot.config(),
                autoclean: false,
                first_time: false,
                environment: Vec::new(),
            },
            board: Board::new(args.jobs.unwrap_or_else(jobs::processors)),
            place: LinuxPlace::default(),
            failed: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// Loads what names stand for, several at once. Those that stand for nothing are returned.
    pub(crate) fn all<'n>(&self, names: &'n [String]) -> Vec<&'n String> {
        let threads = match self.args.dry_run {
            true => NonZeroUsize::MIN,
            false => self.board.threads(),
        };
        // What found no device before may find one now.
        self.board.again();
        let known = jobs::each(threads, names, || (), |(), name| self.one(name));
        let unknown = names.iter().zip(known).filter(|(_, known)| !known);
        unknown.map(|(name, _)| name).collect()
    }

    /// Ends the work.
    ///
    /// # Errors
    /// Something failed; it was reported when it did.
    pub(crate) fn end(self) -> Result<(), String> {
        self.board.undo(&self.place);
        match self.failed.into_inner() {
            false => Ok(()),
            true => Err(String::new()),
        }
    }

    /// Whether the name is known.
    fn one(&self, name: &str) -> bool {
        let answer = match self.depot.find(name) {
            Ok(answer) => answer,
            Err(error) => {
                self.fails(&error.to_string());
                return true;
            }
        };
        let done = answer.load(|found| self.module(found), |failure| self.tell(&failure));
        if let Err(failure) = done {
            self.tell(&failure);
        }
        !answer.modules.is_empty()
    }

    fn module(&self, found: &Found) -> Result<(), Failure> {
        if found.via == Via::Builtin {
            return Ok(());
        }
        if let Some(origin) = self.depot.config().blacklisted(&found.name) {
            let text = format!("{} is blacklisted by {origin}", found.name);
            self.messages.report(Level::Info, &text);
            return Ok(());
        }
        let plan = self.depot.plan(found);
        let steps = plan.map_err(|e| e.to_string())?;
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

    fn tell(&self, failure: &Failure) {
        let is_it = |errno: &Errno| errno.raw_os_error() == failure.errno;
        let level = match failure.errno == Errno::NODEV.raw_os_error() {
            true => Level::Info,
            false => Level::Warning,
        };
        match self.excused.iter().any(is_it) {
            true => self.messages.report(level, &failure.why),
            false => self.fails(&failure.why),
        }
    }

    fn fails(&self, why: &str) {
        self.failed.store(true, Ordering::Relaxed);
        self.messages.report(Level::Error, why);
    }
}

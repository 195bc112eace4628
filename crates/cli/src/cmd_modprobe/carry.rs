//! Doing what is to be done.

use super::{ModprobeArgs, show};
use crate::place::Place;
use crate::report::print;
use modfs_depot::board::Board;
use modfs_depot::carry::{Carrier, is_there, own_name};
use modfs_depot::config::When;
use modfs_depot::probe::{Depot, Found, Reason, Step};
use std::time::{Duration, Instant};

/// What is worked with.
pub(super) struct Work<'a> {
    pub(super) args: &'a ModprobeArgs,
    pub(super) depot: &'a Depot,
    pub(super) place: &'a dyn Place,
    /// What is inserted beside it.
    pub(super) board: Option<&'a Board>,
    /// Only say it.
    pub(super) dry: bool,
}

/// What would be said of removing a module, whatever is loaded.
pub(super) fn removal(depot: &Depot, found: &Found) -> String {
    match depot.config().remove(&found.name) {
        Some((command, _)) => format!("remove {command}\n"),
        None => format!("rmmod {}\n", found.name),
    }
}

impl Work<'_> {
    fn say(&self, text: String) {
        if self.dry || self.args.verbose > 0 {
            print(text);
        }
    }

    fn carrier(&self) -> Carrier<'_> {
        Carrier {
            config: self.depot.config(),
            autoclean: self.args.autoclean,
            first_time: self.args.first_time,
            environment: vec![("MODPROBE_OPTIONS".into(), self.options().into())],
        }
    }

    fn shell(&self, command: &str, step: &Step) -> Result<(), String> {
        let done = self.carrier().shell(command, step);
        done.map_err(|failure| failure.why)
    }

    /// Does the steps.
    pub(super) fn load(&self, found: &Found, steps: &[Step]) -> Result<(), String> {
        let args = self.args;
        let own = steps.iter().find(|step| step.module == found.name);
        if args.first_time && own.is_some_and(|step| self.place.is_loaded(&own_name(step).0)) {
            return Err(is_there(&found.name).why);
        }
        if self.dry {
            let missing = steps
                .iter()
                .filter(|step| !self.place.is_loaded(&own_name(step).0));
            print(missing.map(show::lines).collect::<String>());
            return Ok(());
        }
        let (carrier, target) = (self.carrier(), self.place);
        let say = |step: &Step| self.say(show::lines(step));
        let done = match self.board {
            Some(board) => carrier.insert_with(board, steps, target, say),
            None => carrier.insert(steps, target, say),
        };
        done.map_err(|failure| failure.why)
    }

    /// `MODPROBE_OPTIONS` for commands.
    fn options(&self) -> String {
        let mut options = std::env::var("MODPROBE_OPTIONS").unwrap_or_default();
        for place in &self.args.configured.config {
            options += &format!(" -C '{}'", place.display());
        }
        options += &super::signed::options(self.args);
        for (given, option) in [
            (self.args.syslog, " -s"),
            (self.args.quiet, " -q"),
            (self.args.verbose > 0, " -v"),
        ] {
            if given {
                options += option;
            }
        }
        options.trim_start().to_owned()
    }

    /// Removes a module, and then what it alone needed.
    pub(super) fn unload(&self, found: &Found, steps: &[Step]) -> Result<(), String> {
        let name = &found.name;
        let config = self.depot.config();
        let step = steps.iter().find(|step| step.module == *name);
        if let Some((command, _)) = config.remove(name).filter(|_| !self.args.ignore_install)
            && let Some(step) = step
        {
            self.say(format!("remove {command}\n"));
            return match self.dry {
                true => Ok(()),
                false => self.shell(command, step),
            };
        }
        if !self.place.is_loaded(name) {
            return match self.args.first_time {
                true => Err(format!("Module {name} is not in kernel.")),
                false => Ok(()),
            };
        }
        let mut names = found.aliases.clone();
        names.push(name.clone());
        let hooks = |when| {
            config
                .hooks(when, &names)
                .map(|(_, command)| command.to_owned())
        };
        let run = |commands: Vec<String>| -> Result<(), String> {
            for command in commands {
                match step {
                    Some(step) if !self.dry => self.shell(&command, step)?,
                    _ => {}
                }
            }
            Ok(())
        };
        run(hooks(When::PreRemove).collect())?;
        if self.args.remove_holders {
            self.holders(name, 0)?;
        }
        // What came with it goes with it, in the other order, if nobody else uses it.
        let own = steps.iter().position(|step| step.module == *name);
        let (before, after) = steps.split_at(own.map_or(steps.len(), |own| own + 1));
        after
            .iter()
            .rev()
            .for_each(|step| self.remove_idle(step, name));
        self.rmmod(name)?;
        run(hooks(When::PostRemove).collect())?;
        // Those whose symbols it used go before those that a softdep brought, as in kmod.
        let wanted = |step: &&Step| matches!(step.reason, Reason::Before(_) | Reason::After(_));
        let used = before.iter().rev().filter(|step| !wanted(step));
        let soft = before.iter().rev().filter(wanted);
        used.chain(soft)
            .for_each(|step| self.remove_idle(step, name));
        Ok(())
    }

    /// Removes what was loaded for `name`, unless it is used.
    fn remove_idle(&self, step: &Step, name: &str) {
        let holders = self.place.holders(&step.module);
        let held = holders.iter().any(|holder| !self.dry || holder != name);
        let idle = !held && self.place.uses(&step.module) == 0;
        if step.module != *name && idle && self.place.is_loaded(&step.module) {
            // Somebody may have begun to use it just now.
            let _ = self.rmmod(&step.module);
        }
    }

    /// Removes those that use a module, and those that use them before.
    fn holders(&self, name: &str, depth: usize) -> Result<(), String> {
        // More are no chain of modules that are needed, but a circle in a damaged tree.
        const DEEPEST: usize = 128;
        if depth > DEEPEST {
            return Err(format!(
                "Module {name} is held by too long a chain of modules"
            ));
        }
        for holder in self.place.holders(name) {
            self.holders(&holder, depth + 1)?;
            self.rmmod(&holder)?;
        }
        Ok(())
    }

    /// Removes a module; while it is in use tries again as long as `--wait` says.
    fn rmmod(&self, name: &str) -> Result<(), String> {
        self.say(format!("rmmod {name}\n"));
        if self.dry {
            return Ok(());
        }
        let deadline = self.args.wait.map(|wait| Instant::now() + wait);
        let mut pause = Duration::from_millis(1);
        loop {
            let failure = match self.place.remove(name) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let left = deadline.and_then(|at| at.checked_duration_since(Instant::now()));
            match left.filter(|left| !left.is_zero() && self.place.is_busy(&failure)) {
                Some(left) => std::thread::sleep(pause.min(left)),
                None => return Err(failure.why),
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

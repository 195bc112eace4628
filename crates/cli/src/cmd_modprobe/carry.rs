//! Doing in a host's tree what is to be done.

use super::{ModprobeArgs, show};
use crate::cmd_insmod::{self, InsmodArgs};
use crate::cmd_rmmod;
use crate::report::print;
use crate::tree::Tree;
use modfs_depot::config::When;
use modfs_depot::probe::{Action, Depot, Found, Reason, Step};
use std::process::Command;
use std::time::{Duration, Instant};

/// What is worked with.
pub(super) struct Work<'a> {
    pub(super) args: &'a ModprobeArgs,
    pub(super) depot: &'a Depot,
    pub(super) tree: Tree,
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

    /// Does the steps; when one fails that is required, what was inserted goes again.
    pub(super) fn insert(&self, found: &Found, steps: &[Step]) -> Result<(), String> {
        let args = self.args;
        if !self.dry && (args.force || args.force_modversion || args.force_vermagic) {
            return Err("a host's tree takes no module by force: build it for this host".into());
        }
        let mut inserted: Vec<String> = Vec::new();
        for step in steps {
            let (name, rest) = own_name(step);
            if self.tree.is_mapped(&name) {
                if args.first_time && step.module == found.name {
                    return Err(format!(
                        "could not insert '{}': Module already in kernel",
                        found.name
                    ));
                }
                continue;
            }
            self.say(show::lines(step));
            if self.dry {
                continue;
            }
            match self.step(step, &name, rest) {
                Ok(()) if matches!(step.action, Action::Insert(_)) => inserted.push(name),
                Ok(()) => {}
                Err(_) if !step.required => {}
                Err(why) => {
                    for module in inserted.iter().rev() {
                        // Somebody may use it already; then it stays.
                        let _ = cmd_rmmod::remove(&self.tree, module);
                    }
                    let why = why.strip_prefix("insmod: ERROR: ").unwrap_or(&why);
                    return Err(why.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Does a step of inserting, with the commands before and after it.
    fn step(&self, step: &Step, name: &str, parameters: Vec<String>) -> Result<(), String> {
        for command in &step.before {
            self.shell(command, step)?;
        }
        match &step.action {
            Action::Insert(path) => cmd_insmod::run(&InsmodArgs {
                tree: self.args.tree.clone(),
                autoclean: self.args.autoclean && !self.depot.config().keeps(&step.module),
                name: Some(name.to_owned()),
                file: path.clone(),
                parameters,
            })?,
            Action::Run(command) => self.shell(command, step)?,
            Action::Builtin | Action::Null => {}
            Action::Nothing => return Err(format!("there is no file of module {}", step.module)),
        }
        for command in &step.after {
            self.shell(command, step)?;
        }
        Ok(())
    }

    /// Runs a command of the configuration, as kmod does: `$CMDLINE_OPTS` are the options, and a
    /// modprobe in it gets ours.
    fn shell(&self, command: &str, step: &Step) -> Result<(), String> {
        let command = command.replace("$CMDLINE_OPTS", &step.options);
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(&command)
            .env("MODPROBE_MODULE", &step.module)
            .env("MODPROBE_OPTIONS", self.options())
            .envs(self.depot.config().environment());
        let status = shell
            .status()
            .map_err(|e| format!("cannot run /bin/sh: {e}"))?;
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "the command for {} failed ({status}): {command}",
                step.module
            )),
        }
    }

    /// `MODPROBE_OPTIONS` for commands.
    fn options(&self) -> String {
        let mut options = std::env::var("MODPROBE_OPTIONS").unwrap_or_default();
        for place in &self.args.configured.config {
            options += &format!(" -C '{}'", place.display());
        }
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
    pub(super) fn remove(&self, found: &Found, steps: &[Step]) -> Result<(), String> {
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
        if !self.tree.is_mapped(name) {
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
        self.rmmod(name)?;
        run(hooks(When::PostRemove).collect())?;
        for step in steps.iter().rev().filter(|step| step.module != *name) {
            let idle = self
                .tree
                .lines(&step.module, "refs")
                .iter()
                .all(|r| self.dry && r == name)
                && self.tree.read(&step.module, "usecount").unwrap_or_default() == "0";
            let needed = matches!(step.reason, Reason::Needed(_) | Reason::Below(_));
            if needed && self.tree.is_mapped(&step.module) && idle {
                // Somebody may have begun to use it just now.
                let _ = self.rmmod(&step.module);
            }
        }
        Ok(())
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
        for holder in self.tree.lines(name, "refs") {
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
            let why = match cmd_rmmod::remove(&self.tree, name) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            let left = deadline.and_then(|at| at.checked_duration_since(Instant::now()));
            match left.filter(|left| !left.is_zero() && why.contains("is in use")) {
                Some(left) => std::thread::sleep(pause.min(left)),
                None => return Err(why),
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

/// The name that a module is to have in the tree, and its parameters: what is configured can say
/// `-o NAME`, and other options of 2.4's insmod, which mean nothing here.
fn own_name(step: &Step) -> (String, Vec<String>) {
    let mut name = step.module.clone();
    let mut parameters = words(&step.options);
    while parameters.first().is_some_and(|word| word.starts_with('-')) {
        let option = parameters.remove(0);
        if option == "-o" && !parameters.is_empty() {
            name = parameters.remove(0);
        }
    }
    (name, parameters)
}

/// Options as the shell would part them: blanks in double quotes do not.
fn words(options: &str) -> Vec<String> {
    let mut quoted = false;
    let parts = options.split(|c: char| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    });
    parts
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

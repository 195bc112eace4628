//! Carrying out what was decided: modprobe's other half, for whoever can insert and remove.

use crate::board::{Board, Turn};
use crate::config::Config;
use crate::probe::{Action, Reason, Step};
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// For people.
    pub why: String,
    /// What a kernel said; 0: it was none.
    pub errno: i32,
}

impl<S: Into<String>> From<S> for Failure {
    fn from(why: S) -> Failure {
        Failure {
            why: why.into(),
            errno: 0,
        }
    }
}

/// What came of inserting a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was inserted.
    Now,
    /// It was there already, by somebody else.
    Already,
}

/// Where modules are inserted.
pub trait Target {
    /// Whether a module is there, whatever its state.
    fn is_loaded(&self, module: &str) -> bool;

    /// Whether a module is there, and nothing has to be done or waited for to use it.
    fn is_ready(&self, module: &str) -> bool {
        self.is_loaded(module)
    }

    /// Whether a module that is there works, as opposed to one that has failed and had to stay.
    fn works(&self, module: &str) -> bool {
        self.is_loaded(module)
    }

    /// Inserts a module.
    ///
    /// # Errors
    /// Why not, for people; then nothing is left of it.
    fn insert(
        &self,
        file: &Path,
        module: &str,
        parameters: &[String],
        autoclean: bool,
    ) -> Result<Inserted, Failure>;

    /// Removes a module.
    ///
    /// # Errors
    /// Why it stays.
    fn remove(&self, module: &str) -> Result<(), Failure>;
}

/// Carries steps out.
#[derive(Debug)]
pub struct Carrier<'a> {
    /// What is configured.
    pub config: &'a Config,
    /// The modules may be unloaded again once they are not used.
    pub autoclean: bool,
    /// That what was asked for is there already is a failure.
    pub first_time: bool,
    /// For the environment of commands.
    pub environment: Vec<(OsString, OsString)>,
}

/// In the environment of commands: how many of them are around it.
const DEPTH: &str = "MODFS_COMMAND_DEPTH";
/// More are a command that calls modprobe for its own module.
const DEEPEST: u32 = 16;

impl Carrier<'_> {
    /// Does the steps, but for those whose module is there already; when one fails that is
    /// required, what was inserted goes again. `before` is told of each that is done.
    ///
    /// # Errors
    /// Why the step failed, for people.
    pub fn insert(
        &self,
        steps: &[Step],
        target: &dyn Target,
        before: impl FnMut(&Step),
    ) -> Result<(), Failure> {
        let board = Board::new(NonZeroUsize::MIN);
        let done = self.insert_with(&board, steps, target, before);
        board.undo(target);
        done
    }

    /// As [`Carrier::insert`], beside other threads with the same board, whose
    /// [`Board::undo`] is left to the caller.
    ///
    /// # Errors
    /// Why the step failed, for people.
    pub fn insert_with(
        &self,
        board: &Board,
        steps: &[Step],
        target: &dyn Target,
        mut before: impl FnMut(&Step),
    ) -> Result<(), Failure> {
        let mut names = Vec::with_capacity(steps.len());
        for step in steps {
            let (module, parameters) = own_name(step);
            let done = match target.is_ready(&module) {
                true => Ok(()),
                false => match board.turn(&module) {
                    Ok(turn) => {
                        before(step);
                        let done = self.step(step, &module, &parameters, target, &turn);
                        turn.ends(&done);
                        done
                    }
                    Err(outcome) => outcome,
                },
            };
            match done {
                Err(failure) if step.required => return Err(failure),
                _ => names.push(module),
            }
        }
        board.wants(names.iter().map(String::as_str));
        Ok(())
    }

    fn step(
        &self,
        step: &Step,
        module: &str,
        parameters: &[String],
        target: &dyn Target,
        turn: &Turn<'_>,
    ) -> Result<(), Failure> {
        for command in &step.before {
            self.shell(command, step)?;
        }
        match &step.action {
            Action::Insert(path) => {
                let autoclean = self.autoclean && !self.config.keeps(&step.module);
                let first = self.first_time && step.reason == Reason::Asked;
                match target.insert(path, module, parameters, autoclean) {
                    Ok(Inserted::Now) => turn.inserted(),
                    Ok(Inserted::Already) if first => return Err(is_there(module)),
                    Ok(Inserted::Already) => {}
                    // Somebody else was faster.
                    Err(_) if !first && target.is_loaded(module) && target.works(module) => {}
                    Err(failure) => return Err(failure),
                }
            }
            Action::Run(command) => self.shell(command, step)?,
            Action::Builtin | Action::Null => {}
            Action::Nothing => {
                return Err(format!("there is no file of module {}", step.module).into());
            }
        }
        for command in &step.after {
            self.shell(command, step)?;
        }
        Ok(())
    }

    /// Runs a command of the configuration, as kmod does: `$CMDLINE_OPTS` are the options.
    ///
    /// # Errors
    /// It failed; or it is one that, by modprobe, runs itself.
    pub fn shell(&self, command: &str, step: &Step) -> Result<(), Failure> {
        let depth = std::env::var(DEPTH).ok().and_then(|text| text.parse().ok());
        let depth: u32 = depth.unwrap_or(0) + 1;
        if depth > DEEPEST {
            return Err(format!(
                "the command for {} calls modprobe for itself again: give it -i ({command})",
                step.module
            )
            .into());
        }
        let command = command.replace("$CMDLINE_OPTS", &step.options);
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(&command)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(self.config.environment())
            .env("MODPROBE_MODULE", &step.module)
            .env(DEPTH, depth.to_string());
        let status = shell
            .status()
            .map_err(|e| format!("cannot run /bin/sh: {e}"))?;
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "the command for {} failed ({status}): {command}",
                step.module
            )
            .into()),
        }
    }
}

/// In the words of kmod's modprobe.
pub fn is_there(module: &str) -> Failure {
    format!("could not insert '{module}': Module already in kernel").into()
}

/// The name that a module is to have, and its parameters: what is configured can say `-o NAME`, and
/// other options of 2.4's insmod, which mean nothing here.
pub fn own_name(step: &Step) -> (String, Vec<String>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn step(module: &str, required: bool) -> Step {
        Step {
            module: module.into(),
            action: Action::Insert(format!("/{module}.ko").into()),
            before: Vec::new(),
            after: Vec::new(),
            options: String::new(),
            required,
            reason: Reason::Asked,
        }
    }

    /// Takes all modules but `bad`.
    #[derive(Default)]
    struct Loaded(RefCell<Vec<String>>);

    impl Target for Loaded {
        fn is_loaded(&self, module: &str) -> bool {
            self.0.borrow().iter().any(|loaded| loaded == module)
        }

        fn insert(
            &self,
            _: &Path,
            name: &str,
            given: &[String],
            _: bool,
        ) -> Result<Inserted, Failure> {
            if name == "bad" {
                return Err("bad".into());
            }
            let name = if given.is_empty() {
                name.to_owned()
            } else {
                format!("{name} {}", given.join("|"))
            };
            self.0.borrow_mut().push(name);
            Ok(Inserted::Now)
        }

        fn remove(&self, module: &str) -> Result<(), Failure> {
            self.0.borrow_mut().retain(|loaded| loaded != module);
            Ok(())
        }
    }

    fn carried(steps: &[Step], there: &[&str]) -> (Result<(), Failure>, Vec<String>) {
        let target = Loaded(RefCell::new(
            there.iter().map(|m| (*m).to_owned()).collect(),
        ));
        let carrier = Carrier {
            config: &Config::default(),
            autoclean: false,
            first_time: false,
            environment: Vec::new(),
        };
        let done = carrier.insert(steps, &target, |_| {});
        (done, target.0.into_inner())
    }

    #[test]
    fn what_was_inserted_for_a_failure_goes_again() {
        let steps = [step("a", true), step("b", true), step("bad", true)];
        assert_eq!(
            carried(&steps, &["a"]),
            (Err("bad".into()), vec!["a".into()])
        );
        // So it does when what failed is a command after it.
        let mut after = step("b", true);
        after.after.push("false".into());
        let (done, left) = carried(&[step("a", true), after], &[]);
        assert!(done.is_err() && left.is_empty(), "{done:?} {left:?}");
        let soft = [step("bad", false), step("b", true)];
        assert_eq!(carried(&soft, &[]), (Ok(()), vec!["b".into()]));
    }

    #[test]
    fn options_are_parameters_but_for_a_name() {
        let mut dummy = step("dummy", true);
        dummy.options = "-k -o dummy0 x=\"1 2\"  y".into();
        let wanted = vec!["dummy0 x=\"1 2\"|y".to_owned()];
        assert_eq!(carried(&[dummy], &[]), (Ok(()), wanted));
    }
}

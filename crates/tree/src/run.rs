//! Running the commands of a module's `control`.

use crate::command::{self, Parsed};
use crate::module_dir::{DirState, ModuleDir};
use crate::snapshot::one_line;
use crate::{Caller, NodeId};
use modfs_core::{Command, Errno, Force, MapArgs, Refusal, State, Status, verdict};
use std::fmt::Write;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often one that waits for its turn looks whether it is still wanted.
const PATIENCE: Duration = Duration::from_millis(20);

/// Runs the lines of a write in order, up to the first that fails.
///
/// # Errors
/// EINTR: the caller does not wait any more. Otherwise that of the line that failed; it is
/// recorded as the outcome of the last command.
pub(crate) fn run(dir: &Arc<ModuleDir>, caller: &Caller, text: &[u8]) -> Result<(), Errno> {
    for line in command::lines(text) {
        if caller.is_cancelled() {
            return Err(Errno::EINTR);
        }
        let outcome = match command::parse(line) {
            Ok(parsed) => command(dir, caller, parsed),
            Err(refusal) => {
                let outcome = Err(refusal);
                let shown = String::from_utf8_lossy(line);
                dir.lock().outcomes.record(&shown, &outcome);
                outcome
            }
        };
        outcome.map_err(|refusal| refusal.errno)?;
    }
    Ok(())
}

/// Runs one command, and records what came of it.
///
/// # Errors
/// Why it failed.
pub(crate) fn command(
    dir: &Arc<ModuleDir>,
    caller: &Caller,
    parsed: Parsed,
) -> Result<(), Refusal> {
    let (shown, outcome) = run_one(dir, caller, parsed);
    dir.lock().outcomes.record(&shown, &outcome);
    outcome
}

/// Runs one command. Returns it as it is to be shown, with the file it turned out to mean.
fn run_one(
    dir: &Arc<ModuleDir>,
    caller: &Caller,
    mut parsed: Parsed,
) -> (String, Result<(), Refusal>) {
    let mut state = dir.lock();
    let id = if is_without_file(dir, &state, &parsed) {
        parsed.file = None;
        None
    } else {
        match resolve(&state, parsed.file.as_deref()) {
            Ok((id, name)) => {
                parsed.file = Some(name);
                Some(id)
            }
            Err(refusal) => return (show(&parsed), Err(refusal)),
        }
    };
    let shown = show(&parsed);
    let _under_way = UnderWay {
        number: state.outcomes.begin(&shown),
        dir: Arc::clone(dir),
    };
    drop(state);

    // From here until `_under_way` is dropped the directory cannot be removed.
    let (kernel, module) = (&dir.shared.kernel, dir.name());
    let file = parsed.file.as_deref().unwrap_or_default();
    let outcome = match (parsed.command, id) {
        (Command::Map, Some(id)) => map(dir, caller, id, file, parsed.force),
        (Command::Unmap, Some(id)) => {
            Transition::begin(dir, caller, id).and_then(|_turn| kernel.unmap(module, file))
        }
        // Nothing of this directory is, or can be, mapped while a module of others has its name.
        (command @ (Command::Map | Command::Unmap), None) => {
            let state = dir.status().map(|status| status.state);
            let word = state.map_or("gone", State::word);
            let refused = verdict(state, command).and(Err(Errno::ENOENT));
            refused.map_err(|errno| {
                Refusal::new(
                    errno,
                    format!("{module} is {word}, and was not mapped here"),
                )
            })
        }
        (Command::Init, _) => fill(dir).and_then(|()| kernel.init(module, file, &parsed.args)),
        (Command::Exit, _) => kernel.exit(module, file),
    };
    (shown, outcome)
}

fn map(
    dir: &Arc<ModuleDir>,
    caller: &Caller,
    id: NodeId,
    file: &str,
    force: Force,
) -> Result<(), Refusal> {
    let _turn = Transition::begin(dir, caller, id)?;
    let (content, mode) = {
        let mut state = dir.lock();
        let entry = state.file_mut(id)?;
        entry.mapped = true;
        (Arc::clone(&entry.content), entry.rights.mode)
    };
    let args = MapArgs { mode, force };
    dir.shared.kernel.map(dir.name(), file, content, args)
}

/// Hands over what the files of a linked image hold by now.
fn fill(dir: &ModuleDir) -> Result<(), Refusal> {
    let Some(status) = dir.status().filter(Status::is_open) else {
        return Ok(());
    };
    for piece in &status.pieces {
        let content = {
            let state = dir.lock();
            let mut files = state.files.iter();
            let file = files.find(|file| file.name == piece.file);
            Arc::clone(&file.ok_or(Errno::ENOENT)?.content)
        };
        dir.shared.kernel.fill(dir.name(), &piece.file, content)?;
    }
    Ok(())
}

/// Whether a command is about a module that others loaded, which has no file: one without a FILE,
/// or with the module's own name for it, of `exit`, or where there is no file to mean.
fn is_without_file(dir: &ModuleDir, state: &DirState, parsed: &Parsed) -> bool {
    let named = match &parsed.file {
        None => state.files.is_empty() || parsed.command == Command::Exit,
        Some(name) => name == dir.name() && state.files.iter().all(|file| file.name != *name),
    };
    named && state.control.is_some() && dir.status().is_some_and(|status| status.file.is_empty())
}

/// The file that a command is about.
fn resolve(state: &DirState, wanted: Option<&str>) -> Result<(NodeId, String), Refusal> {
    if state.control.is_none() {
        return Err(Refusal::new(Errno::ENOENT, "the directory is gone"));
    }
    let file = match (wanted, &state.files[..]) {
        (Some(name), files) => files.iter().find(|f| f.name == name).ok_or_else(|| {
            let reason = format!("no module file {name:?} in this directory");
            Refusal::new(Errno::ENOENT, reason)
        })?,
        (None, [only]) => only,
        (None, []) => {
            let reason = "no module file in this directory";
            return Err(Refusal::new(Errno::ENOENT, reason));
        }
        (None, several) => {
            let names: Vec<_> = several.iter().map(|f| f.name.as_str()).collect();
            let reason = format!("say which file: there are {}", names.join(", "));
            return Err(Refusal::new(Errno::EINVAL, reason));
        }
    };
    Ok((file.id, file.name.clone()))
}

fn show(parsed: &Parsed) -> String {
    let mut shown = parsed.command.word().to_owned();
    let flag = parsed.args.autoclean.then_some("-k");
    if let Some(word) = parsed.force.word().or(flag) {
        // Writing to a String cannot fail.
        let _ = write!(shown, " {word}");
    }
    for word in parsed.file.iter().chain(&parsed.args.parameters) {
        // Writing to a String cannot fail.
        let _ = write!(shown, " {}", one_line(word));
    }
    shown
}

/// A command that runs; it ends when this is dropped, also by a panic.
struct UnderWay {
    dir: Arc<ModuleDir>,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.dir.lock().outcomes.end(self.number);
    }
}

/// The turn of a `map` or `unmap`, of which one runs at a time in a directory.
struct Transition(Arc<ModuleDir>);

impl Transition {
    fn begin(dir: &Arc<ModuleDir>, caller: &Caller, id: NodeId) -> Result<Transition, Refusal> {
        let mut state = dir.lock();
        while state.transition.is_some() {
            if caller.is_cancelled() {
                return Err(Errno::EINTR.into());
            }
            (state, _) = dir
                .settled
                .wait_timeout(state, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // While it waited, the file may have been unlinked.
        state.file(id)?;
        state.transition = Some(id);
        Ok(Transition(Arc::clone(dir)))
    }
}

impl Drop for Transition {
    fn drop(&mut self) {
        self.0.lock().transition = None;
        self.0.settled.notify_one();
    }
}

//! Inserting a module: its directory, its file, `map`, `init`.

use crate::{Refused, Tree};
use modfs_core::{Errno, Force};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// The module file's name in its directory, as in 2.4's emulated system calls.
const FILE: &str = "module";

/// How long to wait for whoever maps a module at this moment to have done so.
const OTHERS_MAP: Duration = Duration::from_secs(5);

/// How a module is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// Which versions are not compared.
    pub force: Force,
    /// It may be unloaded again once it is not used.
    pub autoclean: bool,
    /// `NAME=VALUE` or `NAME`, each.
    pub parameters: &'a [String],
}

/// Why a module was not inserted.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// A parameter that a line of `control` cannot hold.
    #[error("{0}")]
    Parameter(String),
    /// A module of this name is there, or somebody inserts one.
    #[error("a module of this name is there already")]
    Taken,
    /// Its directory could not be made.
    #[error("{0}: cannot make its directory")]
    Directory(#[source] io::Error),
    /// Its file could not be written.
    #[error("{0}: cannot write its file")]
    Write(#[source] io::Error),
    /// A command was refused.
    #[error("{}", .0.text())]
    Refused(Refused),
}

impl InsertError {
    /// What the system call that inserts says: EEXIST, EINVAL for parameters, what the tree's files said.
    pub fn errno(&self) -> Errno {
        match self {
            InsertError::Parameter(_) => Errno::EINVAL,
            InsertError::Taken => Errno::EEXIST,
            InsertError::Directory(error) | InsertError::Write(error) => {
                Errno::from_raw(error.raw_os_error().unwrap_or(0))
            }
            InsertError::Refused(refused) => refused.errno,
        }
    }
}

impl Tree {
    /// Inserts a module from an object's bytes.
    ///
    /// On an error the tree is as it was, but for one thing: a directory of this name in which nothing
    /// is mapped, left over from something, is taken over, and its file `module` is replaced and
    /// removed.
    ///
    /// # Errors
    /// [`InsertError`].
    pub fn insert(&self, name: &str, object: &[u8], start: Start<'_>) -> Result<(), InsertError> {
        let init = init_command(start).map_err(InsertError::Parameter)?;
        if name == modfs_core::KERNEL {
            return Err(InsertError::Taken);
        }
        // A directory in which nothing is mapped is no module: it is taken over.
        let claim = self.claim(name).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => InsertError::Taken,
            _ => InsertError::Directory(error),
        })?;
        if self.is_mapped(name) {
            return Err(InsertError::Taken);
        }
        let inserted = self.fill(name, object, &map_command(start.force), &init);
        if inserted.is_err() && !self.is_mapped(name) {
            let _ = fs::remove_file(self.path(name, FILE));
            if claim.made {
                let _ = fs::remove_dir(self.dir(name));
            }
        }
        inserted
    }

    fn fill(&self, name: &str, object: &[u8], map: &str, init: &str) -> Result<(), InsertError> {
        if let Err(error) = fs::write(self.path(name, FILE), object) {
            // The file is frozen from when somebody begins to map it.
            let frozen = error.raw_os_error() == Some(Errno::EPERM.raw());
            return Err(match frozen && self.gets_mapped(name) {
                true => InsertError::Taken,
                false => InsertError::Write(error),
            });
        }
        let map = self.command(name, map);
        map.map_err(|refused| match self.is_mapped(name) {
            // Not by us: our command has failed.
            true => InsertError::Taken,
            false => InsertError::Refused(refused),
        })?;
        self.command(name, init).map_err(|refused| {
            // Fails when it faulted, or its init goes on: then it has to stay.
            let _ = self.command(name, &format!("unmap {FILE}"));
            InsertError::Refused(refused)
        })
    }

    /// Waits until somebody else has mapped what they are mapping; whether they have.
    fn gets_mapped(&self, name: &str) -> bool {
        let deadline = Instant::now() + OTHERS_MAP;
        while !self.is_mapped(name) {
            if Instant::now() > deadline || !self.dir(name).exists() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

/// The command that maps the module.
fn map_command(force: Force) -> String {
    match force.word() {
        Some(word) => format!("map {word} {FILE}"),
        None => format!("map {FILE}"),
    }
}

/// The command that starts the module.
///
/// # Errors
/// A parameter that a line of `control` cannot hold.
fn init_command(start: Start<'_>) -> Result<String, String> {
    let mut init = String::from("init ");
    if start.autoclean {
        init += "-k ";
    }
    init += FILE;
    for parameter in start.parameters {
        init.push(' ');
        init += &quoted(parameter)?;
    }
    Ok(init)
}

/// A parameter as a line of `control` takes it: with blanks, in double quotes.
///
/// # Errors
/// It has a control character, such as a newline, after which another command would begin; or
/// both blanks and a double quote, for which the grammar has nothing.
fn quoted(parameter: &str) -> Result<String, String> {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (parameter, None),
    };
    let refused = |why| Err(format!("parameter {}: {why}", name.escape_debug()));
    if parameter.contains(char::is_control) {
        return refused("a control character, such as a newline, cannot be given");
    }
    let in_quotes = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        inner.is_some_and(|inner| !inner.contains('"'))
    };
    let blank = |text: &str| text.contains(char::is_whitespace);
    match value {
        _ if !blank(parameter) || in_quotes(parameter) => Ok(parameter.to_owned()),
        Some(value) if !blank(name) && in_quotes(value) => Ok(parameter.to_owned()),
        _ if parameter.contains('"') => {
            refused("blanks and a double quote cannot be given together")
        }
        Some(value) if !blank(name) => Ok(format!("{name}=\"{value}\"")),
        _ => Ok(format!("\"{parameter}\"")),
    }
}

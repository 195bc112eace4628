//! What is to be done to load a module: modprobe's deciding half.

use crate::config::{Chain, Config, End, Origin, When};
use crate::index::{Index, ReadError};
use crate::{extension, module_name, normalize_alias};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A version directory and the configuration.
#[derive(Debug)]
pub struct Depot {
    directory: PathBuf,
    config: Config,
    indexes: [OnceLock<Option<Index>>; 5],
}

/// The indexes that look-ups use.
#[derive(Clone, Copy, Debug)]
enum Which {
    Dep,
    Alias,
    Symbols,
    Builtin,
    BuiltinAlias,
}

impl Which {
    const FILES: [&str; 5] = [
        "modules.dep.bin",
        "modules.alias.bin",
        "modules.symbols.bin",
        "modules.builtin.bin",
        "modules.builtin.alias.bin",
    ];
}

/// An index that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct IndexProblem {
    path: PathBuf,
    error: ReadError,
}

/// Why a module cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No module and no alias is called so.
    #[error("Module {0} not found in directory {dir}", dir = .1.display())]
    NotFound(String, PathBuf),
    /// The configuration does not let it be loaded.
    #[error("Module {module} is not allowed by {origin}{reason}")]
    Forbidden {
        /// The module.
        module: String,
        /// Where that is said.
        origin: Origin,
        /// `: ` and why, if it says so.
        reason: String,
    },
    /// Names of a modules.conf lead to each other.
    #[error("alias loop detected on {0}")]
    Loop(String),
    /// What is configured leads from module to module without end.
    #[error("Too deep recursion in module dependencies of {0}!")]
    Deep(String),
    /// An index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexProblem),
}

/// How a name led to a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// It is the module's name.
    Name,
    /// An `alias` line of the configuration.
    Configured(Origin),
    /// An alias of the module's own.
    Alias,
    /// A symbol that it exports.
    Symbol,
    /// A command that is configured for the name.
    Command(Origin),
    /// It is part of the kernel.
    Builtin,
    /// It is the path of this file.
    File(PathBuf),
    /// A `probe` or `probeall` line of a modules.conf.
    Probe(Origin),
    /// A modules.conf says `off`: nothing is done, and that is as it should be.
    Off(Origin),
    /// A modules.conf says `null`: there is no module, only commands.
    Null(Origin),
}

/// What a name stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The modules; none: the name is unknown.
    pub modules: Vec<Found>,
    /// Which of them are wanted.
    pub want: Want,
}

/// Which of several modules are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Want {
    /// All.
    #[default]
    Each,
    /// The first that can be loaded.
    First,
    /// All that can be loaded, but at least one.
    Any,
}

/// A module that a name led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// The names that led to it: the one that was looked for, when it is an alias, and those that
    /// it led to.
    pub aliases: Vec<String>,
    /// How it was found.
    pub via: Via,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Load this file.
    Insert(PathBuf),
    /// Run this command instead.
    Run(String),
    /// Nothing: it is part of the kernel.
    Builtin,
    /// Nothing can be done: there is no file of this module.
    Nothing,
    /// Nothing but the hooks: a modules.conf says `null`.
    Null,
}

/// Why a step is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is what was asked for.
    Asked,
    /// This module uses its symbols.
    Needed(String),
    /// A `below` line of a modules.conf says that this module needs it.
    Below(String),
    /// A softdep of this module wants it before.
    Before(String),
    /// A softdep of this module wants it after.
    After(String),
}

/// A step of loading a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The module.
    pub module: String,
    /// What is done.
    pub action: Action,
    /// Commands that are run before it.
    pub before: Vec<String>,
    /// Commands that are run after it.
    pub after: Vec<String>,
    /// What is given to it, from the configuration.
    pub options: String,
    /// Without it, loading fails.
    pub required: bool,
    /// Why it is there.
    pub reason: Reason,
}

/// Softdeps, and above and below lines, may lead from one module to the next so often; in
/// modutils it was as much.
const DEEPEST: usize = 128;
/// A probe line may lead to another so often.
const DEEPEST_PROBE: usize = 16;

impl From<Vec<Found>> for Answer {
    fn from(modules: Vec<Found>) -> Answer {
        Answer {
            modules,
            want: Want::Each,
        }
    }
}

impl Answer {
    /// Loads what is wanted. One that fails does not keep the others from it, and is told to
    /// `failed`, but for the last.
    ///
    /// # Errors
    /// That of the last module, when each is wanted, as in kmod; of the last that failed, when none
    /// could be loaded.
    pub fn load<E>(
        &self,
        mut load: impl FnMut(&Found) -> Result<(), E>,
        mut failed: impl FnMut(E),
    ) -> Result<(), E> {
        let (mut loaded, mut last) = (false, Ok(()));
        for found in &self.modules {
            let done = load(found);
            if let Err(before) = std::mem::replace(&mut last, Ok(())) {
                failed(before);
            }
            match (self.want, &done) {
                (Want::First, Ok(())) => return Ok(()),
                (Want::Any, Ok(())) => loaded = true,
                _ => {}
            }
            last = done;
        }
        match loaded {
            true => Ok(()),
            false => last,
        }
    }
}

impl Found {
    fn new(name: &str, aliases: &[&str], via: Via) -> Found {
        let other = aliases.iter().filter(|alias| **alias != name);
        Found {
            name: name.to_owned(),
            aliases: other.map(|alias| (*alias).to_owned()).collect(),
            via,
        }
    }
}

/// What `modules.dep` says of a module.
struct Entry {
    path: PathBuf,
    /// In the order in which they are to be loaded.
    deps: Vec<String>,
}

impl Depot {
    /// A version directory and a configuration.
    pub fn new(directory: &Path, config: Config) -> Depot {
        Depot {
            directory: directory.to_path_buf(),
            config,
            indexes: Default::default(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The version directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs a look-up in an index; nothing is found in one that is not there.
    fn look<R: Default>(
        &self,
        which: Which,
        f: impl FnOnce(&Index) -> Result<R, ReadError>,
    ) -> Result<R, IndexProblem> {
        let path = || self.directory.join(Which::FILES[which as usize]);
        let problem = |error| IndexProblem {
            path: path(),
            error,
        };
        let cell = &self.indexes[which as usize];
        if cell.get().is_none() {
            let opened = match Index::open(&path()) {
                Ok(index) => Some(index),
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(problem(error)),
            };
            // It was empty just now.
            let _ = cell.set(opened);
        }
        match cell.get() {
            Some(Some(index)) => f(index).map_err(problem),
            _ => Ok(R::default()),
        }
    }

    /// The modules that a name stands for: that of a module, an alias, `symbol:NAME`. Of the
    /// places where it could be found the first that knows it counts, as in kmod: the
    /// configuration's aliases, `modules.dep`, symbols, commands, the modules' own aliases, and
    /// what is part of the kernel. With a modules.conf its `probe` lines come after `modules.dep`.
    /// What begins with `/` or `./` is a module file.
    ///
    /// # Errors
    /// An index cannot be used, or the aliases of a modules.conf lead in a circle.
    pub fn find(&self, name: &str) -> Result<Answer, Error> {
        self.find_at(name, 0)
    }

    fn find_at(&self, name: &str, depth: usize) -> Result<Answer, Error> {
        if name.starts_with('/') || name.starts_with("./") {
            let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
            if !path.is_file() {
                return Ok(Answer::default());
            }
            let module = module_name(path.file_name().unwrap_or_default());
            return Ok(vec![Found::new(&module, &[], Via::File(path))].into());
        }
        let Some(normal) = normalize_alias(name.as_bytes()) else {
            return Ok(Answer::default());
        };
        let normal = String::from_utf8_lossy(&normal).into_owned();
        if depth > DEEPEST_PROBE {
            return Err(Error::Loop(normal));
        }
        if !self.config.chained {
            let aliases = self.config.aliases(&normal);
            let configured: Vec<Found> = aliases
                .map(|(module, origin)| {
                    Found::new(module, &[&normal], Via::Configured(origin.clone()))
                })
                .collect();
            if !configured.is_empty() {
                return Ok(configured.into());
            }
            return self.find_own(&normal, &[], None, depth);
        }
        let Chain { passed, end } = self.config.chain(&normal).map_err(Error::Loop)?;
        let names: Vec<&str> = passed.iter().map(|(name, _)| name.as_str()).collect();
        let origin = passed.last().map(|(_, origin)| (*origin).clone());
        let nothing = |via: fn(Origin) -> Via| {
            let (last, before) = names.split_last()?;
            Some(vec![Found::new(last, before, via(origin.clone()?))].into())
        };
        match end {
            End::Off => Ok(nothing(Via::Off).unwrap_or_default()),
            End::Null => Ok(nothing(Via::Null).unwrap_or_default()),
            End::Name(last) => self.find_own(&last, &names, origin, depth),
        }
    }

    /// Looks for a name that is no configured alias. `names` led to it, the last of them at
    /// `origin`.
    fn find_own(
        &self,
        normal: &str,
        names: &[&str],
        origin: Option<Origin>,
        depth: usize,
    ) -> Result<Answer, Error> {
        let found = |module: &str, via: Via| {
            let mut aliases = names.to_vec();
            if module != normal {
                aliases.push(normal);
            }
            Found::new(module, &aliases, via)
        };
        if self.entry(normal)?.is_some() {
            let via = origin.map_or(Via::Name, Via::Configured);
            return Ok(vec![found(normal, via)].into());
        }
        if let Some((modules, all, origin)) = self.config.probe(normal) {
            let mut answer = Answer {
                modules: Vec::new(),
                want: if all { Want::Any } else { Want::First },
            };
            for module in modules {
                for mut one in self.find_at(module, depth + 1)?.modules {
                    one.aliases.insert(0, normal.to_owned());
                    one.via = Via::Probe(origin.clone());
                    answer.modules.push(one);
                }
            }
            return Ok(answer);
        }
        let matching = |which: Which, via: Via| -> Result<Vec<Found>, IndexProblem> {
            let values = self.look(which, |index| index.matching(normal.as_bytes()))?;
            let module = |value: &crate::index::Value| {
                found(&String::from_utf8_lossy(&value.value), via.clone())
            };
            Ok(values.iter().map(module).collect())
        };
        if normal.starts_with("symbol:") {
            let symbols = matching(Which::Symbols, Via::Symbol)?;
            if !symbols.is_empty() {
                return Ok(symbols.into());
            }
        }
        if let Some(origin) = self.config.commanded(normal) {
            return Ok(vec![found(normal, Via::Command(origin.clone()))].into());
        }
        let own = matching(Which::Alias, Via::Alias)?;
        if !own.is_empty() {
            return Ok(own.into());
        }
        if self.is_builtin(normal)? {
            return Ok(vec![found(normal, Via::Builtin)].into());
        }
        Ok(matching(Which::BuiltinAlias, Via::Builtin)?.into())
    }

    /// Every alias of modules and every symbol of theirs, with the module, as `modprobe -c` lists
    /// them.
    ///
    /// # Errors
    /// An index cannot be used.
    pub fn own_aliases(&self) -> Result<Vec<(String, String)>, IndexProblem> {
        let mut all = Vec::new();
        for which in [Which::Alias, Which::Symbols] {
            let entries = self.look(which, Index::entries)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let alias =
                |(key, value): &(Vec<u8>, crate::index::Value)| (text(key), text(&value.value));
            all.extend(entries.iter().map(alias));
        }
        Ok(all)
    }

    /// Whether a module is part of the kernel.
    ///
    /// # Errors
    /// The index cannot be used.
    pub fn is_builtin(&self, module: &str) -> Result<bool, IndexProblem> {
        let values = self.look(Which::Builtin, |index| index.find(module.as_bytes()))?;
        Ok(!values.is_empty())
    }

    /// The file of a module.
    ///
    /// # Errors
    /// The index cannot be used.
    pub fn path(&self, module: &str) -> Result<Option<PathBuf>, IndexProblem> {
        Ok(self.entry(module)?.map(|entry| entry.path))
    }

    fn entry(&self, module: &str) -> Result<Option<Entry>, IndexProblem> {
        let values = self.look(Which::Dep, |index| index.find(module.as_bytes()))?;
        let Some(line) = values.into_iter().next() else {
            return Ok(self.in_paths(module).map(|path| Entry {
                path,
                deps: Vec::new(),
            }));
        };
        // The path may have blanks and colons, but not both together.
        let line = &line.value;
        let colon = line.windows(2).position(|pair| pair == b": ");
        let end = colon.unwrap_or(line.strip_suffix(b":").map_or(line.len(), <[u8]>::len));
        let path = OsStr::from_bytes(&line[..end]);
        // Where a directory's name has blanks, the word that ends as a module's file does is it.
        let name = |word: &[u8]| {
            let file = Path::new(OsStr::from_bytes(word)).file_name()?;
            extension(file).map(|_| module_name(file))
        };
        let words = line[end..].split(|byte| *byte == b' ').skip(1);
        let mut deps: Vec<String> = words.filter_map(name).collect();
        deps.reverse();
        Ok(Some(Entry {
            path: self.directory.join(path),
            deps,
        }))
    }

    /// The file of a module in the directories of a modules.conf's `path` lines.
    fn in_paths(&self, module: &str) -> Option<PathBuf> {
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            let is_module = extension(name).is_some() || path.extension() == Some("o".as_ref());
            is_module && module_name(name) == module
        };
        self.config.paths().find_map(|directory| {
            let entries = fs::read_dir(directory).ok()?;
            entries.flatten().map(|entry| entry.path()).find(is_it)
        })
    }

    /// What is to be done to load a module, in order: what its softdeps want before it, what it
    /// needs, itself, and what its softdeps want after it. `below` and `above` lines of a
    /// modules.conf say the like. A module can be there more than once, as
    /// kmod lists it; nothing asks whether one is loaded already.
    ///
    /// # Errors
    /// [`Error`]: an index cannot be used, or the configuration forbids something that is needed.
    pub fn plan(&self, found: &Found) -> Result<Vec<Step>, Error> {
        self.planned(found, true)
    }

    /// As [`Depot::plan`], for removing what that loads: nobody forbids it.
    ///
    /// # Errors
    /// [`Error`]: an index cannot be used.
    pub fn plan_removal(&self, found: &Found) -> Result<Vec<Step>, Error> {
        self.planned(found, false)
    }

    fn planned(&self, found: &Found, load: bool) -> Result<Vec<Step>, Error> {
        let mut plan = Plan {
            depot: self,
            load,
            steps: Vec::new(),
            visited: HashSet::new(),
            depth: 0,
            asked: found,
        };
        plan.module(found, true, &Reason::Asked)?;
        Ok(plan.steps)
    }
}

/// A plan in the making.
struct Plan<'a> {
    depot: &'a Depot,
    steps: Vec<Step>,
    /// By name and alias: what two aliases stand for is listed for each, as kmod does.
    visited: HashSet<(String, Vec<String>)>,
    /// So many modules lead to the one that is looked at.
    depth: usize,
    asked: &'a Found,
    /// It is to load them, and not to remove them.
    load: bool,
}

impl Plan<'_> {
    /// A module with all that it needs.
    fn module(&mut self, found: &Found, required: bool, reason: &Reason) -> Result<(), Error> {
        let key = (found.name.clone(), found.aliases.clone());
        if !self.visited.insert(key) {
            return Ok(());
        }
        if self.depth >= DEEPEST {
            return Err(Error::Deep(self.asked.name.clone()));
        }
        self.depth += 1;
        let done = self.unvisited(found, required, reason);
        self.depth -= 1;
        done
    }

    fn unvisited(&mut self, found: &Found, required: bool, reason: &Reason) -> Result<(), Error> {
        let name = found.name.as_str();
        let config = self.depot.config();
        match found.via {
            Via::Off(_) => return Ok(()),
            Via::Null(_) => return self.step(name, required, reason),
            _ => {}
        }
        let entry = self.depot.entry(name)?;
        let needed = Reason::Needed(name.to_owned());
        for dep in entry.iter().flat_map(|entry| &entry.deps) {
            self.with_softdeps(dep, required, &needed)?;
        }
        for dep in config.below(name) {
            let answer = self.depot.find(&dep)?;
            if answer.modules.is_empty() && required {
                let directory = self.depot.directory.clone();
                return Err(Error::NotFound(dep, directory));
            }
            for found in answer.modules {
                self.module(&found, required, &Reason::Below(name.to_owned()))?;
            }
        }
        self.with_softdeps(name, required, reason)?;
        self.soft(&config.above(name), &Reason::After(name.to_owned()))
    }

    fn with_softdeps(&mut self, name: &str, required: bool, reason: &Reason) -> Result<(), Error> {
        let softdeps = self.depot.config.softdeps(name);
        self.soft(&softdeps.pre, &Reason::Before(name.to_owned()))?;
        self.step(name, required, reason)?;
        self.soft(&softdeps.post, &Reason::After(name.to_owned()))
    }

    fn soft(&mut self, names: &[String], reason: &Reason) -> Result<(), Error> {
        for name in names {
            for found in self.depot.find(name)?.modules {
                self.module(&found, false, reason)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, name: &str, required: bool, reason: &Reason) -> Result<(), Error> {
        let config = &self.depot.config;
        if let Some((why, origin)) = config.forbidden(name).filter(|_| self.load) {
            if !required {
                return Ok(());
            }
            return Err(Error::Forbidden {
                module: name.to_owned(),
                origin: origin.clone(),
                reason: if why.is_empty() {
                    why
                } else {
                    format!(": {why}")
                },
            });
        }
        let asked = name == self.asked.name;
        let file = match &self.asked.via {
            Via::File(path) if asked => Some(path.clone()),
            _ => self.depot.entry(name)?.map(|entry| entry.path),
        };
        let action = match (config.install(name), file) {
            (Some((command, _)), _) => Action::Run(command.to_owned()),
            (None, Some(file)) => Action::Insert(file),
            (None, None) if asked && matches!(self.asked.via, Via::Null(_)) => Action::Null,
            (None, None) if self.depot.is_builtin(name)? => Action::Builtin,
            (None, None) => Action::Nothing,
        };
        let aliases: &[String] = if asked { &self.asked.aliases } else { &[] };
        let mut names = aliases.to_vec();
        names.push(name.to_owned());
        let hooks = |when| {
            let commands = config
                .hooks(when, &names)
                .map(|(_, command)| command.to_owned());
            commands.collect()
        };
        self.steps.push(Step {
            module: name.to_owned(),
            action,
            before: hooks(When::PreInstall),
            after: hooks(When::PostInstall),
            options: config.options(name, aliases),
            required,
            reason: reason.clone(),
        });
        Ok(())
    }
}

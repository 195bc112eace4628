//! modules.conf, the configuration of Linux 2.4's modutils, with what they knew by themselves.
//!
//! Source: modules.conf(5) of modutils 2.4.25. What were faults there is not kept: an `if` in a
//! branch that is not taken is not taken either; `! -k` means no; `-f` asks whether the file is
//! there; a variable that is not set is empty; the files of each argument of `include` are read
//! from its first.

use super::{Config, Line, Origin, Rule, When};
use crate::{normalize_alias, reader};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod words;

use words::{Expander, split};

const DEFAULTS: &str = include_str!("defaults.conf");
/// What their file is called.
const BUILT_IN: &str = "(built-in)";
/// Levels of `if`.
const DEEPEST_IF: usize = 20;
/// Levels of `include`; more are one that includes itself.
const DEEPEST_INCLUDE: usize = 64;
/// The most aliases that lead to each other.
const LONGEST_CHAIN: usize = 1000;
/// `NAME=VALUE` lines without a meaning here; they are kept to be shown, but for `depfile`.
const SETTINGS: [&str; 10] = [
    "insmod_opt",
    "persistdir",
    "depfile",
    "generic_stringfile",
    "pcimapfile",
    "isapnpmapfile",
    "usbmapfile",
    "parportmapfile",
    "ieee1394mapfile",
    "pnpbiosmapfile",
];

/// What a modules.conf is read for.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The kernel's version, as `uname -r`.
    pub version: String,
    /// It is the kernel that asks (`modprobe -k`).
    pub autoclean: bool,
    /// Commands in backquotes are run; they are whatever the file says.
    pub commands: bool,
    /// What is put before the paths of modules.
    pub root: PathBuf,
}

impl Surroundings {
    /// The first two numbers of the version.
    fn kernel_version(&self) -> String {
        let numbers: Vec<&str> = self.version.splitn(3, '.').take(2).collect();
        numbers.join(".")
    }
}

/// Why a modules.conf cannot be used: then none of it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}", self.place())]
pub struct ConfError {
    file: PathBuf,
    /// 0: it is not of a line.
    line: u32,
    why: String,
}

impl ConfError {
    fn place(&self) -> String {
        match self.line {
            // Then the reason names the file.
            0 => String::new(),
            line => format!("{} line {line}: ", self.file.display()),
        }
    }
}

impl Config {
    /// Reads a modules.conf, after what modutils knew by themselves.
    ///
    /// # Errors
    /// It, or a file that it includes, cannot be read, or a line of it is not understood.
    pub fn read_modules_conf(file: &Path, around: &Surroundings) -> Result<Config, ConfError> {
        let mut parser = Parser::new(around);
        parser.text(DEFAULTS, Path::new(BUILT_IN), 0)?;
        parser.paths_are_defaults = true;
        parser.file(file, 0, file, 0)?;
        Ok(parser.config)
    }
}

struct Parser<'a> {
    config: Config,
    expander: Expander<'a>,
    /// No `path` was read yet, and no `keep`: the first one replaces them.
    paths_are_defaults: bool,
}

/// An `if` that is not ended yet.
struct If {
    line: u32,
    /// What is around it is read.
    outer: bool,
    /// A branch of it was read already.
    done: bool,
    /// The branch that we are in is read.
    active: bool,
    /// It was the last branch.
    last: bool,
}

impl<'a> Parser<'a> {
    fn new(around: &'a Surroundings) -> Parser<'a> {
        Parser {
            config: Config {
                chained: true,
                ..Config::default()
            },
            expander: Expander {
                around,
                defined: HashMap::new(),
            },
            paths_are_defaults: false,
        }
    }

    /// Reads a file that is asked for at a line of another.
    fn file(&mut self, path: &Path, depth: usize, by: &Path, line: u32) -> Result<(), ConfError> {
        let fail = |why| ConfError {
            file: by.to_owned(),
            line,
            why,
        };
        if depth > DEEPEST_INCLUDE {
            return Err(fail(format!(
                "{} is included more than {DEEPEST_INCLUDE} levels deep",
                path.display()
            )));
        }
        let bytes = reader::bytes(path);
        let bytes = bytes.map_err(|e| fail(format!("cannot read {}: {e}", path.display())))?;
        self.config.files.push(path.to_owned());
        self.text(&String::from_utf8_lossy(&bytes), path, depth)
    }

    fn text(&mut self, text: &str, file: &Path, depth: usize) -> Result<(), ConfError> {
        let shared: Arc<Path> = file.into();
        let mut ifs: Vec<If> = Vec::new();
        for (line, text) in words::lines(text) {
            let fail = |why| ConfError {
                file: file.to_owned(),
                line,
                why,
            };
            if self.condition(&text, line, &mut ifs).map_err(fail)? {
                continue;
            }
            if ifs.last().is_some_and(|level| !level.active) {
                continue;
            }
            let (word, rest) = split(&text);
            if word == "include" {
                for path in self.expander.words(rest).map_err(fail)? {
                    self.file(Path::new(&path), depth + 1, file, line)?;
                }
                continue;
            }
            let origin = Origin {
                file: Arc::clone(&shared),
                line,
            };
            self.directive(&text, &origin).map_err(fail)?;
        }
        match ifs.last() {
            None => Ok(()),
            Some(open) => Err(ConfError {
                file: file.to_owned(),
                line: open.line,
                why: "this 'if' has no 'endif'".to_owned(),
            }),
        }
    }

    /// Takes a line of a condition; whether it is one.
    fn condition(&self, text: &str, line: u32, ifs: &mut Vec<If>) -> Result<bool, String> {
        let (word, rest) = split(text);
        if word == "if" {
            if ifs.len() >= DEEPEST_IF {
                return Err(format!("more than {DEEPEST_IF} levels of 'if'"));
            }
            let outer = ifs.last().is_none_or(|level| level.active);
            let active = outer && self.is_true(rest)?;
            ifs.push(If {
                line,
                outer,
                done: active,
                active,
                last: false,
            });
            return Ok(true);
        }
        if !matches!(word, "elseif" | "else" | "endif") {
            return Ok(false);
        }
        let Some(level) = ifs.last_mut() else {
            return Err(format!("'{word}' without 'if'"));
        };
        if word == "endif" {
            ifs.pop();
            return Ok(true);
        }
        if level.last {
            return Err(format!("'{word}' after 'else'"));
        }
        level.last = word == "else";
        level.active = level.outer && !level.done && (level.last || self.is_true(rest)?);
        level.done |= level.active;
        Ok(true)
    }

    /// `[!] WORD`, `[!] -k`, `[!] -f FILE`, `[!] [-n] WORD OPERATOR WORD`. A word by itself is
    /// true unless it is empty or `0`.
    fn is_true(&self, text: &str) -> Result<bool, String> {
        let mut words = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (word, after) = split(rest);
            words.push(word);
            rest = after;
        }
        let mut words = words.as_slice();
        let negated = words.first() == Some(&"!");
        if negated {
            words = &words[1..];
        }
        let value = |word: &str| self.expander.word(word);
        let truth = match words {
            ["-k"] => self.expander.around.autoclean,
            ["-f", file] => Path::new(&value(file)?).exists(),
            [word] => !matches!(&*value(word)?, "" | "0"),
            ["-n", left, operator, right] => {
                holds(by_number(&value(left)?, &value(right)?), operator)?
            }
            [left, operator, right] => holds(value(left)?.cmp(&value(right)?), operator)?,
            _ => return Err(format!("'{text}' is no condition")),
        };
        Ok(truth != negated)
    }

    fn directive(&mut self, text: &str, origin: &Origin) -> Result<(), String> {
        // `add` may even be written together with what it is about.
        let (added, text) = match text.strip_prefix("add") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        if let Some((name, value)) = assignment(text) {
            return self.assign(name, value, origin);
        }
        let (word, rest) = split(text);
        let unknown = || Err(format!("'{word}' is no directive of modules.conf"));
        let (name, after) = split(rest);
        let needed = |what: &str, given: &str| match given.is_empty() {
            true => Err(format!("'{word}' needs {what}")),
            false => Ok(()),
        };
        if word == "keep" {
            self.paths_are_defaults = false;
            return Ok(());
        }
        if !matches!(
            word,
            "define" | "alias" | "options" | "above" | "below" | "prune" | "probe" | "probeall"
        ) && hook(word).is_none()
            && !matches!(word, "install" | "remove")
        {
            return unknown();
        }
        needed("a name", name)?;
        let line = match word {
            "define" => {
                let (name, value) = (name.to_owned(), self.expander.word(split(after).0)?);
                let defined = &mut self.expander.defined;
                defined.insert(name.clone(), value.clone());
                Line::Define { name, value }
            }
            "alias" => {
                needed("a module's name after the alias", after)?;
                Line::Alias {
                    pattern: module(name),
                    module: module(&self.expander.word(split(after).0)?),
                }
            }
            "options" if name == "-k" => {
                let (name, after) = split(after);
                needed("a module's name", name)?;
                self.add(Line::Keep(module(name)), true, origin);
                if after.is_empty() {
                    return Ok(());
                }
                options(name, after)
            }
            "options" => {
                needed("options after the name", after)?;
                options(name, after)
            }
            "prune" => Line::Prune(name.to_owned()),
            "above" | "below" | "probe" | "probeall" => {
                let modules: Vec<String> = self
                    .expander
                    .words(after)?
                    .iter()
                    .map(|w| module(w))
                    .collect();
                needed("modules after the name", after)?;
                let name = module(name);
                match word {
                    "above" => Line::Above {
                        module: name,
                        deps: modules,
                    },
                    "below" => Line::Below {
                        module: name,
                        deps: modules,
                    },
                    _ => Line::Probe {
                        name,
                        modules,
                        all: word == "probeall",
                    },
                }
            }
            _ => {
                needed("a command after the name", after)?;
                let (name, command) = (module(name), after.to_owned());
                match (word, hook(word)) {
                    (_, Some(when)) => Line::Hook {
                        when,
                        module: name,
                        command,
                    },
                    ("install", _) => Line::Install {
                        pattern: name,
                        command,
                    },
                    _ => Line::Remove {
                        pattern: name,
                        command,
                    },
                }
            }
        };
        self.add(line, added || word == "prune", origin);
        Ok(())
    }

    /// Adds a line; unless it is said to be added, it replaces those of the same kind and name.
    fn add(&mut self, line: Line, added: bool, origin: &Origin) {
        if !added {
            self.config.rules.retain(|rule| !same(&rule.line, &line));
        }
        self.config.rules.push(Rule {
            line,
            origin: origin.clone(),
        });
    }

    fn assign(&mut self, name: &str, value: &str, origin: &Origin) -> Result<(), String> {
        let value = self.expander.word(split(value).0)?;
        if let Some(setting) = SETTINGS.iter().find(|setting| **setting == name) {
            let line = Line::Set {
                name: setting,
                value,
            };
            self.add(line, false, origin);
            return Ok(());
        }
        let tag = match name.strip_prefix("path") {
            Some("") => "misc",
            Some(tag) => tag
                .strip_prefix('[')
                .and_then(|tag| tag.strip_suffix(']'))
                .ok_or_else(|| format!("'{name}=' is no directive of modules.conf"))?,
            None => return Err(format!("'{name}=' is no directive of modules.conf")),
        };
        if self.paths_are_defaults {
            let is_path = |rule: &Rule| matches!(rule.line, Line::Path { .. });
            self.config.rules.retain(|rule| !is_path(rule));
            self.paths_are_defaults = false;
        }
        let below = Path::new(&value);
        let root = &self.expander.around.root;
        let line = Line::Path {
            tag: tag.to_owned(),
            path: root.join(below.strip_prefix("/").unwrap_or(below)),
        };
        self.add(line, true, origin);
        Ok(())
    }
}

/// A name with `_` for `-`; here it has no brackets.
fn module(name: &str) -> String {
    let normal = normalize_alias(name.as_bytes());
    let normal = normal.and_then(|bytes| String::from_utf8(bytes).ok());
    normal.unwrap_or_else(|| name.to_owned())
}

fn options(name: &str, options: &str) -> Line {
    Line::Options {
        module: module(name),
        options: options.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn hook(word: &str) -> Option<When> {
    let all = [
        When::PreInstall,
        When::PostInstall,
        When::PreRemove,
        When::PostRemove,
    ];
    all.into_iter().find(|when| when.word() == word)
}

/// `NAME=VALUE`, where the name has no blank.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    (!name.contains(char::is_whitespace)).then(|| (name, value.trim_start()))
}

/// Whether two lines are of one kind and about the same name.
fn same(one: &Line, other: &Line) -> bool {
    match (one, other) {
        (Line::Alias { pattern: a, .. }, Line::Alias { pattern: b, .. })
        | (Line::Options { module: a, .. }, Line::Options { module: b, .. })
        | (Line::Above { module: a, .. }, Line::Above { module: b, .. })
        | (Line::Below { module: a, .. }, Line::Below { module: b, .. })
        | (Line::Probe { name: a, .. }, Line::Probe { name: b, .. })
        | (Line::Install { pattern: a, .. }, Line::Install { pattern: b, .. })
        | (Line::Remove { pattern: a, .. }, Line::Remove { pattern: b, .. })
        | (Line::Define { name: a, .. }, Line::Define { name: b, .. }) => a == b,
        (Line::Set { name: a, .. }, Line::Set { name: b, .. }) => a == b && *a != "insmod_opt",
        (
            Line::Hook {
                when: a,
                module: of,
                ..
            },
            Line::Hook {
                when: b,
                module: also,
                ..
            },
        ) => a == b && of == also,
        _ => false,
    }
}

/// As numbers, or as several with dots between them, of which the first counts most. What is no
/// number is 0.
fn by_number(left: &str, right: &str) -> Ordering {
    let number = |part: &str| {
        let part = part.trim();
        let hex = part
            .strip_prefix("0x")
            .map(|hex| i64::from_str_radix(hex, 16));
        hex.unwrap_or_else(|| part.parse()).unwrap_or(0)
    };
    let (mut left, mut right) = (left.split('.').map(number), right.split('.').map(number));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => match a.unwrap_or(0).cmp(&b.unwrap_or(0)) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

fn holds(order: Ordering, operator: &str) -> Result<bool, String> {
    Ok(match operator {
        "==" | "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => return Err(format!("'{operator}' does not compare")),
    })
}

/// The aliases of modules.conf that a name leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chain<'a> {
    /// The names on the way, the asked one first, each with where it is an alias.
    pub(crate) passed: Vec<(String, &'a Origin)>,
    /// Where they end.
    pub(crate) end: End,
}

/// Where aliases of modules.conf end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// This module, or a name that no alias has.
    Name(String),
    /// Nothing, and that is as it should be.
    Off,
    /// No module, only commands.
    Null,
}

impl Config {
    /// Follows the aliases of modules.conf. `Err`: they lead in a circle, from this name.
    pub(crate) fn chain(&self, name: &str) -> Result<Chain<'_>, String> {
        let mut passed: Vec<(String, &Origin)> = Vec::new();
        let mut name = name.to_owned();
        loop {
            let alias = self.rules.iter().rev().find_map(|rule| match &rule.line {
                Line::Alias { pattern, module } if *pattern == name => Some((module, &rule.origin)),
                _ => None,
            });
            let Some((module, origin)) = alias else {
                let end = End::Name(name);
                return Ok(Chain { passed, end });
            };
            if passed.len() >= LONGEST_CHAIN {
                return Err(passed.swap_remove(0).0);
            }
            passed.push((name, origin));
            let end = match module.as_str() {
                "off" => End::Off,
                "null" => End::Null,
                _ => {
                    name = module.clone();
                    continue;
                }
            };
            return Ok(Chain { passed, end });
        }
    }

    /// The modules that a name stands for by `probe`, or with `true` by `probeall`.
    pub(crate) fn probe(&self, name: &str) -> Option<(&[String], bool, &Origin)> {
        self.rules.iter().find_map(|rule| match &rule.line {
            Line::Probe {
                name: own,
                modules,
                all,
            } if own == name => Some((&modules[..], *all, &rule.origin)),
            _ => None,
        })
    }

    /// What `below` lines say that a module needs.
    pub(crate) fn below(&self, name: &str) -> Vec<String> {
        self.all_of(|line| match line {
            Line::Below { module, deps } if module == name => Some(deps),
            _ => None,
        })
    }

    /// What `above` lines say that is wanted after a module.
    pub(crate) fn above(&self, name: &str) -> Vec<String> {
        self.all_of(|line| match line {
            Line::Above { module, deps } if module == name => Some(deps),
            _ => None,
        })
    }

    fn all_of(&self, list: impl Fn(&Line) -> Option<&Vec<String>>) -> Vec<String> {
        let lists = self.rules.iter().filter_map(|rule| list(&rule.line));
        lists.flatten().cloned().collect()
    }

    /// The commands to be run before or after something is done to a module, by any of its names.
    pub fn hooks<'a>(
        &'a self,
        at: When,
        names: &'a [String],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.rules.iter().filter_map(move |rule| match &rule.line {
            Line::Hook {
                when,
                module,
                command,
            } if *when == at && names.contains(module) => Some((module.as_str(), command.as_str())),
            _ => None,
        })
    }

    /// Whether a module is to stay although nobody uses it.
    pub fn keeps(&self, name: &str) -> bool {
        let is_it = |rule: &Rule| matches!(&rule.line, Line::Keep(module) if module == name);
        self.rules.iter().any(is_it)
    }

    /// Where `path` lines say that modules are, in order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.rules.iter().filter_map(|rule| match &rule.line {
            Line::Path { path, .. } => Some(path.as_path()),
            _ => None,
        })
    }

    /// What a `depfile=` line names, unless it is the one built in.
    pub fn depfile(&self) -> Option<&Path> {
        self.rules.iter().find_map(|rule| match &rule.line {
            Line::Set {
                name: "depfile",
                value,
            } if &*rule.origin.file != Path::new(BUILT_IN) => Some(Path::new(value)),
            _ => None,
        })
    }

    /// What `define` lines set, for the environment of commands.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().filter_map(|rule| match &rule.line {
            Line::Define { name, value } => Some((name.as_str(), value.as_str())),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;

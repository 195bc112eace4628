//! What people configure: modprobe.d, depmod.d, the kernel's command line, and modules.conf of
//! Linux 2.4.

mod cmdline;
mod depmod;
mod files;
mod line;
mod modprobe;
mod modules_conf;
mod modules_load;

pub use cmdline::parse as parse_command_line;
pub use files::Origin;
pub use line::{Deps, Line, Rule, When};
pub(crate) use modules_conf::{Chain, End};
pub use modules_conf::{ConfError, Surroundings};
pub use modules_load::ModulesLoad;

use crate::glob;
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

/// What is configured, in the order in which it was read.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The lines of all files.
    pub rules: Vec<Rule>,
    /// How many lines were not understood; each was reported.
    pub wrong: usize,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// It is of a modules.conf: aliases are no patterns, and lead from one to the next.
    pub chained: bool,
}

impl Config {
    /// The modules whose alias patterns match a name.
    pub fn aliases<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a Origin)> {
        self.rules.iter().filter_map(move |rule| match &rule.line {
            Line::Alias { pattern, module } if is_match(pattern, name) => {
                Some((module.as_str(), &rule.origin))
            }
            _ => None,
        })
    }

    /// Whether a module is blacklisted, and where.
    pub fn blacklisted(&self, module: &str) -> Option<&Origin> {
        let found = self
            .rules
            .iter()
            .find(|rule| matches!(&rule.line, Line::Blacklist(name) if name == module));
        Some(&found?.origin)
    }

    /// All options for a module, joined; those for the aliases that led to it among them.
    pub fn options(&self, module: &str, aliases: &[String]) -> String {
        let mut all = String::new();
        for rule in &self.rules {
            if let Line::Options {
                module: name,
                options,
            } = &rule.line
                && (name == module || aliases.contains(name))
            {
                if !all.is_empty() {
                    all.push(' ');
                }
                all.push_str(options);
            }
        }
        all
    }

    /// The command that is run instead of loading a module; the first that fits.
    pub fn install(&self, module: &str) -> Option<(&str, &Origin)> {
        self.rules.iter().find_map(|rule| match &rule.line {
            Line::Install { pattern, command } if is_match(pattern, module) => {
                Some((command.as_str(), &rule.origin))
            }
            _ => None,
        })
    }

    /// The command that is run instead of removing a module; the first that fits.
    pub fn remove(&self, module: &str) -> Option<(&str, &Origin)> {
        self.rules.iter().find_map(|rule| match &rule.line {
            Line::Remove { pattern, command } if is_match(pattern, module) => {
                Some((command.as_str(), &rule.origin))
            }
            _ => None,
        })
    }

    /// Where a command is configured for this very name, which so is one that can be asked for. A
    /// pattern makes none: it would know every name.
    pub fn commanded(&self, name: &str) -> Option<&Origin> {
        let found = self.rules.iter().find(|rule| match &rule.line {
            Line::Install { pattern, .. } | Line::Remove { pattern, .. } => pattern == name,
            _ => false,
        });
        Some(&found?.origin)
    }

    /// What a module wants before and after it: all of its softdep lines together, each module
    /// once.
    pub fn softdeps(&self, module: &str) -> Deps {
        let mut all = Deps::default();
        let (mut pre, mut post) = (HashSet::new(), HashSet::new());
        for rule in &self.rules {
            if let Line::Softdep { module: name, deps } = &rule.line
                && name == module
            {
                for (list, known, more) in [
                    (&mut all.pre, &mut pre, &deps.pre),
                    (&mut all.post, &mut post, &deps.post),
                ] {
                    list.extend(more.iter().filter(|name| known.insert(*name)).cloned());
                }
            }
        }
        all
    }

    /// The modules that a module may ask for itself, later (`weakdep` lines): nobody loads them for it,
    /// but whoever packs an initramfs takes them along.
    pub fn weakdeps<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.rules.iter().filter_map(move |rule| match &rule.line {
            Line::Weakdep { module: of, deps } => is_match(of, module).then_some(deps),
            _ => None,
        });
        lines.flatten().map(String::as_str)
    }

    /// Why a module must not be loaded, if so: an `allow` line does not name it, or a `deny` line
    /// does.
    pub fn forbidden(&self, module: &str) -> Option<(String, &Origin)> {
        let denied = self.rules.iter().find_map(|rule| match &rule.line {
            Line::Deny { pattern, reason } if is_match(pattern, module) => {
                Some((reason.clone(), &rule.origin))
            }
            _ => None,
        });
        if denied.is_some() {
            return denied;
        }
        let mut limits = self.rules.iter().filter_map(|rule| match &rule.line {
            Line::Allow(names) => Some((names, &rule.origin)),
            _ => None,
        });
        let (names, origin) = limits.next()?;
        let mut names = names.iter().chain(limits.flat_map(|(names, _)| names));
        let allowed = names.any(|pattern| is_match(pattern, module));
        (!allowed).then(|| ("no allow line names it".to_owned(), origin))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.line {
            0 => write!(f, "{file}"),
            line => write!(f, "{file} line {line}"),
        }
    }
}

fn is_match(pattern: &str, name: &str) -> bool {
    glob::matches(pattern.as_bytes(), name.as_bytes())
}

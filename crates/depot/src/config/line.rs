//! What a line of configuration says.

use super::Origin;
use std::fmt;
use std::path::PathBuf;

/// A line, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it says.
    pub line: Line,
    /// Where it is from.
    pub origin: Origin,
}

/// Modules that are wanted before and after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deps {
    /// Before it.
    pub pre: Vec<String>,
    /// After it.
    pub post: Vec<String>,
}

/// A line of modprobe.d or modules.conf. Names of modules have `_` for `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `alias WILDCARD MODULE`
    Alias {
        /// A pattern of fnmatch(3).
        pattern: String,
        /// What it stands for.
        module: String,
    },
    /// `blacklist MODULE`: not to be found by an alias.
    Blacklist(String),
    /// `options MODULE OPTION…`
    Options {
        /// A module, or an alias.
        module: String,
        /// What is given to it.
        options: String,
    },
    /// `install MODULE COMMAND…`: instead of loading it.
    Install {
        /// A pattern of fnmatch(3).
        pattern: String,
        /// For the shell.
        command: String,
    },
    /// `remove MODULE COMMAND…`: instead of removing it.
    Remove {
        /// A pattern of fnmatch(3).
        pattern: String,
        /// For the shell.
        command: String,
    },
    /// `softdep MODULE pre: MODULE… post: MODULE…`
    Softdep {
        /// Whose they are.
        module: String,
        /// They may be missing.
        deps: Deps,
    },
    /// `weakdep MODULE MODULE…`: it may ask for them itself, later.
    Weakdep {
        /// Whose they are.
        module: String,
        /// They may be missing.
        deps: Vec<String>,
    },
    /// `allow MODULE…`: with one such line, nothing else may be loaded.
    Allow(Vec<String>),
    /// `deny MODULE [REASON…]`: never loaded, whoever asks for it.
    Deny {
        /// A pattern of fnmatch(3).
        pattern: String,
        /// What is told to who asks.
        reason: String,
    },
    /// `below MODULE MODULE…` of modules.conf: needed before it.
    Below {
        /// What needs them.
        module: String,
        /// They must be there.
        deps: Vec<String>,
    },
    /// `above MODULE MODULE…` of modules.conf: wanted after it.
    Above {
        /// What wants them.
        module: String,
        /// They may be missing.
        deps: Vec<String>,
    },
    /// `probe NAME MODULE…` of modules.conf: the name stands for the first of the modules that can
    /// be loaded; `probeall`: for all that can.
    Probe {
        /// The name.
        name: String,
        /// The modules.
        modules: Vec<String>,
        /// All of them.
        all: bool,
    },
    /// `pre-install`, `post-install`, `pre-remove`, `post-remove` of modules.conf.
    Hook {
        /// When the command is run.
        when: When,
        /// A module, or an alias.
        module: String,
        /// For the shell.
        command: String,
    },
    /// `options -k MODULE` of modules.conf: it is not unloaded for not being used.
    Keep(String),
    /// `prune NAME` of modules.conf: not a module.
    Prune(String),
    /// `path[TAG]=DIRECTORY` of modules.conf: where modules are.
    Path {
        /// What kind of modules.
        tag: String,
        /// The directory.
        path: PathBuf,
    },
    /// Any other `NAME=VALUE` of modules.conf.
    Set {
        /// Which.
        name: &'static str,
        /// What it is set to.
        value: String,
    },
    /// `define NAME VALUE` of modules.conf: in the environment of commands.
    Define {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before a module is loaded.
    PreInstall,
    /// After that.
    PostInstall,
    /// Before a module is removed.
    PreRemove,
    /// After that.
    PostRemove,
}

impl When {
    /// The directive's word.
    pub const fn word(self) -> &'static str {
        match self {
            When::PreInstall => "pre-install",
            When::PostInstall => "post-install",
            When::PreRemove => "pre-remove",
            When::PostRemove => "post-remove",
        }
    }
}

impl Line {
    /// Where `modprobe -c` lists it: the same number for all lines of a directive.
    pub fn rank(&self) -> usize {
        match self {
            Line::Set { .. } | Line::Define { .. } => 0,
            Line::Path { .. } => 1,
            Line::Prune(_) => 2,
            Line::Blacklist(_) => 3,
            Line::Install { .. } | Line::Hook { .. } => 4,
            Line::Remove { .. } => 5,
            Line::Alias { .. } | Line::Probe { .. } => 6,
            Line::Options { .. } | Line::Keep(_) => 7,
            Line::Softdep { .. } | Line::Below { .. } | Line::Above { .. } => 8,
            Line::Weakdep { .. } => 9,
            Line::Allow(_) => 10,
            Line::Deny { .. } => 11,
        }
    }
}

impl Line {
    /// Whether it says something of a module, or of an alias.
    pub fn is_about(&self, name: &str) -> bool {
        let fits = |pattern: &str| super::is_match(pattern, name);
        let within = |list: &[String]| list.iter().any(|other| other == name);
        match self {
            Line::Alias { pattern, module } => fits(pattern) || module == name,
            Line::Install { pattern, .. }
            | Line::Remove { pattern, .. }
            | Line::Deny { pattern, .. } => fits(pattern),
            Line::Blacklist(module)
            | Line::Options { module, .. }
            | Line::Hook { module, .. }
            | Line::Keep(module) => module == name,
            Line::Softdep { module, deps } => {
                module == name || within(&deps.pre) || within(&deps.post)
            }
            Line::Weakdep { module, deps }
            | Line::Below { module, deps }
            | Line::Above { module, deps }
            | Line::Probe {
                name: module,
                modules: deps,
                ..
            } => module == name || within(deps),
            Line::Allow(patterns) => patterns.iter().any(|pattern| fits(pattern)),
            Line::Prune(_) | Line::Path { .. } | Line::Set { .. } | Line::Define { .. } => false,
        }
    }
}

impl fmt::Display for Line {
    /// As it would be written into a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Alias { pattern, module } => write!(f, "alias {pattern} {module}"),
            Line::Blacklist(module) => write!(f, "blacklist {module}"),
            Line::Options { module, options } => write!(f, "options {module} {options}"),
            Line::Install { pattern, command } => write!(f, "install {pattern} {command}"),
            Line::Remove { pattern, command } => write!(f, "remove {pattern} {command}"),
            Line::Softdep { module, deps } => {
                let lists = [("pre: ", &deps.pre), ("post: ", &deps.post)];
                let told = lists.iter().filter(|(_, list)| !list.is_empty());
                let told = told.map(|(word, list)| format!("{word}{}", list.join(" ")));
                let told: Vec<String> = told.collect();
                write!(f, "softdep {module} {}", told.join(" "))
            }
            Line::Weakdep { module, deps } => write!(f, "weakdep {module} {}", deps.join(" ")),
            Line::Allow(modules) => write!(f, "allow {}", modules.join(" ")),
            Line::Deny { pattern, reason } if reason.is_empty() => write!(f, "deny {pattern}"),
            Line::Deny { pattern, reason } => write!(f, "deny {pattern} {reason}"),
            Line::Below { module, deps } => write!(f, "below {module} {}", deps.join(" ")),
            Line::Above { module, deps } => write!(f, "above {module} {}", deps.join(" ")),
            Line::Probe { name, modules, all } => {
                let word = if *all { "probeall" } else { "probe" };
                write!(f, "{word} {name} {}", modules.join(" "))
            }
            Line::Hook {
                when,
                module,
                command,
            } => write!(f, "{} {module} {command}", when.word()),
            Line::Keep(module) => write!(f, "options -k {module}"),
            Line::Prune(name) => write!(f, "prune {name}"),
            Line::Path { tag, path } => write!(f, "path[{tag}]={}", path.display()),
            Line::Set { name, value } => write!(f, "{name}={value}"),
            Line::Define { name, value } => write!(f, "define {name} {value}"),
        }
    }
}

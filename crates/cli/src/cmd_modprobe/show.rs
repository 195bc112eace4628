//! What modprobe prints instead of doing something.

use crate::report::print;
use modfs_depot::Reader;
use modfs_depot::probe::{Action, Depot, Found, Reason, Step, Via};
use modfs_object::ModuleFile;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// A step as kmod prints it, with its hooks.
pub(super) fn lines(step: &Step) -> String {
    let options = &step.options;
    let hooks = |word: &str, commands: &[String]| -> String {
        commands.iter().map(|c| format!("{word} {c}\n")).collect()
    };
    let own = match &step.action {
        Action::Insert(path) => format!("insmod {} {options}\n", path.display()),
        Action::Run(command) => format!("install {command} {options}\n"),
        Action::Builtin => format!("builtin {}\n", step.module),
        Action::Nothing | Action::Null => String::new(),
    };
    hooks("pre-install", &step.before) + &own + &hooks("post-install", &step.after)
}

/// Why each step is done.
pub(super) fn explained(found: &Found, steps: &[Step]) -> String {
    let name = found.aliases.first().unwrap_or(&found.name);
    let how = match &found.via {
        Via::Name => "a module".to_owned(),
        Via::Configured(origin) => format!("{}, by an alias in {origin}", found.name),
        Via::Alias => format!("{}, by an alias of its own", found.name),
        Via::Symbol => format!("{}, which exports it", found.name),
        Via::Command(origin) => format!("a name with a command in {origin}"),
        Via::Builtin => format!("{}, part of the kernel", found.name),
        Via::File(path) => format!("the file {}", path.display()),
        Via::Probe(origin) => format!("perhaps {}, by {origin}", found.name),
        Via::Off(origin) => format!("nothing: {origin} says off"),
        Via::Null(origin) => format!("no module: {origin} says null"),
    };
    let mut text = format!("{name} is {how}\n");
    for (number, step) in steps.iter().enumerate() {
        let why = match &step.reason {
            Reason::Asked => "it was asked for".to_owned(),
            Reason::Needed(by) => format!("{by} uses its symbols"),
            Reason::Below(of) => format!("a below line of {of} names it"),
            Reason::Before(of) => format!("a softdep of {of} wants it before"),
            Reason::After(of) => format!("a softdep of {of} wants it after"),
        };
        let what = match &step.action {
            Action::Insert(path) => format!("insert {}", path.display()),
            Action::Run(command) => format!("run {command}"),
            Action::Builtin => "nothing to do, it is part of the kernel".to_owned(),
            Action::Nothing => "nothing can be done, there is no file".to_owned(),
            Action::Null => "nothing to do, there is no module".to_owned(),
        };
        let _ = writeln!(text, "{}. {}: {what}", number + 1, step.module);
        let _ = writeln!(text, "   because {why}");
        if !step.options.trim_end().is_empty() {
            let _ = writeln!(text, "   with {}", step.options.trim_end());
        }
        for (when, commands) in [("before", &step.before), ("after", &step.after)] {
            for command in commands {
                let _ = writeln!(text, "   {when} that, run {command}");
            }
        }
        if !step.required {
            text += "   if it fails the rest goes on\n";
        }
    }
    text
}

/// A step for programs.
#[derive(Debug, Serialize)]
pub(super) struct JsonStep {
    module: String,
    /// `insert`, `run`, `builtin` or `none`.
    action: &'static str,
    file: Option<String>,
    command: Option<String>,
    options: String,
    required: bool,
    /// `asked`, `needed`, `below`, `before` or `after`.
    reason: &'static str,
    /// The module that wants it.
    of: Option<String>,
    before: Vec<String>,
    after: Vec<String>,
}

impl JsonStep {
    pub(super) fn new(step: &Step) -> JsonStep {
        let (action, file, command) = match &step.action {
            Action::Insert(path) => ("insert", Some(path.to_string_lossy().into_owned()), None),
            Action::Run(command) => ("run", None, Some(command.clone())),
            Action::Builtin => ("builtin", None, None),
            Action::Nothing | Action::Null => ("none", None, None),
        };
        let (reason, of) = match &step.reason {
            Reason::Asked => ("asked", None),
            Reason::Needed(by) => ("needed", Some(by.clone())),
            Reason::Below(of) => ("below", Some(of.clone())),
            Reason::Before(of) => ("before", Some(of.clone())),
            Reason::After(of) => ("after", Some(of.clone())),
        };
        JsonStep {
            module: step.module.clone(),
            action,
            file,
            command,
            options: step.options.trim_end().to_owned(),
            required: step.required,
            reason,
            of,
            before: step.before.clone(),
            after: step.after.clone(),
        }
    }
}

/// `-c`: the configuration, directive by directive, and the aliases in the indexes.
pub(super) fn config(depot: &Depot) -> Result<String, String> {
    let mut text = String::new();
    let mut rules: Vec<_> = depot.config().rules.iter().collect();
    rules.sort_by_key(|rule| rule.line.rank());
    for rule in rules {
        let _ = writeln!(text, "{}", rule.line);
    }
    text += "\n# End of configuration files. Dumping indexes now:\n\n";
    let aliases = depot.own_aliases();
    for (key, module) in aliases.map_err(|e| format!("modprobe: ERROR: {e}"))? {
        let _ = writeln!(text, "alias {key} {module}");
    }
    Ok(text)
}

/// `--show-modversions`, or else `--show-exports`.
pub(super) fn file(file: &str, versions: bool) -> Result<(), String> {
    let fail = |e: String| format!("modprobe: FATAL: Module {file}: {e}");
    let mut reader = Reader::default();
    let bytes = reader
        .read(Path::new(file))
        .map_err(|e| fail(e.to_string()))?;
    let module = ModuleFile::parse(bytes).map_err(|e| fail(e.to_string()))?;
    let exports = |module: &ModuleFile<'_>| -> Vec<(Vec<u8>, u32)> {
        let exports = module.exports().into_iter();
        exports
            .map(|export| (export.name.to_vec(), export.crc.unwrap_or(0)))
            .collect()
    };
    let lines: Vec<(Vec<u8>, u32)> = match versions {
        true => {
            let versions = module.versions().into_iter();
            versions.map(|(name, crc)| (name.to_vec(), crc)).collect()
        }
        false => exports(&module),
    };
    let line =
        |(name, crc): &(Vec<u8>, u32)| [format!("0x{crc:08x}\t").as_bytes(), name, b"\n"].concat();
    print(lines.iter().flat_map(line).collect::<Vec<u8>>());
    Ok(())
}

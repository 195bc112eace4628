//! `modprobe`: modules with all that they need.

use crate::cmd_insmod::{self, InsmodArgs};
use crate::cmd_rmmod;
use crate::report::{ToStderr, print};
use crate::tree::{Tree, TreeArgs};
use crate::version::DirectoryArgs;
use clap::Args;
use modfs_depot::config::{self, Config, Line};
use modfs_depot::probe::{Action, Depot, Error, Found, Reason, Step, Via};
use modfs_depot::{Level, Report};
use modfs_object::{ModuleFile, Unpacker};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments of `modprobe`.
#[derive(Args, Debug)]
pub(crate) struct ModprobeArgs {
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Every argument is a module's name
    #[arg(short, long)]
    all: bool,
    /// Remove the modules, and what they alone needed
    #[arg(short, long)]
    remove: bool,
    /// The modules may be unloaded again by `rmmod -a` once they are not used
    #[arg(short = 'k', long)]
    autoclean: bool,
    /// Fail when a module is loaded, or removed, already
    #[arg(long)]
    first_time: bool,
    /// Do not run install and remove commands for the modules named
    #[arg(short, long, visible_alias = "ignore-remove")]
    ignore_install: bool,
    /// Apply blacklist lines to names too
    #[arg(short = 'b', long)]
    use_blacklist: bool,
    /// Print which modules the names stand for
    #[arg(short = 'R', long, visible_alias = "resolve-alias")]
    show_alias: bool,
    /// Print what would be done if nothing were loaded
    #[arg(short = 'D', long)]
    show_depends: bool,
    /// Print what would be done, and why
    #[arg(long)]
    explain: bool,
    /// Print the configuration and the indexes
    #[arg(short = 'c', long, visible_alias = "showconfig")]
    show_config: bool,
    /// Print the checksums that a module file was built against
    #[arg(long, visible_alias = "dump-modversions")]
    show_modversions: bool,
    /// Print what a module file exports, with checksums
    #[arg(long)]
    show_exports: bool,
    /// Print what would be done, do nothing
    #[arg(short = 'n', long, visible_alias = "show")]
    dry_run: bool,
    /// Read this file or directory in place of the usual ones (with a tree: of modprobe.d beside the
    /// modules); can be given several times
    #[arg(short = 'C', long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Take this as the root directory of modules
    #[arg(short, long, value_name = "DIR")]
    dirname: Option<PathBuf>,
    /// The kernel's version [default: of the running one]
    #[arg(short = 'S', long, value_name = "VERSION")]
    set_version: Option<String>,
    /// Say nothing of what is not there
    #[arg(short, long)]
    quiet: bool,
    /// Print what is done
    #[arg(short, long)]
    verbose: bool,
    /// A module, or an alias; then its parameters, or with -a further modules
    #[arg(
        value_name = "NAME",
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    arguments: Vec<String>,
}

/// What a failure is called: with -a the others go on, and it is a warning.
fn failure(args: &ModprobeArgs, why: &str) -> String {
    if args.quiet {
        return String::new();
    }
    let level = if args.all { "WARNING" } else { "FATAL" };
    format!("modprobe: {level}: {why}")
}

pub(crate) fn run(args: &ModprobeArgs) -> Result<(), String> {
    let report = ToStderr {
        tool: "modprobe",
        quiet: args.quiet,
        verbose: args.verbose,
    };
    if args.show_modversions || args.show_exports {
        return show_file(args);
    }
    let (root, version) = (args.dirname.as_deref(), args.set_version.as_deref());
    let directory = args.directory.of(root, None, version);
    let directory = directory.map_err(|e| failure(args, &e))?;
    // What is configured for Linux is nothing to a host.
    let own = [directory.join("modprobe.d")];
    let places = match args.tree.tree {
        Some(_) if args.config.is_empty() => &own[..],
        _ => &args.config[..],
    };
    let mut config = Config::read(places, &directory, &report);
    let cmdline = Path::new("/proc/cmdline");
    if let Ok(text) = fs::read_to_string(cmdline)
        && args.tree.tree.is_none()
    {
        config::parse_command_line(&text, cmdline, &mut config);
    }
    let depot = Depot::new(&directory, config);
    if args.show_config {
        print(shown_config(&depot)?);
        return Ok(());
    }
    let Some((first, parameters)) = args.arguments.split_first() else {
        return Err("modprobe: ERROR: missing parameters. See -h.".into());
    };
    if !args.all {
        return one(args, &depot, first, parameters, &report);
    }
    let failed: Vec<String> = args
        .arguments
        .iter()
        .filter_map(|name| one(args, &depot, name, &[], &report).err())
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed
            .into_iter()
            .filter(|f| !f.is_empty())
            .collect::<Vec<_>>()
            .join("\n")),
    }
}

/// Does with one name what is to be done.
fn one(
    args: &ModprobeArgs,
    depot: &Depot,
    name: &str,
    parameters: &[String],
    report: &dyn Report,
) -> Result<(), String> {
    let fail = |error: Error| failure(args, &error.to_string());
    let found = depot.find(name).map_err(|e| fail(e.into()))?;
    if found.is_empty() {
        let missing = Error::NotFound(name.to_owned(), depot.directory().to_path_buf());
        return Err(fail(missing));
    }
    for found in &found {
        if args.show_alias {
            print(format!("{}\n", found.name));
            continue;
        }
        let by_alias = !matches!(found.via, Via::Name | Via::Builtin | Via::Command(_));
        if (by_alias || args.use_blacklist)
            && let Some(origin) = depot.config().blacklisted(&found.name)
        {
            let (file, line) = (origin.file.display(), origin.line);
            let text = format!("{} is blacklisted by {file} line {line}", found.name);
            report.report(Level::Info, &text);
            continue;
        }
        let mut steps = depot.plan(found).map_err(fail)?;
        for step in &mut steps {
            if step.module == found.name {
                add(&mut step.options, parameters);
                if args.ignore_install && matches!(step.action, Action::Run(_)) {
                    let path = depot.path(&step.module).map_err(|e| fail(e.into()))?;
                    step.action = path.map_or(Action::Nothing, Action::Insert);
                }
            }
        }
        carry_out(args, depot, found, &steps).map_err(|why| failure(args, &why))?;
    }
    Ok(())
}

/// Adds what was given to what is configured; a blank parts the two, as kmod prints them.
fn add(options: &mut String, parameters: &[String]) {
    if !options.is_empty() {
        options.push(' ');
    }
    for (number, parameter) in parameters.iter().enumerate() {
        if number > 0 {
            options.push(' ');
        }
        // A value with blanks reaches the module as one.
        match parameter.split_once('=') {
            Some((name, value)) if value.contains(' ') && !value.contains('"') => {
                let _ = write!(options, "{name}=\"{value}\"");
            }
            _ => options.push_str(parameter),
        }
    }
}

fn carry_out(
    args: &ModprobeArgs,
    depot: &Depot,
    found: &Found,
    steps: &[Step],
) -> Result<(), String> {
    if args.explain {
        print(explained(found, steps));
        return Ok(());
    }
    if args.show_depends || args.dry_run {
        print(steps.iter().filter_map(line).collect::<String>());
        return Ok(());
    }
    if args.tree.tree.is_none() {
        return Err(
            "this version loads into the tree of a host only: give --tree DIR or set \
             MODFS_TREE, or see with -D or --explain what would be done"
                .to_owned(),
        );
    }
    let tree = Tree::open(&args.tree)?;
    if args.remove {
        remove(args, depot, &tree, found, steps)
    } else {
        insert(args, &tree, found, steps)
    }
}

/// A step as kmod prints it.
fn line(step: &Step) -> Option<String> {
    let options = &step.options;
    match &step.action {
        Action::Insert(path) => Some(format!("insmod {} {options}\n", path.display())),
        Action::Run(command) => Some(format!("install {command} {options}\n")),
        Action::Builtin => Some(format!("builtin {}\n", step.module)),
        Action::Nothing => None,
    }
}

fn explained(found: &Found, steps: &[Step]) -> String {
    let name = found.alias.as_deref().unwrap_or(&found.name);
    let place = |origin: &config::Origin| format!("{} line {}", origin.file.display(), origin.line);
    let how = match &found.via {
        Via::Name => "a module".to_owned(),
        Via::Configured(origin) => format!("{}, by an alias in {}", found.name, place(origin)),
        Via::Alias => format!("{}, by an alias of its own", found.name),
        Via::Symbol => format!("{}, which exports it", found.name),
        Via::Command(origin) => format!("a name with a command in {}", place(origin)),
        Via::Builtin => format!("{}, part of the kernel", found.name),
    };
    let mut text = format!("{name} is {how}\n");
    for (number, step) in steps.iter().enumerate() {
        let why = match &step.reason {
            Reason::Asked => "it was asked for".to_owned(),
            Reason::Needed(by) => format!("{by} uses its symbols"),
            Reason::Before(of) => format!("a softdep of {of} wants it before"),
            Reason::After(of) => format!("a softdep of {of} wants it after"),
        };
        let what = match &step.action {
            Action::Insert(path) => format!("insert {}", path.display()),
            Action::Run(command) => format!("run {command}"),
            Action::Builtin => "nothing to do, it is part of the kernel".to_owned(),
            Action::Nothing => "nothing can be done, there is no file".to_owned(),
        };
        let _ = writeln!(text, "{}. {}: {what}", number + 1, step.module);
        let _ = writeln!(text, "   because {why}");
        if !step.options.is_empty() {
            let _ = writeln!(text, "   with {}", step.options);
        }
        if !step.required {
            text += "   if it fails the rest goes on\n";
        }
    }
    text
}

/// Does the steps; when one fails that is required, what was inserted goes again.
fn insert(args: &ModprobeArgs, tree: &Tree, found: &Found, steps: &[Step]) -> Result<(), String> {
    let mut inserted: Vec<&str> = Vec::new();
    for step in steps {
        if tree.is_mapped(&step.module) {
            if args.first_time && step.module == found.name {
                return Err(format!(
                    "could not insert '{}': Module already in kernel",
                    found.name
                ));
            }
            continue;
        }
        if args.verbose
            && let Some(line) = line(step)
        {
            print(line);
        }
        let done = match &step.action {
            Action::Insert(path) => cmd_insmod::run(&InsmodArgs {
                tree: args.tree.clone(),
                autoclean: args.autoclean,
                name: Some(step.module.clone()),
                file: path.clone(),
                parameters: words(&step.options),
            }),
            Action::Run(command) => shell(command, step),
            Action::Builtin => Ok(()),
            Action::Nothing => Err(format!("there is no file of module {}", step.module)),
        };
        match done {
            Ok(()) if matches!(step.action, Action::Insert(_)) => inserted.push(&step.module),
            Ok(()) => {}
            Err(_) if !step.required => {}
            Err(why) => {
                for module in inserted.iter().rev() {
                    // Somebody may use it already; then it stays.
                    let _ = cmd_rmmod::remove(tree, module);
                }
                let why = why.strip_prefix("insmod: ERROR: ").unwrap_or(&why);
                return Err(why.to_owned());
            }
        }
    }
    Ok(())
}

/// Runs a command of the configuration, as kmod does: `$CMDLINE_OPTS` are the options.
fn shell(command: &str, step: &Step) -> Result<(), String> {
    let command = command.replace("$CMDLINE_OPTS", &step.options);
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(&command)
        .env("MODPROBE_MODULE", &step.module);
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

/// Removes a module, and then what it alone needed.
fn remove(
    args: &ModprobeArgs,
    depot: &Depot,
    tree: &Tree,
    found: &Found,
    steps: &[Step],
) -> Result<(), String> {
    let name = &found.name;
    if let Some((command, _)) = depot.config().remove(name).filter(|_| !args.ignore_install)
        && let Some(step) = steps.iter().find(|step| step.module == *name)
    {
        return shell(command, step);
    }
    if !tree.is_mapped(name) {
        return match args.first_time {
            true => Err(format!("Module {name} is not in kernel.")),
            false => Ok(()),
        };
    }
    let say = |module: &str| {
        if args.verbose {
            print(format!("rmmod {module}\n"));
        }
    };
    say(name);
    cmd_rmmod::remove(tree, name)?;
    for step in steps.iter().rev().filter(|step| step.module != *name) {
        let unused = |file: &str| tree.read(&step.module, file).unwrap_or_default();
        let idle = tree.lines(&step.module, "refs").is_empty() && unused("usecount") == "0";
        if matches!(step.reason, Reason::Needed(_)) && tree.is_mapped(&step.module) && idle {
            say(&step.module);
            // Somebody may have begun to use it just now.
            let _ = cmd_rmmod::remove(tree, &step.module);
        }
    }
    Ok(())
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

fn shown_config(depot: &Depot) -> Result<String, String> {
    let mut text = String::new();
    type IsKind = fn(&Line) -> bool;
    let kinds: [IsKind; 9] = [
        |line| matches!(line, Line::Blacklist(_)),
        |line| matches!(line, Line::Install { .. }),
        |line| matches!(line, Line::Remove { .. }),
        |line| matches!(line, Line::Alias { .. }),
        |line| matches!(line, Line::Options { .. }),
        |line| matches!(line, Line::Softdep { .. }),
        |line| matches!(line, Line::Weakdep { .. }),
        |line| matches!(line, Line::Allow(_)),
        |line| matches!(line, Line::Deny { .. }),
    ];
    for is_kind in kinds {
        for rule in depot
            .config()
            .rules
            .iter()
            .filter(|rule| is_kind(&rule.line))
        {
            let _ = writeln!(text, "{}", rule.line);
        }
    }
    text += "\n# End of configuration files. Dumping indexes now:\n\n";
    for (key, module) in depot
        .own_aliases()
        .map_err(|e| format!("modprobe: ERROR: {e}"))?
    {
        let _ = writeln!(text, "alias {key} {module}");
    }
    Ok(text)
}

/// `--show-modversions` and `--show-exports`.
fn show_file(args: &ModprobeArgs) -> Result<(), String> {
    let Some(file) = args.arguments.first() else {
        return Err("modprobe: ERROR: missing parameters. See -h.".into());
    };
    let fail = |e: String| format!("modprobe: FATAL: Module {file}: {e}");
    let bytes = fs::read(file).map_err(|e| fail(e.to_string()))?;
    let mut unpacker = Unpacker::new();
    let bytes = unpacker.unpack(&bytes).map_err(|e| fail(e.to_string()))?;
    let module = ModuleFile::parse(bytes).map_err(|e| fail(e.to_string()))?;
    let lines: Vec<(&[u8], u32)> = if args.show_modversions {
        module.versions()
    } else {
        let exports = module.exports().into_iter();
        exports
            .map(|export| (export.name, export.crc.unwrap_or(0)))
            .collect()
    };
    let line =
        |(name, crc): &(&[u8], u32)| format!("0x{crc:08x}\t{}\n", String::from_utf8_lossy(name));
    print(lines.iter().map(line).collect::<String>());
    Ok(())
}

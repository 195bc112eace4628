//! `modprobe`: modules with all that they need.

use crate::cmd_insmod::InsmodArgs;
use crate::configured::ConfiguredArgs;
use crate::jobs;
use crate::keyring::KeyringArgs;
use crate::linux::LinuxPlace;
use crate::place::{Place, TreePlace};
use crate::report::{Messages, print, print_json};
use crate::tree::TreeArgs;
use clap::Args;
use modfs_core::Force;
use modfs_depot::board::Board;
use modfs_depot::config::Origin;
use modfs_depot::probe::{Action, Depot, Error, Found, Step, Via};
use modfs_depot::{Level, Report};
use modfs_trust::Keyring;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

mod carry;
mod show;
mod signed;

/// Arguments of `modprobe`.
#[derive(Args, Debug)]
pub(crate) struct ModprobeArgs {
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    configured: ConfiguredArgs,
    /// Every argument is a module's name
    #[arg(short, long)]
    all: bool,
    /// With -a: load so many modules at once, each once and after what it needs
    #[arg(short, long, value_name = "N", default_value = "1", requires = "all")]
    jobs: NonZeroUsize,
    /// Remove the modules, and what they alone needed
    #[arg(short, long)]
    remove: bool,
    /// With -r: remove those that use the modules before them; means -r
    #[arg(long, visible_alias = "remove-dependencies")]
    remove_holders: bool,
    /// With -r: try again so long while a module is in use, in milliseconds
    #[arg(short, long, value_name = "MSEC", value_parser = milliseconds)]
    wait: Option<Duration>,
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
    /// Load although checksums and version differ; a host's tree refuses it
    #[arg(short, long)]
    force: bool,
    /// Load although checksums differ; a host's tree refuses it
    #[arg(long)]
    force_modversion: bool,
    /// Load although the version differs; a host's tree refuses it
    #[arg(long)]
    force_vermagic: bool,
    /// Load nothing unless all that would be loaded is signed by a key that is trusted
    #[arg(long)]
    require_signed: bool,
    #[command(flatten)]
    keyring: KeyringArgs,
    /// Print which modules the names stand for
    #[arg(short = 'R', long, visible_alias = "resolve-alias")]
    show_alias: bool,
    /// Print what would be done if nothing were loaded
    #[arg(short = 'D', long)]
    show_depends: bool,
    /// With -D: print an array of JSON objects
    #[arg(long, requires = "show_depends")]
    json: bool,
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
    /// Write messages to the system's log
    #[arg(short, long)]
    syslog: bool,
    /// Say nothing of what is not there
    #[arg(short, long)]
    quiet: bool,
    /// Print what is done
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// A module, an alias, or the path of a module file; then its parameters, or with -a or -r
    /// further modules
    #[arg(value_name = "NAME")]
    arguments: Vec<String>,
}

impl ModprobeArgs {
    fn removes(&self) -> bool {
        self.remove || self.remove_holders
    }

    /// Whether something is really loaded.
    fn loads(&self) -> bool {
        let told = self.show_alias || self.show_depends || self.explain || self.dry_run;
        !told && !self.removes()
    }

    /// What a failure is called: with -a the others go on, and it is a warning.
    fn failure(&self, why: &str) -> String {
        if self.quiet {
            return String::new();
        }
        let level = match self.all {
            _ if why.starts_with("could not") => "ERROR",
            true => "WARNING",
            false => "FATAL",
        };
        format!("modprobe: {level}: {why}")
    }
}

/// A number of milliseconds, also as 0x10 or 010.
fn milliseconds(text: &str) -> Result<Duration, String> {
    let (digits, base) = match text {
        _ if text.starts_with("0x") => (&text[2..], 16),
        _ if text.starts_with('0') && text.len() > 1 => (&text[1..], 8),
        _ => (text, 10),
    };
    let number = u64::from_str_radix(digits, base).map_err(|e| e.to_string())?;
    Ok(Duration::from_millis(number))
}

/// The words of `MODPROBE_OPTIONS`, which are put before the arguments: parted at blanks, but in
/// quotes.
pub(crate) fn options_of_environment() -> Vec<String> {
    let text = std::env::var("MODPROBE_OPTIONS").unwrap_or_default();
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (' ' | '\t' | '\n', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

pub(crate) fn run(args: &ModprobeArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "modprobe",
        quiet: args.quiet,
        verbose: args.verbose > 0,
        syslog: args.syslog,
    };
    probe(args, &messages).map_err(|text| messages.failure(text))
}

fn probe(args: &ModprobeArgs, report: &Messages) -> Result<(), String> {
    if args.show_modversions || args.show_exports {
        let Some(file) = args.arguments.first() else {
            return Err("modprobe: ERROR: missing parameters. See -h.".into());
        };
        return show::file(file, args.show_modversions);
    }
    let for_tree = args.tree.tree.is_some();
    let depot = args.configured.depot(for_tree, args.autoclean, report);
    let depot = depot.map_err(|e| args.failure(&e))?;
    if args.show_config {
        print(show::config(&depot)?);
        return Ok(());
    }
    if args.require_signed && (args.force || args.force_modversion || args.force_vermagic) {
        return Err(args.failure("--require-signed and --force exclude each other"));
    }
    if args.keyring.is_given() && !args.require_signed {
        return Err(args.failure("--cert and --kernel are for --require-signed"));
    }
    let Some((first, parameters)) = args.arguments.split_first() else {
        return Err("modprobe: ERROR: missing parameters. See -h.".into());
    };
    let (names, parameters) = match args.all || args.removes() {
        true => (&args.arguments[..], &[][..]),
        false => (std::slice::from_ref(first), parameters),
    };
    let keyring = match args.require_signed && !args.removes() {
        true => Some(Arc::new(
            signed::keyring(args).map_err(|why| args.failure(&why))?,
        )),
        false => None,
    };
    let board = (args.jobs.get() > 1 && args.loads()).then(|| Board::new(args.jobs));
    let session = Session {
        args,
        depot: &depot,
        messages: report,
        board: board.as_ref(),
        keyring,
        place: OnceLock::new(),
        told: Mutex::default(),
    };
    session
        .require_signed(names)
        .map_err(|why| args.failure(&why))?;
    let mut failed = match &board {
        Some(board) => session.at_once(names, board),
        None => session.all(names, parameters),
    };
    if args.json {
        print_json(&*session.told())?;
    }
    match failed.is_empty() {
        true => Ok(()),
        false => {
            failed.retain(|text| !text.is_empty());
            Err(failed.join("\n"))
        }
    }
}

/// What is done with one name after the other, or with several at once.
struct Session<'a> {
    args: &'a ModprobeArgs,
    depot: &'a Depot,
    messages: &'a Messages,
    /// When several are loaded at once.
    board: Option<&'a Board>,
    /// Who has to have signed what is loaded.
    keyring: Option<Arc<Keyring>>,
    place: OnceLock<Result<Box<dyn Place>, String>>,
    /// The steps, for `--json`.
    told: Mutex<Vec<show::JsonStep>>,
}

impl Session<'_> {
    /// Does with each name what is to be done; returns the failures.
    fn all(&self, names: &[String], parameters: &[String]) -> Vec<String> {
        let mut failed = Vec::new();
        for name in names {
            failed.extend(self.one(name, parameters).err());
            // As kmod: only with -a a failure does not keep the others from it.
            if !failed.is_empty() && !self.args.all {
                break;
            }
        }
        failed
    }

    /// Loads the modules of all names, several at once; returns the failures.
    fn at_once(&self, names: &[String], board: &Board) -> Vec<String> {
        let one = |(): &mut (), name: &String| self.one(name, &[]);
        let outcomes = jobs::each(board.threads(), names, || (), one);
        if let Ok(place) = self.place() {
            board.undo(place);
        }
        outcomes.into_iter().filter_map(Result::err).collect()
    }

    /// Fails, before anything is loaded, unless all that would be is signed. What is wrong besides
    /// is told when it is its turn.
    fn require_signed(&self, names: &[String]) -> Result<(), String> {
        let Some(keyring) = &self.keyring else {
            return Ok(());
        };
        for name in names {
            let answer = self.depot.find(name).unwrap_or_default();
            for found in answer.modules {
                if self.passes_over(&found).is_some() {
                    continue;
                }
                if let Ok(steps) = self.steps(&found, &[]) {
                    signed::require(keyring, &steps)?;
                }
            }
        }
        Ok(())
    }

    fn told(&self) -> MutexGuard<'_, Vec<show::JsonStep>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does with one name what is to be done.
    fn one(&self, name: &str, parameters: &[String]) -> Result<(), String> {
        let (args, depot) = (self.args, self.depot);
        let fail = |error: Error| args.failure(&error.to_string());
        let answer = depot.find(name).map_err(fail)?;
        if answer.modules.is_empty() {
            // kmod, removing, does not say where it has looked.
            if args.removes() {
                return Err(args.failure(&format!("Module {name} not found.")));
            }
            let missing = Error::NotFound(name.to_owned(), depot.directory().to_path_buf());
            return Err(fail(missing));
        }
        if args.show_alias {
            let names = answer
                .modules
                .iter()
                .map(|found| format!("{}\n", found.name));
            print(names.collect::<String>());
            return Ok(());
        }
        let load = |found: &Found| self.one_found(found, parameters);
        if args.removes() {
            return answer.modules.iter().try_for_each(load);
        }
        answer.load(load, |why| {
            let left = self.messages.failure(why);
            if !left.is_empty() {
                eprintln!("{left}");
            }
        })
    }

    /// Where a blacklist line keeps a module from being loaded; it keeps nobody from removing one.
    fn passes_over(&self, found: &Found) -> Option<&Origin> {
        let by_name = match found.via {
            Via::Name | Via::Command(_) | Via::File(_) => true,
            Via::Builtin => found.aliases.is_empty(),
            _ => false,
        };
        let asked = (!by_name || self.args.use_blacklist) && !self.args.removes();
        let config = self.depot.config();
        config.blacklisted(&found.name).filter(|_| asked)
    }

    /// What is to be done with a module.
    fn steps(&self, found: &Found, parameters: &[String]) -> Result<Vec<Step>, Error> {
        let (args, depot) = (self.args, self.depot);
        let mut steps = match args.removes() {
            true => depot.plan_removal(found)?,
            false => depot.plan(found)?,
        };
        for step in &mut steps {
            if step.module != found.name {
                add(&mut step.options, &[]);
                continue;
            }
            add(&mut step.options, parameters);
            if args.ignore_install && matches!(step.action, Action::Run(_)) {
                step.action = match depot.path(&step.module)? {
                    Some(path) => Action::Insert(path),
                    None if is_builtin(depot, found)? => Action::Builtin,
                    None => Action::Nothing,
                };
            }
        }
        Ok(steps)
    }

    fn one_found(&self, found: &Found, parameters: &[String]) -> Result<(), String> {
        let (args, depot) = (self.args, self.depot);
        if let Some(origin) = self.passes_over(found) {
            let text = format!("{} is blacklisted by {origin}", found.name);
            self.messages.report(Level::Info, &text);
            return Ok(());
        }
        let fail = |error: Error| args.failure(&error.to_string());
        let steps = self.steps(found, parameters).map_err(fail)?;
        if args.explain {
            print(show::explained(found, &steps));
            return Ok(());
        }
        if args.json {
            self.told().extend(steps.iter().map(show::JsonStep::new));
            return Ok(());
        }
        if args.show_depends && !args.removes() {
            print(steps.iter().map(show::lines).collect::<String>());
            return Ok(());
        }
        if !args.show_depends && is_builtin(depot, found).map_err(fail)? {
            refuse_builtin(args, depot, found).map_err(|why| args.failure(&why))?;
        }
        self.carry_out(found, &steps)
            .map_err(|why| args.failure(&why))
    }

    /// Where modules are loaded.
    fn place(&self) -> Result<&dyn Place, String> {
        let place = self.place.get_or_init(|| self.new_place());
        place.as_deref().map_err(Clone::clone)
    }

    fn new_place(&self) -> Result<Box<dyn Place>, String> {
        let args = self.args;
        let force = Force {
            modversions: args.force || args.force_modversion,
            vermagic: args.force || args.force_vermagic,
        };
        Ok(match args.tree.tree {
            Some(_) => Box::new(TreePlace {
                tree: args.tree.open()?,
                args: InsmodArgs {
                    tree: args.tree.clone(),
                    force_modversion: force.modversions,
                    force_vermagic: force.vermagic,
                    ..InsmodArgs::default()
                },
            }),
            None => Box::new(LinuxPlace {
                force,
                force_removal: args.force,
                trusted: self.keyring.clone(),
                ..LinuxPlace::default()
            }),
        })
    }

    fn carry_out(&self, found: &Found, steps: &[Step]) -> Result<(), String> {
        let (args, depot) = (self.args, self.depot);
        let dry = args.dry_run || args.show_depends;
        if dry && args.removes() && args.tree.tree.is_none() {
            print(match args.ignore_install {
                true => format!("rmmod {}\n", found.name),
                false => carry::removal(depot, found),
            });
            return Ok(());
        }
        let work = carry::Work {
            args,
            depot,
            place: self.place()?,
            board: self.board,
            dry,
        };
        match args.removes() {
            true => work.unload(found, steps),
            false => work.load(found, steps),
        }
    }
}

fn is_builtin(depot: &Depot, found: &Found) -> Result<bool, Error> {
    Ok(depot.path(&found.name)?.is_none() && depot.is_builtin(&found.name)?)
}

/// What is part of the kernel can neither go nor come, unless a command stands for that.
fn refuse_builtin(args: &ModprobeArgs, depot: &Depot, found: &Found) -> Result<(), String> {
    let (name, config) = (&found.name, depot.config());
    let command = match args.removes() {
        true => config.remove(name),
        false => config.install(name),
    };
    if command.is_some() && !args.ignore_install {
        return Ok(());
    }
    if args.removes() {
        return Err(format!("Module {name} is builtin."));
    }
    match args.first_time {
        true => Err(format!(
            "could not insert '{name}': Module already in kernel"
        )),
        false => Ok(()),
    }
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

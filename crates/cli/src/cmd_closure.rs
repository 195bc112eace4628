//! `modfs closure`: every file that modules need.

use crate::configured::ConfiguredArgs;
use crate::report::{Messages, print, print_json};
use clap::Args;
use modfs_depot::probe::{Action, Depot};
use modfs_depot::{ModuleInfo, Reader, glob};
use serde::Serialize;
use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `modfs closure`.
#[derive(Args, Debug)]
pub(crate) struct ClosureArgs {
    #[command(flatten)]
    configured: ConfiguredArgs,
    /// Look for firmware below this directory; can be given several times
    /// [default: /lib/firmware/updates/VERSION, /lib/firmware/updates, /lib/firmware/VERSION,
    /// /lib/firmware, as the kernel]
    #[arg(long, value_name = "DIR")]
    firmware: Vec<PathBuf>,
    /// Print the paths of files that are there, nothing else
    #[arg(long, conflicts_with = "json")]
    paths: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Modules, aliases, or paths of module files
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// How firmware files may be packed (Linux, `FW_LOADER_COMPRESS`).
const PACKED: [&str; 3] = ["", ".zst", ".xz"];

/// What modprobe and depmod read beside the modules.
const INDEXES: [&str; 11] = [
    "modules.dep.bin",
    "modules.alias.bin",
    "modules.symbols.bin",
    "modules.builtin.bin",
    "modules.builtin.alias.bin",
    "modules.softdep",
    "modules.weakdep",
    "modules.devname",
    "modules.order",
    "modules.builtin",
    "modules.builtin.modinfo",
];

/// Something that is needed.
#[derive(Debug, Serialize, PartialEq, Eq, Hash, Clone)]
struct Needed {
    /// `module`, `builtin`, `firmware`, `command`, `config` or `index`.
    kind: &'static str,
    /// The module's name, the firmware's, the command.
    name: String,
    /// The file; `None`: there is none, or it is not there.
    path: Option<PathBuf>,
    /// The module that wants it.
    of: Option<String>,
}

/// Lists what is needed to load the modules: they and what they need, in the order in which they are
/// loaded, the firmware that they name, commands, configuration and indexes.
pub(crate) fn run(args: &ClosureArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "closure",
        quiet: false,
        verbose: false,
        syslog: false,
    };
    let depot = args.configured.depot(false, false, &messages);
    let depot = depot.map_err(|e| format!("closure: ERROR: {e}"))?;
    let mut closure = Closure {
        depot: &depot,
        firmware: args.firmware_places(&depot),
        reader: Reader::default(),
        seen: HashSet::new(),
        needed: Vec::new(),
        weak: VecDeque::new(),
    };
    let failed = |why: String| format!("closure: ERROR: {why}");
    for name in &args.names {
        closure.name(name, true).map_err(failed)?;
    }
    while let Some(name) = closure.weak.pop_front() {
        closure.name(&name, false).map_err(failed)?;
    }
    closure.surroundings();
    if args.json {
        return print_json(&closure.needed);
    }
    let line = |needed: &Needed| match (&needed.path, args.paths) {
        (Some(path), true) => format!("{}\n", path.display()),
        (None, true) => String::new(),
        (Some(path), false) if needed.kind != "firmware" => {
            format!("{} {}\n", needed.kind, path.display())
        }
        (Some(path), false) => format!("firmware {} {}\n", needed.name, path.display()),
        (None, false) => format!("{} {}\n", needed.kind, needed.name),
    };
    print(closure.needed.iter().map(line).collect::<String>());
    Ok(())
}

impl ClosureArgs {
    /// Where the kernel looks for firmware (Linux, `fw_path`), below the root that is given.
    fn firmware_places(&self, depot: &Depot) -> Vec<PathBuf> {
        if !self.firmware.is_empty() {
            return self.firmware.clone();
        }
        let version = depot.directory().file_name().unwrap_or_default();
        // ROOT/lib/modules/VERSION.
        let root = depot.directory().ancestors().nth(3);
        let lib = root.unwrap_or(Path::new("/")).join("lib/firmware");
        vec![
            lib.join("updates").join(version),
            lib.join("updates"),
            lib.join(version),
            lib,
        ]
    }
}

struct Closure<'a> {
    depot: &'a Depot,
    firmware: Vec<PathBuf>,
    reader: Reader,
    seen: HashSet<Needed>,
    needed: Vec<Needed>,
    /// Modules that are taken along, and may be missing.
    weak: VecDeque<String>,
}

impl Closure<'_> {
    fn add(&mut self, needed: Needed) {
        if self.seen.insert(needed.clone()) {
            self.needed.push(needed);
        }
    }

    /// What a name stands for, with all that it needs. `wanted` is false for what may be missing.
    fn name(&mut self, name: &str, wanted: bool) -> Result<(), String> {
        let answer = self.depot.find(name).map_err(|e| e.to_string())?;
        if answer.modules.is_empty() && wanted {
            let directory = self.depot.directory().display();
            return Err(format!("Module {name} not found in directory {directory}"));
        }
        for found in &answer.modules {
            let steps = self.depot.plan(found).map_err(|e| e.to_string())?;
            for step in steps {
                let entry = |kind, name: &str, path| Needed {
                    kind,
                    name: name.to_owned(),
                    path,
                    of: None,
                };
                let commands = step.before.iter().chain(&step.after);
                for command in commands {
                    self.command(command, &step.module);
                }
                match &step.action {
                    Action::Insert(path) => self.module(&step.module, path)?,
                    Action::Run(command) => {
                        self.command(command, &step.module);
                        // For it the command is likely to call modprobe -i.
                        if let Ok(Some(path)) = self.depot.path(&step.module) {
                            self.module(&step.module, &path)?;
                        }
                    }
                    Action::Builtin => self.add(entry("builtin", &step.module, None)),
                    Action::Null => {}
                    Action::Nothing if !step.required => {}
                    Action::Nothing => {
                        return Err(format!("there is no file of module {}", step.module));
                    }
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &str, module: &str) {
        self.add(Needed {
            kind: "command",
            name: command.to_owned(),
            path: None,
            of: Some(module.to_owned()),
        });
    }

    /// A module file, and the firmware that it names.
    fn module(&mut self, module: &str, path: &Path) -> Result<(), String> {
        let needed = Needed {
            kind: "module",
            name: module.to_owned(),
            path: Some(path.to_owned()),
            of: None,
        };
        if self.seen.contains(&needed) {
            return Ok(());
        }
        self.add(needed);
        let info = ModuleInfo::of_file(path, &mut self.reader);
        let info = info.map_err(|e| format!("{}: {e}", path.display()))?;
        let config = self.depot.config();
        self.weak.extend(config.weakdeps(module).map(str::to_owned));
        for value in info.values("firmware") {
            let name = String::from_utf8_lossy(value).into_owned();
            self.firmware(&name, module);
        }
        Ok(())
    }

    /// The files of a firmware's name, which can be a pattern. In the first directory that has some.
    fn firmware(&mut self, name: &str, module: &str) {
        // A name could lead out of the directories.
        let inside = !name.split('/').any(|part| part == "..");
        let places = self.firmware.iter().filter(|_| inside);
        let found = places.map(|place| firmware_files(place, name));
        let paths = found.into_iter().find(|paths| !paths.is_empty());
        let needed = |path| Needed {
            kind: "firmware",
            name: name.to_owned(),
            path,
            of: Some(module.to_owned()),
        };
        match paths {
            Some(paths) => {
                for path in paths {
                    self.add(needed(Some(path)));
                }
            }
            None => self.add(needed(None)),
        }
    }

    /// What modprobe reads to load them.
    fn surroundings(&mut self) {
        let directory = self.depot.directory();
        let config = self.depot.config().files.iter();
        let config = config.filter(|file| !file.starts_with(directory));
        let index = INDEXES.iter().map(|name| directory.join(name));
        let files = config.map(|file| ("config", file.clone())).chain(
            index
                .filter(|file| file.is_file())
                .map(|file| ("index", file)),
        );
        for (kind, path) in files.collect::<Vec<_>>() {
            let name = path.file_name().unwrap_or_default();
            self.add(Needed {
                kind,
                name: name.to_string_lossy().into_owned(),
                path: Some(path),
                of: None,
            });
        }
    }
}

/// The files of a name or pattern below a directory, packed or not; sorted.
fn firmware_files(place: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = vec![place.to_owned()];
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        let endings = if is_last { &PACKED[..] } else { &PACKED[..1] };
        let below = found.iter().flat_map(|directory| {
            let names = match part.contains(['*', '?', '[']) {
                true => entries(directory, part, endings),
                false => endings
                    .iter()
                    .map(|ending| format!("{part}{ending}"))
                    .collect(),
            };
            names.into_iter().map(|name| directory.join(name))
        });
        found = below.filter(|path| path.exists()).collect();
    }
    found.retain(|path| path.is_file());
    found
}

/// The names in a directory that match a pattern, but for their endings; sorted.
fn entries(directory: &Path, pattern: &str, endings: &[&str]) -> Vec<String> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let is_it = |name: &String| {
        let mut stems = endings
            .iter()
            .filter_map(|ending| name.strip_suffix(ending));
        stems.any(|stem| glob::matches(pattern.as_bytes(), stem.as_bytes()))
    };
    let mut names: Vec<String> = names.filter(is_it).collect();
    names.sort_unstable();
    names
}

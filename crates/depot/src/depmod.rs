//! depmod: reads the modules of a version directory and writes its indexes.

use crate::cache::{self, Cache, Stamp};
use crate::deps::Deps;
use crate::facts::{Facts, Names, Strings};
use crate::index::IndexError;
use crate::store::{self, StoreError};
use crate::texts::{self, Module, Modules};
use crate::walk::{self, Found};
use crate::{KernelSymbols, Level, Report, order};
use crate::{ReadError, Reader};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The version directory: `/lib/modules/VERSION`.
    pub directory: PathBuf,
    /// Where the indexes go, when it is not there.
    pub output: Option<PathBuf>,
    /// Only these files, not all of the directory.
    pub files: Vec<PathBuf>,
    /// Which of several files of one name counts, and what is not looked at.
    pub search: crate::search::Search,
    /// What the kernel exports.
    pub kernel: Option<KernelSymbols>,
    /// Report symbols that neither a module nor the kernel exports.
    pub unresolved: bool,
    /// Report imports whose checksum is not the kernel's.
    pub versions: bool,
    /// Read every file again, even if it has not changed since the last run.
    pub rebuild: bool,
}

impl Options {
    fn output(&self) -> &Path {
        self.output.as_deref().unwrap_or(&self.directory)
    }
}

/// The indexes, as (name, bytes), in the order in which they are replaced.
pub type Indexes = Vec<(&'static str, Vec<u8>)>;

/// Why there are no indexes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be read.
    #[error("could not open directory {path}: {error}", path = .0.display(), error = .1)]
    Directory(PathBuf, io::Error),
    /// Modules need each other in a circle; each circle was reported.
    #[error("Found {0} modules in dependency cycles!")]
    Circles(usize),
    /// An index has no room for all there is.
    #[error("{0}: {1}")]
    Index(&'static str, IndexError),
    /// A file cannot be written; the old ones are as they were.
    #[error("could not write {0}")]
    Store(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        Error::Store(error.to_string())
    }
}

/// What was made of a directory.
#[derive(Debug)]
pub struct Made {
    /// The indexes.
    pub indexes: Indexes,
    /// How many modules are in them.
    pub modules: usize,
    /// Everything was read; otherwise what could not be was reported and left out.
    pub sound: bool,
}

/// Whether the indexes are newer than every module.
///
/// # Errors
/// [`Error::Directory`].
pub fn is_up_to_date(options: &Options, report: &dyn Report) -> Result<bool, Error> {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let Ok(made) = modified(&options.output().join("modules.dep")) else {
        return Ok(false);
    };
    let mut sound = true;
    let found = find(options, report, &mut sound)?;
    let mut times = found.iter().map(|module| module.metadata.modified());
    Ok(sound && times.all(|time| time.is_ok_and(|time| time <= made)))
}

/// Reads the modules and makes their indexes; nothing is written.
///
/// # Errors
/// [`Error`]. A module that cannot be read is no error: it is reported, and left out.
pub fn make(options: &Options, report: &dyn Report) -> Result<Made, Error> {
    let mut sound = true;
    let found = find(options, report, &mut sound)?;
    let last = last_run(options, report);
    let (names, list) = read(sorted(found, options, report), last, report, &mut sound);
    let modules = resolve(list, names, options, report)?;
    let read = |name: &str| match fs::read(options.directory.join(name)) {
        Ok(bytes) => bytes,
        Err(error) => {
            let path = options.directory.join(name);
            let text = format!("could not open {name} at {}: {error}", path.display());
            report.report(Level::Warning, &text);
            Vec::new()
        }
    };
    let (builtin, modinfo) = (read("modules.builtin"), read("modules.builtin.modinfo"));
    let index = |name, made: Result<Vec<u8>, IndexError>| {
        made.map_err(|error| Error::Index(name, error))
            .map(|bytes| (name, bytes))
    };
    let mut indexes = vec![
        ("modules.dep", modules.dep()),
        index("modules.dep.bin", modules.dep_bin())?,
        ("modules.alias", modules.alias()),
        index("modules.alias.bin", modules.alias_bin(report))?,
        ("modules.softdep", modules.softdep()),
        ("modules.weakdep", modules.weakdep()),
        ("modules.symbols", modules.symbols()),
        index("modules.symbols.bin", modules.symbols_bin())?,
        index("modules.builtin.bin", texts::builtin_bin(&builtin))?,
        index(
            "modules.builtin.alias.bin",
            texts::builtin_alias_bin(&modinfo, report),
        )?,
        ("modules.devname", modules.devname(report)),
    ];
    let cached = modules.list.iter().map(|module| {
        let stamp = Stamp::of(&module.found.metadata);
        (module.found.relative.as_path(), stamp, &module.facts)
    });
    indexes.push((cache::FILE, cache::encode(&modules.names, cached)));
    Ok(Made {
        indexes,
        modules: modules.list.len(),
        sound,
    })
}

/// Writes the indexes. When one cannot be written none is replaced; who is ended between two renames
/// leaves some new and some old, each whole.
///
/// # Errors
/// [`Error::Store`].
pub fn write(options: &Options, made: &Made) -> Result<(), Error> {
    Ok(store::replace(options.output(), &made.indexes)?)
}

fn find(options: &Options, report: &dyn Report, sound: &mut bool) -> Result<Vec<Found>, Error> {
    let root = &options.directory;
    if options.files.is_empty() {
        let starts = [root].into_iter().chain(options.search.external());
        let mut all = Vec::new();
        for start in starts {
            match walk::walk(root, start, options.search.excluded(), report, sound) {
                Ok(found) => all.extend(found),
                // An external directory that is not there holds no modules.
                Err(error) if start != root => {
                    report.report(Level::Info, &format!("{}: {error}", start.display()));
                }
                Err(error) => return Err(Error::Directory(start.clone(), error)),
            }
        }
        return Ok(all);
    }
    let mut found = Vec::new();
    for path in &options.files {
        match Found::new(root, path.clone()) {
            Ok(module) => found.push(module),
            Err(error) => {
                *sound = false;
                report.report(Level::Error, &format!("{}: {error}", path.display()));
            }
        }
    }
    Ok(found)
}

/// One file for each name, in the order of `modules.order` and then that of kmod's table.
fn sorted(found: Vec<Found>, options: &Options, report: &dyn Report) -> Vec<Found> {
    let mut by_name: HashMap<String, Found> = HashMap::new();
    for module in found {
        match by_name.entry(module.name.clone()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(module);
            }
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                if options
                    .search
                    .prefers(&options.directory, &module, entry.get())
                {
                    entry.insert(module);
                }
            }
        }
    }
    let mut list: Vec<Found> = by_name.into_values().collect();
    let path = options.directory.join("modules.order");
    let lines = fs::read(&path).unwrap_or_else(|error| {
        let text = format!(
            "could not open modules.order at {}: {error}",
            path.display()
        );
        report.report(Level::Warning, &text);
        Vec::new()
    });
    let order: HashMap<&[u8], usize> = lines
        .split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(number, line)| (line, number))
        .collect();
    list.sort_by_cached_key(|module| {
        let place = order.get(module.unpacked()).copied().unwrap_or(usize::MAX);
        let (bucket, _) = order::key(module.name.as_bytes(), order::MODULES);
        (place, bucket, module.name.clone())
    });
    list
}

/// What the last run left, if it can be used.
fn last_run(options: &Options, report: &dyn Report) -> (Names, Cache) {
    if options.rebuild {
        return Default::default();
    }
    let path = options.output().join(cache::FILE);
    let Ok(file) = fs::read(&path) else {
        return Default::default();
    };
    cache::decode(&file).unwrap_or_else(|| {
        let text = format!("{} is damaged: every module is read", path.display());
        report.report(Level::Info, &text);
        Default::default()
    })
}

/// Reads the modules that have changed, on all processors.
fn read(
    found: Vec<Found>,
    (mut names, mut cache): (Names, Cache),
    report: &dyn Report,
    sound: &mut bool,
) -> (Names, Vec<Module>) {
    let known: Vec<Option<Facts<Vec<u32>>>> = found
        .iter()
        .map(|module| cache.take(&module.relative, &Stamp::of(&module.metadata)))
        .collect();
    let read: Vec<Option<Result<Facts<Strings>, ReadError>>> = found
        .par_iter()
        .zip(&known)
        .map_init(Reader::default, |reader, (module, known)| {
            let changed = known.is_none();
            changed.then(|| Facts::read(&module.path, reader))
        })
        .collect();
    let count = read.iter().flatten().count();
    let text = format!("{} modules, {count} of them read", found.len());
    report.report(Level::Info, &text);
    let mut list = Vec::with_capacity(found.len());
    for ((found, known), read) in found.into_iter().zip(known).zip(read) {
        let facts = match read {
            Some(Ok(facts)) => Some(facts.intern(&mut names)),
            Some(Err(error)) => {
                *sound = false;
                let path = found.path.display();
                report.report(Level::Error, &format!("{path} is left out: {error}"));
                None
            }
            None => known,
        };
        list.extend(facts.map(|facts| Module { found, facts }));
    }
    (names, list)
}

/// Finds out who exports what each module imports.
fn resolve(
    list: Vec<Module>,
    names: Names,
    options: &Options,
    report: &dyn Report,
) -> Result<Modules, Error> {
    // By the symbol's number.
    let mut owners: Vec<Option<u32>> = vec![None; names.len()];
    for (number, module) in list.iter().enumerate() {
        for export in &module.facts.exports {
            owners[*export as usize] = Some(number as u32);
        }
    }
    let mut direct = Vec::with_capacity(list.len());
    for (number, module) in list.iter().enumerate() {
        let mut deps: Vec<u32> = Vec::new();
        let facts = &module.facts;
        for ((import, crc), weak) in facts
            .imports
            .iter()
            .zip(&facts.import_crcs)
            .zip(&facts.weak)
        {
            match owners[*import as usize] {
                Some(owner) if owner == number as u32 || deps.contains(&owner) => {}
                Some(owner) => deps.push(owner),
                None if *weak => {}
                None => check(module, names.name(*import), *crc, options, report),
            }
        }
        direct.push(deps);
    }
    let (deps, circles) = Deps::new(direct);
    if !circles.is_empty() {
        let mut members = BTreeMap::new();
        for circle in &circles {
            let names: Vec<&str> = circle
                .iter()
                .chain(circle.first())
                .map(|module| list[*module as usize].found.name.as_str())
                .collect();
            report.report(
                Level::Error,
                &format!("Cycle detected: {}", names.join(" -> ")),
            );
            members.extend(circle.iter().map(|module| (*module, ())));
        }
        return Err(Error::Circles(members.len()));
    }
    let exported = owners.iter().enumerate();
    let exported = exported.filter_map(|(name, owner)| Some((name as u32, (*owner)?)));
    Ok(Modules {
        symbols: texts::sort_symbols(exported.collect(), &names),
        names,
        deps,
        list,
    })
}

/// Reports what is wrong with an import that must be the kernel's.
fn check(module: &Module, name: &[u8], crc: u32, options: &Options, report: &dyn Report) {
    let Some(kernel) = &options.kernel else {
        return;
    };
    let (path, shown) = (module.found.path.display(), String::from_utf8_lossy(name));
    match kernel.get(name) {
        None if options.unresolved => {
            report.report(
                Level::Warning,
                &format!("{path} needs unknown symbol {shown}"),
            );
        }
        Some(Some(wanted)) if options.versions && crc != wanted => {
            let text = format!("{path} disagrees about version of symbol {shown}");
            report.report(Level::Warning, &text);
        }
        _ => {}
    }
}

//! depmod: reads the modules of a version directory and writes its indexes.

use crate::cache::{self, Cache, Stamp};
use crate::deps::Deps;
use crate::facts::{Facts, Names, Strings};
use crate::index::IndexError;
pub use crate::store::Turn;
use crate::store::{self, StoreError};
use crate::texts::{self, Module, Modules};
use crate::walk::{self, Found};
use crate::{KernelSymbols, Level, Report, kernel, mark, order, reader};
use crate::{ReadError, Reader};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The version directory: `/lib/modules/VERSION`.
    pub directory: PathBuf,
    /// Where the indexes go, when it is not there.
    pub output: Option<PathBuf>,
    /// It is of a kernel's build, which leaves `modules.order` and lists of what is part of the kernel
    /// beside the modules: that one is missing is worth a warning.
    pub built: bool,
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
    /// With what every symbol begins on this machine; it is no part of a symbol's name.
    pub prefix: Option<u8>,
    /// Report aliases that a module has twice, and symbols that several modules export.
    pub duplicates: bool,
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
    /// A file cannot be written. When it cannot be replaced, those before it may have been.
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

/// Waits until no other depmod makes the indexes of this directory, and keeps others waiting while
/// what is returned is there.
pub fn take_turn(options: &Options, report: &dyn Report) -> Turn {
    let turn = Turn::take(options.output(), report);
    if mark::set(options.output()) == mark::Set::Mixed {
        let text = "the last run was ended midway: its indexes do not belong together";
        report.report(Level::Info, text);
    }
    turn
}

/// Whether the indexes are all there, of one run, and newer than every module.
///
/// # Errors
/// [`Error::Directory`].
pub fn is_up_to_date(options: &Options, report: &dyn Report) -> Result<bool, Error> {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let output = options.output();
    let Ok(made) = modified(&output.join("modules.dep")) else {
        return Ok(false);
    };
    if !mark::is_complete(output) || mark::set(output) == mark::Set::Mixed {
        return Ok(false);
    }
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
    let begin = SystemTime::now();
    let mut sound = true;
    let found = find(options, report, &mut sound)?;
    let last = last_run(options, report);
    let (names, list) = read(sorted(found, options, report), last, report, &mut sound);
    let modules = resolve(list, names, options, report)?;
    let read = |name| left(options, name, report);
    let (builtin, modinfo) = (read("modules.builtin"), read("modules.builtin.modinfo"));
    let index = |name, made: Result<Vec<u8>, IndexError>| {
        made.map_err(|error| Error::Index(name, error))
            .map(|bytes| (name, bytes))
    };
    // What has nothing to report is made meanwhile.
    let aside = || {
        let cached = modules.list.iter().map(|module| {
            // What changed just now may change again without another time to show for it; and
            // what is reported is to be reported again.
            let metadata = &module.found.metadata;
            let stamp = match is_settled(metadata, begin) && !module.odd {
                true => Stamp::of(metadata),
                false => Stamp::UNKNOWN,
            };
            (module.found.relative.as_path(), stamp, &module.facts)
        });
        (
            modules.symbols(),
            modules.symbols_bin(),
            cache::encode(&modules.names, cached),
        )
    };
    let (made, (symbols, symbols_bin, cached)) = beside(&aside, || {
        let dep = modules.dep();
        let dep_bin = index("modules.dep.bin", modules.dep_bin(&dep, report))?;
        Ok::<Indexes, Error>(vec![
            ("modules.dep", dep),
            dep_bin,
            ("modules.alias", modules.alias()),
            index(
                "modules.alias.bin",
                modules.alias_bin(options.duplicates, report),
            )?,
            ("modules.softdep", modules.softdep()),
            ("modules.weakdep", modules.weakdep()),
            index("modules.builtin.bin", texts::builtin_bin(&builtin))?,
            index(
                "modules.builtin.alias.bin",
                texts::builtin_alias_bin(&modinfo, report),
            )?,
            ("modules.devname", modules.devname(report)),
        ])
    });
    let mut indexes = made?;
    let symbols_bin = index("modules.symbols.bin", symbols_bin)?;
    // Where kmod's depmod prints it.
    indexes.splice(6..6, [("modules.symbols", symbols), symbols_bin]);
    indexes.push((cache::FILE, cached));
    Ok(Made {
        indexes,
        modules: modules.list.len(),
        sound,
    })
}

/// An index of long keys is made with a stack as deep as they are long.
const STACK: usize = 8 << 20;

/// Does one thing in a thread of its own while another is done here.
fn beside<A, B: Send>(aside: &(dyn Fn() -> B + Sync), here: impl FnOnce() -> A) -> (A, B) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let handle = thread.spawn_scoped(scope, aside);
        let here = here();
        let aside = match handle.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // There are no more threads to be had.
            Err(_) => aside(),
        };
        (here, aside)
    })
}

/// Files' times are as coarse as the kernel's tick, of which there may be only 100 in a second.
const TICK: Duration = Duration::from_millis(20);

/// Whether a file that changes after it was seen will show it by its time.
fn is_settled(metadata: &fs::Metadata, seen: SystemTime) -> bool {
    let seconds = u64::try_from(metadata.ctime()).map(Duration::from_secs);
    let Some(changed) = seconds
        .ok()
        .and_then(|s| SystemTime::UNIX_EPOCH.checked_add(s))
    else {
        return false;
    };
    let nanoseconds = Duration::from_nanos(metadata.ctime_nsec() as u64);
    seen.duration_since(changed + nanoseconds)
        .is_ok_and(|age| age > TICK)
}

/// Writes the indexes. When one cannot be written none is replaced; who is ended between two renames
/// leaves some new and some old, each whole, which the next run and [`crate::is_mixed`] notice. The
/// directory for them is made when it is one of their own and is not there.
///
/// # Errors
/// [`Error::Store`].
pub fn write(options: &Options, made: &Made) -> Result<(), Error> {
    if let Some(output) = &options.output {
        fs::create_dir_all(output)
            .map_err(|error| Error::Store(format!("{}: {error}", output.display())))?;
    }
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

/// A file that the kernel's build left beside the modules; without it, nothing.
fn left(options: &Options, name: &str, report: &dyn Report) -> Vec<u8> {
    let path = options.directory.join(name);
    reader::bytes(&path).unwrap_or_else(|error| {
        if options.built || error.kind() != io::ErrorKind::NotFound {
            let text = format!("could not open {name} at {}: {error}", path.display());
            report.report(Level::Warning, &text);
        }
        Vec::new()
    })
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
    let lines = left(options, "modules.order", report);
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
    let Ok(file) = reader::bytes(&path) else {
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
    let count = known.iter().filter(|known| known.is_none()).count();
    let done = AtomicUsize::new(0);
    let read: Vec<Option<Result<Facts<Strings>, ReadError>>> = found
        .par_iter()
        .zip(&known)
        .map_init(Reader::default, |reader, (module, known)| {
            if known.is_some() {
                return None;
            }
            let facts = Facts::read(&module.path, reader);
            report.progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
            Some(facts)
        })
        .collect();
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
        list.extend(facts.map(|mut facts| {
            let odd = leave_out_odd(&found, &mut facts, report);
            Module { found, facts, odd }
        }));
    }
    (names, list)
}

/// Takes out what a file of lines cannot hold; returns whether there was such.
fn leave_out_odd(found: &Found, facts: &mut Facts<Vec<u32>>, report: &dyn Report) -> bool {
    let mut some = false;
    for (what, strings) in [
        ("alias", &mut facts.aliases),
        ("softdep", &mut facts.softdeps),
        ("weakdep", &mut facts.weakdeps),
    ] {
        for odd in strings.take_unprintable() {
            some = true;
            let text = format!(
                "{}: the {what} {:?} is left out: it is not one line",
                found.path.display(),
                String::from_utf8_lossy(&odd)
            );
            report.report(Level::Warning, &text);
        }
    }
    some
}

/// Finds out who exports what each module imports.
fn resolve(
    list: Vec<Module>,
    mut names: Names,
    options: &Options,
    report: &dyn Report,
) -> Result<Modules, Error> {
    let bare = options.prefix.map(|prefix| bare(prefix, &mut names));
    let symbol = |name: u32| bare.as_ref().map_or(name, |bare| bare[name as usize]);
    // By the symbol's number.
    let mut owners: Vec<Option<u32>> = vec![None; names.len()];
    for (number, module) in list.iter().enumerate() {
        for export in &module.facts.exports {
            let owner = &mut owners[symbol(*export) as usize];
            if let Some(first) = owner.filter(|first| *first != number as u32)
                && options.duplicates
            {
                let text = format!(
                    "duplicate symbol {}: exported by {} and {}",
                    String::from_utf8_lossy(names.name(symbol(*export))),
                    list[first as usize].found.name,
                    module.found.name
                );
                report.report(Level::Warning, &text);
            }
            *owner = Some(number as u32);
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
            let (import, whole) = (symbol(*import), *import);
            match owners[import as usize] {
                Some(owner) if owner == number as u32 || deps.contains(&owner) => {}
                Some(owner) => deps.push(owner),
                None if *weak => {}
                None => {
                    let name = names.name(import);
                    check(module, [name, names.name(whole)], *crc, options, report);
                }
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
    // Of a name that is no word modules.symbols could not tell.
    let is_word = |name: u32| names.name(name).iter().all(u8::is_ascii_graphic);
    let exported = owners.iter().enumerate();
    let exported = exported.filter(|(name, _)| is_word(*name as u32));
    let exported = exported.filter_map(|(name, owner)| Some((name as u32, (*owner)?)));
    Ok(Modules {
        symbols: texts::sort_symbols(exported.collect(), &names),
        names,
        deps,
        list,
    })
}

/// Of each name the number of the same without what every symbol begins with.
fn bare(prefix: u8, names: &mut Names) -> Vec<u32> {
    let mut list = Vec::with_capacity(names.len());
    for number in 0..names.len() as u32 {
        let name = names.name(number).to_vec();
        list.push(names.number(kernel::without(Some(prefix), &name)));
    }
    list
}

/// Reports what is wrong with an import that must be the kernel's, of this name, and called so in
/// the module.
fn check(
    module: &Module,
    [name, whole]: [&[u8]; 2],
    crc: u32,
    options: &Options,
    report: &dyn Report,
) {
    let Some(kernel) = &options.kernel else {
        return;
    };
    let (path, shown) = (module.found.path.display(), String::from_utf8_lossy(whole));
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

//! Whether the indexes of a directory belong together.
//!
//! depmod replaces one file after the other. Who is ended in between leaves some of the new files
//! and some of the old, each whole; modules.dep may then name a module that modules.alias.bin does
//! not know. So a run first puts down a *mark*, `modules.modfs.mark`, and then the indexes in
//! [`order`]. The mark is text: a first line, then for each index its inode, size, time of
//! modification (seconds and nanoseconds) and name. Of the indexes that are there
//!
//! * all are those of the mark: the run came to its end;
//! * none is: the run was ended before it replaced the first, or another program has made all of
//!   them again, or they were copied. Whoever did that answers for them;
//! * some are: they do not belong together, and depmod is to be run again.
//!
//! An older kmod does not write all of the files that we write. Its set is one in which of those
//! that every kmod writes none is of the mark, whatever is left of the others; for this to be
//! told from a run that was ended, those others are replaced last.
//!
//! The cache is not in the mark: it says of each module for itself whether it still holds.

use crate::{Level, Report, reader};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// What it is called in a version directory.
pub(crate) const FILE: &str = "modules.modfs.mark";
const HEAD: &str = "modfs indexes 1";

/// What every kmod of today writes.
const ALWAYS: [&str; 9] = [
    "modules.dep",
    "modules.dep.bin",
    "modules.alias",
    "modules.alias.bin",
    "modules.softdep",
    "modules.symbols",
    "modules.symbols.bin",
    "modules.builtin.bin",
    "modules.devname",
];
/// What only later ones do.
const LATER: [&str; 2] = ["modules.weakdep", "modules.builtin.alias.bin"];

/// How often, and how long apart, a set is looked at that does not belong together: a depmod that
/// runs just now needs no longer to give the files their names.
const LOOKS: usize = 3;
const BETWEEN: Duration = Duration::from_millis(20);

/// What the indexes of a directory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// No run of ours made them, as far as one can tell.
    Unknown,
    /// All are of one run.
    Whole,
    /// Only some are of the last run.
    Mixed,
}

/// When an index is to be replaced: the lowest number first.
pub(crate) fn order(name: &str) -> usize {
    match name {
        _ if ALWAYS.contains(&name) => 0,
        _ if LATER.contains(&name) => 1,
        _ => 2,
    }
}

/// Whether a directory has every index that each kmod writes.
pub(crate) fn is_complete(directory: &Path) -> bool {
    ALWAYS.iter().all(|name| directory.join(name).exists())
}

/// The mark of these files.
pub(crate) fn text<'a>(files: impl Iterator<Item = (&'a str, Metadata)>) -> String {
    let mut text = format!("{HEAD}\n");
    for (name, metadata) in files.filter(|(name, _)| order(name) < 2) {
        text += &line(name, &metadata);
        text.push('\n');
    }
    text
}

fn line(name: &str, metadata: &Metadata) -> String {
    format!(
        "{} {} {} {} {name}",
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}

/// Whether the indexes of a version directory are of several runs of depmod, of which one was
/// ended before its end. Without a mark, as where kmod's depmod has made them, nothing is known,
/// and they are not.
///
/// This takes a few calls of stat(2), and longer only when the answer is yes.
pub fn is_mixed(directory: &Path) -> bool {
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(BETWEEN);
        }
        if set(directory) != Set::Mixed {
            return false;
        }
    }
    true
}

/// Reports what [`is_mixed`] finds.
pub fn warn_if_mixed(directory: &Path, report: &dyn Report) {
    if is_mixed(directory) {
        let text = format!(
            "the indexes in {} do not belong together, as after a depmod that did not come to its \
             end: run depmod again",
            directory.display()
        );
        report.report(Level::Warning, &text);
    }
}

/// What the indexes of a directory are at this moment.
pub(crate) fn set(directory: &Path) -> Set {
    let mark = reader::bytes(&directory.join(FILE));
    let Some(mark) = mark.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Set::Unknown;
    };
    let mut lines = mark.lines();
    if lines.next() != Some(HEAD) {
        return Set::Unknown;
    }
    // Of each kind those that are of the mark, and those that are not.
    let mut counts = [[0; 2]; 2];
    for wanted in lines {
        let name = wanted.rsplit(' ').next().unwrap_or_default();
        let Some(kind) = counts.get_mut(order(name)) else {
            continue;
        };
        let found = fs::metadata(directory.join(name));
        let same = found.is_ok_and(|metadata| line(name, &metadata) == wanted);
        kind[usize::from(!same)] += 1;
    }
    match counts {
        [[0, _], _] => Set::Unknown,
        [[_, 0], [_, 0]] => Set::Whole,
        _ => Set::Mixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A directory with indexes of two runs: as if a second had come so far.
    fn after(replaced: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut names: Vec<&str> = LATER.into_iter().chain(ALWAYS).collect();
        names.sort_by_key(|name| order(name));
        let path = |name: &str| dir.path().join(name);
        let new = |name: &str| path(&format!("{name}.new"));
        for name in &names {
            fs::write(path(name), "old").unwrap();
            fs::write(new(name), "new").unwrap();
        }
        let stamps = names
            .iter()
            .map(|name| (*name, fs::metadata(new(name)).unwrap()));
        fs::write(path(FILE), text(stamps)).unwrap();
        for name in &names[..replaced] {
            fs::rename(new(name), path(name)).unwrap();
        }
        dir
    }

    #[test]
    fn a_run_that_was_ended_midway_is_noticed() {
        let count = ALWAYS.len() + LATER.len();
        assert_eq!(set(after(0).path()), Set::Unknown);
        for replaced in 1..count {
            assert_eq!(set(after(replaced).path()), Set::Mixed, "{replaced}");
        }
        let dir = after(count);
        assert_eq!(set(dir.path()), Set::Whole);
        assert!(is_complete(dir.path()));
        fs::remove_file(dir.path().join("modules.devname")).unwrap();
        assert!(is_mixed(dir.path()) && !is_complete(dir.path()));
    }

    #[test]
    fn what_others_made_is_not_judged() {
        let dir = after(ALWAYS.len() + LATER.len());
        let again = |name: &str| fs::write(dir.path().join(name), "kmod's").unwrap();
        // A kmod that knows no weakdeps.
        ALWAYS.into_iter().for_each(again);
        assert_eq!(set(dir.path()), Set::Unknown);
        LATER.into_iter().for_each(again);
        assert_eq!(set(dir.path()), Set::Unknown);
        assert!(!is_mixed(dir.path()));
    }

    #[test]
    fn a_mark_that_is_none_says_nothing() {
        let dir = after(3);
        let mark: PathBuf = dir.path().join(FILE);
        for text in [
            "",
            "modfs indexes 2\n1 2 3 4 modules.dep\n",
            "modfs indexes 1\n\n1 2\n../x\n",
        ] {
            fs::write(&mark, text).unwrap();
            assert_eq!(set(dir.path()), Set::Unknown, "{text}");
        }
        fs::remove_file(&mark).unwrap();
        assert_eq!(set(dir.path()), Set::Unknown);
    }
}

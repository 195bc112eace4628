//! Writing the indexes, so that each is whole at every moment.
//!
//! All are first written beside the old ones, and are on the disk; when one cannot be, none is
//! replaced. Then the mark ([`crate::mark`]) takes its name, and after it each index. A rename
//! replaces one file at once, but there is none for several: who is ended in between leaves some
//! new and some old, which is what the mark shows.

use crate::{Level, Report, mark};
use rayon::prelude::*;
use rustix::fs::FlockOperation;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why files could not be written, and which.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub(crate) struct StoreError {
    path: PathBuf,
    error: io::Error,
}

/// So long a run waits for another. Whoever may read a directory can lock it, and must not keep
/// its indexes from being made.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(20);

/// While it is there no other depmod of ours makes the indexes of the same directory.
#[derive(Debug)]
pub struct Turn {
    _locked: Option<File>,
}

impl Turn {
    /// Waits for the others, but not for ever: then, and where directories cannot be locked, it
    /// goes on without. What is left of runs that were ended is removed.
    pub(crate) fn take(directory: &Path, report: &dyn Report) -> Turn {
        let locked = lock(directory, report);
        if locked.is_some() {
            remove_leftovers(directory);
        }
        Turn { _locked: locked }
    }
}

fn lock(directory: &Path, report: &dyn Report) -> Option<File> {
    let file = File::open(directory).ok()?;
    let begin = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        if begin.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            let text = format!(
                "{} is locked for {seconds} s, maybe by another depmod: not waiting any longer",
                directory.display()
            );
            report.report(Level::Warning, &text);
            return None;
        }
        std::thread::sleep(BETWEEN);
    }
}

/// Removes what runs have left that were ended while they wrote.
fn remove_leftovers(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = |name: &str| {
            let (name, process) = name.strip_prefix('.')?.rsplit_once('.')?;
            let number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
            (number && (mark::order(name) < 2 || is_own(name))).then_some(())
        };
        if name.to_str().and_then(is_ours).is_some() {
            // If it cannot be removed it does no harm either.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_own(name: &str) -> bool {
    [mark::FILE, crate::cache::FILE].contains(&name)
}

/// Replaces files in a directory, which is made if it is not there.
pub(crate) fn replace(
    directory: &Path,
    files: &[(&'static str, Vec<u8>)],
) -> Result<(), StoreError> {
    let result = stage(directory, files).and_then(|()| publish(directory, files));
    if result.is_err() {
        for name in names(files) {
            // It may not be there.
            let _ = fs::remove_file(temporary(directory, name));
        }
    }
    // The names are there in any case; that they survive a crash may take a moment longer where
    // directories cannot be synced.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    result
}

/// All names, in the order in which they are given to the new files.
fn names<'a>(files: &'a [(&'static str, Vec<u8>)]) -> impl Iterator<Item = &'a str> {
    let kind = |wanted: usize| {
        let names = files.iter().map(|(name, _)| *name);
        names.filter(move |name| mark::order(name) == wanted)
    };
    [mark::FILE].into_iter().chain((0..3).flat_map(kind))
}

fn temporary(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!(".{name}.{}", std::process::id()))
}

/// Writes all beside the old ones, and waits until they are on the disk.
fn stage(directory: &Path, files: &[(&'static str, Vec<u8>)]) -> Result<(), StoreError> {
    let failed = |name: &str| {
        let path = directory.join(name);
        |error| StoreError { path, error }
    };
    let create = |name: &str, bytes: &[u8]| {
        let path = temporary(directory, name);
        // Of a process that had this number before.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)?;
        file.write_all(bytes)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let written: Result<Vec<_>, StoreError> = files
        .par_iter()
        .map(|(name, bytes)| {
            let (file, metadata) = create(name, bytes).map_err(failed(name))?;
            Ok((*name, file, metadata))
        })
        .collect();
    let mut written = written?;
    let stamps = written
        .iter()
        .map(|(name, _, metadata)| (*name, metadata.clone()));
    let mark = mark::text(stamps);
    let (file, metadata) = create(mark::FILE, mark.as_bytes()).map_err(failed(mark::FILE))?;
    written.push((mark::FILE, file, metadata));
    // At once, so that one journal's commit serves all of them.
    written
        .par_iter()
        .try_for_each(|(name, file, _)| file.sync_data().map_err(failed(name)))
}

/// Gives the new files their names.
fn publish(directory: &Path, files: &[(&'static str, Vec<u8>)]) -> Result<(), StoreError> {
    names(files).try_for_each(|name| {
        let path = directory.join(name);
        fs::rename(temporary(directory, name), &path).map_err(|error| StoreError { path, error })
    })
}

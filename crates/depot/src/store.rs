//! Writing the indexes, so that each is whole at every moment.

use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why files could not be written, and which.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub(crate) struct StoreError {
    path: PathBuf,
    error: io::Error,
}

/// Replaces files in a directory, in this order: first all are written beside the old ones and
/// are on the disk, then each takes its name. When one cannot be written none is replaced.
pub(crate) fn replace(
    directory: &Path,
    files: &[(&'static str, Vec<u8>)],
) -> Result<(), StoreError> {
    let temporary = |name: &str| directory.join(format!(".{name}.{}", std::process::id()));
    // At once, so that one journal's commit serves all of them.
    let written = files.par_iter().try_for_each(|(name, bytes)| {
        let path = temporary(name);
        write(&path, bytes).map_err(|error| StoreError { path, error })
    });
    let renamed = written.and_then(|()| {
        files.iter().try_for_each(|(name, _)| {
            let path = directory.join(name);
            fs::rename(temporary(name), &path).map_err(|error| StoreError { path, error })
        })
    });
    if renamed.is_err() {
        for (name, _) in files {
            // It may not be there.
            let _ = fs::remove_file(temporary(name));
        }
    }
    // The names are there in any case; that they survive a crash may take a moment longer where
    // directories cannot be synced.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    renamed
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

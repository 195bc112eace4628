//! Finding the module files of a version directory.

use crate::{Level, Report, extension, module_name};
use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A module file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Relative to the version directory; the path itself when it is elsewhere.
    pub(crate) relative: PathBuf,
    /// The module's name.
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
}

impl Found {
    /// A file at `path`, in `root` or elsewhere.
    ///
    /// # Errors
    /// What stat(2) says; InvalidInput: it has not the name of a module file, is no file, or its path
    /// cannot be written into modules.dep.
    pub(crate) fn new(root: &Path, path: PathBuf) -> io::Result<Found> {
        let metadata = fs::metadata(&path)?;
        Found::of(root, path, metadata)
    }

    fn of(root: &Path, path: PathBuf, metadata: Metadata) -> io::Result<Found> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
        let file = path.file_name().unwrap_or_default();
        if extension(file).is_none() {
            return Err(invalid(
                "a module file is called NAME.ko, .ko.gz, .ko.xz or .ko.zst",
            ));
        }
        let name = module_name(file);
        if name.is_empty() {
            return Err(invalid("before its first dot there is no name"));
        }
        if !metadata.is_file() {
            return Err(invalid("this is no regular file"));
        }
        let relative = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
        // A line of modules.dep is `PATH: PATH PATH`, without quotes.
        let parts = |byte: &u8| byte.is_ascii_whitespace() || *byte == b':' || *byte == 0x0b;
        if relative.as_os_str().as_encoded_bytes().iter().any(parts) {
            return Err(invalid(
                "modules.dep cannot name it: there is a blank, a line feed or a colon in its path",
            ));
        }
        Ok(Found {
            relative,
            path,
            name,
            metadata,
        })
    }

    /// The relative path without what says how it is packed, as `modules.order` has it.
    pub(crate) fn unpacked(&self) -> &[u8] {
        let path = self.relative.as_os_str().as_encoded_bytes();
        let packed = extension(self.relative.as_os_str()).map_or(0, |end| end.len() - ".ko".len());
        &path[..path.len() - packed]
    }
}

/// Finds all module files in a directory and those below it, in no order. `excluded` are names of
/// directories that are passed over.
///
/// # Errors
/// The directory cannot be read. What is wrong further down is reported as a warning, and the
/// rest is found all the same; `sound` is set to `false`.
pub(crate) fn walk(
    root: &Path,
    start: &Path,
    excluded: &[String],
    report: &dyn Report,
    sound: &mut bool,
) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut queue = vec![start.to_path_buf()];
    while let Some(directory) = queue.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if directory == start => return Err(error),
            Err(error) => {
                *sound = false;
                let text = format!("could not open directory {}: {error}", directory.display());
                report.report(Level::Error, &text);
                continue;
            }
        };
        for entry in entries {
            let entry = entry?;
            let (file, path) = (entry.file_name(), entry.path());
            // Follows symbolic links, as kmod does; one that leads back is met only once. What is
            // none is looked at from its directory, without the way there.
            let metadata = match entry.metadata() {
                Ok(metadata) if metadata.is_symlink() => fs::metadata(&path),
                other => other,
            };
            let metadata = match metadata {
                Ok(metadata) => metadata,
                Err(_) if extension(&file).is_none() => continue,
                Err(error) => {
                    *sound = false;
                    report.report(Level::Error, &format!("{}: {error}", path.display()));
                    continue;
                }
            };
            if metadata.is_dir() {
                let name = file.to_string_lossy();
                let passed = matches!(&*name, "build" | "source")
                    || excluded.iter().any(|excluded| *excluded == name);
                if !passed && seen.insert((metadata.dev(), metadata.ino())) {
                    queue.push(path);
                }
            } else if extension(&file).is_some() {
                match Found::of(root, path.clone(), metadata) {
                    Ok(module) => found.push(module),
                    Err(error) => {
                        *sound = false;
                        // A line feed in a path must not look like another message.
                        let path = path.display().to_string().replace('\n', "\\n");
                        report.report(Level::Error, &format!("{path}: {error}"));
                    }
                }
            }
        }
    }
    Ok(found)
}

//! What is to be built of C files.

use crate::{Error, Options};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// What is to be built.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) output: PathBuf,
}

impl Job {
    pub(crate) fn plan(sources: &[PathBuf], options: &Options) -> Result<Job, Error> {
        let Some(first) = sources.first() else {
            return Err(Error::Told(
                "nothing to build: name a directory or C files".into(),
            ));
        };
        let (files, named, place) = if first.is_dir() {
            if sources.len() > 1 {
                return Err(Error::Told(format!(
                    "{} is a directory: build it alone, or name the files",
                    first.display()
                )));
            }
            let whole = fs::canonicalize(first).map_err(|e| Error::io("cannot read", first, &e))?;
            let named = whole.file_name().map(OsStr::to_os_string);
            (c_files(first)?, named, first.clone())
        } else {
            for file in sources {
                readable(file)?;
            }
            let named = first.file_stem().map(OsStr::to_os_string);
            (sources.to_vec(), named, PathBuf::new())
        };
        let name = match &options.name {
            Some(name) => name.clone(),
            None => named.unwrap_or_default().to_string_lossy().into_owned(),
        };
        check_name(&name)?;
        let output = match &options.output {
            Some(output) => output.clone(),
            None => place.join(format!("{name}.ko")),
        };
        if let Some(file) = files.iter().find(|file| **file == output) {
            return Err(Error::Told(format!(
                "{} is a source: give another --output",
                file.display()
            )));
        }
        Ok(Job {
            name,
            files,
            output,
        })
    }
}

/// Refuses what cannot be a module's name: it must be safe in a path, in C, and on a command line,
/// and fit `struct module`.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=55).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b));
    if fits {
        return Ok(());
    }
    Err(Error::Told(format!(
        "{name:?} cannot be a module's name: letters, digits, _ - + . only, \
         at most 55; give one with --name"
    )))
}

/// What kind of source a file is, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// C, or assembler that goes through the preprocessor.
    Compiled,
    /// An object that some compiler made already.
    Object,
}

pub(crate) fn source(file: &Path) -> Option<Source> {
    match file.extension()?.to_str()? {
        "c" | "S" => Some(Source::Compiled),
        "o" => Some(Source::Object),
        _ => None,
    }
}

fn readable(file: &Path) -> Result<(), Error> {
    let kind = fs::metadata(file).map_err(|e| Error::io("cannot read", file, &e))?;
    if source(file).is_none() {
        return Err(Error::Told(format!(
            "{} is no source: its name ends neither in .c nor in .S nor in .o",
            file.display()
        )));
    }
    // To open a FIFO would wait for somebody who writes to it.
    if !kind.is_file() {
        return Err(Error::Told(format!(
            "cannot read {}: it is not a regular file",
            file.display()
        )));
    }
    fs::File::open(file)
        .map(drop)
        .map_err(|e| Error::io("cannot read", file, &e))
}

/// The files of a directory that are to be compiled, sorted.
fn c_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Error::io("cannot read", dir, &e))? {
        let path = entry.map_err(|e| Error::io("cannot read", dir, &e))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if source(&path) == Some(Source::Compiled) && path.is_file() && !hidden {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::Told(format!(
            "{} has no .c file: nothing to build",
            dir.display()
        )));
    }
    found.sort();
    Ok(found)
}

//! The parameters of loaded modules, as sysfs has them, and those that are given to `init`.

use super::errno;
use crate::Linux;
use modfs_core::{Errno, Parameter, Refusal};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The parameters of a module that have a file.
pub(super) fn list(linux: &Linux, module: &str) -> Vec<Parameter> {
    let Ok(entries) = fs::read_dir(linux.file(module, "parameters")) else {
        return Vec::new();
    };
    let parameter = |entry: fs::DirEntry| {
        Some(Parameter {
            name: entry.file_name().into_string().ok()?,
            mode: entry.metadata().ok()?.permissions().mode() & 0o777,
        })
    };
    let mut all: Vec<Parameter> = entries.flatten().filter_map(parameter).collect();
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The file of a parameter.
///
/// # Errors
/// ENOENT: the name is that of another file.
fn file(linux: &Linux, module: &str, name: &str) -> Result<PathBuf, Refusal> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err(Errno::ENOENT.into());
    }
    Ok(linux.file(module, "parameters").join(name))
}

/// The value of a parameter.
///
/// # Errors
/// ENOENT: there is none. EACCES: it may not be read. Otherwise what the module says.
pub(super) fn get(linux: &Linux, module: &str, name: &str) -> Result<String, Refusal> {
    let read = fs::read(file(linux, module, name)?);
    let bytes = read.map_err(|error| Refusal::from(errno(&error)))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// Sets a parameter.
///
/// # Errors
/// ENOENT: there is none. EACCES: it may not be written. Otherwise what the module says to the
/// value: EINVAL, ERANGE and the like.
pub(super) fn set(linux: &Linux, module: &str, name: &str, value: &str) -> Result<(), Refusal> {
    let opened = fs::File::options()
        .write(true)
        .open(file(linux, module, name)?);
    // Nothing at all is not written; and a line feed after a text would be part of it.
    let value = if value.is_empty() { "\n" } else { value };
    let written = opened.and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|error| errno(&error).into())
}

/// The parameters as the kernel takes them: one line, a value with blanks in double quotes.
///
/// # Errors
/// EINVAL: one has both blanks and a double quote, for which the kernel has no way.
pub(super) fn line(parameters: &[String]) -> Result<String, Refusal> {
    let mut words = Vec::new();
    for parameter in parameters {
        let blank = |text: &str| text.contains(char::is_whitespace);
        if !blank(parameter) {
            words.push(parameter.clone());
            continue;
        }
        match parameter.split_once('=') {
            Some((name, value)) if !blank(name) && !parameter.contains('"') => {
                words.push(format!("{name}=\"{value}\""));
            }
            _ => {
                let reason = format!("the kernel cannot be given the parameter {parameter:?}");
                return Err(Refusal::new(Errno::EINVAL, reason));
            }
        }
    }
    Ok(words.join(" "))
}

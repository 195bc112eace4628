//! The loader outside, as the first modfs wanted it: it links an object against a mounted tree and writes the
//! image's files. Of the kernel it knows the tree, and nothing else.
//!
//! ```text
//! text          0500  code, and what calls constructors and destructors
//! rodata        0400  constants
//! data          0600  the header (2.4's struct module), the name, variables; then the tables that the
//!                     header names, and their strings
//! init.text …         the same of what is for init only
//! ```

#![forbid(unsafe_code)]

mod image;
mod map;
mod symbols;
mod x86_64;

pub use map::{Map, MapSection, MapSymbol};

use image::Files;
use modfs_client::{Refused, Start, Tree};
use modfs_core::{Errno, taint};
use modfs_link::{Layout, Param, ParamError, Staging, Value};
use modfs_object::{EM_X86_64, Object};
use std::io;
use symbols::Symbols;

/// Why a module was not loaded. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is no module for this kernel.
    #[error("{0}")]
    Object(String),
    /// It cannot be linked.
    #[error("{}", lines(.0))]
    Link(Vec<modfs_link::Error>),
    /// Symbols are missing.
    #[error("{}", .0.join("\n"))]
    Missing(Vec<String>),
    /// Symbols are of other versions.
    #[error("{}", .0.join("\n"))]
    Versions(Vec<String>),
    /// A parameter.
    #[error("{0}")]
    Parameter(#[from] ParamError),
    /// Who exports what it needs has changed while it was linked.
    #[error("a module that it uses was exchanged for another meanwhile: try again")]
    Changed,
    /// A module of this name is there, or somebody loads one.
    #[error("a module of this name is there already")]
    Taken,
    /// A file or directory of the tree.
    #[error("{1}: {0}")]
    File(#[source] io::Error, String),
    /// A command was refused.
    #[error("{}", .0.reasons.join("\n"))]
    Refused(Refused),
}

fn lines(errors: &[modfs_link::Error]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl LoadError {
    /// The errno of the system call that it would have been: ENOEXEC, ENOENT, EINVAL, EAGAIN, EEXIST, or what the
    /// tree said.
    pub fn errno(&self) -> Errno {
        match self {
            LoadError::Object(_) | LoadError::Link(_) => Errno::ENOEXEC,
            LoadError::Missing(_) => Errno::ENOENT,
            LoadError::Parameter(error) if error.out_of_range => Errno::ERANGE,
            LoadError::Parameter(_) | LoadError::Versions(_) => Errno::EINVAL,
            LoadError::Changed => Errno::EAGAIN,
            LoadError::Taken => Errno::EEXIST,
            LoadError::File(error, _) => Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            LoadError::Refused(refused) => refused.errno,
        }
    }
}

/// Links an object against a tree's symbols, writes its files, and starts it. Returns where everything is, and
/// the parameters that it does not have. Versions are compared whatever [`Start::force`] says.
///
/// # Errors
/// [`LoadError`].
pub fn load(
    tree: &Tree,
    name: &str,
    object: &[u8],
    start: Start<'_>,
) -> Result<(Map, Vec<String>), LoadError> {
    let object = Object::parse(object, EM_X86_64).map_err(|e| LoadError::Object(e.to_string()))?;
    check(tree, &object)?;
    if name == modfs_core::KERNEL {
        return Err(LoadError::Taken);
    }
    let layout = Layout::new(&object, &[]).map_err(LoadError::Link)?;
    let symbols = Symbols::read(tree, &object)?;
    let strings = start.parameters.iter().map(|given| given.len() + 1).sum();
    let mut files = Files::make(tree, name, &object, &layout, &symbols, strings)?;
    // The kernel takes no dependency that was mapped after the files. Of those before there is now no other.
    if Symbols::read(tree, &object)? != symbols {
        return Err(LoadError::Changed);
    }
    let bases = files.bases();
    let mut staging = Staging::default();
    let import = |index: usize| symbols.import(&object, index, files.header());
    modfs_link::link(&object, &layout, &bases, import, &mut staging).map_err(LoadError::Link)?;
    let params = Param::read_all(&object, &layout, &bases, &staging);
    let params = params.map_err(|error| LoadError::Link(vec![error]))?;
    let mut unknown = Vec::new();
    let mut values = Vec::new();
    for given in start.parameters {
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name, Some(unquoted(value))),
            None => (given.as_str(), None),
        };
        let same = |param: &&Param| param.name.replace('-', "_") == name.replace('-', "_");
        match params.iter().find(same) {
            Some(param) => values.push((param, param.parse(value)?)),
            None => unknown.push(name.to_owned()),
        }
    }
    files.fill(&object, &layout, &staging, &symbols);
    for (param, values) in values {
        store(&mut files, param, values);
    }
    files.start(start.autoclean)?;
    if !object.modinfo().is_gpl_compatible() {
        // As 2.4's insmod; a kernel that says by itself what taints it does not take it.
        let told = taint::PROPRIETARY.to_string();
        let _ = std::fs::write(tree.path(modfs_core::KERNEL, "tainted"), told);
    }
    Ok((Map::of(&object, &layout, &bases), unknown))
}

/// A value without the double quotes around it.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Whether the object is for this kernel.
fn check(tree: &Tree, object: &Object<'_>) -> Result<(), LoadError> {
    let version = tree.read(modfs_core::KERNEL, "version");
    let version = version.map_err(|e| LoadError::File(e, "kernel/version".into()))?;
    let info = object.modinfo();
    if let Some(found) = info.get("vermagic").filter(|found| *found != version) {
        return Err(LoadError::Object(format!(
            "built for version \"{found}\", this kernel is \"{version}\": build it anew with this \
             kernel's `modfs build`"
        )));
    }
    let rustc = tree.read(modfs_core::KERNEL, "rustc").unwrap_or_default();
    match info.get("rustc").filter(|found| *found != rustc) {
        Some(found) => Err(LoadError::Object(format!(
            "built by \"{found}\", this kernel takes modules of \"{rustc}\": build both by the same"
        ))),
        None => Ok(()),
    }
}

/// Puts the values of a parameter where its variable is to be.
fn store(files: &mut Files<'_>, param: &Param, values: Vec<Value>) {
    let given = values.len() as u32;
    for (index, value) in values.into_iter().enumerate() {
        let address = param.address + index as u64 * param.kind.size();
        match value {
            Value::Bytes(bytes) => files.put(address, &bytes),
            Value::String(string) => {
                let pointer = files.string(string.as_bytes_with_nul());
                files.put(address, &pointer.to_le_bytes());
            }
        }
    }
    if param.count != 0 {
        files.put(param.count, &given.to_le_bytes());
    }
}

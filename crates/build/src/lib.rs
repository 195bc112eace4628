//! C and Rust sources to a module, with the compilers that are there.
//!
//! [`build`] takes a folder with a cargo package, a folder with C files, or C files. It finds the
//! compiler, compiles against the headers and the SDK that this library carries, links
//! everything into one relocatable object, checks it, and puts it in its place in one step.

#![forbid(unsafe_code)]

mod c;
mod cc;
mod job;
mod output;
mod rust;
mod sdk;
mod template;
mod versions;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use sdk::write_headers;
pub use template::new_package;

/// How to build; the default is what `modfs build` does without options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the module goes; by default `DIR/NAME.ko` or `./NAME.ko`.
    pub output: Option<PathBuf>,
    /// The module's name; by default that of the directory or of the first file.
    pub name: Option<String>,
    /// The C compiler; by default `$CC`, or the first there is of cc, gcc, clang.
    pub cc: Option<OsString>,
    /// Further arguments for the compiler, after modfs's own.
    pub cflags: Vec<OsString>,
    /// Keep what a debugger needs.
    pub debug: bool,
    /// Print each command on standard error.
    pub verbose: bool,
    /// What it is built against besides modfs's own host: modules, or lists of `modfs symvers`. Of two that
    /// export the same the later counts.
    pub symvers: Vec<PathBuf>,
}

/// A module that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub module: PathBuf,
    /// The exports that have no checksum, since their declarations are not known, as those of assembler.
    pub unversioned: Vec<String>,
    /// Why no declaration is known at all.
    pub unread: Option<String>,
}

/// Why no module was made.
#[derive(Debug)]
pub enum Error {
    /// The compiler or linker has said why, on standard error.
    Compiler,
    /// What, where, and what to do about it.
    Told(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Compiler => f.write_str("the compiler refused the source"),
            Error::Told(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Error {
        Error::Told(format!("{what} {}: {error}", path.display()))
    }
}

/// Builds one module.
///
/// The output is replaced in one step once the module is whole and checked; on an error it is as
/// it was.
///
/// # Errors
/// No compiler, no source, a name that is none, what the compiler says, what it is to be built against is not to be
/// read, or a file that cannot be written.
pub fn build(sources: &[PathBuf], options: &Options) -> Result<Built, Error> {
    match sources {
        [package] if package.join("Cargo.toml").is_file() => rust::build(package, options),
        sources => c::build(sources, options),
    }
}

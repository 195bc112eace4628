//! `modfs build` and `modfs new`.

use clap::Args;
use modfs_build::{Error, Options};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `modfs build`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuildArgs {
    /// A cargo package, a directory of which all .c and .S files make one module, or files of these
    /// kinds and .o
    #[arg(required = true, value_name = "DIR|FILE")]
    sources: Vec<PathBuf>,
    /// Where the module goes [default: DIR/NAME.ko, or NAME.ko here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The module's name [default: the package's, the directory's, or that of the first file]
    #[arg(short, long)]
    name: Option<String>,
    /// The C compiler, which links Rust modules too [default: $CC, or the first there is of cc,
    /// gcc, clang]
    #[arg(long, value_name = "COMPILER")]
    cc: Option<OsString>,
    /// A further argument for the C compiler; may be given more than once
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    cflag: Vec<OsString>,
    /// Build against what this module, or list of `modfs symvers`, exports: what the kernel checks is written
    /// into the module; may be given more than once
    #[arg(long, value_name = "FILE")]
    symvers: Vec<PathBuf>,
    /// Keep what a debugger needs
    #[arg(short = 'g', long)]
    debug: bool,
    /// Print each command that is run
    #[arg(short, long)]
    verbose: bool,
}

/// Builds a module and says where it is.
///
/// # Errors
/// An empty text when the compiler has said it all.
pub(crate) fn run(args: &BuildArgs) -> Result<(), String> {
    let options = Options {
        output: args.output.clone(),
        name: args.name.clone(),
        cc: args.cc.clone(),
        cflags: args.cflag.clone(),
        debug: args.debug,
        verbose: args.verbose,
        symvers: args.symvers.clone(),
    };
    match modfs_build::build(&args.sources, &options) {
        Ok(built) => {
            let why = built.unread.as_deref();
            let why = why.unwrap_or("no compiler has said how it is declared");
            for symbol in &built.unversioned {
                eprintln!(
                    "modfs: warning: build: {symbol} has no checksum, and who uses it is not checked: {why}"
                );
            }
            // Whoever closed our output does not want to know.
            let _ = writeln!(std::io::stdout(), "{}", built.module.display());
            Ok(())
        }
        Err(Error::Compiler) => Err(String::new()),
        Err(error) => Err(format!("build: {error}")),
    }
}

/// Arguments of `modfs new`.
#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// The package's directory, which is made; its last part is the module's name
    path: PathBuf,
}

/// Makes a package to begin with.
pub(crate) fn new(args: &NewArgs) -> Result<(), String> {
    modfs_build::new_package(&args.path).map_err(|error| format!("new: {error}"))
}

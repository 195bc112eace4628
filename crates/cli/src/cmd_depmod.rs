//! `depmod`: makes the indexes of a directory of modules.

use crate::progress::Progress;
use crate::report::{Messages, print};
use crate::version::DirectoryArgs;
use clap::Args;
use modfs_depot::depmod::{self, Options};
use modfs_depot::search::Search;
use modfs_depot::{KernelSymbols, Level, Report};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `depmod`.
#[derive(Args, Debug)]
pub(crate) struct DepmodArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// All modules; the same as no file
    #[arg(short, long)]
    all: bool,
    /// Only when a module is newer than the indexes
    #[arg(short = 'A', long)]
    quick: bool,
    /// Take this as the root directory
    #[arg(short, long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// Where version directories are, below the root [default: /lib/modules]
    #[arg(short, long, value_name = "DIR")]
    moduledir: Option<PathBuf>,
    /// Write the indexes below this root directory
    #[arg(short, long, value_name = "DIR")]
    outdir: Option<PathBuf>,
    /// Check symbols and checksums against this Module.symvers
    #[arg(short = 'E', long, value_name = "FILE", conflicts_with = "filesyms")]
    symvers: Option<PathBuf>,
    /// Check symbols against this System.map
    #[arg(short = 'F', long, value_name = "FILE")]
    filesyms: Option<PathBuf>,
    /// Report symbols that nobody exports; needs -E or -F
    #[arg(short, long)]
    errsyms: bool,
    /// With what every symbol begins in these files and in modules; it is no part of its name
    #[arg(short = 'P', long, value_name = "CHARACTER", value_parser = one_byte)]
    symbol_prefix: Option<u8>,
    /// Report aliases that a module has twice, and symbols that several modules export
    #[arg(short, long)]
    warn: bool,
    /// Read this file or directory in place of the usual ones; can be given several times
    #[arg(short = 'C', long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Print the indexes, write nothing
    #[arg(short = 'n', long, visible_alias = "dry-run")]
    show: bool,
    /// Read every module again, even if it has not changed since the last run
    #[arg(long)]
    rebuild: bool,
    /// Say more
    #[arg(short, long)]
    verbose: bool,
    /// The kernel's version [default: of the running one]; then files, to take only these
    #[arg(value_name = "VERSION|FILE")]
    arguments: Vec<OsString>,
}

impl DepmodArgs {
    fn options(&self, report: &dyn Report) -> Result<Options, String> {
        let mut rest = &self.arguments[..];
        let version = match rest.first().and_then(|first| first.to_str()) {
            Some(first) if is_version(first) => {
                rest = &rest[1..];
                Some(first)
            }
            _ => None,
        };
        for file in rest {
            if !Path::new(file).is_absolute() {
                let file = file.to_string_lossy();
                return Err(match version {
                    Some(_) => format!("{file}: not absolute path."),
                    None => format!("Bad version passed {file}"),
                });
            }
        }
        let below = self.moduledir.as_deref();
        let directory = self.directory.of(self.basedir.as_deref(), below, version)?;
        let output = match &self.outdir {
            Some(root) => Some(DirectoryArgs::default().of(Some(root), below, version)?),
            None => None,
        };
        let prefix = self.symbol_prefix;
        let kernel = match (&self.symvers, &self.filesyms) {
            (Some(file), _) => Some(KernelSymbols::of_symvers(&read(file)?, prefix)),
            (None, Some(file)) => Some(KernelSymbols::of_system_map(&read(file)?, prefix)),
            (None, None) => None,
        };
        if self.errsyms && kernel.is_none() {
            report.report(Level::Warning, "-e needs -E or -F");
        }
        let version = directory.file_name().unwrap_or_default().to_string_lossy();
        Ok(Options {
            search: Search::read(&self.config, &version, report),
            kernel,
            versions: self.symvers.is_some(),
            // A directory that is named itself is a host's, or somebody's own.
            built: !self.directory.is_given(),
            directory,
            output,
            rebuild: self.rebuild,
            prefix,
            duplicates: self.warn,
            files: rest.iter().map(PathBuf::from).collect(),
            unresolved: self.errsyms,
        })
    }
}

fn one_byte(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err("-P only takes a single char".to_owned()),
    }
}

/// `6.1.0-50-amd64` is a version; a file is not.
fn is_version(word: &str) -> bool {
    let number = |text: &str| text.chars().next().is_some_and(|c| c.is_ascii_digit());
    let mut parts = word.splitn(2, '.');
    let first = parts.next().unwrap_or_default();
    first.chars().all(|c| c.is_ascii_digit())
        && !first.is_empty()
        && parts.next().is_some_and(number)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}

/// Makes the indexes.
pub(crate) fn run(args: &DepmodArgs) -> Result<(), String> {
    let fail = |text: String| format!("depmod: ERROR: {text}");
    let messages = Messages {
        tool: "depmod",
        quiet: false,
        verbose: args.verbose,
        syslog: false,
    };
    let report = Progress::new(&messages, !args.show);
    let options = args.options(&report).map_err(fail)?;
    // What is read must not be older than what another run has read that ends before this one.
    let _turn = (!args.show).then(|| depmod::take_turn(&options, &report));
    let up_to_date = || depmod::is_up_to_date(&options, &report);
    if args.quick && up_to_date().map_err(|e| fail(e.to_string()))? {
        return Ok(());
    }
    let made = depmod::make(&options, &report);
    report.hide();
    let made = made.map_err(|e| fail(e.to_string()))?;
    if args.show {
        for (name, bytes) in &made.indexes {
            if !name.ends_with(".bin") && !name.ends_with(".cache") {
                print(bytes);
            }
        }
    } else {
        depmod::write(&options, &made).map_err(|e| fail(e.to_string()))?;
    }
    if made.sound {
        Ok(())
    } else {
        Err(String::new())
    }
}

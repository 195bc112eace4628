//! `modfs install`: this program with all its names.

use crate::TOOLS;
use crate::report::print;
use clap::Args;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Arguments of `modfs install`.
#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// Where to, such as /usr/local/sbin; it is made when it does not exist
    directory: PathBuf,
    /// Replace what is there of these names
    #[arg(short, long)]
    force: bool,
}

/// The program's own name.
const OWN: &str = "modfs";

/// Copies the program into a directory, and links the tools' names to it. Each file is whole, the old
/// or the new one, at every moment; when something is in the way nothing is changed.
pub(crate) fn run(args: &InstallArgs) -> Result<(), String> {
    let directory = &args.directory;
    let failed = |what: &Path, e: io::Error| format!("install: {}: {e}", what.display());
    fs::create_dir_all(directory).map_err(|e| failed(directory, e))?;
    let program = std::env::current_exe();
    let program = program.map_err(|e| failed(Path::new(OWN), e))?;
    let own = directory.join(OWN);
    let is_own = is_same(&own, &program).unwrap_or(false);
    let ours = |path: &Path| fs::read_link(path).is_ok_and(|to| to == Path::new(OWN));
    let taken: Vec<String> = TOOLS
        .iter()
        .map(|tool| directory.join(tool))
        .filter(|path| path.symlink_metadata().is_ok() && !ours(path))
        .chain((own.symlink_metadata().is_ok() && !is_own).then(|| own.clone()))
        .map(|path| path.display().to_string())
        .collect();
    if !taken.is_empty() && !args.force {
        return Err(format!(
            "install: {} there already; --force replaces them",
            match &taken[..] {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(", ")),
            }
        ));
    }
    if !is_own {
        place(&own, |new| fs::copy(&program, new).map(drop)).map_err(|e| failed(&own, e))?;
    }
    print(format!("{}\n", own.display()));
    for tool in TOOLS {
        let path = directory.join(tool);
        if !ours(&path) {
            place(&path, |new| symlink(OWN, new)).map_err(|e| failed(&path, e))?;
        }
        print(format!("{} -> {OWN}\n", path.display()));
    }
    Ok(())
}

/// Whether two files are one, or equal.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(fs::canonicalize(one)? == fs::canonicalize(other)? || fs::read(one)? == fs::read(other)?)
}

/// Makes a file beside the place where it goes, and puts it there at once.
fn place(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let made = make(&new).and_then(|()| fs::rename(&new, path));
    if made.is_err() {
        let _ = fs::remove_file(&new);
    }
    made
}

//! `--require-signed`: nothing is loaded unless all of it is signed.

use super::ModprobeArgs;
use crate::cmd_verify::verify_file;
use crate::keyring::words;
use modfs_depot::Reader;
use modfs_depot::probe::{Action, Step};
use modfs_trust::{Keyring, Verdict};
use std::path::absolute;

/// The certificates that are trusted: given ones, or those of the kernel whose modules are meant.
pub(super) fn keyring(args: &ModprobeArgs) -> Result<Keyring, String> {
    let (root, version) = args.configured.kernel()?;
    args.keyring.keyring(root, &version)
}

/// Fails unless every file that is to be loaded is signed by a key of the keyring.
///
/// Of what then goes to the running kernel the very bytes are checked again; a file for a host's
/// tree is read anew. What install commands load by other means than modprobe is not seen here.
pub(super) fn require(keyring: &Keyring, steps: &[Step]) -> Result<(), String> {
    let mut reader = Reader::default();
    for step in steps {
        let Action::Insert(file) = &step.action else {
            continue;
        };
        let why = match verify_file(file, keyring, &mut reader) {
            Ok(Verdict::Signed(_)) => continue,
            Ok(verdict) => words(&verdict),
            Err(why) => why,
        };
        return Err(format!(
            "could not insert '{}': {}: {why}, and --require-signed was given",
            step.module,
            file.display()
        ));
    }
    Ok(())
}

/// The options that a modprobe within an install command needs to ask the same.
pub(super) fn options(args: &ModprobeArgs) -> String {
    if !args.require_signed {
        return String::new();
    }
    let mut options = " --require-signed".to_owned();
    let certificates = args.keyring.cert.iter().map(|file| ("--cert", file));
    let kernel = args.keyring.kernel.iter().map(|file| ("--kernel", file));
    for (option, file) in certificates.chain(kernel) {
        // The command may run elsewhere.
        let file = absolute(file).unwrap_or_else(|_| file.clone());
        let quote = match file.to_string_lossy().contains('\'') {
            true => '"',
            false => '\'',
        };
        options += &format!(" {option} {quote}{}{quote}", file.display());
    }
    options
}

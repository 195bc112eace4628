//! `modfs verify`: whether modules are signed by somebody who is trusted.

use crate::jobs;
use crate::keyring::{KeyringArgs, word, words};
use crate::report::{print, print_json};
use crate::version::{DirectoryArgs, running};
use clap::Args;
use modfs_depot::Reader;
use modfs_depot::config::Config;
use modfs_depot::probe::{Depot, Via};
use modfs_trust::{Certificate, Keyring, Verdict, verify};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `modfs verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    keyring: KeyringArgs,
    /// Print an array of JSON objects
    #[arg(long)]
    json: bool,
    /// Print the certificates that are trusted
    #[arg(long, conflicts_with_all = ["json", "files"])]
    list: bool,
    /// The kernel's version [default: of the running one]
    #[arg(short = 'k', long, value_name = "VERSION")]
    set_version: Option<String>,
    /// Take this as the root directory of modules, and of the kernel
    #[arg(short, long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// Module files, or modules
    #[arg(value_name = "FILE", required_unless_present = "list")]
    files: Vec<String>,
}

/// What came of a file.
type Outcome<'k> = Result<Verdict<'k>, String>;

#[derive(Serialize)]
struct Json {
    file: String,
    /// `signed`, `unsigned`, `foreign`, `altered`, `damaged`; `null`: it could not be read.
    verdict: Option<&'static str>,
    /// The certificate's name, its subject, its serial number, its key; of one that is known.
    name: Option<String>,
    subject: Option<String>,
    serial: Option<String>,
    key: Option<String>,
    /// With `signed`.
    digest: Option<&'static str>,
    /// With `signed`: whether Linux refuses it for its attributes.
    attributes: Option<bool>,
    /// In words; with `foreign` the signer, otherwise what is wrong.
    reason: Option<String>,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<(), String> {
    let error = |why: String| format!("verify: ERROR: {why}");
    let root = args.basedir.as_deref().unwrap_or(Path::new("/"));
    let version = match &args.set_version {
        Some(version) => version.clone(),
        None => running().map_err(error)?,
    };
    let keyring = args.keyring.keyring(root, &version).map_err(error)?;
    if args.list {
        let line = |certificate: &Certificate| {
            format!(
                "{} ({}, serial {}, {} bytes)\n",
                certificate.subject(),
                certificate.key(),
                certificate.serial(),
                certificate.size()
            )
        };
        let lines = keyring.certificates().iter().map(line);
        print(lines.collect::<String>());
        return Ok(());
    }
    let mut files = Vec::new();
    let mut errors = Vec::new();
    let mut depot = None;
    for name in &args.files {
        match paths(args, name, &mut depot) {
            Ok(paths) => files.extend(paths),
            Err(why) => errors.push(error(why)),
        }
    }
    let outcomes = jobs::each(
        jobs::processors(),
        &files,
        Reader::default,
        |reader, file| verify_file(file, &keyring, reader),
    );
    let mut good = true;
    let mut lines = Vec::new();
    let mut reports = Vec::new();
    for (file, outcome) in files.iter().zip(&outcomes) {
        good &= matches!(outcome, Ok(Verdict::Signed(_)));
        match outcome {
            _ if args.json => reports.push(json(file, outcome)),
            Ok(verdict) => lines.push(format!("{}: {}\n", file.display(), words(verdict))),
            Err(why) => errors.push(error(format!("{}: {why}", file.display()))),
        }
    }
    match args.json {
        true => print_json(&reports)?,
        false => print(lines.concat()),
    }
    match good && errors.is_empty() {
        true => Ok(()),
        false => Err(errors.join("\n")),
    }
}

/// The files that are meant: what is no file can be a module of the directory.
fn paths(args: &VerifyArgs, name: &str, depot: &mut Option<Depot>) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(name);
    if name.contains('/') || path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let depot = match depot {
        Some(depot) => depot,
        None => {
            let (root, version) = (args.basedir.as_deref(), args.set_version.as_deref());
            let directory = args.directory.of(root, None, version)?;
            depot.insert(Depot::new(&directory, Config::default()))
        }
    };
    let missing = || format!("{name}: no such file, and no such module");
    let found = depot
        .find(name)
        .map_err(|e| format!("{}: {e}", missing()))?;
    let mut paths = Vec::new();
    for module in found.modules {
        match (&module.via, depot.path(&module.name)) {
            (Via::File(path), _) => paths.push(path.clone()),
            (_, Ok(Some(path))) => paths.push(path),
            (_, Ok(None)) => {}
            (_, Err(why)) => return Err(format!("{name}: {why}")),
        }
    }
    match paths.is_empty() {
        true => Err(missing()),
        false => Ok(paths),
    }
}

/// Verifies a file, packed or not. An error says why it cannot be read.
pub(crate) fn verify_file<'k>(
    file: &Path,
    keyring: &'k Keyring,
    reader: &mut Reader,
) -> Outcome<'k> {
    let bytes = reader.read(file).map_err(|e| e.to_string())?;
    Ok(verify(bytes, keyring))
}

fn json(file: &Path, outcome: &Outcome<'_>) -> Json {
    let certificate = match outcome {
        Ok(Verdict::Signed(signed)) => Some(signed.certificate),
        Ok(Verdict::Altered(certificate)) => Some(*certificate),
        _ => None,
    };
    let signed = match outcome {
        Ok(Verdict::Signed(signed)) => Some(signed),
        _ => None,
    };
    Json {
        file: file.to_string_lossy().into_owned(),
        verdict: outcome.as_ref().ok().map(word),
        name: certificate.map(|c| c.name().to_owned()),
        subject: certificate.map(|c| c.subject().to_owned()),
        serial: certificate.map(|c| c.serial()),
        key: certificate.map(|c| c.key()),
        digest: signed.map(|signed| signed.digest),
        attributes: signed.map(|signed| signed.attributes),
        reason: match outcome {
            Ok(Verdict::Foreign(signer)) => Some(signer.to_string()),
            Ok(Verdict::Damaged(why)) => Some(why.to_string()),
            Ok(_) => None,
            Err(why) => Some(why.clone()),
        },
    }
}

//! The signatures of Debian's modules, checked with the certificate in Debian's kernel.
//!
//! Linux takes modules as `tests/linux` sees it: signed ones always; unsigned ones and those signed by
//! a foreign key unless it is told otherwise; altered ones never. Here the same are told apart
//! without it: all modules of a tree, and a number of them changed in each way.

use crate::kmod::{Work, entries, make_dir, output};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// So many modules are changed, evenly from all.
const SAMPLES: usize = 60;
const MAGIC: &[u8] = b"~Module signature appended~\n";
const INFO: usize = 12;
/// How a verdict begins.
const VERDICTS: [&str; 5] = [
    "signed by a foreign key",
    "signed by",
    "not signed",
    "altered",
    "damaged signature",
];

pub(crate) fn compare(
    work: &Work,
    package: &str,
    version: &str,
    wrong: &mut Vec<String>,
) -> Result<(), String> {
    let root = work.dir.join(package);
    let directory = root.join("lib/modules").join(version);
    let verify = |place: &Path| {
        let mut command = Command::new(&work.modfs);
        command.args(["verify", "-k", version, "-b"]).arg(&root);
        command.env_remove("MODFS_MODULES").current_dir(place);
        command
    };
    let certificates = output(verify(&directory).arg("--list"))?;
    print!("certificates of its vmlinuz: {certificates}");
    let files = modules(&directory)?;
    let began = Instant::now();
    let told = counts(verify(&directory).args(&files))?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "modfs verify of {} modules, {seconds:.1} s: {}",
        files.len(),
        shown(&told)
    );
    if told != BTreeMap::from([("signed by", files.len())]) {
        wrong.push(format!("{version} signatures"));
    }
    let place = work.dir.join(format!("signatures-{version}"));
    let _ = fs::remove_dir_all(&place);
    make_dir(&place)?;
    let samples = files.iter().step_by((files.len() / SAMPLES).max(1));
    let samples: Vec<Parts> = samples
        .map(|file| Parts::of(&directory.join(file)))
        .collect::<Result<_, _>>()?;
    keys(&place, &certificates)?;
    for (what, wanted, change) in CHANGES {
        let mut names = Vec::new();
        for (number, parts) in samples.iter().enumerate() {
            let name = format!("{number}.ko");
            change(parts, &place, &place.join(&name))?;
            names.push(name);
        }
        let told = counts(verify(&place).args(&names))?;
        println!("{what}: {}", shown(&told));
        if told != BTreeMap::from([(wanted, names.len())]) {
            wrong.push(format!("{version} {what}"));
        }
    }
    fs::remove_dir_all(&place).map_err(|e| e.to_string())
}

/// All module files, from the directory.
fn modules(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let (mut files, mut left) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = left.pop() {
        for path in entries(&folder)? {
            if path.is_dir() && !path.is_symlink() {
                left.push(path);
            } else if path.to_string_lossy().contains(".ko") {
                let file = path.strip_prefix(directory).map_err(|e| e.to_string())?;
                files.push(file.to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// How many files got which verdict.
fn counts(verify: &mut Command) -> Result<BTreeMap<&'static str, usize>, String> {
    let done = verify.output().map_err(|e| format!("modfs verify: {e}"))?;
    let mut counts = BTreeMap::new();
    for line in String::from_utf8_lossy(&done.stdout).lines() {
        let verdict = line.split_once(": ").map_or(line, |(_, verdict)| verdict);
        let known = VERDICTS
            .into_iter()
            .find(|known| verdict.starts_with(known));
        let known = known.ok_or_else(|| format!("no verdict: {line}"))?;
        *counts.entry(known).or_default() += 1;
    }
    let all_signed = counts.keys().eq(&["signed by"]);
    match done.status.success() == all_signed && done.stderr.is_empty() {
        true => Ok(counts),
        false => Err(format!(
            "modfs verify: {}: {}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        )),
    }
}

fn shown(counts: &BTreeMap<&str, usize>) -> String {
    let line = |(verdict, count): (&&str, &usize)| format!("{count} {verdict}");
    counts.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// A signed module.
struct Parts {
    content: Vec<u8>,
    message: Vec<u8>,
}

impl Parts {
    fn of(file: &Path) -> Result<Parts, String> {
        let packed = file.extension().is_some_and(|end| end == "xz");
        let bytes = match packed {
            true => {
                let done = Command::new("xz").arg("-dc").arg(file).output();
                done.map_err(|e| format!("xz: {e}"))?.stdout
            }
            false => fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?,
        };
        let parts = || {
            let rest = bytes.strip_suffix(MAGIC)?;
            let (rest, info) = rest.split_at_checked(rest.len().checked_sub(INFO)?)?;
            let len = u32::from_be_bytes(*info.last_chunk()?) as usize;
            let (content, message) = rest.split_at_checked(rest.len().checked_sub(len)?)?;
            Some(Parts {
                content: content.to_vec(),
                message: message.to_vec(),
            })
        };
        parts().ok_or_else(|| format!("{} has no signature", file.display()))
    }

    fn write(&self, to: &Path) -> Result<(), String> {
        let len = (self.message.len() as u32).to_be_bytes();
        let head = [0, 0, 2, 0, 0, 0, 0, 0];
        let all = [&self.content[..], &self.message, &head, &len, MAGIC].concat();
        write(to, &all)
    }

    fn signed_by(&self, key: &str, place: &Path, to: &Path) -> Result<(), String> {
        write(&place.join("content"), &self.content)?;
        openssl(
            place,
            &format!(
                "cms -sign -binary -noattr -nocerts -outform DER -md sha256 -signer {key}.pem \
                 -inkey {key}.key -in content -out message"
            ),
        )?;
        let message = fs::read(place.join("message")).map_err(|e| e.to_string())?;
        let content = self.content.clone();
        Parts { content, message }.write(to)
    }
}

type Change = fn(&Parts, &Path, &Path) -> Result<(), String>;
/// What is done to modules, and what has to come of it.
const CHANGES: [(&str, &str, Change); 9] = [
    ("unpacked", "signed by", |parts, _, to| parts.write(to)),
    ("signature cut off", "not signed", |parts, _, to| {
        write(to, &parts.content)
    }),
    ("strip -g", "not signed", |parts, _, to| {
        parts.write(to)?;
        output(Command::new("strip").arg("-g").arg(to)).map(drop)
    }),
    ("a byte after the end", "not signed", |parts, _, to| {
        parts.write(to)?;
        let mut bytes = fs::read(to).map_err(|e| e.to_string())?;
        bytes.push(0);
        write(to, &bytes)
    }),
    ("a bit changed in the middle", "altered", |parts, _, to| {
        let mut content = parts.content.clone();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        let message = parts.message.clone();
        Parts { content, message }.write(to)
    }),
    (
        "another module's signature",
        "altered",
        |parts, place, to| {
            // Of the one before; of the first there is none.
            let last = place.join("last");
            let message = fs::read(&last).unwrap_or_else(|_| parts.message.clone());
            write(&last, &parts.message)?;
            let mut content = parts.content.clone();
            if message == parts.message {
                content.push(0);
            }
            Parts { content, message }.write(to)
        },
    ),
    (
        "a signature that is cut",
        "damaged signature",
        |parts, _, to| {
            let message = parts.message[..parts.message.len() - 9].to_vec();
            let content = parts.content.clone();
            Parts { content, message }.write(to)
        },
    ),
    (
        "signed by another key",
        "signed by a foreign key",
        |parts, place, to| parts.signed_by("foreign", place, to),
    ),
    (
        "signed by a key under the same name and number",
        "altered",
        |parts, place, to| parts.signed_by("forged", place, to),
    ),
];

/// Another key; and one whose certificate has the name and the number of the kernel's.
fn keys(place: &Path, certificates: &str) -> Result<(), String> {
    let own = |line: &str| {
        let (subject, rest) = line.split_once(" (")?;
        let name = subject.strip_prefix("CN=")?;
        let (_, rest) = rest.split_once("serial ")?;
        let (serial, _) = rest.split_once(',')?;
        Some((name.to_owned(), serial.to_owned()))
    };
    let (name, serial) = certificates
        .lines()
        .find_map(own)
        .ok_or("the kernel's certificate has more than a name")?;
    for (key, serial) in [("foreign", "1"), ("forged", &*serial)] {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        command.args(["ec_paramgen_curve:P-384", "-nodes", "-days", "9"]);
        command.args(["-keyout", &format!("{key}.key"), "-out"]);
        command.arg(format!("{key}.pem")).args(["-utf8", "-subj"]);
        command.arg(format!("/CN={name}"));
        command.args(["-set_serial", &format!("0x{serial}")]);
        output(command.current_dir(place))?;
    }
    Ok(())
}

fn openssl(place: &Path, arguments: &str) -> Result<String, String> {
    let mut command = Command::new("openssl");
    output(command.args(arguments.split(' ')).current_dir(place))
}

fn write(to: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(to, bytes).map_err(|e| format!("{}: {e}", to.display()))
}

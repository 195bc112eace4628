//! depmod and modprobe beside Debian's kmod, on Debian's own trees of modules.
//!
//! Everything comes from apt by name and is unpacked below `target/kmod`; nothing is installed.
//! What has to be equal, byte for byte: the texts of depmod; what kmod's modprobe answers with our
//! indexes; and what our modprobe and modinfo answer, for every module and for 2000 aliases. Then the
//! signatures of all modules are checked (`signatures.rs`).

use crate::{release, signatures};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

/// Meta packages of the kernels; what they depend on is taken.
pub(crate) const KERNELS: [&str; 2] = ["linux-image-6.12-amd64", "linux-image-amd64"];
const TEXTS: [&str; 5] = ["dep", "alias", "softdep", "symbols", "devname"];
/// What depmod reads, and does not write.
const GIVEN: [&str; 3] = [
    "modules.order",
    "modules.builtin",
    "modules.builtin.modinfo",
];
const ALIASES: usize = 2000;
/// How often each depmod is timed.
const RUNS: usize = 3;

pub(crate) struct Work {
    pub(crate) dir: PathBuf,
    pub(crate) modfs: PathBuf,
}

pub(crate) fn run(root: &Path) -> Result<(), String> {
    let work = Work::prepare(root)?;
    let mut wrong = Vec::new();
    for meta in KERNELS {
        let package = depends(meta)?;
        let version = package.trim_start_matches("linux-image-").to_owned();
        work.fetch(&package)?;
        println!("==> {version}");
        work.compare(&package, &version, &mut wrong)?;
        signatures::compare(&work, &package, &version, &mut wrong)?;
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("not equal: {}", wrong.join(", "))),
    }
}

/// The package that a meta package depends on.
pub(crate) fn depends(meta: &str) -> Result<String, String> {
    let list = output(Command::new("apt-cache").args(["depends", meta]))?;
    let image = |line: &str| {
        let name = line.trim().strip_prefix("Depends: ")?;
        name.starts_with("linux-image-").then(|| name.to_owned())
    };
    list.lines()
        .find_map(image)
        .ok_or_else(|| format!("apt knows no {meta}: run apt-get update"))
}

impl Work {
    /// Both kinds of tools.
    pub(crate) fn prepare(root: &Path) -> Result<Work, String> {
        release("modfs-cli")?;
        let work = Work {
            dir: root.join("target/kmod"),
            modfs: root.join("target/release/modfs"),
        };
        make_dir(&work.dir)?;
        for package in ["kmod", "libkmod2"] {
            work.fetch(package)?;
        }
        for tool in ["depmod", "modprobe", "modinfo"] {
            link(
                &work.dir.join("kmod/bin/kmod"),
                &work.dir.join("theirs").join(tool),
            )?;
            link(&work.modfs, &work.dir.join("ours").join(tool))?;
        }
        Ok(work)
    }

    /// Unpacks a package into a directory of its name, unless it is there.
    pub(crate) fn fetch(&self, package: &str) -> Result<(), String> {
        let target = self.dir.join(package);
        if target.exists() {
            return Ok(());
        }
        output(
            Command::new("apt-get")
                .args(["download", "-q", package])
                .current_dir(&self.dir),
        )?;
        let begins = format!("{package}_");
        let mut files = entries(&self.dir)?;
        files.retain(|path| name(path).starts_with(&begins) && name(path).ends_with(".deb"));
        let file = files
            .pop()
            .ok_or_else(|| format!("{package} was not downloaded"))?;
        let unpacked = self.dir.join(format!("{package}.part"));
        // Of a run that was ended midway.
        let _ = fs::remove_dir_all(&unpacked);
        output(Command::new("dpkg").arg("-x").args([&file, &unpacked]))?;
        fs::remove_file(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        fs::rename(&unpacked, &target).map_err(|e| format!("{}: {e}", target.display()))
    }

    /// A copy of a package's tree, by hard links, without indexes.
    fn tree(&self, package: &str, whose: &str, version: &str) -> Result<PathBuf, String> {
        let root = self.dir.join(format!("{whose}-{version}"));
        let _ = fs::remove_dir_all(&root);
        make_dir(&root)?;
        let lib = self.dir.join(package).join("lib");
        output(
            Command::new("cp")
                .arg("-al")
                .args([&lib, &root.join("lib")]),
        )?;
        for path in entries(&root.join("lib/modules").join(version))? {
            if name(&path).starts_with("modules.") && !GIVEN.contains(&&*name(&path)) {
                fs::remove_file(&path).map_err(|e| e.to_string())?;
            }
        }
        Ok(root)
    }

    /// Where the libraries of Debian's kmod are.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.dir.join("libkmod2/lib/x86_64-linux-gnu")
    }

    pub(crate) fn tool(&self, whose: &str, tool: &str) -> Command {
        let mut command = Command::new(self.dir.join(whose).join(tool));
        command.env("LD_LIBRARY_PATH", self.libraries());
        for variable in ["MODFS_TREE", "MODFS_MODULES", "MODPROBE_OPTIONS"] {
            command.env_remove(variable);
        }
        command
    }

    fn depmod(&self, whose: &str, root: &Path, version: &str) -> Result<f64, String> {
        let began = Instant::now();
        output(self.tool(whose, "depmod").arg("-b").arg(root).arg(version))?;
        Ok(began.elapsed().as_secs_f64())
    }

    fn compare(&self, package: &str, version: &str, wrong: &mut Vec<String>) -> Result<(), String> {
        let theirs = self.tree(package, "theirs", version)?;
        let ours = self.tree(package, "ours", version)?;
        let (mut their_time, mut our_time) = (f64::MAX, f64::MAX);
        for _ in 0..RUNS {
            their_time = their_time.min(self.depmod("theirs", &theirs, version)?);
            // Every time from nothing.
            let cache = ours
                .join("lib/modules")
                .join(version)
                .join("modules.modfs.cache");
            let _ = fs::remove_file(cache);
            our_time = our_time.min(self.depmod("ours", &ours, version)?);
        }
        let again = self.depmod("ours", &ours, version)?;
        println!(
            "depmod, best wall time of {RUNS}: kmod {their_time:.2} s, modfs {our_time:.2} s \
             ({:.2}x), nothing changed {again:.2} s ({:.3}x)",
            our_time / their_time,
            again / their_time
        );
        let mut check = |what: &str, equal: bool| {
            println!("{what}: {}", if equal { "equal" } else { "DIFFERENT" });
            if !equal {
                wrong.push(format!("{version} {what}"));
            }
        };
        let file = |root: &Path, name: &str| {
            let path = root.join("lib/modules").join(version).join(name);
            fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        for text in TEXTS {
            let name = format!("modules.{text}");
            check(&name, file(&theirs, &name)? == file(&ours, &name)?);
        }
        let softdeps = String::from_utf8_lossy(&file(&theirs, "modules.softdep")?).into_owned();
        let config = self.dir.join(format!("config-{version}"));
        make_dir(&config)?;
        fs::write(config.join("all.conf"), merged(&softdeps)).map_err(|e| e.to_string())?;
        let names = modules(&file(&ours, "modules.dep")?);
        let aliases = some_aliases(&file(&ours, "modules.alias")?);
        let ask = |whose: &str, root: &Path, arguments: &[&str], names: &[String]| {
            self.ask(names, || {
                let mut command = self.tool(whose, "modprobe");
                command.arg("-d").arg(root).args(["-S", version, "-C"]);
                command.arg(&config).args(arguments);
                command
            })
        };
        let all = vec!["-c".to_owned()];
        check(
            "kmod's modprobe -c with our indexes",
            ask("theirs", &theirs, &[], &all)? == ask("theirs", &ours, &[], &all)?,
        );
        check(
            "modprobe -c",
            ask("theirs", &ours, &[], &all)? == ask("ours", &ours, &[], &all)?,
        );
        for (what, flag, list) in [
            (
                format!("modprobe -D of {} modules", names.len()),
                "-D",
                &names,
            ),
            (
                format!("modprobe -D of {} aliases", aliases.len()),
                "-D",
                &aliases,
            ),
            (
                format!("modprobe -R of {} aliases", aliases.len()),
                "-R",
                &aliases,
            ),
        ] {
            let arguments = [flag, "-a"];
            let with = |root: &Path| -> Result<String, String> {
                let said = ask("theirs", root, &arguments, list)?;
                Ok(String::from_utf8_lossy(&said).replace(&*root.to_string_lossy(), ""))
            };
            let equal = with(&theirs)? == with(&ours)?;
            check(&format!("kmod's with our indexes: {what}"), equal);
            let equal =
                ask("theirs", &ours, &arguments, list)? == ask("ours", &ours, &arguments, list)?;
            check(&what, equal);
        }
        let builtin = modules(&file(&ours, "modules.builtin")?);
        let forms = [&[][..], &["-0"], &["-p"], &["-F", "depends"]];
        for (what, list, forms) in [
            ("modules", &names, &forms[..]),
            ("aliases", &aliases, &forms[..1]),
            ("built-in modules", &builtin, &forms[..1]),
        ] {
            for form in forms {
                let info = |whose: &str| {
                    self.ask(list, || {
                        let mut command = self.tool(whose, "modinfo");
                        command.arg("-b").arg(&ours).args(["-k", version]);
                        command.args(*form);
                        command
                    })
                };
                let equal = info("theirs")? == without_build_id(&info("ours")?);
                let form = form.join(" ");
                check(&format!("modinfo {form} of {} {what}", list.len()), equal);
            }
        }
        Ok(())
    }

    /// What a tool prints and says of many names, and its exit codes.
    fn ask(&self, names: &[String], tool: impl Fn() -> Command) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        // Not more than fit into a command line.
        for some in names.chunks(500) {
            let mut command = tool();
            let asked = command.args(some).output();
            let asked = asked.map_err(|e| format!("{command:?}: {e}"))?;
            all.extend(asked.stdout);
            all.extend(asked.stderr);
            all.extend(format!("{}\n", asked.status).bytes());
        }
        Ok(all)
    }
}

/// kmod 30 does not know of it yet.
fn without_build_id(text: &[u8]) -> Vec<u8> {
    let is_one = |line: &&[u8]| line.starts_with(b"build-id:") || line.starts_with(b"build-id=");
    let lines = text.split_inclusive(|byte| matches!(byte, b'\n' | b'\0'));
    lines
        .filter(|line| !is_one(line))
        .flatten()
        .copied()
        .collect()
}

/// kmod takes the first softdep line of a module only, ours all of them: with each module's lines
/// in one, in a file that is read before `modules.softdep`, both answer the same.
fn merged(softdeps: &str) -> String {
    let mut all: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
    for line in softdeps.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("softdep") {
            continue;
        }
        let lists = all.entry(words.next().unwrap_or_default()).or_default();
        let mut which = None;
        for word in words {
            match (word, which) {
                ("pre:", _) => which = Some(0),
                ("post:", _) => which = Some(1),
                (_, Some(list)) if !lists[list].contains(&word) => lists[list].push(word),
                _ => {}
            }
        }
    }
    let mut text = String::new();
    for (module, [pre, post]) in all {
        let list = |word: &str, list: &[&str]| match list.is_empty() {
            true => String::new(),
            false => format!(" {word} {}", list.join(" ")),
        };
        let deps = list("pre:", &pre) + &list("post:", &post);
        if !deps.is_empty() {
            text += &format!("softdep {module}{deps}\n");
        }
    }
    text
}

/// The modules' names as they are typed: of the files in `modules.dep`.
pub(crate) fn modules(dep: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(dep);
    let name = |line: &str| {
        let file = line
            .split(':')
            .next()
            .unwrap_or_default()
            .rsplit('/')
            .next();
        let file = file.unwrap_or_default();
        file.split('.').next().unwrap_or_default().to_owned()
    };
    text.lines().map(name).collect()
}

/// Aliases, evenly from all of a tree's.
fn some_aliases(alias: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(alias);
    let all: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("alias "))
        .collect();
    let step = (all.len() / ALIASES).max(1);
    let pattern = |line: &&str| {
        line.rsplit_once(' ')
            .map_or(*line, |(alias, _)| alias)
            .to_owned()
    };
    all.iter()
        .step_by(step)
        .take(ALIASES)
        .map(pattern)
        .collect()
}

pub(crate) fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("{}: {e}", path.display()))
}

pub(crate) fn link(to: &Path, from: &Path) -> Result<(), String> {
    make_dir(from.parent().unwrap_or(from))?;
    let _ = fs::remove_file(from);
    std::os::unix::fs::symlink(to, from).map_err(|e| format!("{}: {e}", from.display()))
}

pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>, String> {
    let list = fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(list.flatten().map(|entry| entry.path()).collect())
}

/// The lines in which two texts differ, those that both have at the ends apart.
pub(crate) fn differences(wanted: &str, found: &str) -> Vec<String> {
    let (wanted, found): (Vec<_>, Vec<_>) = (wanted.lines().collect(), found.lines().collect());
    let same = wanted
        .iter()
        .zip(&found)
        .take_while(|(a, b)| a == b)
        .count();
    let (wanted, found) = (&wanted[same..], &found[same..]);
    let (ends, other) = (wanted.iter().rev(), found.iter().rev());
    let same = ends.zip(other).take_while(|(a, b)| a == b).count();
    let missing = wanted[..wanted.len() - same]
        .iter()
        .map(|l| format!("- {l}"));
    let more = found[..found.len() - same].iter().map(|l| format!("+ {l}"));
    missing.chain(more).collect()
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .map_err(|e| format!("cannot run {shown}: {e}"))?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        false => Err(format!(
            "{shown}: {status}\n{}",
            String::from_utf8_lossy(&stderr)
        )),
    }
}

//! What is shipped: one static file, and a Debian package of it.

use crate::kmod::{Work, entries, name, output};
use crate::{cargo, tool};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "ship";
const STATIC: [(&str, &str); 1] = [("RUSTFLAGS", "-C target-feature=+crt-static")];
/// How often a program is started to know how long that takes.
const STARTS: usize = 200;

/// Our program as one static file, as it is shipped.
pub(crate) fn static_modfs(root: &Path) -> Result<PathBuf, String> {
    cargo(
        &[
            "build",
            "--quiet",
            "--profile",
            PROFILE,
            "--package",
            "modfs-cli",
            "--target",
            TARGET,
            "--target-dir",
            "target/static",
        ],
        &STATIC,
    )?;
    let built = root.join("target/static").join(TARGET);
    Ok(built.join(PROFILE).join("modfs"))
}

/// Makes the package, and shows that what is in it works.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let deb = tool(root, "cargo-deb", "3.8.0")?;
    static_modfs(root)?;
    let to = root.join("target/package");
    let _ = fs::remove_dir_all(&to);
    let mut make = Command::new(deb);
    make.args(["deb", "--quiet", "--package", "modfs-cli", "--no-build"])
        .args(["--target", TARGET, "--profile", PROFILE, "--output"])
        .arg(&to)
        .env("CARGO_TARGET_DIR", root.join("target/static"))
        .current_dir(root);
    output(&mut make)?;
    let files = entries(&to)?;
    let file = files.first().ok_or("cargo-deb made nothing")?;
    println!("{}: {} KiB", file.display(), kib(file)?);
    // Nothing of the system's is replaced, neither by files nor by scripts.
    let listed = output(Command::new("dpkg-deb").arg("--contents").arg(file))?;
    let outside = listed
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let allowed = ["./usr/bin/modfs", "./usr/share/doc/modfs/"];
    for path in outside.filter(|path| !path.ends_with('/')) {
        if !allowed.iter().any(|begin| path.starts_with(begin)) {
            return Err(format!("{path} is not to be in the package"));
        }
    }
    let control = to.join("control");
    output(
        Command::new("dpkg-deb")
            .arg("--control")
            .arg(file)
            .arg(&control),
    )?;
    let scripts = entries(&control)?;
    let scripts = scripts.iter().map(|path| name(path));
    let mut scripts = scripts.filter(|name| name.ends_with("inst") || name.ends_with("rm"));
    if let Some(script) = scripts.next() {
        return Err(format!("the package has a {script}"));
    }
    let unpacked = to.join("unpacked");
    output(Command::new("dpkg").arg("-x").arg(file).arg(&unpacked))?;
    let program = unpacked.join("usr/bin/modfs");
    let needed = output(Command::new("readelf").arg("-d").arg(&program))?;
    if needed.contains("(NEEDED)") {
        return Err(format!("{} is not static:\n{needed}", program.display()));
    }
    print!("{}", output(Command::new(&program).arg("--version"))?);
    let links = to.join("sbin");
    output(Command::new(&program).arg("install").arg(&links))?;
    println!(
        "the program: {} KiB, all its names: {} files",
        kib(&program)?,
        entries(&links)?.len()
    );
    start_up(root, &links.join("modprobe"))
}

fn kib(file: &Path) -> Result<u64, String> {
    let size = fs::metadata(file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(size.len() / 1024)
}

/// How long both programs take to say their version.
fn start_up(root: &Path, ours: &Path) -> Result<(), String> {
    let work = Work::prepare(root)?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (times, mut command) in times
            .iter_mut()
            .zip([work.tool("theirs", "modprobe"), Command::new(ours)])
        {
            command.arg("--version").stdout(Stdio::null());
            let began = Instant::now();
            let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
            times.push(began.elapsed());
            if !status.success() {
                return Err(format!("{command:?}: {status}"));
            }
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let [theirs, ours] = &mut times;
    println!(
        "modprobe --version, median of {STARTS}: kmod {:.2} ms, modfs {:.2} ms",
        median(theirs),
        median(ours)
    );
    Ok(())
}

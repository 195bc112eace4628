//! Debian's kmod and busybox, unmodified, on the modules of a host.
//!
//! A case is a script of `tests/unmodified`, run beside a host of its own; what it prints has to be what is
//! in the file of its name with `.out`.

use crate::kmod::{Work, differences, link, make_dir, name, output};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The modules that a case has at hand.
const MODULES: [&str; 3] = ["lib", "user", "hello"];
/// No case takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs all cases.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let work = Work::prepare(root)?;
    work.fetch("busybox-static")?;
    for tool in ["insmod", "rmmod", "lsmod"] {
        link(
            &work.dir.join("kmod/bin/kmod"),
            &work.dir.join("theirs").join(tool),
        )?;
    }
    let cases = root.join("tests/unmodified");
    let mut failed = Vec::new();
    for case in ["kmod", "busybox"] {
        let at = work.dir.join("unmodified").join(case);
        let _ = fs::remove_dir_all(&at);
        make_dir(&at.join("k"))?;
        for module in MODULES {
            let source = root.join(format!("modules/{module}/{module}.c"));
            let mut build = Command::new(&work.modfs);
            build.args(["build", "--name", module, "-o"]);
            output(build.arg(at.join(format!("{module}.ko"))).arg(source))?;
        }
        let host = Host::start(&work, &at)?;
        let printed = script(&work, &cases.join(format!("{case}.sh")), &at)?;
        drop(host);
        let wanted = cases.join(format!("{case}.out"));
        let wanted = fs::read_to_string(&wanted).unwrap_or_default();
        match wanted == printed {
            true => println!("{case}: as it is to be"),
            false => {
                println!("{case}: NOT as it is to be");
                for line in differences(&wanted, &printed) {
                    println!("  {line}");
                }
                fs::write(at.join("printed"), &printed).map_err(|e| e.to_string())?;
                failed.push(name(&at));
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("failed: {}", failed.join(", "))),
    }
}

/// A host, ended when this is dropped.
struct Host(PathBuf);

impl Host {
    fn start(work: &Work, at: &Path) -> Result<Host, String> {
        let mount = at.join("k");
        output(Command::new(&work.modfs).arg("host").arg(&mount))?;
        Ok(Host(mount))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let unmounted = output(Command::new("umount").arg(&self.0));
        if let Err(why) = unmounted {
            eprintln!("{why}");
        }
    }
}

/// Runs a script; returns what it prints.
fn script(work: &Work, file: &Path, at: &Path) -> Result<String, String> {
    let printed = at.join("out");
    let out = fs::File::create(&printed).map_err(|e| format!("{}: {e}", printed.display()))?;
    let mut shell = Command::new("sh")
        .arg(file)
        .current_dir(at)
        .env("LD_LIBRARY_PATH", work.libraries())
        .env("MODFS", &work.modfs)
        .env("TREE", at.join("k/modules"))
        .env("KMOD", work.dir.join("theirs"))
        .env("BUSYBOX", work.dir.join("busybox-static/bin/busybox"))
        .stdin(Stdio::null())
        .stdout(out)
        .spawn()
        .map_err(|e| format!("sh: {e}"))?;
    let began = Instant::now();
    loop {
        match shell.try_wait().map_err(|e| e.to_string())? {
            Some(_) => break,
            None if began.elapsed() > LIMIT => {
                let _ = shell.kill();
                return Err(format!("{}: takes too long", file.display()));
            }
            None => sleep(Duration::from_millis(20)),
        }
    }
    let text = fs::read_to_string(&printed).map_err(|e| e.to_string())?;
    // Where it was is of no matter.
    Ok(text.replace(&format!("{}/", at.display()), ""))
}

//! A guest: what it starts with, and what it prints.

use super::Setup;
use super::built;
use super::table::{Printed, WAYS};
use crate::kmod::{Work, entries, make_dir, name, output};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Seconds that a guest may take, under emulation and beside other work.
const LIMIT: u32 = 600;
/// Until its init runs, where KVM works.
const KVM_LIMIT: Duration = Duration::from_secs(30);
/// One module's parameter is for a case; the log holds all that is to be looked through.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 log_buf_len=16M nbd.nbds_max=3";
const TOOLS: [&str; 7] = [
    "insmod", "rmmod", "lsmod", "modprobe", "depmod", "modinfo", "kmod",
];
const INIT: &str = include_str!("init.sh");
const RUN_CASE: &str = include_str!("run-case.sh");

/// A kernel that is to be started.
pub(super) struct Guest<'a> {
    pub(super) work: &'a Work,
    pub(super) setup: &'a Setup,
    pub(super) package: &'a str,
    pub(super) version: &'a str,
}

/// The cases of folders, but of those only what was asked for: a folder, or a case.
pub(super) fn cases(
    all: &Path,
    folders: &[&str],
    only: Option<&str>,
) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for folder in folders {
        let mut files = entries(&all.join(folder))?;
        files.retain(|file| file.extension().is_some_and(|end| end == "sh"));
        files.sort();
        files.retain(|file| {
            let stem = file.file_stem().unwrap_or_default();
            only.is_none_or(|only| only == *folder || stem == only)
        });
        found.extend(files);
    }
    Ok(found)
}

impl Guest<'_> {
    /// The file system that the guest starts with: both tools, the cases, and the kernel's modules
    /// with indexes.
    pub(super) fn image(
        &self,
        root: &Path,
        modfs: &Path,
        cases: &[PathBuf],
    ) -> Result<PathBuf, String> {
        let at = self.work.dir.join("guest");
        let _ = fs::remove_dir_all(&at);
        for dir in [
            "bin",
            "busybox",
            "cases",
            "dev",
            "etc",
            "etc/modprobe.d",
            "lib/modules",
            "mnt",
            "proc",
            "sys",
            "tmp",
            "tools/kmod",
            "tools/modfs",
        ] {
            make_dir(&at.join(dir))?;
        }
        let io = |error: std::io::Error| format!("{}: {error}", at.display());
        for program in ["busybox", "dash", "xz"] {
            let found = output(Command::new("sh").args(["-c", &format!("command -v {program}")]))?;
            self.with_libraries(Path::new(found.trim()), &at.join("bin").join(program), &at)?;
        }
        let applets = output(Command::new("busybox").arg("--list"))?;
        for applet in applets.lines().filter(|name| !TOOLS.contains(name)) {
            symlink("/bin/busybox", at.join("busybox").join(applet)).map_err(io)?;
        }
        let _ = fs::remove_file(at.join("busybox/xz"));
        symlink("/bin/xz", at.join("busybox/xz")).map_err(io)?;
        symlink("/bin/busybox", at.join("busybox/busybox")).ok();
        symlink("dash", at.join("bin/sh")).map_err(io)?;
        let kmod = self.work.dir.join("kmod/bin/kmod");
        self.with_libraries(&kmod, &at.join("tools/kmod.bin"), &at)?;
        output(
            Command::new("strip")
                .arg("-o")
                .arg(at.join("tools/modfs.bin"))
                .arg(modfs),
        )?;
        for (way, program) in WAYS
            .into_iter()
            .zip(["/tools/kmod.bin", "/tools/modfs.bin"])
        {
            for tool in TOOLS.into_iter().chain((way == WAYS[1]).then_some(WAYS[1])) {
                symlink(program, at.join("tools").join(way).join(tool)).map_err(io)?;
            }
        }
        let modules = self
            .work
            .dir
            .join(self.package)
            .join("lib/modules")
            .join(self.version);
        output(
            Command::new("cp")
                .arg("-a")
                .arg(&modules)
                .arg(at.join("lib/modules")),
        )?;
        output(
            Command::new(self.work.dir.join("ours/depmod"))
                .arg("-b")
                .arg(&at)
                .arg(self.version),
        )?;
        self.cases(cases, &at)?;
        built::programs(root, &at.join("busybox"))?;
        if self.setup.folders.contains(&"cloud") {
            built::modules(self.work, root, self.version, &at.join("built"))?;
        }
        fs::write(at.join("run-case"), RUN_CASE).map_err(io)?;
        fs::write(at.join("etc/passwd"), "root::0:0::/:/bin/dash\n").map_err(io)?;
        let init = at.join("init");
        fs::write(&init, INIT).map_err(io)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(io)?;
        let image = self.work.dir.join(format!("guest-{}.cpio", self.version));
        let pack = format!(
            "find . | cpio -o -H newc --quiet -R 0:0 > '{}'",
            image.display()
        );
        output(Command::new("sh").args(["-c", &pack]).current_dir(&at))?;
        Ok(image)
    }

    /// Copies the cases, with what their folders need before: a number in front keeps the order.
    fn cases(&self, cases: &[PathBuf], at: &Path) -> Result<(), String> {
        let copy = |from: &Path, to: &Path| {
            let copied = fs::copy(from, to);
            copied.map_err(|e| format!("{}: {e}", from.display()))
        };
        for case in cases {
            let folder = case.parent().unwrap_or(case);
            let order = self
                .setup
                .folders
                .iter()
                .position(|own| *own == name(folder));
            let to = at.join(format!("cases/{}-{}", order.unwrap_or(0), name(folder)));
            make_dir(&to)?;
            copy(case, &to.join(name(case)))?;
            if case.with_extension("out").exists() {
                let own = to.join(name(case)).with_extension("own");
                fs::write(&own, "").map_err(|e| format!("{}: {e}", own.display()))?;
            }
            let setup = folder.join("setup");
            if setup.exists() {
                copy(&setup, &to.join("setup"))?;
            }
        }
        Ok(())
    }

    /// Copies a program, and the libraries that it needs.
    fn with_libraries(&self, program: &Path, to: &Path, at: &Path) -> Result<(), String> {
        let copy = |from: &Path, to: &Path| {
            make_dir(to.parent().unwrap_or(at))?;
            fs::copy(from, to).map_err(|e| format!("{}: {e}", from.display()))
        };
        copy(program, to)?;
        let mut ldd = Command::new("ldd");
        ldd.arg(program)
            .env("LD_LIBRARY_PATH", self.work.libraries());
        // It fails for a static program.
        let said = ldd.output().map_err(|e| format!("ldd: {e}"))?.stdout;
        for word in String::from_utf8_lossy(&said).split_whitespace() {
            let library = Path::new(word);
            if !library.is_absolute() {
                continue;
            }
            let own = library.starts_with(&self.work.dir);
            let place = match own {
                true => {
                    Path::new("lib/x86_64-linux-gnu").join(library.file_name().unwrap_or_default())
                }
                false => library.strip_prefix("/").unwrap_or(library).to_owned(),
            };
            if !at.join(&place).exists() {
                copy(library, &at.join(&place))?;
            }
        }
        Ok(())
    }

    pub(super) fn boot(&self, image: &Path) -> Result<Printed, String> {
        // KVM where it works: it is there on some machines and does not.
        for accelerator in ["kvm", "tcg"] {
            if accelerator == "kvm" && !Path::new("/dev/kvm").exists() {
                continue;
            }
            // A guest dies now and then before its init, by emulation alone.
            for _ in 0..2 {
                match self.boot_with(accelerator, image)? {
                    Some(printed) => return Ok(printed),
                    None if accelerator == "kvm" => break,
                    None => {}
                }
            }
        }
        Err("the guest did not come up".into())
    }

    /// `None`: it did not come as far as its init.
    fn boot_with(&self, accelerator: &str, image: &Path) -> Result<Option<Printed>, String> {
        let log = self.work.dir.join("guest.log");
        let mut command = self.qemu(accelerator, image, &log);
        let mut child = command.spawn().map_err(|e| format!("qemu: {e}"))?;
        let out = child.stdout.take().ok_or("qemu has no output")?;
        let up = Arc::new(AtomicBool::new(false));
        if accelerator == "kvm" {
            // Where it does not work it can hang for ever.
            let (up, process) = (Arc::clone(&up), child.id().to_string());
            thread::spawn(move || {
                thread::sleep(KVM_LIMIT);
                if !up.load(Ordering::Relaxed) {
                    let _ = Command::new("kill").arg(process).status();
                }
            });
        }
        let mut reading = Reading {
            guest: self,
            accelerator,
            up: &up,
            current: None,
            done: false,
            printed: Printed::default(),
        };
        // What a case prints need not be text.
        for line in BufReader::new(out).split(b'\n') {
            let line = line.map_err(|e| format!("qemu: {e}"))?;
            let line = String::from_utf8_lossy(&line);
            reading.line(line.trim_end_matches('\r'));
        }
        let status = child.wait().map_err(|e| format!("qemu: {e}"))?;
        match (up.load(Ordering::Relaxed), reading.done) {
            (false, _) => Ok(None),
            (true, true) => Ok(Some(reading.printed)),
            (true, false) => Err(format!(
                "the guest ended ({status}) in {:?}; its console is in {}",
                reading.current,
                log.display()
            )),
        }
    }

    fn qemu(&self, accelerator: &str, image: &Path, log: &Path) -> Command {
        let boot = self.work.dir.join(self.package).join("boot");
        let cpu = match accelerator {
            "kvm" => "host",
            _ => "max",
        };
        let devices = self.setup.devices.iter();
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", &LIMIT.to_string(), "qemu-system-x86_64"])
            .args(["-accel", accelerator, "-cpu", cpu, "-machine", "q35"])
            .args(["-smp", &self.setup.processors.to_string()])
            .args(["-m", &self.setup.memory.to_string()])
            .args(["-display", "none", "-no-reboot"])
            .args(devices.flat_map(|device| ["-device", device]))
            .arg("-kernel")
            .arg(boot.join(format!("vmlinuz-{}", self.version)))
            .arg("-initrd")
            .arg(image)
            .args(["-append", COMMAND_LINE])
            .args(["-serial", &format!("file:{}", log.display())])
            .args(["-serial", "stdio", "-monitor", "none"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }
}

/// What a guest prints, as it comes.
struct Reading<'a> {
    guest: &'a Guest<'a>,
    accelerator: &'a str,
    /// It came as far as its init.
    up: &'a AtomicBool,
    /// The case that runs, and which way.
    current: Option<(String, String)>,
    done: bool,
    printed: Printed,
}

impl Reading<'_> {
    fn line(&mut self, line: &str) {
        if let Some(version) = line.strip_prefix("@ready ") {
            println!("==> Linux {version}, by {}", self.accelerator);
            self.up.store(true, Ordering::Relaxed);
        } else if let Some(begun) = line.strip_prefix("@begin ") {
            let (way, case) = begun.split_once(' ').unwrap_or((begun, ""));
            let key = (case.to_owned(), way.to_owned());
            self.printed.cases.insert(key.clone(), String::new());
            self.current = Some(key);
        } else if line == "@end" {
            self.current = None;
        } else if let Some(more) = line.strip_prefix("@more ") {
            // Not compared: what kmod does not say.
            println!("    {more}");
        } else if let Some(time) = line.strip_prefix("@time ") {
            let (seconds, label) = time.split_once(' ').unwrap_or((time, ""));
            let time = (label.to_owned(), seconds.to_owned());
            self.printed.times.push(time);
        } else if let Some(complaint) = line.strip_prefix("@kernel ") {
            self.printed.complaints.push(complaint.to_owned());
        } else if line == "@done" {
            self.done = true;
        } else if let Some(key) = &self.current
            && let Some(text) = self.printed.cases.get_mut(key)
        {
            // The cases are for the next version too.
            *text += &line.replace(self.guest.version, "RELEASE");
            text.push('\n');
        }
    }
}

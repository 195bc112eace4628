//! The tools on real kernels: Debian's, in QEMU, beside Debian's kmod.

use crate::kmod::{Work, depends, entries, make_dir, output};
use crate::{cargo, kmod};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is needed besides, by package.
const NEEDED: [(&str, &str); 4] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox"),
    ("cpio", "cpio"),
    ("dash", "dash"),
];
/// The kernel, as a meta package.
const KERNEL: &str = "linux-image-6.12-cloud-amd64";
/// Seconds that a guest may take, under emulation and beside other work.
const LIMIT: u32 = 400;
const TOOLS: [&str; 7] = [
    "insmod", "rmmod", "lsmod", "modprobe", "depmod", "modinfo", "kmod",
];
/// The folder of cases that are for ours only, since kmod has nothing like it.
const OWN: &str = "own";

/// What the guest runs first. `@` marks what is for the host.
const INIT: &str = r##"#!/bin/dash
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mount -t tmpfs tmpfs /tmp
exec > /dev/ttyS1 2>&1 < /dev/null
/bin/busybox dmesg -n 1
K=/lib/modules/$(/bin/busybox uname -r)
export K
echo "@ready $(/bin/busybox uname -r)"
for case in /cases/*.sh /cases/own/*.sh; do
	[ -e "$case" ] || continue
	name=${case##*/}
	ways="kmod modfs"
	case $case in /cases/own/*) ways=modfs;; esac
	for way in $ways; do
		echo "@begin $way ${name%.sh}"
		PATH=/tools/$way:/busybox /bin/dash /run-case "$case"
		echo "@end"
		# What one way leaves behind is nothing to the next.
		while m=$(/bin/busybox cut -d' ' -f1 /proc/modules) && [ -n "$m" ]; do
			left=
			for module in $m; do
				/bin/busybox rmmod "$module" 2> /dev/null && left=1
			done
			[ -n "$left" ] || break
		done
	done
done
echo "@done"
/bin/busybox poweroff -f
"##;

/// What runs a case.
const RUN_CASE: &str = r##"t() {
	echo "\$ $*"
	"$@" > /tmp/out 2> /tmp/err
	code=$?
	cat /tmp/out
	head -n 1 /tmp/err | sed 's/^/! /'
	sed -e 1d -e "s/^/@more /" /tmp/err
	[ $code = 0 ] || echo "exit code $code"
}
loaded() {
	echo "loaded: $(cut -d' ' -f1 /proc/modules | sort | tr '\n' ' ')"
}
cd /tmp
. "$1"
"##;

/// `only`: the name of the one case that is run; without it all are.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<(), String> {
    for (program, package) in NEEDED {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|dir| dir.join(program).is_file());
        if !found {
            return Err(format!("{program} is needed: apt install {package}"));
        }
    }
    let work = Work::prepare(root)?;
    let package = depends(KERNEL)?;
    work.fetch(&package)?;
    let version = package.trim_start_matches("linux-image-").to_owned();
    let guest = Guest {
        root,
        only,
        work: &work,
        package: &package,
        version: &version,
    };
    let image = guest.image(&static_modfs(root)?)?;
    let transcripts = guest.boot(&image)?;
    let printed = work.dir.join("printed");
    make_dir(&printed)?;
    for ((case, way), text) in &transcripts {
        let file = printed.join(format!("{case}.{way}"));
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    println!("what each printed is in {}", printed.display());
    compare(&root.join("tests/linux"), &transcripts)
}

/// Our program as one static file.
pub(crate) fn static_modfs(root: &Path) -> Result<PathBuf, String> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    cargo(
        &[
            "build",
            "--quiet",
            "--release",
            "--package",
            "modfs-cli",
            "--target",
            TARGET,
            "--target-dir",
            "target/static",
        ],
        &[("RUSTFLAGS", "-C target-feature=+crt-static")],
    )?;
    Ok(root
        .join("target/static")
        .join(TARGET)
        .join("release/modfs"))
}

/// What each way printed in each case.
type Transcripts = BTreeMap<(String, String), String>;

struct Guest<'a> {
    root: &'a Path,
    only: Option<&'a str>,
    work: &'a Work,
    package: &'a str,
    version: &'a str,
}

impl Guest<'_> {
    /// The file system that the guest starts with: both tools, the cases, and the kernel's modules
    /// with indexes.
    fn image(&self, modfs: &Path) -> Result<PathBuf, String> {
        let at = self.work.dir.join("guest");
        let _ = fs::remove_dir_all(&at);
        for dir in [
            "bin",
            "busybox",
            "cases/own",
            "dev",
            "etc",
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
        for (way, program) in [("kmod", "/tools/kmod.bin"), ("modfs", "/tools/modfs.bin")] {
            for tool in TOOLS.into_iter().chain((way == "modfs").then_some("modfs")) {
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
        let mut cases = 0;
        for folder in ["", OWN] {
            for case in entries(&self.root.join("tests/linux").join(folder))? {
                let name = case.file_stem().unwrap_or_default();
                let wanted = self.only.is_none_or(|only| name == only);
                if wanted && case.extension().is_some_and(|end| end == "sh") {
                    let to = at.join("cases").join(folder);
                    fs::copy(&case, to.join(case.file_name().unwrap_or_default())).map_err(io)?;
                    cases += 1;
                }
            }
        }
        if let (0, Some(only)) = (cases, self.only) {
            return Err(format!("there is no case {only} in tests/linux"));
        }
        fs::write(at.join("run-case"), RUN_CASE).map_err(io)?;
        fs::write(at.join("etc/passwd"), "root::0:0::/:/bin/dash\n").map_err(io)?;
        let init = at.join("init");
        fs::write(&init, INIT).map_err(io)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(io)?;
        let image = self.work.dir.join("guest.cpio");
        let pack = format!(
            "find . | cpio -o -H newc --quiet -R 0:0 > '{}'",
            image.display()
        );
        output(Command::new("sh").args(["-c", &pack]).current_dir(&at))?;
        Ok(image)
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

    fn boot(&self, image: &Path) -> Result<Transcripts, String> {
        // KVM where it works: it is there on some machines and does not.
        for accelerator in ["kvm", "tcg"] {
            if accelerator == "kvm" && !Path::new("/dev/kvm").exists() {
                continue;
            }
            // A guest dies now and then before its init, by emulation alone.
            for _ in 0..2 {
                match self.boot_with(accelerator, image)? {
                    Some(transcripts) => return Ok(transcripts),
                    None if accelerator == "kvm" => break,
                    None => {}
                }
            }
        }
        Err("the guest did not come up".into())
    }

    /// `None`: it did not come as far as its init.
    fn boot_with(&self, accelerator: &str, image: &Path) -> Result<Option<Transcripts>, String> {
        let boot = self.work.dir.join(self.package).join("boot");
        let kernel = boot.join(format!("vmlinuz-{}", self.version));
        let log = self.work.dir.join("guest.log");
        let (seconds, cpu) = match accelerator {
            "kvm" => (20, "host"),
            _ => (LIMIT, "max"),
        };
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", &seconds.to_string(), "qemu-system-x86_64"])
            .args(["-accel", accelerator, "-cpu", cpu, "-machine", "q35"])
            .args(["-smp", "1", "-m", "1536", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(image)
            .args([
                "-append",
                "console=ttyS0 quiet panic=-1 sysctl.kernel.modprobe=",
            ])
            .args(["-serial", &format!("file:{}", log.display())])
            .args(["-serial", "stdio", "-monitor", "none"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| format!("qemu: {e}"))?;
        let out = child.stdout.take().ok_or("qemu has no output")?;
        let mut transcripts = Transcripts::new();
        let (mut current, mut up, mut done) = (None, false, false);
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|e| format!("qemu: {e}"))?;
            let line = line.trim_end_matches('\r');
            if let Some(version) = line.strip_prefix("@ready ") {
                println!("==> Linux {version}, by {accelerator}");
                up = true;
            } else if let Some(begun) = line.strip_prefix("@begin ") {
                let (way, case) = begun.split_once(' ').unwrap_or((begun, ""));
                let key = (case.to_owned(), way.to_owned());
                transcripts.insert(key.clone(), String::new());
                current = Some(key);
            } else if line == "@end" {
                current = None;
            } else if let Some(more) = line.strip_prefix("@more ") {
                // Not compared: what kmod does not say.
                println!("    {more}");
            } else if line == "@done" {
                done = true;
            } else if let Some(text) = current.as_ref().and_then(|key| transcripts.get_mut(key)) {
                *text += line;
                text.push('\n');
            }
        }
        let status = child.wait().map_err(|e| format!("qemu: {e}"))?;
        match (up, done) {
            (false, _) => Ok(None),
            (true, true) => Ok(Some(transcripts)),
            (true, false) => Err(format!(
                "the guest ended ({status}) in {current:?}; its console is in {}",
                log.display()
            )),
        }
    }
}

/// Each case a test: what ours printed is what kmod's did, or what is said that it prints, in
/// `NAME.modfs` or for one of our own `own/NAME.out`.
fn compare(cases: &Path, transcripts: &Transcripts) -> Result<(), String> {
    let mut failed = Vec::new();
    let names: Vec<&String> = transcripts
        .keys()
        .filter(|(_, way)| way == "modfs")
        .map(|(case, _)| case)
        .collect();
    for case in names {
        let of = |way: &str| {
            let key = (case.clone(), way.to_owned());
            transcripts.get(&key).map_or("", String::as_str)
        };
        let said = [format!("{case}.modfs"), format!("{OWN}/{case}.out")];
        let mut said = said.iter().map(|file| fs::read_to_string(cases.join(file)));
        let own = said.find_map(Result::ok);
        let wanted = own.as_deref().unwrap_or(of("kmod"));
        let equal = of("modfs") == wanted;
        let like = match (&own, equal) {
            (_, false) => "FAILED",
            (None, true) => "as kmod",
            (Some(_), true) => "as said",
        };
        println!("{case}: {like}");
        if !equal {
            failed.push(case.as_str());
            for line in kmod::differences(wanted, of("modfs")) {
                println!("    {line}");
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("failed: {}", failed.join(", "))),
    }
}

//! `modfs demo`: everything once, for real, as a shell transcript.

use crate::cmd_host;
use crate::samples::{SAMPLES, Sample};
use clap::Args;
use modfs_build::Options;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Arguments of `modfs demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Leave the host running with modules loaded, and say where
    #[arg(long)]
    keep: bool,
}

/// What a step is expected to do: `true`, succeed.
type Expect = bool;
const OK: Expect = true;
const REFUSED: Expect = false;

/// A heading and what is typed under it.
type Chapter = (&'static str, &'static [(&'static str, Expect)]);

/// In `k` is the host's mount; in `ko` are the modules.
const CHAPTERS: &[Chapter] = &[
    (
        "A module is a directory. Its object is a file in it; `control` takes commands.",
        &[
            ("ls k k/modules", OK),
            ("mkdir k/modules/hello", OK),
            ("cp ko/hello.ko k/modules/hello", OK),
            ("cat k/modules/hello/hello.ko", OK),
            ("echo map > k/modules/hello/control", OK),
            ("cat k/modules/hello/hello.ko", OK),
            (
                "echo 'init whom=\"you there\" times=2' > k/modules/hello/control",
                OK,
            ),
            (
                "cat k/modules/hello/state k/modules/hello/parameters/whom",
                OK,
            ),
            ("echo exit > k/modules/hello/control", OK),
            ("echo unmap > k/modules/hello/control", OK),
            ("rm k/modules/hello/hello.ko && rmdir k/modules/hello", OK),
            ("modfs log", OK),
        ],
    ),
    (
        "Modules use what others export. What is missing is named, and so is who has it.",
        &[
            ("insmod ko/user.ko a=40 b=2", REFUSED),
            ("insmod ko/lib.ko", OK),
            ("insmod ko/user.ko a=40 b=2", OK),
            ("lsmod", OK),
            (
                "cat k/modules/user/deps k/modules/lib/refs k/modules/lib/symbols",
                OK,
            ),
            ("rmmod lib", REFUSED),
            ("echo exit > k/modules/lib/control", REFUSED),
            ("cat k/modules/lib/control", OK),
            ("modfs log | tail -n 1", OK),
        ],
    ),
    (
        "A character device. While it is open its module stays.",
        &[
            ("insmod ko/echo.ko", OK),
            ("echo 'who is there?' > k/dev/echo", OK),
            ("cat k/dev/echo", OK),
            ("(exec 3< k/dev/echo; rmmod echo)", REFUSED),
            ("rmmod echo", OK),
        ],
    ),
    (
        "A virtual file.",
        &[
            ("insmod ko/visits.ko", OK),
            ("cat k/proc/visits; cat k/proc/visits", OK),
            ("echo 41 > k/proc/visits; cat k/proc/visits", OK),
        ],
    ),
    (
        "What is not a module is refused with a reason.",
        &[
            ("insmod /bin/sh", REFUSED),
            (
                "head -c 300 ko/hello.ko > ko/cut.ko; insmod ko/cut.ko",
                REFUSED,
            ),
            ("insmod ko/hello.ko times=many", REFUSED),
        ],
    ),
    (
        "Rust and C use each other. A panic ends the call it is in, and only that.",
        &[
            ("insmod ko/tally.ko start=10", OK),
            ("insmod ko/guest.ko n=3", OK),
            ("lsmod", OK),
            ("cat k/proc/tally", OK),
            ("echo four > k/dev/tally", REFUSED),
            ("modfs log | tail -n 9", OK),
            ("echo 4 > k/dev/tally; cat k/proc/tally", OK),
        ],
    ),
    (
        "Opening a block device that nobody knows brings its module: block-major-1 is an alias of rd.",
        &[
            ("grep block ko/modules.alias", OK),
            (
                "dd if=ko/hello.ko of=k/dev/b-1-0 bs=512 2>&1 | tail -n 1",
                OK,
            ),
            ("cmp -n 1000 ko/hello.ko k/dev/rd && ls -l k/dev/rd", OK),
            (
                "(mkfs.ext4 -q -F k/dev/rd || mkfs.minix k/dev/rd) && echo made",
                OK,
            ),
            ("(exec 3< k/dev/rd; rmmod rd)", REFUSED),
            ("lsmod | grep rd", OK),
        ],
    ),
    (
        "Mounting a file system that nobody knows brings its module, this one in Rust.",
        &[
            ("ls k/fs; mkdir k/fs/ramfs/scratch", OK),
            (
                "cp -r modules k/fs/ramfs/scratch && ls k/fs/ramfs/scratch/modules",
                OK,
            ),
            ("cat k/fs/ramfs/scratch/modules/lib/lib.c | tail -n 3", OK),
            ("rmmod ramfs", REFUSED),
            ("mkdir k/fs/nonsense/x", REFUSED),
            ("rmdir k/fs/ramfs/scratch && modfs log | tail -n 2", OK),
            ("rmmod -a; rmmod -a; lsmod", OK),
        ],
    ),
    (
        "modprobe brings what a module needs, and takes it away again.",
        &[
            ("modprobe -D guest", OK),
            (
                "rmmod guest tally user lib && modprobe guest n=4 && lsmod",
                OK,
            ),
            ("modprobe -r -v guest", OK),
            ("modprobe user a=40 b=2 && modprobe guest n=3", OK),
        ],
    ),
    (
        "A structure that an export takes has changed: who was built with the old one is refused, and told why.",
        &[
            (
                "insmod ko/area.ko && insmod ko/wall.ko && rmmod wall area",
                OK,
            ),
            (
                "sed -i 's/int height/long height/' modules/area/area.h && \
                 modfs build -o ko/area.ko modules/area && insmod ko/area.ko",
                OK,
            ),
            ("insmod ko/wall.ko", REFUSED),
            ("modfs explain-version ko/wall.ko", REFUSED),
            (
                "modfs build --symvers ko/area.ko -o ko/wall.ko modules/wall && insmod ko/wall.ko",
                OK,
            ),
        ],
    ),
    (
        "And in Rust.",
        &[
            (
                "insmod ko/canvas.ko && insmod ko/painter.ko && rmmod painter canvas",
                OK,
            ),
            (
                "sed -i 's/width: u32/width: u64/' modules/canvas/src/shape.rs && \
                 modfs build -o ko/canvas.ko modules/canvas && insmod ko/canvas.ko",
                OK,
            ),
            ("insmod ko/painter.ko", REFUSED),
            (
                "modfs build --symvers ko/canvas.ko -o ko/painter.ko modules/painter && insmod ko/painter.ko",
                OK,
            ),
            (
                "modfs log | tail -n 4 && rmmod painter canvas wall area",
                OK,
            ),
        ],
    ),
    (
        "A module that faults is stopped and marked; the host goes on.",
        &[
            ("insmod ko/crash.ko", OK),
            ("cat k/dev/crash", REFUSED),
            ("modfs log | tail -n 15", OK),
            ("rmmod crash", REFUSED),
            ("cat k/proc/visits", OK),
        ],
    ),
];

/// How the demo ends when nothing is kept.
const GOODBYE: Chapter = (
    "All of it goes again.",
    &[("rmmod guest tally user lib visits", OK), ("lsmod", OK)],
);

/// The whole demo.
///
/// # Errors
/// What is missing on this machine, which step did not do what it should, or that a signal came
/// in between. Nothing of it is left then.
pub(crate) fn run(args: &DemoArgs) -> Result<(), String> {
    if !Path::new("/dev/fuse").exists() {
        return Err(NO_FUSE.into());
    }
    // Before there is anything that would be left behind.
    let stop = catch_signals().map_err(|e| format!("demo: cannot catch signals: {e}"))?;
    let scratch = tempfile::Builder::new()
        .prefix("modfs-demo-")
        .tempdir()
        .map_err(|e| format!("demo: cannot make a temporary directory: {e}"))?;
    let mut demo = Demo::new(scratch.path(), stop)?;
    let told = demo.tell(args.keep);
    if args.keep && told.is_ok() {
        demo.mounted = false;
        let at = scratch.keep();
        say(&format!(
            "\nIt is still running. To go on:\n  cd {0}\n  export MODFS_TREE={0}/k/modules \
             MODFS_MODULES={0}/ko PATH={0}/bin:$PATH\nTo end it:\n  {1} {0}/k && rm -r {0}\n",
            at.display(),
            unmount_program()
        ));
        return Ok(());
    }
    let ended = demo.end();
    told.and(ended)?;
    say("\nNothing is left: no module, no mount, no file.\n");
    Ok(())
}

const NO_FUSE: &str = "demo: there is no /dev/fuse, by which modules are shown as files.
  On a machine of your own: modprobe fuse (as root)
  In a container: start it with --device /dev/fuse --cap-add SYS_ADMIN
  Ordinary users also need fusermount3: apt install fuse3";

struct Demo {
    at: PathBuf,
    mounted: bool,
    /// Set by a signal: no further step is taken.
    stop: Arc<AtomicBool>,
}

impl Demo {
    /// Puts the tools and the samples' sources into the directory.
    fn new(at: &Path, stop: Arc<AtomicBool>) -> Result<Demo, String> {
        let prepare = || -> io::Result<()> {
            let program = std::env::current_exe()?;
            fs::create_dir(at.join("bin"))?;
            for name in ["modfs", "insmod", "rmmod", "lsmod", "modprobe", "depmod"] {
                symlink(&program, at.join("bin").join(name))?;
            }
            fs::create_dir(at.join("ko"))?;
            fs::create_dir(at.join("k"))?;
            for sample in &SAMPLES {
                for (path, text) in sample.files {
                    let file = at.join("modules").join(sample.name).join(path);
                    fs::create_dir_all(file.parent().unwrap_or(at))?;
                    fs::write(file, text)?;
                }
            }
            Ok(())
        };
        prepare().map_err(|e| format!("demo: cannot write to {}: {e}", at.display()))?;
        Ok(Demo {
            at: at.to_owned(),
            mounted: false,
            stop,
        })
    }

    fn tell(&mut self, keep: bool) -> Result<(), String> {
        heading("Modules from C and from Rust.");
        for Sample { name, against, .. } in &SAMPLES {
            self.go_on()?;
            let object = |name: &str| self.at.join("ko").join(format!("{name}.ko"));
            let shown = against.map(|against| format!("--symvers ko/{against}.ko "));
            let shown = shown.unwrap_or_default();
            say(&format!(
                "$ modfs build {shown}-o ko/{name}.ko modules/{name}\n"
            ));
            let options = Options {
                output: Some(object(name)),
                symvers: against.iter().map(|against| object(against)).collect(),
                ..Options::default()
            };
            let source = self.at.join("modules").join(name);
            let built = modfs_build::build(&[source], &options);
            // The compiler too may have got the signal.
            self.go_on()?;
            built.map_err(|e| format!("demo: {e}"))?;
        }
        heading("Their indexes: who needs whom, and which names lead to which.");
        self.step("depmod --directory ko && cat ko/modules.dep", OK)?;
        heading("A host: a small kernel in user space, mounted at k.");
        let started = self.step("modfs host k --modules ko", OK);
        // Interrupted, it may be there all the same.
        self.mounted = started.is_ok() || cmd_host::is_up(&self.at.join("k"));
        started?;
        for chapter in CHAPTERS {
            self.chapter(chapter)?;
        }
        if keep { Ok(()) } else { self.chapter(&GOODBYE) }
    }

    fn chapter(&self, (title, steps): &Chapter) -> Result<(), String> {
        heading(title);
        steps
            .iter()
            .try_for_each(|(typed, expect)| self.step(typed, *expect))
    }

    /// Fails once a signal has come.
    fn go_on(&self) -> Result<(), String> {
        if self.stop.load(Ordering::Relaxed) {
            return Err("demo: interrupted".into());
        }
        Ok(())
    }

    /// Takes a step, unless a signal has come.
    fn step(&self, typed: &str, expect: Expect) -> Result<(), String> {
        self.go_on()?;
        let ran = self.run(typed, expect);
        // At a terminal what was typed has got it too.
        self.go_on()?;
        ran
    }

    /// Shows and runs what is typed.
    fn run(&self, typed: &str, expect: Expect) -> Result<(), String> {
        say(&format!("$ {typed}\n"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut search = self.at.join("bin").into_os_string();
        search.push(":");
        search.push(path);
        // Where mkfs is.
        search.push(":/usr/sbin:/sbin");
        let output = Command::new("sh")
            // Both streams in the order in which they were written.
            .args(["-c", &format!("exec 2>&1\n{typed}")])
            .current_dir(&self.at)
            .env("PATH", search)
            .env("MODFS_TREE", self.at.join("k/modules"))
            .env("MODFS_MODULES", self.at.join("ko"))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("demo: cannot run sh: {e}"))?;
        say(&String::from_utf8_lossy(&output.stdout));
        if output.status.success() == expect {
            return Ok(());
        }
        let wanted = if expect { "succeeded" } else { "been refused" };
        Err(format!(
            "demo: `{typed}` should have {wanted}, but: {}",
            output.status
        ))
    }

    /// Stops the host, and waits until it is gone.
    fn end(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.mounted) {
            return Ok(());
        }
        let mount = self.at.join("k");
        let typed = format!("{} k", unmount_program());
        self.run(&typed, OK)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while cmd_host::is_up(&mount) {
            if Instant::now() > deadline {
                return Err(format!("demo: the host at {} did not end", mount.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // After an error too nothing is to stay behind.
        let _ = self.end();
    }
}

/// What SIGINT, SIGTERM and SIGHUP set.
fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

/// How this user unmounts.
fn unmount_program() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "umount"
    } else {
        "fusermount3 -u"
    }
}

fn heading(text: &str) {
    say(&format!("\n# {text}\n"));
}

/// Prints; whoever closed our output does not want to know.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

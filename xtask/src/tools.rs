//! The tools beside Debian's kmod in time and memory, on one tree packed in four ways.

use crate::kmod::{KERNELS, Work, depends, entries, make_dir, modules, output};
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// How the modules are packed: what the tree is called, and the commands that make it of one that is
/// not packed. Debian's kmod 30 cannot read gzip.
const PACKED: [(&str, &str, bool); 4] = [
    ("xz", "xz -T1 -6", true),
    ("zst", "zstd -q --rm", true),
    ("gz", "gzip -6", false),
    ("plain", "", true),
];
/// How often each is measured, in turns.
const ROUNDS: usize = 5;
/// How often a short command is run in one measurement.
const SHORT: usize = 100;
/// A module that is replaced for "one changed", and asked for.
const MODULE: &str = "ext4";

/// What running commands cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// Milliseconds.
    wall: f64,
    /// Milliseconds of all threads, in the program and in the kernel.
    cpu: f64,
    /// KiB at most at a time.
    memory: f64,
}

pub(crate) fn run(root: &Path) -> Result<(), String> {
    let work = Work::prepare(root)?;
    let package = depends(KERNELS[0])?;
    let version = package.trim_start_matches("linux-image-").to_owned();
    work.fetch(&package)?;
    println!(
        "{} modules of {version}, {} CPUs; medians of {ROUNDS}, in turns.\n",
        fs::read_to_string(
            work.dir
                .join(&package)
                .join("lib/modules")
                .join(&version)
                .join("modules.order")
        )
        .map_or(0, |text| text.lines().count()),
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    println!("| what | packed | kmod: wall, CPU, memory | modfs: wall, CPU, memory | wall | CPU |");
    println!("|------|--------|------------------------:|-------------------------:|-----:|----:|");
    for (packed, pack, theirs_too) in PACKED {
        let tree = repacked(&work, &package, &version, packed, pack)?;
        let bench = Bench {
            work: &work,
            tree,
            version: &version,
            packed,
            theirs_too,
        };
        bench.run()?;
    }
    Ok(())
}

/// A copy of the package's tree, packed otherwise; made once.
fn repacked(
    work: &Work,
    package: &str,
    version: &str,
    packed: &str,
    pack: &str,
) -> Result<PathBuf, String> {
    let root = work.dir.join(format!("packed-{packed}-{version}"));
    if root.exists() {
        return Ok(root);
    }
    let part = work.dir.join(format!("packed-{packed}.part"));
    let _ = fs::remove_dir_all(&part);
    make_dir(&part)?;
    let lib = work.dir.join(package).join("lib");
    output(Command::new("cp").arg("-a").args([&lib, &part]))?;
    let every = |name: &str, command: &str| {
        let script =
            format!("find . -name '{name}' -print0 | xargs -0 -r -P \"$(nproc)\" -n 50 {command}");
        output(Command::new("sh").args(["-c", &script]).current_dir(&part))
    };
    if packed != "xz" {
        every("*.ko.xz", "xz -d")?;
        if !pack.is_empty() {
            every("*.ko", pack)?;
        }
    }
    fs::rename(&part, &root).map_err(|e| format!("{}: {e}", root.display()))?;
    Ok(root)
}

struct Bench<'a> {
    work: &'a Work,
    tree: PathBuf,
    version: &'a str,
    packed: &'a str,
    theirs_too: bool,
}

impl Bench<'_> {
    fn directory(&self) -> PathBuf {
        self.tree.join("lib/modules").join(self.version)
    }

    fn run(&self) -> Result<(), String> {
        let root = self.tree.to_string_lossy().into_owned();
        let version = self.version;
        let cache = self.directory().join("modules.modfs.cache");
        let forget = || drop(fs::remove_file(&cache));
        self.row("depmod", 1, "depmod", &["-b", &root, version], forget)?;
        let module = self.module()?;
        let touch = || {
            // The same again, as another file.
            let copy = module.with_extension("new");
            let _ = fs::copy(&module, &copy).and_then(|_| fs::rename(&copy, &module));
        };
        self.row(
            "depmod, one changed",
            1,
            "depmod",
            &["-b", &root, version],
            touch,
        )?;
        let none = || {};
        let options = ["-d", &root, "-S", version];
        for (what, arguments) in [
            ("modprobe -D ext4", ["-D", MODULE]),
            ("modprobe -R of an alias", ["-R", "fs-ext4"]),
        ] {
            let arguments = [&options[..], &arguments].concat();
            self.row(what, SHORT, "modprobe", &arguments, none)?;
        }
        let options = ["-b", &root, "-k", version];
        let one = [&options[..], &[MODULE]].concat();
        self.row("modinfo ext4", SHORT / 5, "modinfo", &one, none)?;
        let names = fs::read(self.directory().join("modules.dep"));
        let names = modules(&names.map_err(|e| e.to_string())?);
        let step = (names.len() / 100).max(1);
        let some = names.iter().step_by(step).take(100).map(String::as_str);
        let some: Vec<&str> = options.into_iter().chain(some).collect();
        self.row("modinfo of 100 modules", 1, "modinfo", &some, none)
    }

    /// The file of the module that is changed.
    fn module(&self) -> Result<PathBuf, String> {
        let directory = self.directory().join("kernel/fs").join(MODULE);
        let begins = format!("{MODULE}.ko");
        let mut files = entries(&directory)?.into_iter();
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&begins) && !name.ends_with(".new")
        };
        files
            .find(is_it)
            .ok_or_else(|| format!("no {MODULE} in {}", directory.display()))
    }

    fn row(
        &self,
        what: &str,
        times: usize,
        tool: &str,
        arguments: &[&str],
        before: impl Fn(),
    ) -> Result<(), String> {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (whose, costs) in [("theirs", &mut theirs), ("ours", &mut ours)] {
                if whose == "theirs" && !self.theirs_too {
                    continue;
                }
                before();
                costs.push(self.measure(whose, times, tool, arguments)?);
            }
        }
        let ours = median(&ours);
        let (packed, own) = (self.packed, ours.shown());
        match self.theirs_too {
            true => {
                let theirs = median(&theirs);
                let (wall, cpu) = (ours.wall / theirs.wall, ours.cpu / theirs.cpu);
                let other = theirs.shown();
                println!("| {what} | {packed} | {other} | {own} | {wall:.3}x | {cpu:.3}x |");
            }
            false => println!("| {what} | {packed} | cannot | {own} | | |"),
        }
        Ok(())
    }

    /// Runs a tool so often, below a process of its own, whose children are only these.
    fn measure(
        &self,
        whose: &str,
        times: usize,
        tool: &str,
        arguments: &[&str],
    ) -> Result<Cost, String> {
        let command = self.work.tool(whose, tool);
        let here = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut measured = Command::new(here);
        measured.arg("measured").arg(times.to_string());
        measured.arg(command.get_program()).args(arguments);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => measured.env(name, value),
                None => measured.env_remove(name),
            };
        }
        let said = output(&mut measured)?;
        let numbers: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
        match numbers[..] {
            [wall, cpu, memory] => Ok(Cost { wall, cpu, memory }),
            _ => Err(format!("measured said {said:?}")),
        }
    }
}

impl Cost {
    fn shown(&self) -> String {
        let time = |ms: f64| match ms {
            _ if ms >= 1000.0 => format!("{:.2} s", ms / 1000.0),
            _ if ms >= 100.0 => format!("{ms:.0} ms"),
            _ => format!("{ms:.2} ms"),
        };
        let memory = self.memory / 1024.0;
        format!("{}, {}, {memory:.1} MiB", time(self.wall), time(self.cpu))
    }
}

fn median(costs: &[Cost]) -> Cost {
    let of = |field: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost {
        wall: of(|cost| cost.wall),
        cpu: of(|cost| cost.cpu),
        memory: of(|cost| cost.memory),
    }
}

/// `xtask measured TIMES PROGRAM ARGUMENT…`: prints what one run costs in the middle: wall and CPU
/// milliseconds, and KiB.
pub(crate) fn measured(arguments: &[String]) -> Result<(), String> {
    let [times, program, arguments @ ..] = arguments else {
        return Err("measured: TIMES PROGRAM ARGUMENT…".into());
    };
    let times: u32 = times.parse().map_err(|e| format!("{times}: {e}"))?;
    let began = Instant::now();
    for _ in 0..times {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null());
        let done = command.output().map_err(|e| format!("{program}: {e}"))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(format!("{program}: {}: {said}", done.status));
        }
    }
    let wall = began.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| e.to_string())?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    let each = 1000.0 / f64::from(times);
    println!("{} {} {}", wall * each, cpu * each, usage.max_rss());
    Ok(())
}

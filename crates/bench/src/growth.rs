//! What a process holds after a module came and went, again and again.

use crate::child;
use crate::loaders::{Dlopen, From, Loader, Modfs, Which, cycle};
use crate::machine::{held, mapped_below};
use crate::services::Services;
use crate::sources;
use crate::table::markdown;
use crate::{EXPORT, Result, Setting};
use modfs_core::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Fresh copies for dlopen, which does not load a file again that it did not let go.
const COPIES: usize = 200;
/// One that panics leaves some 30 MiB.
const COPIES_PANICKED: usize = 20;
const WARM_UP_COPIES: usize = 5;
/// Until the log is full: from then on the oldest lines go.
const WARM_UP: usize = 10_000;

/// The fixtures, by folder, with what they do.
const RUST: [(&str, &str); 3] = [
    ("local", "Rust, a thread-local with a destructor"),
    ("panicked", "Rust, panicked with a backtrace"),
    ("boxes", "Rust, held 1000 allocations"),
];
const PANICKED: &str = "panicked";
/// What the fixtures' export returns.
const ANSWER: &str = "42";

/// What happens to one module.
pub(crate) struct Life<'a> {
    pub(crate) module: &'a Path,
    /// What its export returns, or "panic".
    pub(crate) answer: &'a str,
    pub(crate) copies: bool,
}

/// In a process of its own: KiB and mappings more than before, seconds, and how many are still
/// mapped.
pub(crate) fn child(
    which: Which,
    services: &Path,
    exports: usize,
    life: &Life<'_>,
    warm_up: usize,
    cycles: usize,
) -> Result<[f64; 4]> {
    let services = Services::open(services, exports)?;
    let copies = tempfile::tempdir().map_err(|e| e.to_string())?;
    let run: Box<dyn Fn(usize) -> Result<()>> = match which {
        Which::Dlopen if life.copies => {
            let answer = number(life.answer)?;
            let dir = copies.path();
            Box::new(move |count| copy(life.module, dir, count, answer))
        }
        Which::Modfs => {
            let modfs = Modfs::new(&services)?;
            let object = fs::read(life.module).map_err(|e| e.to_string())?;
            let object = Arc::new(object);
            let answer = life.answer.to_owned();
            Box::new(move |_| guarded(&modfs, &object, &answer))
        }
        _ => {
            let loader = which.loader(&services)?;
            let answer = number(life.answer)?;
            Box::new(move |_| cycle(loader.as_ref(), From::File(life.module), answer))
        }
    };
    for count in 0..warm_up {
        run(count)?;
    }
    let before = held()?;
    let files = if life.copies {
        copies.path()
    } else {
        life.module
    };
    let files = files.display().to_string();
    let mapped = mapped_below(&files);
    let began = std::time::Instant::now();
    for count in 0..cycles {
        run(warm_up + count)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = held()?;
    let mapped = mapped_below(&files) - mapped;
    Ok([
        after.kib - before.kib,
        after.mappings - before.mappings,
        seconds,
        mapped as f64,
    ])
}

fn number(answer: &str) -> Result<i64> {
    answer.parse().map_err(|_| format!("{answer}: no number"))
}

/// One life under modfs; a panic has to end the call and nothing else.
fn guarded(modfs: &Modfs, object: &Arc<Vec<u8>>, answer: &str) -> Result<()> {
    let module = modfs.load("bench", From::Memory(object))?;
    // SAFETY: a function without arguments.
    let result = match unsafe { modfs.host.call(EXPORT, [0; 5]) } {
        Ok(returned) => (returned as i64).to_string(),
        Err(refusal) if refusal.errno == Errno::EIO => "panic".to_owned(),
        Err(refusal) => return Err(refusal.to_string()),
    };
    if result != answer {
        return Err(format!("it answered {result}, not {answer}"));
    }
    module.unload()
}

/// One life of a fresh copy under dlopen.
fn copy(module: &Path, dir: &Path, count: usize, answer: i64) -> Result<()> {
    let copy = dir.join(format!("copy{count}.so"));
    fs::copy(module, &copy).map_err(|e| e.to_string())?;
    let loaded = Dlopen::open(&copy)?;
    let returned = loaded.call(EXPORT)?;
    loaded.close()?;
    fs::remove_file(&copy).map_err(|e| e.to_string())?;
    if returned == answer {
        Ok(())
    } else {
        Err(format!("it answered {returned}, not {answer}"))
    }
}

/// The modules: one in C, and for each fixture a module and a shared object in Rust.
pub(crate) struct Modules {
    c: sources::Forms,
    answer: i64,
    rust: Vec<(PathBuf, PathBuf)>,
}

pub(crate) fn prepare(setting: &Setting) -> Result<Modules> {
    let dir = setting.dir.path();
    let (exports, _) = setting.services.first().ok_or("no services")?;
    let (c, answer) = sources::importing(dir, 10, *exports)?;
    let build = |(name, _): (&str, &str)| Ok((module(dir, name)?, shared(dir, name)?));
    let rust = RUST.map(build).into_iter().collect::<Result<_>>()?;
    Ok(Modules { c, answer, rust })
}

/// `fixtures/modfs/NAME`, built as users build it, away from the tree.
fn module(dir: &Path, name: &str) -> Result<PathBuf> {
    let package = dir.join("modfs").join(name);
    take(&Path::new("modfs").join(name), &package)?;
    let output = dir.join(format!("{name}.ko"));
    let options = modfs_build::Options {
        output: Some(output),
        ..modfs_build::Options::default()
    };
    let built = modfs_build::build(&[package], &options).map_err(|e| e.to_string())?;
    Ok(built.module)
}

/// `fixtures/dlopen/NAME`, a cdylib.
fn shared(dir: &Path, name: &str) -> Result<PathBuf> {
    let package = dir.join("dlopen").join(name);
    take(&Path::new("dlopen").join(name), &package)?;
    let target = dir.join("dlopen/target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--quiet", "--target-dir"]);
    sources::run(cargo.arg(&target).current_dir(&package))?;
    Ok(target.join(format!("release/lib{name}.so")))
}

fn take(fixture: &Path, package: &Path) -> Result<()> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(fixture);
    let text = |e: std::io::Error| format!("{}: {e}", from.display());
    fs::create_dir_all(package.join("src")).map_err(text)?;
    for file in ["Cargo.toml", "src/lib.rs"] {
        fs::copy(from.join(file), package.join(file)).map_err(text)?;
    }
    Ok(())
}

/// Once: what grows does so in every pass.
pub(crate) fn table(setting: &mut Setting, modules: &Modules) -> Result<String> {
    let (exports, services) = setting.services.first().ok_or("no services")?;
    let mut rows = Vec::new();
    let c = "C, 10 imports";
    let c_answer = modules.answer.to_string();
    let mut lives = Vec::new();
    for which in Which::ALL {
        let life = (
            which.form(&modules.c),
            c_answer.as_str(),
            false,
            setting.cycles,
        );
        lives.push((c, which, life));
    }
    for ((name, what), (module, shared)) in RUST.iter().zip(&modules.rust) {
        let panicked = *name == PANICKED;
        let answer = if panicked { "panic" } else { ANSWER };
        lives.push((what, Which::Modfs, (module, answer, false, setting.cycles)));
        let copies = if panicked { COPIES_PANICKED } else { COPIES };
        lives.push((what, Which::Dlopen, (shared, ANSWER, true, copies)));
    }
    for (what, which, (module, answer, copies, cycles)) in lives {
        let warm_up = if copies {
            WARM_UP_COPIES
        } else {
            WARM_UP.min(cycles)
        };
        let mut command = child::command("growth")?;
        command
            .arg(which.argument())
            .arg(services)
            .arg(exports.to_string());
        command
            .arg(module)
            .arg(warm_up.to_string())
            .arg(cycles.to_string());
        command.arg(answer).args(copies.then_some("--copies"));
        command.env("RUST_BACKTRACE", "1");
        let mut row = vec![
            what.to_owned(),
            which.shown().to_owned(),
            cycles.to_string(),
        ];
        match child::figures::<4>(&mut command) {
            Ok([kib, mappings, seconds, mapped]) => {
                row.push(format!("{kib:.0} KiB"));
                row.push(each(kib / cycles as f64));
                row.push(format!("{mappings:+.0}"));
                row.push(format!("{mapped:.0}"));
                row.push(format!("{:.1} µs", seconds * 1e6 / cycles as f64));
            }
            Err(error) => {
                row.extend(["–", "–", "–", "–", "–"].map(str::to_owned));
                setting
                    .reasons
                    .push(format!("{}, {what}: {error}", which.shown()));
            }
        }
        rows.push(row);
    }
    let mut text = String::from(
        "## Growth\n\n\
         What a process holds more after so many cycles, by 1 thread, than after the first ones \
         (up to 10 000, or 5 copies). The same code in Rust is a module under modfs and a cdylib under \
         dlopen, a fresh copy each time, since one that stays is not loaded again; `still mapped` \
         counts mappings of these files. RUST_BACKTRACE is 1; \
         what std's backtrace keeps depends on how much debug information this program has.\n\n",
    );
    let head = [
        "module",
        "loader",
        "cycles",
        "growth",
        "each",
        "mappings",
        "still mapped",
        "time each",
    ];
    text += &markdown(&head, &rows);
    Ok(text)
}

fn each(kib: f64) -> String {
    if kib.abs() < 0.005 {
        "0 KiB".into()
    } else {
        format!("{kib:.2} KiB")
    }
}

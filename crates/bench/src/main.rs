//! The benches: modfs side by side with the peers, in one run. `cargo xtask bench`.
//!
//! Everything is measured in two passes, one after the other, so that the figures say themselves
//! how far they can be trusted; within a pass, contestants take turns round by round, and the
//! figures are medians. What a process holds is measured in processes of their own.

mod calls;
mod child;
mod crowd;
mod cycle;
mod exports;
mod growth;
mod loaders;
mod machine;
mod rounds;
mod services;
mod sources;
mod table;

use clap::{Parser, ValueEnum};
use rounds::Effort;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use table::zip;
use tempfile::TempDir;

/// An error is a text: there is nobody to tell but the reader.
type Result<T> = std::result::Result<T, String>;

/// What every module exports.
const EXPORT: &str = "bench_run";
/// How many functions the hosts export.
const EXPORTS: [usize; 2] = [10_000, 100_000];

/// Measures modfs beside its peers.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds of each pass.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Only this part; can be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<Part>,
    /// Load and unload cycles that must not grow.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycles: Option<u32>,
    /// Write the tables to a file too.
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// A look in less than a minute: fewer rounds, modules and cycles.
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    child: Option<child::Child>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A module's life, for each number of imports, host and loader.
    Cycle,
    /// 1000 modules, kept.
    Crowd,
    /// What is left after 100 000 cycles.
    Growth,
    /// A call into a module.
    Calls,
    /// Making a host's exports known.
    Exports,
}

/// What all parts share.
struct Setting {
    effort: Effort,
    /// How many modules are a crowd.
    modules: usize,
    cycles: usize,
    /// Everything that is made goes here.
    dir: TempDir,
    /// The hosts: how many functions, and the shared object with them.
    services: Vec<(usize, PathBuf)>,
    /// What could not be measured.
    reasons: Vec<String>,
}

impl Setting {
    fn new(args: &Args) -> Result<Setting> {
        let (rounds, turn, modules, cycles) = if args.quick {
            (31, 400, 200, 5_000)
        } else {
            (301, 400, 1000, 100_000)
        };
        let dir = tempfile::Builder::new().prefix("modfs-bench-").tempdir();
        let dir = dir.map_err(|e| format!("no temporary folder: {e}"))?;
        let service = |count| Ok((count, services::build(dir.path(), count)?));
        let services = EXPORTS.map(service).into_iter().collect::<Result<_>>()?;
        Ok(Setting {
            effort: Effort {
                rounds: args.rounds.map_or(rounds, |n| n as usize),
                turn: Duration::from_micros(turn),
            },
            modules,
            cycles: args.cycles.map_or(cycles, |n| n as usize),
            dir,
            services,
            reasons: Vec::new(),
        })
    }

    /// Where the crowd is.
    fn crowd(&self) -> PathBuf {
        self.dir.path().join("crowd")
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.child {
        Some(child) => child.run(),
        None => bench(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("modfs-bench: {text}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> Result<()> {
    let began = Instant::now();
    let progress = |what: &str| eprintln!("[{:5.1} s] {what}", began.elapsed().as_secs_f64());
    let wanted = |part: Part| args.only.is_empty() || args.only.contains(&part);
    let load = machine::load();
    progress("make the modules");
    let mut setting = Setting::new(args)?;
    let setting = &mut setting;
    let mut hosts = Vec::new();
    if wanted(Part::Cycle) {
        for exports in EXPORTS {
            hosts.push(cycle::prepare(setting, exports)?);
        }
    }
    if wanted(Part::Crowd) {
        let dir = setting.crowd();
        fs::create_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        sources::crowd(&dir, setting.modules, EXPORTS[0])?;
    }
    let grown = wanted(Part::Growth)
        .then(|| growth::prepare(setting))
        .transpose()?;
    let called = wanted(Part::Calls)
        .then(|| calls::prepare(setting))
        .transpose()?;

    // In this order, so that a part's passes are as far apart as they can be.
    let mut passes: [[Vec<Vec<f64>>; 4]; 2] = Default::default();
    for (number, pass) in passes.iter_mut().enumerate() {
        progress(&format!("pass {}", number + 1));
        if wanted(Part::Cycle) {
            pass[0] = cycle::measure(setting, &hosts)?;
        }
        if wanted(Part::Crowd) {
            pass[1] = crowd::measure(setting)?;
        }
        if let Some(forms) = &called {
            pass[2] = calls::measure(setting, forms)?;
        }
        if wanted(Part::Exports) {
            pass[3] = exports::measure(setting)?;
        }
    }
    let figures = [0, 1, 2, 3].map(|part| zip(&passes.each_ref().map(|pass| pass[part].clone())));
    let mut text = String::new();
    if wanted(Part::Cycle) {
        text += &("\n".to_owned() + &cycle::show(setting, &figures[0]));
    }
    if wanted(Part::Crowd) {
        text += &("\n".to_owned() + &crowd::show(setting, &figures[1]));
    }
    if let Some(modules) = &grown {
        progress("growth");
        text += &("\n".to_owned() + &growth::table(setting, modules)?);
    }
    if wanted(Part::Calls) {
        text += &("\n".to_owned() + &calls::show(&figures[2]));
    }
    if wanted(Part::Exports) {
        text += &("\n".to_owned() + &exports::show(setting, &figures[3]));
    }
    let head = format!(
        "Machine: {}. {} run of {:.0} s; processes that wanted to run: {load} before, {} after.\n",
        machine::line(),
        if args.quick { "A quick" } else { "A full" },
        began.elapsed().as_secs_f64(),
        machine::load()
    );
    text = head + &text + &notes(&setting.reasons);
    progress("done");
    println!("{text}");
    if let Some(file) = &args.md {
        fs::write(file, &text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

/// What a reader has to know of the peers.
fn notes(reasons: &[String]) -> String {
    let mut text = String::from(
        "\n## The peers\n\n\
         * dlopen: glibc, by libloading; RTLD_NOW, RTLD_LOCAL.\n\
         * elf_loader is built with debug assertions, which it needs to load relocatable objects \
         at all: in 0.18.0 the groups of sections are defined inside of one. It gets objects \
         of plain `-fPIC`; of GOT accesses it knows only GOTPCREL without an X.\n\
         * kmod-loader gets objects of `-mcmodel=large`: it has no PLT, and cuts near calls that \
         do not reach. It checks nothing of versions, finds no exports, and maps each section \
         by itself. Its pages are populated by mmap, as in its example.\n",
    );
    if !reasons.is_empty() {
        text += "\nNot measured:\n\n";
        for reason in reasons {
            text += &format!("* {reason}\n");
        }
    }
    text
}

//! The machine, and what this process holds of it.

use crate::Result;
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// What the figures depend on, in a line.
pub(crate) fn line() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |text| {
            text.trim_start_matches([' ', '\t', ':'])
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: a constant string.
    let glibc = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!(
        "{model}, {cpus} CPUs, Linux {}, glibc {}, {}, {}",
        kernel.trim(),
        glibc.to_string_lossy(),
        said(Command::new("rustc").arg("--version")),
        said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
    )
}

fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// How many processes wanted to run in the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// What this process holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Held {
    /// Memory in KiB: what is resident, and what a memfd holds besides.
    pub(crate) kib: f64,
    /// Lines of `/proc/self/maps`.
    pub(crate) mappings: f64,
}

pub(crate) fn held() -> Result<Held> {
    let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let rollup = read("/proc/self/smaps_rollup")?;
    let field = |name: &str| -> f64 {
        let line = rollup.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0.0)
    };
    let memfds = memfd_kib()?;
    Ok(Held {
        kib: field("Rss:") + (memfds - field("Pss_Shmem:")).max(0.0),
        mappings: read("/proc/self/maps")?.lines().count() as f64,
    })
}

/// Pages that are in no page table, but there: code that did not run yet.
fn memfd_kib() -> Result<f64> {
    let mut blocks = 0;
    for entry in fs::read_dir("/proc/self/fd").map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        // The directory itself is closed again by the time it is looked at.
        let Ok(target) = fs::read_link(&path) else {
            continue;
        };
        if target.to_string_lossy().starts_with("/memfd:") {
            blocks += fs::metadata(&path).map_err(|e| e.to_string())?.blocks();
        }
    }
    Ok(blocks as f64 / 2.0)
}

/// How many of this process's mappings are of files below a folder.
pub(crate) fn mapped_below(folder: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter(|line| line.contains(folder)).count()
}

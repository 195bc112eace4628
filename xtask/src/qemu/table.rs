//! What the guests printed, judged.

use crate::kmod;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Both ways of doing everything.
pub(super) const WAYS: [&str; 2] = ["kmod", "modfs"];

/// What guests printed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// By case and way.
    pub(super) cases: BTreeMap<(String, String), String>,
    /// How long something took, with its case: a label and seconds.
    pub(super) times: Vec<(String, String)>,
    /// What the kernel complained of.
    pub(super) complaints: Vec<String>,
}

impl Printed {
    fn of(&self, case: &str, way: &str) -> &str {
        let key = (case.to_owned(), way.to_owned());
        self.cases.get(&key).map_or("", String::as_str)
    }

    /// Writes what each printed into a folder, a file each.
    pub(super) fn save(&self, folder: &Path) -> Result<(), String> {
        for ((case, way), text) in &self.cases {
            let file = folder.join(format!("{}.{way}", case.replace('/', ".")));
            fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        Ok(())
    }

    /// Each case that was chosen a test: what ours printed is what kmod's did, or what is said that it
    /// prints. Returns a table, and what failed.
    pub(super) fn judge(&self, cases: &Path, chosen: &[PathBuf]) -> (String, Vec<String>) {
        let mut table =
            String::from("| case | commands | what ours print, beside kmod's |\n|---|---:|---|\n");
        let mut failed = Vec::new();
        for file in chosen {
            let case = file.strip_prefix(cases).unwrap_or(file).with_extension("");
            let case = &*case.to_string_lossy();
            let read = |ending: &str| fs::read_to_string(cases.join(format!("{case}.{ending}")));
            let (own, said) = (read("out").ok(), read("modfs").ok());
            let (found, theirs) = (self.of(case, WAYS[1]), self.of(case, WAYS[0]));
            let wanted = own.as_deref().or(said.as_deref()).unwrap_or(theirs);
            let like = match (&own, found == theirs) {
                _ if found.is_empty() => {
                    failed.push(case.to_owned());
                    "FAILED: nothing was printed".to_owned()
                }
                _ if found != wanted => {
                    failed.push(case.to_owned());
                    for line in kmod::differences(wanted, found) {
                        println!("    {line}");
                    }
                    "FAILED".to_owned()
                }
                (Some(_), _) => "as said; kmod has nothing like it".to_owned(),
                (None, true) => "the same".to_owned(),
                (None, false) => {
                    let lines = kmod::differences(theirs, found).len();
                    format!("as said; {lines} lines are not kmod's")
                }
            };
            println!("{case}: {like}");
            let commands = found.lines().filter(|line| line.starts_with("$ ")).count();
            let _ = writeln!(table, "| {case} | {commands} | {like} |");
        }
        if !self.times.is_empty() {
            table += "\n| what | seconds |\n|---|---:|\n";
        }
        for (label, seconds) in &self.times {
            let _ = writeln!(table, "| {label} | {seconds} |");
        }
        for line in &self.complaints {
            failed.push(format!("the kernel's log: {line}"));
        }
        (table, failed)
    }
}

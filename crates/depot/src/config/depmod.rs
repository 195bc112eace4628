//! depmod.d.

use super::files;
use crate::search::{Place, Search};
use crate::{Level, Report};
use regex_lite::Regex;
use std::path::{Path, PathBuf};

/// The directories of depmod.d(5), of which an earlier one counts more.
const PLACES: [&str; 5] = [
    "/etc/depmod.d",
    "/run/depmod.d",
    "/usr/local/lib/depmod.d",
    "/usr/lib/depmod.d",
    "/lib/depmod.d",
];

impl Search {
    /// Reads the configuration for a kernel version: of the files or directories given, or else of
    /// the usual ones. What is wrong is reported, and the rest is taken.
    pub fn read(places: &[PathBuf], version: &str, report: &dyn Report) -> Search {
        let mut search = Search::default();
        files::read(places, &PLACES, &[], report, |file, text| {
            search.text(text, file, version, report);
        });
        search
    }

    /// Adds the lines of a text, which is said to be from a file.
    pub(crate) fn text(&mut self, text: &str, file: &Path, version: &str, report: &dyn Report) {
        for (number, line) in files::lines(text) {
            if let Err(why) = self.line(&line, version) {
                let text = format!("{} line {number}: {why}", file.display());
                report.report(Level::Warning, &text);
            }
        }
    }

    fn line(&mut self, line: &str, version: &str) -> Result<(), String> {
        let mut words = line.split_ascii_whitespace();
        let word = words.next().unwrap_or_default();
        let mut next = |what: &str| words.next().ok_or_else(|| format!("'{word}' needs {what}"));
        let is_ours = |pattern: &str| match pattern {
            "*" => Ok(true),
            _ => match Regex::new(pattern) {
                Ok(pattern) => Ok(pattern.is_match(version)),
                Err(error) => Err(format!("'{pattern}' is no regular expression: {error}")),
            },
        };
        match word {
            "search" => {
                self.order.push(place(next("a directory")?));
                self.order.extend(words.map(place));
            }
            "override" => {
                let (module, kernel) = (next("a module")?, next("a kernel version")?);
                let folder = next("a directory")?;
                if is_ours(kernel)? {
                    self.overrides
                        .push((module.replace('-', "_"), folder.into()));
                }
            }
            "external" => {
                let kernel = next("a kernel version")?;
                let folder = Path::new(next("a directory")?);
                if !folder.is_absolute() {
                    return Err("an external directory is named by an absolute path".into());
                }
                if is_ours(kernel)? {
                    self.external.push(folder.into());
                }
            }
            "exclude" => {
                self.excluded.push(next("a directory's name")?.to_owned());
                self.excluded.extend(words.map(str::to_owned));
            }
            // Of module-init-tools; without effect in kmod too.
            "include" | "make_map_files" => {}
            _ => return Err(format!("ignoring bad line starting with '{word}'")),
        }
        Ok(())
    }
}

fn place(word: &str) -> Place {
    match word {
        "built-in" => Place::BuiltIn,
        "external" => Place::External,
        _ => Place::Below(word.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directive() {
        let told = std::sync::Mutex::new(Vec::new());
        let report = |_: Level, text: &str| told.lock().unwrap().push(text.to_owned());
        let mut search = Search::default();
        let text = "search updates extra built-in external\noverride a-b ^6\\.1.*$ weak\n\
                    override c ^5 weak\noverride d [ weak\nexternal * /opt/modules\nexternal * here\nexclude old .git\n\
                    make_map_files no\nfoo\nsearch\n";
        search.text(text, Path::new("x"), "6.1.0", &report);
        let below = |name: &str| Place::Below(name.into());
        let order = [
            below("updates"),
            below("extra"),
            Place::BuiltIn,
            Place::External,
        ];
        assert_eq!(search.order, order);
        assert_eq!(
            search.overrides,
            [("a_b".to_owned(), PathBuf::from("weak"))]
        );
        assert_eq!(search.external, [PathBuf::from("/opt/modules")]);
        assert_eq!(search.excluded, ["old", ".git"]);
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(
            told[2].starts_with("x line 9: ignoring bad line"),
            "{}",
            told[2]
        );
    }
}

//! modules-load.d: what is to be loaded at boot, whatever devices there are (modules-load.d(5)).

use super::files;
use super::{Origin, cmdline};
use crate::Report;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directories, of which an earlier one counts more.
const PLACES: [&str; 5] = [
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
    "/lib/modules-load.d",
];

/// The names that are to be loaded at boot.
#[derive(Clone, Debug, Default)]
pub struct ModulesLoad {
    /// In order, each with where it is from. One can be there several times.
    pub names: Vec<(String, Origin)>,
    /// How many files could not be read; each was reported.
    pub wrong: usize,
}

impl ModulesLoad {
    /// Reads the files or directories given, or else the usual ones: a name a line, and comments
    /// after `#` or `;`.
    pub fn read(places: &[PathBuf], report: &dyn Report) -> ModulesLoad {
        let mut load = ModulesLoad::default();
        load.wrong = files::read(places, &PLACES, &[], report, |file, text| {
            load.text(text, file);
        });
        load
    }

    fn text(&mut self, text: &str, file: &Path) {
        let file = Arc::from(file);
        for (line, number) in text.lines().zip(1..) {
            let name = line.trim();
            if !name.is_empty() && !name.starts_with(['#', ';']) {
                let origin = Origin {
                    file: Arc::clone(&file),
                    line: number,
                };
                self.names.push((name.to_owned(), origin));
            }
        }
    }

    /// Adds what a kernel's command line says: `modules_load=A,B`, and `rd.modules_load=A,B` in an
    /// `initrd`.
    pub fn command_line(&mut self, text: &str, file: &Path, initrd: bool) {
        let origin = Origin {
            file: file.into(),
            line: 0,
        };
        for word in cmdline::words(text).take_while(|word| *word != "--") {
            let Some((name, value)) = word.split_once('=') else {
                continue;
            };
            // As systemd takes its words: either sign.
            let wanted = match name.replace('-', "_").as_str() {
                "modules_load" => true,
                "rd.modules_load" => initrd,
                _ => false,
            };
            let names = value.trim_matches('"').split(',').map(str::trim);
            for name in names.filter(|name| wanted && !name.is_empty()) {
                self.names.push((name.to_owned(), origin.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use std::fs;

    #[test]
    fn names_of_files_and_of_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for (file, text) in [
            ("a/10.conf", "# no\n; nor this\n\n  loop  \nnbd"),
            ("a/20.conf", "dummy # not a comment\n"),
            ("b/10.conf", "hidden\n"),
            ("b/05.conf", "first\r\n"),
            ("b/other", "none\n"),
        ] {
            fs::create_dir_all(place(file).parent().unwrap()).unwrap();
            fs::write(place(file), text).unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", place("a/30.conf")).unwrap();
        fs::write(place("b/30.conf"), "masked\n").unwrap();
        let told = |_: Level, text: &str| panic!("{text}");
        let mut load = ModulesLoad::read(&[place("a"), place("b")], &told);
        let text =
            "quiet modules-load=x,,y rd.modules_load=z \"modules_load=q\" -- modules_load=no";
        load.command_line(text, Path::new("/proc/cmdline"), false);
        let names = |load: &ModulesLoad| -> Vec<String> {
            load.names.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(
            names(&load),
            ["first", "loop", "nbd", "dummy # not a comment", "x", "y"]
        );
        assert_eq!(
            load.names[1].1.to_string(),
            format!("{} line 4", place("a/10.conf").display())
        );
        let mut early = ModulesLoad::default();
        early.command_line(text, Path::new("/proc/cmdline"), true);
        assert_eq!(names(&early), ["x", "y", "z"]);
    }
}

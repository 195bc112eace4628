//! Configuration files: which, in what order, and their lines.

use crate::{Level, Report, reader};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a piece of configuration is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Arc<Path>,
    /// The line, counted from 1; 0: not of a line.
    pub line: u32,
}

/// Reads configuration: the files or directories given, or else the usual ones, and `more` among
/// them, each handed to `each` with its path. What cannot be read is reported; returns how often.
pub(crate) fn read(
    places: &[PathBuf],
    usual: &[&str],
    more: &[PathBuf],
    report: &dyn Report,
    mut each: impl FnMut(&Path, &str),
) -> usize {
    let usual: Vec<PathBuf> = usual.iter().map(PathBuf::from).collect();
    let places = if places.is_empty() { &usual } else { places };
    let mut wrong = 0;
    let mut fail = |text: String| {
        wrong += 1;
        report.report(Level::Error, &text);
    };
    for file in files(places, more, &mut fail) {
        // How one of its name elsewhere is masked.
        if fs::canonicalize(&file).is_ok_and(|path| path == Path::new("/dev/null")) {
            continue;
        }
        match reader::bytes(&file) {
            Ok(bytes) => each(&file, &String::from_utf8_lossy(&bytes)),
            Err(error) => fail(format!("{}: {error}", file.display())),
        }
    }
    wrong
}

/// The configuration files of directories, of which an earlier one counts more: of several files
/// of one name the first is taken, and all are sorted by name, `more` among them. A directory that
/// is not there holds none; a path that is a file is one. What cannot be read is told, and the rest
/// taken.
fn files(places: &[PathBuf], more: &[PathBuf], fail: &mut impl FnMut(String)) -> Vec<PathBuf> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
    let more = more.iter().filter(|path| path.exists());
    let mut files: BTreeMap<OsString, PathBuf> =
        more.map(|path| (name(path), path.clone())).collect();
    for place in places {
        let mut told = |error: io::Error| fail(format!("{}: {error}", place.display()));
        let is_dir = match fs::metadata(place) {
            Ok(metadata) => metadata.is_dir(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                told(error);
                continue;
            }
        };
        if !is_dir {
            files.entry(name(place)).or_insert_with(|| place.clone());
            continue;
        }
        let entries = match fs::read_dir(place) {
            Ok(entries) => entries,
            Err(error) => {
                told(error);
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    told(error);
                    break;
                }
            };
            let (name, path) = (entry.file_name(), entry.path());
            let shown = !name.as_encoded_bytes().starts_with(b".");
            if shown && path.extension().is_some_and(|end| end == "conf") && !path.is_dir() {
                files.entry(name).or_insert(path);
            }
        }
    }
    files.into_values().collect()
}

/// The lines of a file that say something, each with the number of its first: comments and empty
/// ones are left out, and a line that ends in `\` goes on in the next.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (u32, String)> {
    let mut lines = text.lines().zip(1u32..);
    std::iter::from_fn(move || {
        loop {
            let (first, number) = lines.next()?;
            let mut whole = first.to_owned();
            while whole.ends_with('\\') {
                whole.pop();
                match lines.next() {
                    Some((next, _)) => whole.push_str(next),
                    None => break,
                }
            }
            let told = whole.trim_start();
            if !told.is_empty() && !told.starts_with('#') {
                return Some((number, told.to_owned()));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_after_a_backslash() {
        let text = "# no\n\n a b \\\n c\nd\\";
        let told: Vec<_> = lines(text).collect();
        assert_eq!(told, [(3, "a b  c".to_owned()), (5, "d".to_owned())]);
    }

    #[test]
    fn the_first_of_a_name_counts_and_all_are_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for (folder, file) in [
            ("a", "z.conf"),
            ("a", "m.conf"),
            ("b", "m.conf"),
            ("b", "c.conf"),
        ] {
            fs::create_dir_all(place(folder)).unwrap();
            fs::write(place(folder).join(file), "").unwrap();
        }
        for ignored in [".x.conf", "x.txt", "conf"] {
            fs::write(place("a").join(ignored), "").unwrap();
        }
        let places = [place("a"), place("none"), place("b")];
        let told = &mut |text| panic!("{text}");
        let found = files(&places, &[place("a/x.txt"), place("nothing")], told);
        let wanted = ["b/c.conf", "a/m.conf", "a/x.txt", "a/z.conf"].map(place);
        assert_eq!(found, wanted);
    }
}

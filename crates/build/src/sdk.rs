//! What this library carries for module authors: the C headers and the Rust SDK.

use crate::Error;
use std::fs;
use std::io;
use std::path::Path;

/// The SDK's sources, each file's text taken from the tree at build time.
macro_rules! sources {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../../module/", $path)))),*]
    };
}

const SOURCES: &[(&str, &str)] = sources![
    "src/alloc.rs",
    "src/blkdev.rs",
    "src/chrdev.rs",
    "src/error.rs",
    "src/export.rs",
    "src/filesystem.rs",
    "src/lib.rs",
    "src/local.rs",
    "src/module.rs",
    "src/panicking.rs",
    "src/param.rs",
    "src/print.rs",
    "src/proc.rs",
    "src/sync.rs",
    "src/sys.rs",
];

/// The SDK's package outside of its workspace. The headers are of no use to a Rust module.
fn manifest() -> String {
    format!(
        "[package]\nname = \"modfs-module\"\nversion = \"{}\"\nedition = \"2024\"\n\
         license = \"MIT OR Apache-2.0\"\n\n[workspace]\n",
        env!("CARGO_PKG_VERSION")
    )
}

const NO_HEADERS: &str = "//! The C headers are not needed here.\n\
                          /// None.\npub const HEADERS: &[(&str, &str)] = &[];\n\
                          /// None.\npub const KERNEL_SYMTYPES: &str = \"\";\n";

/// Writes all headers below `dir`, which is made if it does not exist; `-I dir` finds them.
///
/// # Errors
/// What the file system says; files already written stay.
pub fn write_headers(dir: &Path) -> io::Result<()> {
    for (path, text) in modfs_module::HEADERS {
        write(&dir.join(path), text)?;
    }
    Ok(())
}

/// Writes the SDK as a package to `dir`. A file that is as it should be stays, so that cargo
/// builds the SDK once.
pub(crate) fn write_sdk(dir: &Path) -> Result<(), Error> {
    let all = SOURCES
        .iter()
        .map(|(path, text)| (*path, (*text).to_owned()))
        .chain([
            ("src/headers.rs", NO_HEADERS.to_owned()),
            ("Cargo.toml", manifest()),
        ]);
    for (path, text) in all {
        let path = dir.join(path);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        write(&path, &text).map_err(|e| Error::io("cannot write", &path, &e))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_every_source_of_the_sdk() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../module/src");
        let mut there: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("src/{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|name| name != "src/headers.rs")
            .collect();
        there.sort();
        let carried: Vec<&str> = SOURCES.iter().map(|(path, _)| *path).collect();
        assert_eq!(there, carried);
    }

    #[test]
    fn writes_every_header() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        write_headers(&below).unwrap();
        write_headers(&below).unwrap();
        let mut files = 0;
        for (path, text) in modfs_module::HEADERS {
            assert_eq!(fs::read_to_string(below.join(path)).unwrap(), *text);
            files += 1;
        }
        let folders = fs::read_dir(&below).unwrap().map(|e| e.unwrap().path());
        let there: usize = folders.map(|f| fs::read_dir(f).unwrap().count()).sum();
        assert_eq!(there, files);
    }
}

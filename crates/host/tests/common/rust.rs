//! Building modules in Rust: the packages of `tests/fixtures/rust`, each once in a test program.

use modfs_build::Options;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The object of a package.
pub(crate) fn rust(name: &str) -> Vec<u8> {
    static BUILT: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    let object = built.entry(name.to_owned()).or_insert_with(|| {
        let path = build(name, false);
        let object = fs::read(&path).expect("the module");
        fs::remove_file(path).expect("rm");
        object
    });
    object.clone()
}

/// Builds a package, with what a debugger needs if that is wanted, and returns where the module
/// is.
pub(crate) fn build(name: &str, debug: bool) -> PathBuf {
    let package = placed(name);
    let kind = if debug { "debug" } else { "usual" };
    // A name of this process's own: several test programs may run at once.
    let output = package.join(format!("{kind}-{}.ko", std::process::id()));
    let options = Options {
        output: Some(output),
        debug,
        ..Options::default()
    };
    modfs_build::build(&[package], &options)
        .unwrap_or_else(|error| panic!("{name}: {error}; these tests need cargo and a C compiler"))
        .module
}

/// A copy of a package outside of the source tree, for what cargo makes beside it. It stays, so
/// that cargo has less to do the next time.
fn placed(name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/rust")
        .join(name);
    let to = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rust")
        .join(name);
    copy(&from, &to);
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("mkdir");
    for entry in fs::read_dir(from).expect("a fixture") {
        let path = entry.expect("a fixture").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
            continue;
        }
        let text = fs::read(&path).expect("a fixture");
        if fs::read(&to).ok().as_ref() != Some(&text) {
            fs::write(&to, text).expect("write");
        }
    }
}

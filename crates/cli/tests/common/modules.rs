//! Modules and programs for the tests, built once in each test program.

use super::{MODFS, run};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A build is more than the rest: it starts a compiler several times.
const LIMIT: Duration = Duration::from_secs(60);

/// Where a module that was built is. Its source is `modules/NAME/NAME.c` of the project, or
/// `tests/modules/NAME.c` here; or a package in Rust, `modules/NAME` or `tests/modules/NAME`.
pub(crate) fn module(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests/modules", "../../modules"] {
        let package = here.join(folder).join(name);
        if package.join("Cargo.toml").exists() {
            return once(&format!("{name}.ko"), |output| {
                let mut command = Command::new(MODFS);
                command.args(["build", "-o"]).arg(output);
                command.arg(placed(&package, name));
                command
            });
        }
    }
    let own = here.join(format!("tests/modules/{name}.c"));
    let sample = here.join(format!("../../modules/{name}/{name}.c"));
    let source = if own.exists() { own } else { sample };
    once(&format!("{name}.ko"), |output| {
        let mut command = Command::new(MODFS);
        command.args(["build", "--cflag=-Werror", "--name", name, "-o"]);
        command.arg(output).arg(&source);
        command
    })
}

/// A copy of a package outside of the source tree, for what cargo makes beside it. It stays, so
/// that cargo has less to do the next time.
fn placed(package: &Path, name: &str) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rust")
        .join(name);
    std::fs::create_dir_all(copy.join("src")).expect("mkdir");
    for file in ["Cargo.toml", "src/lib.rs"] {
        let text = std::fs::read(package.join(file)).expect("a package");
        let to = copy.join(file);
        if std::fs::read(&to).ok().as_ref() != Some(&text) {
            std::fs::write(to, text).expect("write");
        }
    }
    copy
}

/// Where a program that was built of `tests/programs/NAME.c` is.
pub(crate) fn program(name: &str) -> PathBuf {
    compiled(name, name, &[])
}

/// The same, linked statically.
pub(crate) fn static_program(name: &str) -> PathBuf {
    compiled(name, &format!("{name}-static"), &["-static"])
}

/// The same for i386, without a library.
pub(crate) fn program32(name: &str) -> PathBuf {
    let flags = [
        "-m32",
        "-O1",
        "-ffreestanding",
        "-nostdlib",
        "-static",
        "-fno-pie",
    ];
    let more = ["-no-pie", "-fno-stack-protector", "-fcf-protection=none"];
    compiled(name, name, &[&flags[..], &more].concat())
}

fn compiled(name: &str, output: &str, flags: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join(format!("tests/programs/{name}.c"));
    once(output, |output| {
        let mut command = Command::new("cc");
        command.args(["-Wall", "-Werror"]).args(flags).arg("-o");
        command.arg(output).arg(&source);
        command
    })
}

fn once(name: &str, build: impl FnOnce(&Path) -> Command) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    // A name of this process's own: several test programs may run at once.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("built");
    std::fs::create_dir_all(&place).expect("mkdir");
    let output = place.join(name);
    let scratch = place.join(format!("{name}.{}", std::process::id()));
    run(build(&scratch), LIMIT).ok();
    std::fs::rename(&scratch, &output).expect("rename");
    built.insert(name.to_owned(), output.clone());
    output
}

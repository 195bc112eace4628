//! Compiling C against the headers.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const COMPILERS: [&str; 2] = ["gcc", "clang"];

pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compiles `source`; the error is what the compiler said.
pub(crate) fn compile(
    compiler: &str,
    flags: &[&str],
    source: &Path,
    object: &Path,
) -> Result<(), String> {
    let output = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-DMODULE", "-c"])
        .args(flags)
        .arg("-I")
        .arg(here("include"))
        .arg("-o")
        .arg(object)
        .arg(source)
        .output()
        .unwrap_or_else(|e| panic!("{compiler}: {e}; these tests need it: apt install {compiler}"));
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{compiler} {} {}:\n{}",
        flags.join(" "),
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    ))
}

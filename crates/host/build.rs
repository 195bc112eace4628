//! Tells the host which compiler it is built by: modules in Rust must be built by the same.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).arg("--version").output();
    let output = output.unwrap_or_else(|e| panic!("cannot run {}: {e}", rustc.display()));
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo:rustc-env=MODFS_RUSTC={}", version.trim());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
}

//! What is compiled for a guest.

use crate::kmod::{Work, entries, make_dir, name, output};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of the cases: static, since the guest has few libraries.
pub(super) fn programs(root: &Path, to: &Path) -> Result<(), String> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-static", "-o"])
        .arg(to.join("poke"));
    output(gcc.arg(root.join("tests/linux/poke.c")))?;
    Ok(())
}

/// Modules from outside the kernel's tree, built against Debian's headers: all of
/// `tests/linux/modules`.
pub(super) fn modules(work: &Work, root: &Path, version: &str, to: &Path) -> Result<(), String> {
    let headers = headers(work, version)?;
    let sources = root.join("tests/linux/modules");
    // A second time with other declarations, whose checksums differ.
    for (folder, flags) in [("", ""), ("changed", "-DCHANGED")] {
        let place = work.dir.join("built");
        let _ = fs::remove_dir_all(&place);
        make_dir(&place)?;
        let to = to.join(folder);
        make_dir(&to)?;
        for file in entries(&sources)? {
            copy(&file, &place)?;
        }
        let mut make = Command::new("make");
        make.arg("-s").arg("-C").arg(&headers);
        make.arg(format!("M={}", place.display()));
        make.arg(format!("KCFLAGS={flags}")).arg("modules");
        output(&mut make)?;
        for file in entries(&place)? {
            if file.extension().is_some_and(|end| end == "ko") {
                copy(&file, &to)?;
            }
        }
    }
    sign(&headers, &to.join("provider.ko"), &to.join("foreign"))
}

/// Signs a module with a key that nobody knows, as the kernel's build does.
fn sign(headers: &Path, module: &Path, to: &Path) -> Result<(), String> {
    make_dir(to)?;
    copy(module, to)?;
    let (key, certificate) = (to.join("key.pem"), to.join("key.x509"));
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes"])
        .args([
            "-subj",
            "/CN=A foreign key",
            "-days",
            "1",
            "-outform",
            "DER",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
    output(&mut openssl)?;
    let mut sign = Command::new(headers.join("scripts/sign-file"));
    sign.arg("sha256").args([&key, &certificate]);
    output(sign.arg(to.join(name(module))))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = fs::copy(from, to.join(name(from)));
    copied
        .map(drop)
        .map_err(|e| format!("{}: {e}", from.display()))
}

/// The headers' packages in one tree, as they are when they are installed.
pub(crate) fn headers(work: &Work, version: &str) -> Result<PathBuf, String> {
    let package = format!("linux-headers-{version}");
    let tree = work.dir.join(format!("tree-{package}"));
    let own = tree.join("usr/src").join(&package);
    let list = output(Command::new("apt-cache").args(["depends", &package]))?;
    let needed = list.lines().filter_map(|line| {
        let name = line.trim().strip_prefix("Depends: ")?;
        let wanted = name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-");
        wanted.then(|| name.to_owned())
    });
    let _ = fs::remove_dir_all(&tree);
    make_dir(&tree)?;
    for part in needed.chain([package.clone()]) {
        work.fetch(&part)?;
        let from = work.dir.join(&part).join(".");
        output(Command::new("cp").arg("-al").args([&from, &tree]))?;
    }
    // It names the common part by where that is installed.
    let makefile = own.join("Makefile");
    let io = |e: std::io::Error| format!("{}: {e}", makefile.display());
    let text = fs::read_to_string(&makefile).map_err(io)?;
    fs::remove_file(&makefile).map_err(io)?;
    let moved = text.replace(" /usr/src", &format!(" {}/usr/src", tree.display()));
    fs::write(&makefile, moved).map_err(io)?;
    // With it, type information would be made of it, by a tool that is not here.
    let _ = fs::remove_file(own.join("vmlinux"));
    Ok(own)
}

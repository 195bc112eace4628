//! A package to begin with.

use crate::Error;
use crate::job::check_name;
use std::fs;
use std::path::Path;

/// Makes a cargo package for a module in `path`, whose last part is the module's name.
///
/// # Errors
/// The name is none, the path is there already, or what the file system says.
pub fn new_package(path: &Path) -> Result<(), Error> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .replace('-', "_");
    check_name(&name)?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.contains(['+', '.']) {
        return Err(Error::Told(format!(
            "{name:?} cannot be a package's name: a letter first, then letters, digits and _"
        )));
    }
    let files = [
        ("Cargo.toml", manifest(&name)),
        ("src/lib.rs", source(&name)),
        (".gitignore", "/target\n*.ko\n".to_owned()),
    ];
    fs::create_dir(path).map_err(|e| Error::io("cannot make", path, &e))?;
    for (file, text) in files {
        let file = path.join(file);
        let folder = file.parent().unwrap_or(path);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .map_err(|e| Error::io("cannot write", &file, &e))?;
    }
    Ok(())
}

fn manifest(name: &str) -> String {
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[lib]
test = false
doctest = false

[dependencies]
# `modfs build` brings it.
modfs-module = "{version}"

# A package of its own, also below another's folder.
[workspace]
"#,
        version = env!("CARGO_PKG_VERSION")
    )
}

fn source(name: &str) -> String {
    let mut kind = String::new();
    for part in name.split('_') {
        let mut letters = part.chars();
        kind.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        kind.push_str(letters.as_str());
    }
    format!(
        r#"//! A module.
#![no_std]

use modfs_module::prelude::*;

module! {{
    type: {kind},
    license: "Dual MIT/GPL",
    description: "Says hello",
    params: {{
        /// Whom to greet
        whom: str = "world", 0o444;
    }},
}}

struct {kind};

impl Module for {kind} {{
    fn init() -> Result<{kind}> {{
        info!("Hello, {{}}!", whom.get());
        Ok({kind})
    }}
}}

impl Drop for {kind} {{
    fn drop(&mut self) {{
        info!("Goodbye, {{}}!", whom.get());
    }}
}}
"#
    )
}

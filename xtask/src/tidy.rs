//! The tree's rules.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates that may have unsafe code.
const UNSAFE: [&str; 6] = ["arena", "bench", "compat", "host", "module", "start"];
/// A file that is longer wants to be two.
const LINES: usize = 800;
const PAPERS: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "BENCHMARKS.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "deny.toml",
    ".ci/run",
];
/// What README has to give: the two commands that do everything.
const COMMANDS: [&str; 2] = ["cargo run --release -- demo", "cargo test --workspace"];

/// Checks the rules and says which are broken.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let broken = check(root);
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n"))
    }
}

fn check(root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    for paper in PAPERS.iter().filter(|paper| !root.join(paper).exists()) {
        broken.push(format!("{paper} is missing"));
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap_or_default();
    for command in COMMANDS.iter().filter(|command| !readme.contains(*command)) {
        broken.push(format!("README.md does not give `{command}`"));
    }
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    for name in folders(&root.join("crates")) {
        let folder = root.join("crates").join(&name);
        if !architecture.contains(&format!("crates/{name} ")) {
            broken.push(format!("ARCHITECTURE.md does not name crates/{name}"));
        }
        let top = ["src/lib.rs", "src/main.rs"].map(|file| fs::read_to_string(folder.join(file)));
        let forbids = top
            .iter()
            .flatten()
            .any(|text| text.contains("#![forbid(unsafe_code)]"));
        if forbids == UNSAFE.contains(&name.as_str()) {
            let rule = if forbids {
                "need not be on the list"
            } else {
                "must forbid unsafe code"
            };
            broken.push(format!("crates/{name} {rule}"));
        }
    }
    for file in sources(root) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let shown = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        let lines = text.lines().count();
        if lines > LINES {
            broken.push(format!("{shown} has {lines} lines, more than {LINES}"));
        }
        if text.contains("#[ignore") && !shown.ends_with("tidy.rs") {
            broken.push(format!("{shown} ignores a test"));
        }
    }
    broken
}

pub(crate) fn folders(of: &Path) -> Vec<String> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// All Rust files but those that were built.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for name in folders(&folder) {
            if name != "target" && name != ".git" {
                left.push(folder.join(name));
            }
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|x| x == "rs")),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_keeps_its_rules() {
        assert_eq!(check(&crate::root()), Vec::<String>::new());
    }

    #[test]
    fn an_empty_folder_breaks_them() {
        let broken = check(Path::new("/nonexistent"));
        assert!(broken.len() >= PAPERS.len() + COMMANDS.len(), "{broken:?}");
    }
}

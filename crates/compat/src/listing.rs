//! What today's `/proc/modules` says of a tree.

use modfs_client::Tree;
use std::fmt::Write;

/// The text: name, size, users, who uses it, state and address.
pub(crate) fn proc_modules(tree: &Tree) -> String {
    let mut text = String::new();
    for name in tree.modules().unwrap_or_default() {
        let read = |file: &str| tree.read(&name, file);
        let (Ok(state), Ok(size)) = (read("state"), read("size")) else {
            continue;
        };
        let state = match state.as_str() {
            "unmapped" | "deleted" => continue,
            "running" => "Live",
            "uninitialized" | "initializing" => "Loading",
            _ => "Unloading",
        };
        let refs = tree.lines(&name, "refs");
        let uses: i64 = read("usecount").unwrap_or_default().parse().unwrap_or(0);
        let uses = uses.max(0) + refs.len() as i64;
        let users = match refs.is_empty() {
            true => "-".to_owned(),
            false => refs.iter().map(|user| format!("{user},")).collect(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name} {size} {uses} {users} {state} 0x0000000000000000"
        );
    }
    text
}

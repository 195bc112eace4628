//! What users write to a module's `control` and `symbols`: the parser alone, then the whole tree
//! over the kernel in memory that its tests have.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_core::{Command, Errno};
use modfs_tree::command::{MAX_WRITE, lines, parse, words};
use modfs_tree::{Caller, ModuleTree, Node, OpenMode};
use std::sync::Arc;

#[allow(dead_code, reason = "made for the tests")]
#[path = "../../crates/tree/tests/support/double.rs"]
mod double;

/// Every line is run, and makes the state's text a little longer.
const LINES: usize = 64;
const BOTH: OpenMode = OpenMode {
    read: true,
    write: true,
    flags: 0,
};

fuzz_target!(|data: &[u8]| {
    for line in lines(data) {
        check_words(line);
        check_parse(line);
    }
    if data.len() <= MAX_WRITE && lines(data).count() <= LINES {
        check_tree(data);
    }
});

/// Words survive being written again.
fn check_words(line: &[u8]) {
    match words(line) {
        Ok(words) => {
            let written: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let again = self::words(written.join(" ").as_bytes());
            assert_eq!(again.as_ref(), Ok(&words), "{written:?}");
        }
        Err(refusal) => assert_eq!(refusal.errno, Errno::EINVAL),
    }
}

/// A word as it has to be written.
fn quoted(word: &str) -> String {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let bare = !word.is_empty()
        && !word.contains(char::is_whitespace)
        && !word.starts_with('"')
        && !value.starts_with('"');
    match bare {
        true => word.to_owned(),
        false if !word.contains('"') => format!("\"{word}\""),
        false => format!("{name}=\"{value}\""),
    }
}

fn check_parse(line: &[u8]) {
    let Ok(parsed) = parse(line) else { return };
    if parsed.command != Command::Init {
        assert!(!parsed.args.autoclean && parsed.args.parameters.is_empty());
    }
    let all = words(line).expect("what can be parsed has words");
    assert_eq!(all[0], parsed.command.word());
    let given = parsed.file.iter().chain(&parsed.args.parameters);
    let flags = 1 + usize::from(parsed.args.autoclean);
    assert!(given.eq(&all[flags..]));
}

/// Whatever was written, what can be read is well formed.
fn check_tree(data: &[u8]) {
    let kernel = double::Double::new();
    let tree = ModuleTree::new(kernel, 0, 0);
    let root = tree.root();
    let caller = Caller::new(0, 0);
    let dir = root.mkdir(&caller, "m", 0o755).expect("a directory");
    let file = dir.create(&caller, "m.ko", 0o644).expect("a file");
    let object = b"module\nexport m_symbol\nimport printk\nparam p 644\n";
    write(&*file, &caller, object).expect("an object");
    // Errors are as good as anything; only what is left behind counts.
    let _ = write(&*lookup(&dir, "control"), &caller, data);
    let text = read(&*lookup(&dir, "control"), &caller);
    for line in text.lines() {
        let begins = ["state: ", "running: ", "last: ", "  "];
        assert!(begins.iter().any(|b| line.starts_with(b)), "{text}");
        assert!(!line.contains(char::is_control), "{text:?}");
    }
    let control = lookup(&dir, "control");
    let _ = write(&*control, &caller, b"map");
    let _ = write(&*lookup(&dir, "symbols"), &caller, data);
    let text = read(&*lookup(&dir, "symbols"), &caller);
    for line in text.lines() {
        let fields: Vec<&str> = line.split(char::is_whitespace).collect();
        assert!(fields.len() == 3, "{text:?}");
        assert!(!line.contains(char::is_control), "{text:?}");
        assert!(fields[0].len() == 18 && fields[0].starts_with("0x"));
        assert!(fields[1] == "-" || fields[1].len() == 10, "{text:?}");
    }
    for (name, _) in dir.entries().expect("entries") {
        if let Ok(file) = dir.lookup(&name) {
            let _ = file.attr();
            read(&*file, &caller);
        }
    }
}

fn lookup(dir: &Arc<dyn Node>, name: &str) -> Arc<dyn Node> {
    dir.lookup(name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn write(node: &dyn Node, caller: &Caller, data: &[u8]) -> Result<usize, Errno> {
    node.open(caller, BOTH)?.write(caller, 0, data)
}

fn read(node: &dyn Node, caller: &Caller) -> String {
    let mode = OpenMode {
        write: false,
        ..BOTH
    };
    let Ok(handle) = node.open(caller, mode) else {
        return String::new();
    };
    let bytes = handle.read(caller, 0, 1 << 20).unwrap_or_default();
    String::from_utf8(bytes).expect("text")
}

//! Compiling C to modules, by calling the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const COMPILERS: [&str; 2] = ["gcc", "clang"];

/// What `modfs build` gives every object.
const USUAL: [&str; 3] = ["-O2", "-fPIC", "-fno-omit-frame-pointer"];
/// What every object needs: no library, and nothing that only a C library supplies.
const NEEDED: [&str; 5] = [
    "-std=gnu11",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-DMODULE",
];

/// How one module is built of C sources.
pub(crate) struct Build<'a> {
    compiler: &'a str,
    flags: Vec<String>,
    sources: Vec<PathBuf>,
    texts: Vec<String>,
    partial_link: bool,
}

impl<'a> Build<'a> {
    /// By this compiler, with nothing but what every module needs.
    pub(crate) fn by(compiler: &'a str) -> Build<'a> {
        Build {
            compiler,
            flags: Vec::new(),
            sources: Vec::new(),
            texts: Vec::new(),
            partial_link: true,
        }
    }

    /// As `modfs build` does.
    pub(crate) fn usual() -> Build<'static> {
        Build::by("cc").flags(USUAL)
    }

    pub(crate) fn flags(mut self, flags: impl IntoIterator<Item = impl ToString>) -> Build<'a> {
        self.flags
            .extend(flags.into_iter().map(|flag| flag.to_string()));
        self
    }

    /// A file of `tests/fixtures`.
    pub(crate) fn fixture(mut self, name: &str) -> Build<'a> {
        self.sources.push(here("tests/fixtures").join(name));
        self
    }

    /// C text; `modfs/module.h` is included before it.
    pub(crate) fn text(mut self, text: &str) -> Build<'a> {
        self.texts.push(format!(
            "#include <linux/kernel.h>\n#include <linux/module.h>\n#line 1 \"text\"\n{text}"
        ));
        self
    }

    /// The compiler's own object, not one that `ld -r` has made of it; for a single source.
    pub(crate) fn unlinked(mut self) -> Build<'a> {
        self.partial_link = false;
        self
    }

    /// Compiles and returns the object's bytes.
    pub(crate) fn object(mut self) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (at, text) in self.texts.iter().enumerate() {
            let path = dir.path().join(format!("text{at}.c"));
            std::fs::write(&path, text).expect("write");
            self.sources.push(path);
        }
        let output = dir.path().join("module.ko");
        let mut command = Command::new(self.compiler);
        command
            .args(NEEDED)
            .arg("-I")
            .arg(here("../module/include"))
            .args(if self.partial_link {
                ["-r", "-nostdlib"].as_slice()
            } else {
                &["-c"]
            })
            .args(&self.flags)
            .arg("-o")
            .arg(&output)
            .args(&self.sources);
        run(&mut command);
        std::fs::read(&output).expect("the object")
    }
}

/// A module of C text, built as `modfs build` does.
pub(crate) fn module(text: &str) -> Vec<u8> {
    Build::usual().text(text).object()
}

/// Runs a tool that must be there and succeed.
pub(crate) fn run(command: &mut Command) {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; these tests need gcc and clang"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

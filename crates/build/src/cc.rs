//! The C compiler.

use crate::{Error, Options};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The C compiler and how it is called.
pub(crate) struct Compiler<'a> {
    program: OsString,
    /// Arguments that came with the program's name, as in `CC="ccache gcc"`.
    before: Vec<OsString>,
    options: &'a Options,
}

/// For every object: no library, reachable from anywhere, calls of imports straight by the
/// module's own table of addresses, and frames that a call trace of a fault can follow.
const FLAGS: [&str; 13] = [
    "-std=gnu11",
    "-O2",
    "-ffreestanding",
    "-fPIC",
    "-fno-plt",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-fno-common",
    "-Wall",
    "-DMODULE",
    "-D__KERNEL__",
];

impl<'a> Compiler<'a> {
    pub(crate) fn find(options: &'a Options) -> Result<Compiler<'a>, Error> {
        let asked = options
            .cc
            .clone()
            .or_else(|| std::env::var_os("CC").filter(|cc| !cc.is_empty()));
        if let Some(asked) = asked {
            let (program, before) = words(asked);
            if !runs(&program) {
                return Err(Error::Told(format!(
                    "the C compiler {} cannot be run: set CC or --cc to one that can",
                    program.display()
                )));
            }
            return Ok(Compiler {
                program,
                before,
                options,
            });
        }
        for program in ["cc", "gcc", "clang"] {
            if runs(OsStr::new(program)) {
                return Ok(Compiler {
                    program: program.into(),
                    before: Vec::new(),
                    options,
                });
            }
        }
        Err(Error::Told(
            "no C compiler: there is no cc, gcc or clang in PATH; \
             install one (Debian, Ubuntu: apt install gcc) or name one with --cc"
                .into(),
        ))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.before);
        command
    }

    pub(crate) fn compile(
        &self,
        name: &str,
        source: &Path,
        include: &Path,
        object: &Path,
    ) -> Result<(), Error> {
        let beside = match source.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let mut command = self.command();
        command
            .args(FLAGS)
            .arg(format!("-DKBUILD_MODNAME=\"{name}\""))
            .arg("-I")
            .arg(include)
            .arg("-I")
            .arg(beside)
            // What is exported is declared there; what no debugger needs is stripped in the end.
            .arg("-g")
            .args(&self.options.cflags)
            // Flags for a whole distribution often have -flto: its objects hold no code yet. And what is declared
            // has to be in the object, as it is.
            .args([
                "-fno-lto",
                "-gz=none",
                "-gno-split-dwarf",
                "-fno-debug-types-section",
            ])
            .arg("-c")
            .arg("-o")
            .arg(object)
            .arg(dashed(source));
        self.run(&mut command)
    }

    pub(crate) fn link(&self, arguments: &[OsString], output: &Path) -> Result<(), Error> {
        let mut command = self.command();
        command
            .args(["-r", "-nostdlib", "-o"])
            .arg(dashed(output))
            .args(arguments);
        self.run(&mut command)
    }

    /// Runs it; what it prints goes where ours does.
    fn run(&self, command: &mut Command) -> Result<(), Error> {
        if self.options.verbose {
            eprintln!("{command:?}");
        }
        let status = command
            .stdin(Stdio::null())
            .status()
            .map_err(|e| Error::Told(format!("cannot run {}: {e}", self.program.display())))?;
        if status.success() {
            return Ok(());
        }
        match status.code() {
            Some(_) => Err(Error::Compiler),
            None => Err(Error::Told(format!(
                "{} was stopped: {status}",
                self.program.display()
            ))),
        }
    }
}

/// `CC` may hold arguments too; a name with a blank in it is taken whole if there is such a file.
fn words(asked: OsString) -> (OsString, Vec<OsString>) {
    match asked.to_str() {
        Some(text) if !Path::new(text).exists() => {
            let mut words = text.split_whitespace().map(OsString::from);
            let program = words.next().unwrap_or_default();
            (program, words.collect())
        }
        _ => (asked, Vec::new()),
    }
}

fn runs(program: &OsStr) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A path that cannot be taken for an option.
pub(crate) fn dashed(path: &Path) -> PathBuf {
    if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        Path::new(".").join(path)
    } else {
        path.to_path_buf()
    }
}

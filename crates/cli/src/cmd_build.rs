//! `modfs build`: C sources to a module, with the compiler that is there.

use clap::Args;
use modfs_link::Layout;
use modfs_object::{EM_X86_64, Object};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Arguments of `modfs build`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuildArgs {
    /// A directory, of which all .c files make one module, or the files themselves
    #[arg(required = true, value_name = "DIR|FILE")]
    pub(crate) sources: Vec<PathBuf>,
    /// Where the module goes [default: DIR/NAME.ko, or NAME.ko here]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The module's name [default: the directory's, or that of the first file]
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// The C compiler [default: $CC, or the first there is of cc, gcc, clang]
    #[arg(long, value_name = "COMPILER")]
    pub(crate) cc: Option<OsString>,
    /// A further argument for the compiler; may be given more than once
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub(crate) cflag: Vec<OsString>,
    /// Print each command that is run
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// How to build; the default is what `modfs build` does without options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Where the module goes; by default `DIR/NAME.ko` or `./NAME.ko`.
    pub(crate) output: Option<PathBuf>,
    /// The module's name; by default that of the directory or of the first file.
    pub(crate) name: Option<String>,
    /// The C compiler; by default `$CC`, or the first there is of cc, gcc, clang.
    pub(crate) cc: Option<OsString>,
    /// Further arguments for the compiler, after modfs's own.
    pub(crate) cflags: Vec<OsString>,
    /// Print each command on standard error.
    pub(crate) verbose: bool,
}

/// Why no module was made.
#[derive(Debug)]
pub(crate) enum Error {
    /// The compiler or linker has said why, on standard error.
    Compiler,
    /// What, where, and what to do about it.
    Told(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Compiler => f.write_str("the compiler refused the source"),
            Error::Told(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    fn io(what: &str, path: &Path, error: &io::Error) -> Error {
        Error::Told(format!("{what} {}: {error}", path.display()))
    }
}

/// Runs `modfs build` and says where the module is.
///
/// # Errors
/// As [`build`].
pub(crate) fn run(args: &BuildArgs) -> Result<(), Error> {
    let output = build(
        &args.sources,
        &Options {
            output: args.output.clone(),
            name: args.name.clone(),
            cc: args.cc.clone(),
            cflags: args.cflag.clone(),
            verbose: args.verbose,
        },
    )?;
    // Whoever closed our output does not want to know.
    let _ = writeln!(io::stdout(), "{}", output.display());
    Ok(())
}

/// Builds one module of `sources`, a directory or files, and returns where it is.
///
/// The output is replaced in one step once the module is whole and checked; on an error it is as
/// it was.
///
/// # Errors
/// No compiler, no source, a name that is none, what the compiler says, or a file that cannot
/// be written.
pub(crate) fn build(sources: &[PathBuf], options: &Options) -> Result<PathBuf, Error> {
    let job = Job::plan(sources, options)?;
    let compiler = Compiler::find(options)?;
    let scratch = tempfile::Builder::new()
        .prefix("modfs-build-")
        .tempdir()
        .map_err(|e| Error::io("cannot make a directory in", &std::env::temp_dir(), &e))?;
    let include = scratch.path().join("include");
    modfs_module::write_headers(&include)
        .map_err(|e| Error::io("cannot write the headers to", &include, &e))?;

    let mut objects = Vec::new();
    for (i, source) in job.files.iter().enumerate() {
        let object = scratch.path().join(format!("{i}.o"));
        compiler.compile(&job.name, source, &include, &object)?;
        objects.push(object);
    }
    let said = scratch.path().join("modinfo.c");
    fs::write(&said, identity(&job.name)).map_err(|e| Error::io("cannot write", &said, &e))?;
    let object = scratch.path().join("modinfo.o");
    compiler.compile(&job.name, &said, &include, &object)?;
    objects.push(object);

    let parent = match job.output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // In the output's own directory, or the rename would not be one step; and with the mode of
    // any new file, where a temporary one is otherwise for its owner only.
    let linked = tempfile::Builder::new()
        .prefix(".modfs-")
        .suffix(".ko")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(parent)
        .map_err(|e| Error::io("cannot write to the directory", parent, &e))?;
    compiler.link(&objects, linked.path())?;
    check(linked.path())?;
    linked
        .persist(&job.output)
        .map_err(|e| Error::io("cannot write", &job.output, &e.error))?;
    Ok(job.output)
}

/// Whether the file is something that `map` can take: everything is checked that does not take a
/// kernel's symbols.
fn check(path: &Path) -> Result<(), Error> {
    let bytes = fs::read(path).map_err(|e| Error::io("cannot read", path, &e))?;
    let object = Object::parse(&bytes, EM_X86_64).map_err(|e| match e {
        // The source's doing.
        modfs_object::Error::ThreadLocal(_) | modfs_object::Error::WriteExec(_) => {
            Error::Told(format!("this cannot be a module: {e}"))
        }
        _ => Error::Told(format!(
            "the compiler made no object that can be a module: {e}; \
             leave out flags such as -flto, -shared or -target"
        )),
    })?;
    Layout::new(&object, &[]).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Error::Told(format!("this cannot be a module: {}", lines.join("; ")))
    })?;
    if object.global("init_module").is_none() && object.exports().is_empty() {
        return Err(Error::Told(
            "the sources have neither an init (module_init, or int init_module(void)) nor an \
             EXPORT_SYMBOL: such a module could do nothing"
                .into(),
        ));
    }
    Ok(())
}

/// The C source of what every module says of itself, whatever its author wrote.
fn identity(name: &str) -> String {
    format!(
        "#include <modfs/modinfo.h>\n\
         MODULE_INFO(name, \"{name}\");\n\
         MODULE_INFO(vermagic, \"{}\");\n",
        modfs_module::VERMAGIC
    )
}

/// What is to be built.
struct Job {
    name: String,
    files: Vec<PathBuf>,
    output: PathBuf,
}

impl Job {
    fn plan(sources: &[PathBuf], options: &Options) -> Result<Job, Error> {
        let Some(first) = sources.first() else {
            return Err(Error::Told(
                "nothing to build: name a directory or C files".into(),
            ));
        };
        let (files, named, place) = if first.is_dir() {
            if sources.len() > 1 {
                return Err(Error::Told(format!(
                    "{} is a directory: build it alone, or name the files",
                    first.display()
                )));
            }
            let whole = fs::canonicalize(first).map_err(|e| Error::io("cannot read", first, &e))?;
            let named = whole.file_name().map(OsStr::to_os_string);
            (c_files(first)?, named, first.clone())
        } else {
            for file in sources {
                readable(file)?;
            }
            let named = first.file_stem().map(OsStr::to_os_string);
            (sources.to_vec(), named, PathBuf::new())
        };
        let name = match &options.name {
            Some(name) => name.clone(),
            None => named.unwrap_or_default().to_string_lossy().into_owned(),
        };
        if !is_name(&name) {
            return Err(Error::Told(format!(
                "{name:?} cannot be a module's name: letters, digits, _ - + . only, \
                 at most 55; give one with --name"
            )));
        }
        let output = match &options.output {
            Some(output) => output.clone(),
            None => place.join(format!("{name}.ko")),
        };
        if let Some(file) = files.iter().find(|file| **file == output) {
            return Err(Error::Told(format!(
                "{} is a source: give another --output",
                file.display()
            )));
        }
        Ok(Job {
            name,
            files,
            output,
        })
    }
}

/// A name that is safe in a path, in C, and on a command line, and fits `struct module`.
fn is_name(name: &str) -> bool {
    (1..=55).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b))
}

fn readable(file: &Path) -> Result<(), Error> {
    if file.extension() != Some(OsStr::new("c")) {
        return Err(Error::Told(format!(
            "{} is no C source: its name does not end in .c",
            file.display()
        )));
    }
    fs::File::open(file)
        .map(drop)
        .map_err(|e| Error::io("cannot read", file, &e))
}

/// The C files of a directory, sorted.
fn c_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Error::io("cannot read", dir, &e))? {
        let path = entry.map_err(|e| Error::io("cannot read", dir, &e))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if path.extension() == Some(OsStr::new("c")) && path.is_file() && !hidden {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::Told(format!(
            "{} has no .c file: nothing to build",
            dir.display()
        )));
    }
    found.sort();
    Ok(found)
}

/// The C compiler and how it is called.
struct Compiler<'a> {
    program: OsString,
    /// Arguments that came with the program's name, as in `CC="ccache gcc"`.
    before: Vec<OsString>,
    options: &'a Options,
}

/// For every object: no library, reachable from anywhere, and with frames that a call trace of
/// a fault can follow.
const FLAGS: [&str; 12] = [
    "-std=gnu11",
    "-O2",
    "-ffreestanding",
    "-fPIC",
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
    fn find(options: &'a Options) -> Result<Compiler<'a>, Error> {
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

    fn compile(
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
            .args(&self.options.cflags)
            // Flags for a whole distribution often have -flto: its objects hold no code yet.
            .arg("-fno-lto")
            .arg("-c")
            .arg("-o")
            .arg(object)
            .arg(dashed(source));
        self.run(&mut command)
    }

    fn link(&self, objects: &[PathBuf], output: &Path) -> Result<(), Error> {
        let mut command = self.command();
        command
            .args(["-r", "-nostdlib", "-o"])
            .arg(dashed(output))
            .args(objects);
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
fn dashed(path: &Path) -> PathBuf {
    if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        Path::new(".").join(path)
    } else {
        path.to_path_buf()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "#include <linux/module.h>\n\
        int init_module(void) { return 0; }\n\
        MODULE_LICENSE(\"GPL\");\n";

    fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn contains(path: &Path, text: &str) -> bool {
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    }

    fn told(result: Result<PathBuf, Error>) -> String {
        match result {
            Err(Error::Told(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_of_several_files() {
        let dir = dir_with(&[
            ("a.c", HELLO),
            (
                "b.c",
                "#include \"own.h\"\nconst char *b = KBUILD_MODNAME;\nint c = OWN;\n",
            ),
            ("own.h", "#define OWN 3\n"),
            ("notes.txt", "not C"),
        ]);
        let options = Options {
            name: Some("two-files".into()),
            ..Options::default()
        };
        let made = build(&[dir.path().into()], &options).unwrap();
        assert_eq!(made, dir.path().join("two-files.ko"));
        for text in [
            "license=GPL\0",
            "name=two-files\0",
            &format!("vermagic={}\0", modfs_module::VERMAGIC),
            "\0init_module\0",
        ] {
            assert!(contains(&made, text), "{text}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
    }

    #[test]
    fn names_come_from_the_sources() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("hello");
        fs::create_dir(&sub).unwrap();
        fs::write(sub.join("x.c"), HELLO).unwrap();
        let options = Options::default();
        let job = Job::plan(&[sub.join(".")], &options).unwrap();
        assert_eq!(job.name, "hello");
        let job = Job::plan(&[sub.join("x.c")], &options).unwrap();
        assert_eq!((job.name.as_str(), job.output), ("x", "x.ko".into()));
    }

    #[test]
    fn a_refused_source_leaves_the_old_module() {
        let dir = dir_with(&[("bad.c", "int x = ;\n"), ("bad.ko", "old")]);
        let output = dir.path().join("bad.ko");
        let options = Options {
            output: Some(output.clone()),
            ..Options::default()
        };
        let result = build(&[dir.path().join("bad.c")], &options);
        assert!(matches!(result, Err(Error::Compiler)), "{result:?}");
        assert_eq!(fs::read_to_string(output).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = dir_with(&[("x.txt", "")]);
        let options = Options::default();
        assert!(told(build(&[dir.path().into()], &options)).contains("no .c file"));
        let file = dir.path().join("x.txt");
        assert!(told(build(&[file], &options)).contains("no C source"));
        let file = dir.path().join("missing.c");
        assert!(told(build(&[file], &options)).contains("No such file"));

        let dir = dir_with(&[("x.c", HELLO)]);
        let named = Options {
            name: Some("a\"b".into()),
            ..Options::default()
        };
        assert!(told(build(&[dir.path().into()], &named)).contains("--name"));
        let with = Options {
            name: Some("x".into()),
            cc: Some("no-such-compiler -m64".into()),
            ..Options::default()
        };
        assert!(told(build(&[dir.path().into()], &with)).contains("no-such-compiler"));
    }
}

//! The modules: their C, made here, and what compilers make of it for each loader.

use crate::services;
use crate::{EXPORT, Result};
use kmod_tools::kbindings::module as LinuxModule;
use std::fmt::Write as _;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

/// For what runs without a C library.
const FLAGS: [&str; 4] = [
    "-O2",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
];

/// Runs the C compiler.
pub(crate) fn cc(flags: &[&str], source: &Path, output: &Path) -> Result<()> {
    let mut command = Command::new("cc");
    command
        .args(FLAGS)
        .args(flags)
        .arg("-o")
        .args([output, source]);
    run(&mut command)
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status();
    let shown = format!("{command:?}");
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// One module, in the form that each loader takes.
#[derive(Clone, Debug)]
pub(crate) struct Forms {
    /// What `modfs build` makes.
    pub(crate) modfs: PathBuf,
    /// A shared object, without a C library: dlopen's best case.
    pub(crate) shared: PathBuf,
    /// An object with code that calls near.
    pub(crate) object: PathBuf,
    /// An object as kmod-loader needs it: no near calls, a `struct module` of Linux 6.6.
    pub(crate) linux: PathBuf,
}

/// Its init calls `imports` functions, spread over all `exports` of the host, and fails unless
/// the answer is right; its export gives the answer.
pub(crate) fn importing(dir: &Path, imports: usize, exports: usize) -> Result<(Forms, i64)> {
    let numbers = (0..imports).map(|i| i * (exports / imports));
    let answer = numbers
        .clone()
        .fold(1, |n, number| services::value(number, n));
    let names: Vec<String> = numbers.map(services::name).collect();
    let mut text = String::from(HEAD);
    for name in &names {
        let _ = writeln!(text, "extern unsigned long {name}(unsigned long);");
    }
    let _ = write!(
        text,
        "static unsigned long state;\n\
         unsigned long {EXPORT}(void);\n\
         unsigned long {EXPORT}(void) {{ return state; }}\n\
         int init_module(void);\nint init_module(void)\n{{\n\tunsigned long n = 1;\n"
    );
    for name in &names {
        let _ = writeln!(text, "\tn = {name}(n);");
    }
    let _ = write!(
        text,
        "\tstate = n;\n\treturn n == {}ul ? 0 : -22;\n}}\n\
         void cleanup_module(void);\nvoid cleanup_module(void) {{ state = 0; }}\n",
        answer as u64
    );
    text += &tail(&[EXPORT]);
    Ok((
        compile(dir, &format!("m{imports}of{exports}"), &text)?,
        answer,
    ))
}

const HEAD: &str = "#ifdef __KERNEL__\n#include <linux/module.h>\n#endif\n";

/// What a module says of itself, for the loaders that read it.
fn tail(exports: &[&str]) -> String {
    let (init, exit) = (offset_of!(LinuxModule, init), offset_of!(LinuxModule, exit));
    let mut text = String::from("#ifdef __KERNEL__\n");
    for export in exports {
        let _ = writeln!(text, "EXPORT_SYMBOL({export});");
    }
    let _ = write!(
        text,
        "MODULE_LICENSE(\"GPL\");\n#endif\n\
         #ifdef LINUX\n\
         static const char info[] __attribute__((section(\".modinfo\"), used)) = \"name=bench\";\n\
         static struct {{\n\
         \tchar before[{init}];\n\tint (*init)(void);\n\
         \tchar between[{}];\n\tvoid (*exit)(void);\n\tchar after[{}];\n\
         }} __attribute__((packed, aligned(64)))\n\
         this_module __attribute__((section(\".gnu.linkonce.this_module\"), used)) = {{\n\
         \t.init = init_module, .exit = cleanup_module,\n}};\n#endif\n",
        exit - init - 8,
        size_of::<LinuxModule>() - exit - 8,
    );
    text
}

fn compile(dir: &Path, name: &str, text: &str) -> Result<Forms> {
    let source = dir.join(format!("{name}.c"));
    fs::write(&source, text).map_err(|e| format!("{}: {e}", source.display()))?;
    let forms = Forms {
        modfs: source.with_extension("ko"),
        shared: source.with_extension("so"),
        object: source.with_extension("o"),
        linux: source.with_extension("linux.o"),
    };
    let options = modfs_build::Options {
        output: Some(forms.modfs.clone()),
        ..modfs_build::Options::default()
    };
    modfs_build::build(std::slice::from_ref(&source), &options).map_err(|e| e.to_string())?;
    cc(&["-fPIC", "-shared", "-nostdlib"], &source, &forms.shared)?;
    cc(&["-fPIC", "-c"], &source, &forms.object)?;
    let linux = ["-fno-pic", "-mcmodel=large", "-DLINUX", "-c"];
    cc(&linux, &source, &forms.linux)?;
    Ok(forms)
}

/// How many imports a module of the crowd has.
const CROWD_IMPORTS: usize = 10;
/// What tells the modules of a crowd apart; as long as what takes its place.
const CROWD_NAME: &str = "crowd_0000";
const CROWD_NUMBER: i64 = 0x5a5a_5a5a_5a5a_5a5a;

/// A name of one of the crowd: `crowd_0017`, to which `_a`, `_b`, `_c` are its exports.
pub(crate) fn crowd_name(number: usize) -> String {
    format!("crowd_{number:04}")
}

/// What the first export of one of the crowd returns.
pub(crate) fn crowd_answer(number: usize, exports: usize) -> i64 {
    let mut n = number as i64;
    for i in 0..CROWD_IMPORTS {
        n = services::value(i * (exports / CROWD_IMPORTS), n);
    }
    n
}

/// Many different modules of 10 imports, 3 exports and 264 bytes of data: `crowd_0017.ko`, `.so`
/// and `.o`. Compiled once; then names and data are replaced.
pub(crate) fn crowd(dir: &Path, count: usize, exports: usize) -> Result<()> {
    let names: Vec<String> = (0..CROWD_IMPORTS)
        .map(|i| services::name(i * (exports / CROWD_IMPORTS)))
        .collect();
    let mut text = String::from(HEAD);
    let mut calls = String::new();
    for name in &names {
        let _ = writeln!(text, "extern unsigned long {name}(unsigned long);");
        let _ = writeln!(calls, "\tn = {name}(n);");
    }
    let _ = write!(
        text,
        "static volatile unsigned long data[33] = {{ {CROWD_NUMBER}, 1, 2, 3, 4 }};\n\
         static unsigned long state;\n\
         unsigned long {0}_a(void);\nunsigned long {0}_a(void) {{ return state; }}\n\
         unsigned long {0}_b(void);\nunsigned long {0}_b(void) {{ return data[1]; }}\n\
         unsigned long {0}_c(unsigned long);\n\
         unsigned long {0}_c(unsigned long n) {{ return data[n & 31]++; }}\n\
         int init_module(void);\nint init_module(void)\n{{\n\
         \tunsigned long n = data[0];\n{calls}\tstate = n;\n\treturn 0;\n}}\n\
         void cleanup_module(void);\nvoid cleanup_module(void) {{ state = 0; }}\n",
        CROWD_NAME
    );
    let exported = ["_a", "_b", "_c"].map(|end| format!("{CROWD_NAME}{end}"));
    text += &tail(&exported.each_ref().map(String::as_str));
    let work = dir.join("template");
    fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
    let forms = compile(&work, CROWD_NAME, &text)?;
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let templates = [(read(&forms.modfs)?, "ko"), (read(&forms.object)?, "o")];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let templates = &templates;
                scope.spawn(move || {
                    (first..count)
                        .step_by(threads)
                        .try_for_each(|number| one_of_crowd(dir, templates, number))
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}

fn one_of_crowd(dir: &Path, templates: &[(Vec<u8>, &str)], number: usize) -> Result<()> {
    let name = crowd_name(number);
    for (template, extension) in templates {
        let mut bytes = template.clone();
        replace(&mut bytes, CROWD_NAME.as_bytes(), name.as_bytes());
        let data = (number as i64).to_le_bytes();
        replace(&mut bytes, &CROWD_NUMBER.to_le_bytes(), &data);
        let path = dir.join(format!("{name}.{extension}"));
        fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    // As cc calls it.
    let mut link = Command::new("ld");
    link.args([
        "-shared",
        "--build-id",
        "--hash-style=gnu",
        "-z",
        "noexecstack",
        "-o",
    ]);
    run(link
        .arg(format!("{name}.so"))
        .arg(format!("{name}.o"))
        .current_dir(dir))
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let found: Vec<usize> = (0..=bytes.len() - old.len())
        .filter(|at| bytes[*at..].starts_with(old))
        .collect();
    assert!(!found.is_empty(), "nothing to replace");
    for at in found {
        bytes[at..at + old.len()].copy_from_slice(new);
    }
}

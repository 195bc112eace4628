//! The time that checksums of a large object take, beside what else reads or makes it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Structures of the object, and of how many one is the parameter of an export.
const STRUCTURES: usize = 45_000;
const EXPORTS: usize = 500;
/// Beyond so many no chain of pointers goes.
const CHAIN: usize = 40;
const ROUNDS: usize = 5;

/// Makes the object, and prints the medians.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    crate::cargo(&["build", "--release", "--package", "modfs-cli"], &[])?;
    let at = root.join("target/symvers");
    let told = |e: std::io::Error| format!("{}: {e}", at.display());
    fs::create_dir_all(&at).map_err(told)?;
    fs::write(at.join("large.c"), source()).map_err(told)?;
    let modfs = root.join("target/release/modfs");
    let modfs = || Command::new(&modfs);
    timed(modfs().args(["headers", "include"]), &at)?;
    let mut compile = Command::new("gcc");
    compile.args([
        "-g",
        "-O1",
        "-c",
        "-ffreestanding",
        "-DMODULE",
        "-I",
        "include",
    ]);
    compile.args(["large.c", "-o", "large.o"]);
    timed(&mut compile, &at)?;
    let bytes = fs::metadata(at.join("large.o")).map_err(told)?.len();
    println!(
        "An object of {:.1} MB: {STRUCTURES} structures, {EXPORTS} exports. Seconds, medians of {ROUNDS}:",
        bytes as f64 / 1e6
    );
    let mut read = Command::new("readelf");
    read.args(["--debug-dump=info", "large.o"]);
    let mut symvers = modfs();
    symvers.args(["symvers", "large.o"]);
    for (name, command) in [
        ("modfs symvers", &mut symvers),
        ("readelf --debug-dump=info", &mut read),
        ("gcc -g -O1, which makes it", &mut compile),
    ] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            times.push(timed(command, &at)?);
        }
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.2}", times[ROUNDS / 2]);
    }
    Ok(())
}

fn timed(command: &mut Command, at: &Path) -> Result<f64, String> {
    let began = Instant::now();
    let status = command.current_dir(at).stdout(Stdio::null()).status();
    let status = status.map_err(|e| format!("{command:?}: {e}"))?;
    match status.success() {
        true => Ok(began.elapsed().as_secs_f64()),
        false => Err(format!("{command:?}: {status}")),
    }
}

/// Structures, each with pointers to two before it.
fn source() -> String {
    let mut text = String::from("#include <linux/module.h>\n");
    for n in 0..STRUCTURES {
        let before: String = [1, 7]
            .into_iter()
            .filter(|back| n % CHAIN >= *back)
            .map(|back| format!("struct s{} *back{back}; ", n - back))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "struct s{n} {{ int a{n}; unsigned b{n} : 3; const char *name{n}; {before}\
             int (*call{n})(struct s{n} *, unsigned long); }};"
        );
        if n % CHAIN == CHAIN - 1 || n % (STRUCTURES / EXPORTS) == 0 {
            // All are kept, and some exported.
            let _ = writeln!(text, "extern struct s{n} *v{n}; struct s{n} *v{n};");
        }
        if n % (STRUCTURES / EXPORTS) == 0 {
            let _ = writeln!(
                text,
                "int f{n}(struct s{n} *s, int n); int f{n}(struct s{n} *s, int n) {{ return n; }}\n\
                 EXPORT_SYMBOL(f{n});"
            );
        }
    }
    text
}

//! `modfs genksyms` beside the genksyms of Debian's kbuild package, on Debian's kernel headers.

use crate::kmod::{KERNELS, Work, depends, differences, make_dir, output};
use crate::qemu::headers;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// What is included; all that is declared, and that the kernel exports, is compared.
const HEADERS: [&str; 24] = [
    "linux/module.h",
    "linux/slab.h",
    "linux/fs.h",
    "linux/mm.h",
    "linux/netdevice.h",
    "linux/skbuff.h",
    "linux/pci.h",
    "linux/usb.h",
    "linux/blkdev.h",
    "linux/interrupt.h",
    "linux/workqueue.h",
    "linux/crypto.h",
    "crypto/hash.h",
    "net/sock.h",
    "net/ip.h",
    "linux/tty.h",
    "linux/input.h",
    "linux/i2c.h",
    "linux/cdev.h",
    "linux/proc_fs.h",
    "linux/rtnetlink.h",
    "scsi/scsi_host.h",
    "linux/libata.h",
    "linux/buffer_head.h",
];
/// Fewer are no comparison.
const LEAST: usize = 300;

/// What a source has of its own: others cannot look into it.
const OWN: &str = "struct own { int a; }; enum own_e { OWN }; typedef struct own own_t;\n\
                   extern void own_function(own_t *, struct own, enum own_e, int [OWN]);\n";

/// Compares both: every checksum, every type that they are of, and what is said of types that have changed.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let work = Work::prepare(root)?;
    let package = depends(KERNELS[0])?;
    let version = package.trim_start_matches("linux-image-");
    let own = headers(&work, version)?;
    let at = work.dir.join("genksyms");
    make_dir(&at)?;
    let source = at.join("source.i");
    preprocess(&own, version, &source)?;
    let theirs = fs::read_dir(own.join("..").join("..").join("lib"))
        .map_err(|e| format!("{}: {e}", own.display()))?
        .flatten()
        .map(|entry| entry.path().join("scripts/genksyms/genksyms"))
        .find(|path| path.is_file())
        .ok_or("no genksyms in linux-kbuild")?;
    let ours = || {
        let mut command = Command::new(&work.modfs);
        command.arg("genksyms");
        command
    };
    let (wanted, types) = made(&mut Command::new(&theirs), &source, &at.join("theirs"))?;
    let (found, own_types) = made(&mut ours(), &source, &at.join("ours"))?;
    let count = wanted.lines().count();
    let lines = types.lines().count();
    println!("{count} exported symbols of Linux {version}, of {lines} types");
    if count < LEAST {
        return Err(format!("that is fewer than {LEAST}"));
    }
    let before = at.join("before");
    fs::write(&before, another(&types)).map_err(|e| format!("{}: {e}", before.display()))?;
    let wanted_changes = changes(&mut Command::new(&theirs), &source, &before)?;
    let found_changes = changes(&mut ours(), &source, &before)?;
    println!("{} changed since", wanted_changes.lines().count());
    for (wanted, found) in [
        (&wanted, &found),
        (&types, &own_types),
        (&wanted_changes, &found_changes),
    ] {
        if wanted != found {
            return Err(differences(wanted, found).join("\n"));
        }
    }
    Ok(())
}

/// What a program prints for a source, and the types that it writes.
fn made(program: &mut Command, source: &Path, types: &Path) -> Result<(String, String), String> {
    let sums = output(program.arg("-T").arg(types).stdin(input(source)?))?;
    let types = fs::read_to_string(types).map_err(|e| format!("{}: {e}", types.display()))?;
    Ok((sums, types))
}

/// What a program says has changed since some types were written; without what differs by design: who says it.
fn changes(program: &mut Command, source: &Path, before: &Path) -> Result<String, String> {
    let program = program.arg("-r").arg(before).stdin(input(source)?);
    let ran = program.output().map_err(|e| format!("{program:?}: {e}"))?;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let lines = said
        .lines()
        .filter_map(|line| line.split_once(": warning: "));
    Ok(lines.map(|(_, what)| format!("{what}\n")).collect())
}

fn input(path: &Path) -> Result<Stdio, String> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Stdio::from(file))
}

/// The types as they might have been before: some other ones, some only declared.
fn another(types: &str) -> String {
    let line = |(number, line): (usize, &str)| match line.strip_prefix("s#") {
        Some(rest) if number % 91 == 7 => {
            let name = rest.split(' ').next().unwrap_or_default();
            format!("s#{name} struct {name} {{ UNKNOWN }} \n")
        }
        _ if number % 37 == 5 => format!("{line}another \n"),
        _ => format!("{line}\n"),
    };
    types.lines().enumerate().map(line).collect()
}

/// Preprocesses the headers as the kernel's build does, and exports whatever of it the kernel exports.
fn preprocess(own: &Path, version: &str, to: &Path) -> Result<(), String> {
    let (base, _) = version
        .rsplit_once('-')
        .ok_or("a version without a flavour")?;
    let common = own.with_file_name(format!(
        "linux-headers-{}-common",
        base.trim_end_matches("-cloud")
    ));
    let io = |e: std::io::Error| format!("{}: {e}", to.display());
    let mut includes = String::new();
    for header in HEADERS {
        includes += &format!("#include <{header}>\n");
    }
    includes += OWN;
    let input = to.with_extension("c");
    fs::write(&input, includes).map_err(io)?;
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-E",
        "-fno-pie",
        "-nostdinc",
        "-std=gnu11",
        "-D__KERNEL__",
        "-D__GENKSYMS__",
    ]);
    gcc.args([
        "-DMODULE",
        "-DKBUILD_MODNAME=\"x\"",
        "-DKBUILD_BASENAME=\"x\"",
    ]);
    for folder in [
        common.join("arch/x86/include"),
        own.join("arch/x86/include/generated"),
        common.join("include"),
        own.join("include"),
        common.join("arch/x86/include/uapi"),
        own.join("arch/x86/include/generated/uapi"),
        common.join("include/uapi"),
        own.join("include/generated/uapi"),
    ] {
        gcc.arg("-I").arg(folder);
    }
    for first in ["compiler-version.h", "kconfig.h", "compiler_types.h"] {
        gcc.arg("-include")
            .arg(common.join("include/linux").join(first));
    }
    let mut text = output(gcc.arg(&input))?;
    let symvers = own.join("Module.symvers");
    let symvers =
        fs::read_to_string(&symvers).map_err(|e| format!("{}: {e}", symvers.display()))?;
    let mut exported: Vec<&str> = symvers
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    exported.sort_unstable();
    exported.dedup();
    let is_part = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let words: std::collections::HashSet<&str> = text.split(is_part).collect();
    let exports: String = exported
        .into_iter()
        .filter(|name| words.contains(name))
        .chain(["own_function"])
        .map(|name| format!("__GENKSYMS_EXPORT_SYMBOL({name});\n"))
        .collect();
    text += &exports;
    fs::write(to, text).map_err(io)
}

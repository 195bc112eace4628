//! depmod and modprobe on small trees of modules made here. Needs gcc, xz and zstd.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const MODFS: &str = env!("CARGO_BIN_EXE_modfs");
const VERSION: &str = "6.1.0-test";

/// A root directory with modules.
struct Root {
    dir: TempDir,
}

impl Root {
    fn new() -> Root {
        let dir = tempfile::tempdir().unwrap();
        let root = Root { dir };
        for file in [
            "modules.order",
            "modules.builtin",
            "modules.builtin.modinfo",
        ] {
            root.write(file, b"");
        }
        fs::create_dir_all(root.path("etc")).unwrap();
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the version directory.
    fn file(&self, name: &str) -> PathBuf {
        self.path("lib/modules").join(VERSION).join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.file(name)).unwrap()).unwrap()
    }

    /// A module at a path, which exports and imports symbols and says things of itself.
    fn module(&self, path: &str, exports: &[&str], imports: &[&str], info: &[&str]) -> PathBuf {
        let mut text = String::new();
        for name in exports {
            text += &format!(
                "void {name}(void) {{}}\n\
                 __asm__(\".section __ksymtab,\\\"a\\\"\\n__ksymtab_{name}: .quad {name}\\n\
                 .previous\");\n"
            );
        }
        for name in imports {
            text += &format!("extern void {name}(void);\nvoid *use_{name} = (void *){name};\n");
        }
        for (number, line) in info.iter().enumerate() {
            text += &format!(
                "static const char info_{number}[] \
                 __attribute__((section(\".modinfo\"), used)) = \"{line}\";\n"
            );
        }
        let source = self.path("module.c");
        fs::write(&source, text).unwrap();
        let object = self.file(path);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-c", "-w", "-o"]).arg(&object).arg(&source);
        ok(&gcc.output().expect("this test needs gcc"));
        object
    }

    fn tool(&self, tool: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(MODFS);
        command.arg(tool).args(arguments);
        for name in ["MODFS_TREE", "MODFS_MODULES", "MODPROBE_OPTIONS"] {
            command.env_remove(name);
        }
        command.output().unwrap()
    }

    fn depmod(&self, arguments: &[&str]) -> Output {
        let root = self.dir.path().to_str().unwrap();
        self.tool("depmod", &[&["-b", root, VERSION], arguments].concat())
    }

    fn modprobe(&self, arguments: &[&str]) -> Output {
        let root = self.dir.path().to_str().unwrap();
        let config = self.path("etc");
        let fixed = ["-d", root, "-S", VERSION, "-C", config.to_str().unwrap()];
        self.tool("modprobe", &[&fixed[..], arguments].concat())
    }

    /// What modprobe prints, without the path of the version directory.
    fn planned(&self, arguments: &[&str]) -> String {
        let directory = format!("{}/", self.file("").display());
        ok(&self.modprobe(arguments)).replace(&directory.replace("//", "/"), "")
    }

    fn configure(&self, text: &str) {
        fs::write(self.path("etc/test.conf"), text).unwrap();
    }
}

fn ok(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a tool that fails with 1 says.
fn fails(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Packs a file; the plain one goes.
fn pack(tool: &str, file: &Path) {
    let mut command = Command::new(tool);
    command.args([OsStr::new("-q"), OsStr::new("-f"), file.as_os_str()]);
    let status = command.status();
    assert!(
        status
            .unwrap_or_else(|e| panic!("this test needs {tool}: {e}"))
            .success()
    );
    // zstd keeps it.
    let _ = fs::remove_file(file);
}

/// base <- middle <- top, each with things to say.
fn three() -> Root {
    let root = Root::new();
    root.module(
        "kernel/base.ko",
        &["base_f", "base_g"],
        &["printk"],
        &["alias=pci:v*d1*"],
    );
    root.module(
        "kernel/sub/mid-dle.ko",
        &["mid_f"],
        &["base_f"],
        &["softdep=pre: soft"],
    );
    root.module(
        "kernel/top.ko",
        &[],
        &["mid_f", "base_g"],
        &["alias=usb:*", "weakdep=base"],
    );
    root.module(
        "kernel/soft.ko",
        &[],
        &[],
        &["alias=devname:soft", "alias=char-major-10-7"],
    );
    root
}

#[test]
fn the_texts_of_depmod() {
    let root = three();
    root.write("modules.order", b"kernel/top.ko\nkernel/soft.ko\n");
    ok(&root.depmod(&[]));
    let dep = root.read("modules.dep");
    assert_eq!(
        dep.lines().take(2).collect::<Vec<_>>(),
        [
            "kernel/top.ko: kernel/sub/mid-dle.ko kernel/base.ko",
            "kernel/soft.ko:"
        ]
    );
    assert!(
        dep.contains("kernel/sub/mid-dle.ko: kernel/base.ko\n"),
        "{dep}"
    );
    let alias = root.read("modules.alias");
    assert!(
        alias.starts_with("# Aliases extracted from modules themselves.\n"),
        "{alias}"
    );
    assert!(alias.contains("alias pci:v*d1* base\n") && alias.contains("alias usb:* top\n"));
    assert!(
        root.read("modules.symbols")
            .contains("alias symbol:mid_f mid_dle\n")
    );
    assert!(
        root.read("modules.softdep")
            .ends_with("softdep mid_dle pre: soft\n")
    );
    assert!(root.read("modules.weakdep").ends_with("weakdep top base\n"));
    assert!(root.read("modules.devname").ends_with("soft soft c10:7\n"));
    // Printed, not written.
    fs::remove_file(root.file("modules.dep")).unwrap();
    let shown = ok(&root.depmod(&["-n"]));
    assert!(
        shown.starts_with(&dep) && shown.contains("symbol:base_f"),
        "{shown}"
    );
    assert!(!root.file("modules.dep").exists());
    // Elsewhere.
    let elsewhere = root.path("elsewhere/lib/modules").join(VERSION);
    fs::create_dir_all(&elsewhere).unwrap();
    ok(&root.depmod(&["-o", root.path("elsewhere").to_str().unwrap()]));
    assert_eq!(
        fs::read_to_string(elsewhere.join("modules.dep")).unwrap(),
        dep
    );
}

#[test]
fn packed_modules_are_read_whatever_they_are_called() {
    let plain = three();
    ok(&plain.depmod(&[]));
    for (tool, end) in [("xz", "xz"), ("zstd", "zst"), ("gzip", "gz")] {
        let root = three();
        for file in ["base", "sub/mid-dle", "top", "soft"] {
            pack(tool, &root.file(&format!("kernel/{file}.ko")));
        }
        ok(&root.depmod(&[]));
        let dep = root
            .read("modules.dep")
            .replace(&format!(".ko.{end}"), ".ko");
        assert_eq!(dep, plain.read("modules.dep"), "{tool}");
        assert_eq!(
            root.read("modules.symbols"),
            plain.read("modules.symbols"),
            "{tool}"
        );
        // By content, not by name.
        fs::rename(
            root.file(&format!("kernel/top.ko.{end}")),
            root.file("kernel/top.ko"),
        )
        .unwrap();
        ok(&root.depmod(&[]));
        assert!(
            root.read("modules.dep").contains("kernel/top.ko: "),
            "{tool}"
        );
    }
}

#[test]
fn an_unchanged_module_is_not_read_again() {
    let root = three();
    let told = |arguments: &[&str]| {
        let output = root.depmod(&[&["-v"], arguments].concat());
        ok(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(told(&[]), "depmod: 4 modules, 4 of them read\n");
    let before = root.read("modules.dep");
    let cache = root.file("modules.modfs.cache");
    let known = fs::read(&cache).unwrap();
    ok(&root.depmod(&[]));
    assert_eq!(
        (root.read("modules.dep"), fs::read(&cache).unwrap()),
        (before.clone(), known)
    );
    // A module that changes is.
    root.module("kernel/base.ko", &["base_f"], &[], &[]);
    assert_eq!(told(&[]), "depmod: 4 modules, 1 of them read\n");
    assert!(!root.read("modules.symbols").contains("base_g"));
    // A damaged cache is as none.
    root.module(
        "kernel/base.ko",
        &["base_f", "base_g"],
        &[],
        &["alias=pci:v*d1*"],
    );
    fs::write(&cache, b"modfs depmod 1\n\0rubbish").unwrap();
    assert!(
        told(&[])
            .ends_with("is damaged: every module is read\ndepmod: 4 modules, 4 of them read\n")
    );
    assert_eq!(root.read("modules.dep"), before);
}

#[test]
fn of_two_modules_of_a_name_the_one_in_updates_counts() {
    let root = three();
    root.module(
        "updates/dkms/base.ko",
        &["base_f", "base_g", "base_new"],
        &[],
        &[],
    );
    ok(&root.depmod(&[]));
    let dep = root.read("modules.dep");
    assert!(
        dep.contains("updates/dkms/base.ko:\n") && !dep.contains("kernel/base.ko"),
        "{dep}"
    );
    assert!(
        root.read("modules.symbols")
            .contains("symbol:base_new base")
    );
}

#[test]
fn depmod_obeys_its_configuration() {
    let root = three();
    let base: &[&str] = &["base_f", "base_g"];
    for folder in ["weak", "extra", "old"] {
        root.module(&format!("{folder}/base.ko"), base, &[], &[]);
    }
    let config = root.path("depmod.conf");
    let chosen = |text: &str| {
        fs::write(&config, text).unwrap();
        ok(&root.depmod(&["-C", config.to_str().unwrap()]));
        let dep = root.read("modules.dep");
        let line = dep.lines().find(|line| line.ends_with("base.ko:"));
        line.unwrap_or_else(|| panic!("{dep}")).to_owned()
    };
    assert_eq!(chosen("search extra weak built-in\n"), "extra/base.ko:");
    assert_eq!(chosen("search weak extra\n"), "weak/base.ko:");
    assert_eq!(
        chosen("search extra\noverride base ^6 old\n"),
        "old/base.ko:"
    );
    assert_eq!(chosen("exclude extra weak old\n"), "kernel/base.ko:");
    let outside = root.path("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::rename(root.file("extra/base.ko"), outside.join("base.ko")).unwrap();
    let external = format!(
        "external * {}\nsearch external built-in\n",
        outside.display()
    );
    assert_eq!(chosen(&external), format!("{}/base.ko:", outside.display()));
}

#[test]
fn depmod_checks_against_the_kernel() {
    let root = three();
    root.module("kernel/lost.ko", &[], &["nobody_f"], &[]);
    let file = |name: &str, text: &str| {
        fs::write(root.path(name), text).unwrap();
        root.path(name).to_str().unwrap().to_owned()
    };
    let told = |arguments: &[&str]| {
        let output = root.depmod(arguments);
        ok(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    let map = file("System.map", "0 r __ksymtab_printk\n");
    let said = told(&["-e", "-F", &map]);
    assert!(
        said.contains("lost.ko needs unknown symbol nobody_f"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let symvers = file(
        "Module.symvers",
        "0x00000007\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n",
    );
    let said = told(&["-E", &symvers]);
    assert!(
        said.contains("base.ko disagrees about version of symbol printk"),
        "{said}"
    );
    assert!(told(&["-e"]).contains("-e needs -E or -F"));
    fails(&root.depmod(&["-E", &symvers, "-F", &map]));
    fails(&root.depmod(&["-F", "/nonexistent"]));
}

#[test]
fn a_quick_depmod_does_nothing_when_nothing_is_newer() {
    let root = three();
    ok(&root.depmod(&["-A"]));
    fs::write(root.file("modules.alias"), "kept").unwrap();
    ok(&root.depmod(&["-A"]));
    assert_eq!(root.read("modules.alias"), "kept");
    std::thread::sleep(std::time::Duration::from_millis(20));
    root.module("kernel/new.ko", &[], &[], &[]);
    ok(&root.depmod(&["-A"]));
    assert!(root.read("modules.dep").contains("new.ko"));
}

#[test]
fn what_is_damaged_is_named_and_left_out() {
    let root = three();
    let cases: [(&str, &[u8], &str); 5] = [
        ("kernel/empty.ko", b"", "truncated: 0 bytes"),
        (
            "kernel/text.ko",
            b"#!/bin/sh\necho a module\n",
            "not an ELF object",
        ),
        (
            "kernel/cut-x.ko.xz",
            b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0",
            "xz data ends too early",
        ),
        (
            "kernel/cut-s.ko.zst",
            b"\x28\xb5\x2f\xfd\x04\x58",
            "zstd data ends too early",
        ),
        (
            "kernel/cut-g.ko.gz",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\xff\xff\xff\xff\xff\xff\xff\x3f",
            "gzip",
        ),
    ];
    for (name, bytes, _) in &cases {
        root.write(name, bytes);
    }
    let whole = fs::read(root.file("kernel/base.ko")).unwrap();
    root.write("kernel/half.ko", &whole[..whole.len() / 2]);
    fs::create_dir_all(root.file("kernel/folder.ko")).unwrap();
    symlink("nowhere", root.file("kernel/gone.ko")).unwrap();
    symlink("..", root.file("kernel/sub/loop")).unwrap();
    let fifo = root.file("kernel/fifo.ko");
    ok(&Command::new("mkfifo").arg(&fifo).output().unwrap());
    let said = fails(&root.depmod(&[]));
    for (name, _, why) in &cases {
        let line = said.lines().find(|line| line.contains(name));
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{name}: {said}"
        );
    }
    for name in ["half.ko", "gone.ko", "fifo.ko"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    // All the rest is there.
    let dep = root.read("modules.dep");
    assert!(
        dep.contains("kernel/top.ko: kernel/sub/mid-dle.ko kernel/base.ko\n"),
        "{dep}"
    );
    assert_eq!(dep.lines().count(), 4, "{dep}");
}

#[test]
fn modules_that_need_each_other_are_told_and_nothing_is_written() {
    let root = Root::new();
    root.module("kernel/a.ko", &["fa"], &["fb"], &[]);
    root.module("kernel/b.ko", &["fb"], &["fa"], &[]);
    root.module("kernel/c.ko", &[], &[], &[]);
    let said = fails(&root.depmod(&[]));
    assert!(said.contains("depmod: ERROR: Cycle detected: "), "{said}");
    assert!(
        said.contains("Found 2 modules in dependency cycles!"),
        "{said}"
    );
    assert!(!root.file("modules.dep").exists());
}

/// Needs root, to mount a file system that is full.
#[test]
fn without_space_the_old_indexes_stay() {
    let root = three();
    let small = root.path("small");
    fs::create_dir_all(&small).unwrap();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=64k", "none"])
        .arg(&small);
    let mounted = mount.output().unwrap();
    assert!(
        mounted.status.success(),
        "this test needs root: {}",
        String::from_utf8_lossy(&mounted.stderr)
    );
    let output = small.join("lib/modules").join(VERSION);
    fs::create_dir_all(&output).unwrap();
    let to = small.to_str().unwrap();
    ok(&root.depmod(&["-o", to]));
    let before = fs::read(output.join("modules.dep")).unwrap();
    root.module("kernel/more.ko", &[], &[], &["alias=more"]);
    fs::write(small.join("fill"), vec![0; 1 << 20]).unwrap_err();
    let said = fails(&root.depmod(&["-o", to]));
    let after = fs::read(output.join("modules.dep")).unwrap();
    let left: Vec<_> = fs::read_dir(&output)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    ok(&Command::new("umount").arg(&small).output().unwrap());
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(before, after);
    assert_eq!(left, [""; 0], "temporary files are left");
}

/// Killed at any moment, each index is whole, old or new.
#[test]
fn killed_midway_each_index_is_whole() {
    let root = three();
    ok(&root.depmod(&[]));
    let names = [
        "modules.dep",
        "modules.dep.bin",
        "modules.alias",
        "modules.symbols.bin",
    ];
    let read = || names.map(|name| fs::read(root.file(name)).unwrap());
    let old = read();
    root.module("kernel/more.ko", &["more_f"], &["base_f"], &["alias=more"]);
    let new_dir = root.path("new/lib/modules").join(VERSION);
    fs::create_dir_all(&new_dir).unwrap();
    ok(&root.depmod(&["-o", root.path("new").to_str().unwrap()]));
    let new = names.map(|name| fs::read(new_dir.join(name)).unwrap());
    for delay in 0..60u64 {
        let mut command = Command::new(MODFS);
        command
            .args(["depmod", "--rebuild", "-b"])
            .arg(root.dir.path())
            .arg(VERSION);
        let mut child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(delay * 250));
        // It may have ended already.
        let _ = child.kill();
        child.wait().unwrap();
        for ((now, old), new) in read().iter().zip(&old).zip(&new) {
            assert!(now == old || now == new, "after {delay}");
        }
    }
}

#[test]
fn modprobe_shows_what_it_would_do() {
    let root = three();
    ok(&root.depmod(&[]));
    let all = "insmod kernel/base.ko \ninsmod kernel/soft.ko \ninsmod kernel/sub/mid-dle.ko \n\
               insmod kernel/top.ko ";
    assert_eq!(root.planned(&["-D", "top"]), format!("{all}\n"));
    assert_eq!(
        root.planned(&["-D", "top", "a=1", "b=x y"]),
        format!("{all}a=1 b=\"x y\"\n")
    );
    assert_eq!(root.planned(&["-D", "usb:v1"]), format!("{all}\n"));
    assert_eq!(root.planned(&["-R", "symbol:mid_f"]), "mid_dle\n");
    assert_eq!(root.planned(&["-R", "pci:v8086d1533"]), "base\n");
    assert_eq!(
        root.planned(&["-n", "mid-dle"]),
        root.planned(&["-D", "mid_dle"])
    );
    let said = fails(&root.modprobe(&["-D", "nosuch"]));
    assert!(
        said.starts_with("modprobe: FATAL: Module nosuch not found in directory /"),
        "{said}"
    );
    assert_eq!(fails(&root.modprobe(&["-q", "-D", "nosuch"])), "");
    let both = root.modprobe(&["-a", "-D", "nosuch", "base"]);
    assert!(String::from_utf8_lossy(&both.stdout).contains("base.ko"));
    assert!(fails(&both).starts_with("modprobe: WARNING: Module nosuch"));
    let why = root.planned(&["--explain", "usb:v1"]);
    for wanted in [
        "usb:v1 is top, by an alias of its own",
        "1. base: insert kernel/base.ko\n   because top uses its symbols",
        "because a softdep of mid_dle wants it before\n   if it fails the rest goes on",
        "4. top: insert kernel/top.ko\n   because it was asked for",
    ] {
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
}

#[test]
fn modprobe_obeys_its_configuration() {
    let root = three();
    root.write("modules.builtin", b"kernel/built-in.ko\n");
    root.write(
        "modules.builtin.modinfo",
        b"built_in.alias=fs-builtin\0built_in.license=GPL\0",
    );
    ok(&root.depmod(&[]));
    root.configure("alias my-* base\noptions base x=1\noptions my_alias y=2\nblacklist soft\n");
    assert_eq!(
        root.planned(&["-D", "my-alias"]),
        "insmod kernel/base.ko x=1 y=2 \n"
    );
    assert_eq!(root.planned(&["-D", "soft"]), "insmod kernel/soft.ko \n");
    assert_eq!(root.planned(&["-b", "-D", "soft"]), "");
    assert_eq!(root.planned(&["-D", "built-in"]), "builtin built_in\n");
    assert_eq!(root.planned(&["-R", "fs-builtin"]), "built_in\n");
    // Several softdep lines add up, and a command counts beside them.
    root.configure(
        "softdep top pre: soft\nsoftdep top post: built-in\ninstall top /bin/echo $CMDLINE_OPTS\n",
    );
    let planned = root.planned(&["-D", "top", "z=3"]);
    assert!(planned.contains("insmod kernel/soft.ko \n"), "{planned}");
    assert!(
        planned.ends_with("install /bin/echo $CMDLINE_OPTS z=3\nbuiltin built_in\n"),
        "{planned}"
    );
    assert!(
        root.planned(&["-i", "-D", "top"])
            .contains("insmod kernel/top.ko")
    );
    // Circles of softdeps end.
    root.configure("softdep base pre: soft\nsoftdep soft pre: base\n");
    assert!(root.planned(&["-D", "base"]).contains("kernel/soft.ko"));
    root.configure("allow top mid_dle base\n");
    let said = fails(&root.modprobe(&["-D", "soft"]));
    assert!(said.contains("Module soft is not allowed by ") && said.contains("test.conf line 1"));
    root.configure("\n\ndeny base it is old\n");
    let said = fails(&root.modprobe(&["-D", "top"]));
    assert!(said.contains("Module base is not allowed by") && said.contains("line 3: it is old"));
    root.configure("alias one\nnonsense\n");
    let output = root.modprobe(&["-D", "base"]);
    assert!(ok(&output).contains("base.ko"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("line 1: 'alias' needs") && said.contains("line 2: ignoring"),
        "{said}"
    );
    root.configure("options base x=1\n");
    let shown = root.planned(&["-c"]);
    assert!(
        shown.starts_with("options base x=1\n") && shown.contains("alias symbol:mid_f mid_dle")
    );
}

#[test]
fn a_damaged_index_is_an_error_and_not_another_answer() {
    let root = three();
    ok(&root.depmod(&[]));
    let index = root.file("modules.dep.bin");
    let whole = fs::read(&index).unwrap();
    for len in [0, 4, 11, 12, 20, whole.len() / 2] {
        fs::write(&index, &whole[..len]).unwrap();
        let said = fails(&root.modprobe(&["-D", "top"]));
        assert!(
            said.contains("modules.dep.bin: ") && said.contains("run depmod"),
            "{said}"
        );
    }
    fs::remove_file(&index).unwrap();
    assert!(fails(&root.modprobe(&["-D", "top"])).contains("not found in directory"));
}

#[test]
fn what_a_file_was_built_against_and_exports() {
    let root = three();
    let base = root.file("kernel/base.ko");
    let shown = ok(&root.modprobe(&["--show-exports", base.to_str().unwrap()]));
    assert_eq!(shown, "0x00000000\tbase_f\n0x00000000\tbase_g\n");
    assert_eq!(
        ok(&root.modprobe(&["--show-modversions", base.to_str().unwrap()])),
        ""
    );
    let said = fails(&root.modprobe(&["--show-exports", "/nonexistent.ko"]));
    assert!(
        said.contains("/nonexistent.ko: cannot be read: No such file"),
        "{said}"
    );
}

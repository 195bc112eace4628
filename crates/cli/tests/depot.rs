//! depmod and modprobe on small trees of modules made here. Needs gcc, xz and zstd.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Root, VERSION, fails, ok, pack, three};
use std::fs;
use std::os::unix::fs::MetadataExt;

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
    // What changed less than a tick of the kernel ago is read again.
    let settle = || std::thread::sleep(std::time::Duration::from_millis(40));
    settle();
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
    settle();
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
fn symbols_with_what_all_begin_with_on_some_machines() {
    let root = Root::new();
    root.module("kernel/a.ko", &["_fa", "fb"], &["printk", "_other"], &[]);
    root.module("kernel/b.ko", &[], &["fa", "_fb"], &[]);
    let map = root.path("System.map");
    fs::write(&map, "0 r ___ksymtab_printk\n0 r __ksymtab__other\n").unwrap();
    let arguments = ["-e", "-F", map.to_str().unwrap()];
    let told = |more: &[&str]| {
        let output = root.depmod(&[&arguments[..], more].concat());
        ok(&output);
        let said = String::from_utf8(output.stderr).unwrap();
        let mut lines: Vec<_> = said
            .lines()
            .map(|line| line.rsplit('/').next().unwrap().to_owned())
            .collect();
        lines.sort();
        lines
    };
    let needs = |what: &str| format!("{} needs unknown symbol {}", &what[..4], &what[5..]);
    assert_eq!(told(&[]), ["a.ko printk", "b.ko _fb", "b.ko fa"].map(needs));
    assert_eq!(told(&["-P", "_"]), ["a.ko _other"].map(needs));
    assert!(root.read("modules.dep").contains("b.ko: kernel/a.ko\n"));
    assert!(root.read("modules.symbols").contains("alias symbol:fa a\n"));
    assert_eq!(told(&["--symbol-prefix=_"]), ["a.ko _other"].map(needs));
    assert!(fails(&root.depmod(&["-P", "ab"])).contains("-P only takes a single char"));
}

#[test]
fn duplicates_are_told_when_asked_for() {
    let root = Root::new();
    let info = ["alias=x:*", "alias=y", "alias=x:*"];
    root.module("kernel/a.ko", &["fa"], &[], &info);
    root.module("kernel/b.ko", &["fa"], &[], &["alias=x:*"]);
    for option in ["-w", "--warn"] {
        let output = root.depmod(&[option]);
        ok(&output);
        let said = String::from_utf8(output.stderr).unwrap();
        let alias = "depmod: WARNING: duplicate module alias:\nx:* a\n";
        let symbol = "depmod: WARNING: duplicate symbol fa: exported by ";
        assert!(said.contains(alias) && said.contains(symbol), "{said}");
        assert_eq!(said.lines().count(), 3, "{said}");
    }
    let output = root.depmod(&[]);
    ok(&output);
    assert!(output.stderr.is_empty());
}

#[test]
fn every_option_of_kmods_depmod_is_known() {
    let root = three();
    let empty = root.path("empty");
    fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    let to = root.path("to");
    let to = to.to_str().unwrap();
    let options: &[&[&str]] = &[
        &["-a"],
        &["--all"],
        &["-A"],
        &["--quick"],
        &["-e", "-E", empty],
        &["--errsyms", "--symvers", empty],
        &["-F", empty],
        &["--filesyms", empty],
        &["-m", "/lib/modules"],
        &["--moduledir=/lib/modules"],
        &["-o", to],
        &["--outdir", to],
        &["-C", empty],
        &["--config", empty, "--config", empty],
        &["-v"],
        &["--verbose"],
        &["-n"],
        &["--show"],
        &["--dry-run"],
        &["-P", "_"],
        &["-w"],
    ];
    for options in options {
        ok(&root.depmod(options));
    }
    for (option, begin) in [
        ("-h", "Make the indexes"),
        ("--help", "Make the indexes"),
        ("-V", "modfs"),
        ("--version", "modfs"),
    ] {
        let shown = ok(&root.tool("depmod", &[option]));
        assert!(shown.starts_with(begin), "{shown}");
    }
    let dir = root.path("");
    ok(&root.tool("depmod", &["--basedir", dir.to_str().unwrap(), VERSION]));
}

#[test]
fn a_quick_depmod_does_nothing_when_nothing_is_newer() {
    let root = three();
    ok(&root.depmod(&["-A"]));
    let written = || fs::metadata(root.file("modules.alias")).unwrap().ino();
    let before = written();
    ok(&root.depmod(&["-A"]));
    assert_eq!(written(), before);
    std::thread::sleep(std::time::Duration::from_millis(20));
    root.module("kernel/new.ko", &[], &[], &[]);
    ok(&root.depmod(&["-A"]));
    assert!(root.read("modules.dep").contains("new.ko"));
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

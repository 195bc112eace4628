//! Where modules are: roots, versions, files, and the names that the program is called by.

use crate::root::{MODFS, Root, VERSION, command, fails, indexed, ok, pack, quiet, three};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn a_root_may_be_named_from_where_one_is() {
    let root = indexed();
    let whole = root.file("kernel/base.ko");
    let whole = whole.to_str().unwrap();
    let name = root.path("");
    let name = name.file_name().unwrap().to_str().unwrap();
    for (place, given) in [("", "."), ("", "./"), ("etc", ".."), ("..", name)] {
        let at = root.path(place);
        let mut modprobe = command("modprobe", &["-d", given, "-S", VERSION, "-D", "base"]);
        let shown = quiet(&modprobe.current_dir(&at).output().unwrap());
        let path = shown.split(' ').nth(1).unwrap();
        assert!(Path::new(path).is_absolute(), "{shown}");
        assert_eq!(
            std::fs::canonicalize(path).unwrap(),
            std::fs::canonicalize(whole).unwrap()
        );
        let mut modinfo = command("modinfo", &["-b", given, "-k", VERSION, "-n", "base"]);
        let shown = quiet(&modinfo.current_dir(&at).output().unwrap());
        assert!(Path::new(shown.trim_end()).is_absolute(), "{shown}");
        let mut depmod = command("depmod", &["-b", given, VERSION]);
        quiet(&depmod.current_dir(&at).output().unwrap());
    }
}

#[test]
fn a_version_directory_of_any_name() {
    let root = indexed();
    let moved = root.path("anywhere");
    std::fs::rename(root.file(""), &moved).unwrap();
    let moved = moved.to_str().unwrap();
    let shown = quiet(
        &command("modprobe", &["--directory", moved, "-D", "base"])
            .output()
            .unwrap(),
    );
    assert_eq!(shown, format!("insmod {moved}/kernel/base.ko \n"));
    let mut modinfo = command("modinfo", &["-n", "base"]);
    let shown = quiet(&modinfo.env("MODFS_MODULES", moved).output().unwrap());
    assert_eq!(shown, format!("{moved}/kernel/base.ko\n"));
    // The command line says more than the environment.
    let mut modinfo = command("modinfo", &["-n", "--directory", moved, "base"]);
    quiet(
        &modinfo
            .env("MODFS_MODULES", "/nonexistent")
            .output()
            .unwrap(),
    );
}

#[test]
fn without_indexes_nothing_is_found() {
    let root = three();
    let said = fails(&root.modprobe(&["-D", "top"]));
    let directory = root.file("");
    let directory = directory.to_str().unwrap().trim_end_matches('/').to_owned();
    assert_eq!(
        said,
        format!("modprobe: FATAL: Module top not found in directory {directory}\n")
    );
    assert!(fails(&root.modinfo(&["top"])).contains("Module top not found"));
    assert!(
        fails(&root.tool("modprobe", &["-d", "/nonexistent", "-D", "x"]))
            .contains("/nonexistent/lib/modules/")
    );
    assert!(
        fails(&root.tool("modprobe", &["-d", root.root(), "-S", "9.9", "-D", "top"]))
            .contains("/9.9")
    );
}

#[test]
fn a_module_given_as_a_file() {
    let root = indexed();
    // The database says what it needs, by its name.
    let outside = root.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let file = outside.join("mid-dle.ko");
    std::fs::rename(root.file("kernel/sub/mid-dle.ko"), &file).unwrap();
    root.configure("options mid-dle a=1\n");
    let shown = root.planned(&["-D", file.to_str().unwrap(), "b=2"]);
    assert_eq!(
        shown,
        format!(
            "insmod kernel/base.ko \ninsmod kernel/soft.ko \ninsmod {} a=1 b=2\n",
            file.display()
        )
    );
    let mut modprobe = command("modprobe", &["-d", root.root(), "-S", VERSION]);
    modprobe.args(["-D", "./mid-dle.ko"]).current_dir(&outside);
    let shown = quiet(&modprobe.output().unwrap());
    assert!(
        shown.ends_with(&format!("insmod {} \n", file.display())),
        "{shown}"
    );
    // Without a slash it is a name, as for every user of a module called so.
    let mut modprobe = command("modprobe", &["-d", root.root(), "-S", VERSION]);
    modprobe.args(["-D", "mid-dle.ko"]).current_dir(&outside);
    fails(&modprobe.output().unwrap());
    for missing in ["./nosuch.ko", "/nonexistent.ko", "/", "./"] {
        assert!(
            fails(&root.modprobe(&["-D", missing]))
                .contains(&format!("Module {missing} not found"))
        );
    }
}

#[test]
fn a_file_that_the_indexes_do_not_know() {
    let root = indexed();
    let file = root.module(
        "../../../my-own.ko",
        &[],
        &[],
        &["license=GPL", "alias=mine"],
    );
    let file = std::fs::canonicalize(file).unwrap();
    let file = file.to_str().unwrap();
    root.configure("options my_own a=1\nblacklist my-own\n");
    assert_eq!(root.planned(&["-D", file]), format!("insmod {file} a=1 \n"));
    assert_eq!(root.planned(&["-R", file]), "my_own\n");
    assert_eq!(root.planned(&["-b", "-D", file]), "");
    assert_eq!(root.planned(&["-r", "-D", file]), "rmmod my_own\n");
}

#[test]
fn modinfo_of_files() {
    let root = indexed();
    let file = root.file("kernel/top.ko");
    for (place, name) in [
        (root.file("kernel"), "top.ko"),
        (root.file("kernel"), "./top.ko"),
        (root.file("kernel/sub"), "../top.ko"),
    ] {
        let mut modinfo = command("modinfo", &["-n", name]);
        let shown = quiet(&modinfo.current_dir(place).output().unwrap());
        assert_eq!(
            std::fs::canonicalize(shown.trim_end()).unwrap(),
            std::fs::canonicalize(&file).unwrap()
        );
    }
    // Whatever it is called, if it is meant as a file.
    let odd = root.path("odd");
    std::fs::copy(&file, &odd).unwrap();
    let shown = quiet(&root.modinfo(&["-F", "alias", odd.to_str().unwrap()]));
    assert_eq!(shown, "usb:*\n");
    let said = fails(&root.modinfo(&["/nonexistent.ko"]));
    assert!(said.contains("Module /nonexistent.ko not found."), "{said}");
    let said = fails(&root.modinfo(&["-m", file.to_str().unwrap()]));
    assert!(said.contains("Module name "), "{said}");
}

#[test]
fn packed_modules_are_used_as_plain_ones() {
    let plain = indexed();
    for (tool, end) in [("xz", "xz"), ("zstd", "zst"), ("gzip", "gz")] {
        let root = three();
        for file in ["base", "sub/mid-dle", "top", "soft"] {
            pack(tool, &root.file(&format!("kernel/{file}.ko")));
        }
        ok(&root.depmod(&[]));
        assert_eq!(
            root.planned(&["-D", "usb:v1"]),
            plain
                .planned(&["-D", "usb:v1"])
                .replace(".ko ", &format!(".ko.{end} "))
        );
        for arguments in [&["-F", "alias", "top"][..], &["-F", "softdep", "mid-dle"]] {
            assert_eq!(
                quiet(&root.modinfo(arguments)),
                quiet(&plain.modinfo(arguments))
            );
        }
        let file = root.file(&format!("kernel/base.ko.{end}"));
        let exports = quiet(&root.modprobe(&["--show-exports", file.to_str().unwrap()]));
        assert_eq!(exports.lines().count(), 2, "{exports}");
        let shown = quiet(&root.modinfo(&["-F", "alias", file.to_str().unwrap()]));
        assert_eq!(shown, "pci:v*d1*\n");
    }
}

/// As Linux calls them.
#[test]
fn the_program_is_the_tool_that_it_is_called() {
    let root = indexed();
    let bin = root.path("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, arguments, wanted) in [
        (
            "modprobe",
            &["-d", root.root(), "-S", VERSION, "-R", "usb:v1"][..],
            "top\n",
        ),
        (
            "depmod",
            &["-b", root.root(), "-n", VERSION],
            "kernel/soft.ko:",
        ),
        (
            "modinfo",
            &["-b", root.root(), "-k", VERSION, "-F", "alias", "top"],
            "usb:*\n",
        ),
        ("lsmod", &["--help"], "List the modules"),
        ("insmod", &["--help"], "Insert a module"),
        ("rmmod", &["--help"], "Remove modules"),
        ("kmod", &["static-nodes", "--help"], "tmpfiles"),
    ] {
        let link = bin.join(name);
        symlink(MODFS, &link).unwrap();
        let output = Command::new(&link).args(arguments).output().unwrap();
        let shown = quiet(&output);
        assert!(shown.contains(wanted), "{name}: {shown}");
        // By any path, as of one that only the kernel knows (CONFIG_MODPROBE_PATH).
        let mut found = Command::new(name);
        found.env("PATH", &bin).args(arguments);
        assert_eq!(quiet(&found.output().unwrap()), shown);
    }
}

#[test]
fn a_root_whose_name_has_blanks() {
    let root = Root::new();
    root.module("kernel/a b/one.ko", &["one_f"], &[], &[]);
    root.module("kernel/two.ko", &[], &["one_f"], &[]);
    // What modules.dep cannot say is not said in a wrong way.
    let output = root.depmod(&[]);
    if output.status.success() {
        let shown = root.planned(&["-D", "two"]);
        assert!(shown.contains("kernel/two.ko"), "{shown}");
    } else {
        assert!(fails(&output).contains("a b/one.ko"));
    }
}

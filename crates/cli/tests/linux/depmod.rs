//! depmod: its options and its configuration.

use crate::root::{Root, VERSION, command, fails, indexed, ok, pack, quiet, said, three};
use std::fs;

/// The line of `modules.dep` about `base`.
fn base(root: &Root) -> String {
    let dep = root.read("modules.dep");
    let line = dep.lines().find(|line| line.contains("base.ko:"));
    line.unwrap_or_else(|| panic!("{dep}")).to_owned()
}

/// `base` in several directories.
fn folders(names: &[&str]) -> Root {
    let root = three();
    for name in names {
        root.module(&format!("{name}/base.ko"), &["base_f", "base_g"], &[], &[]);
    }
    root
}

fn configured(root: &Root, text: &str) -> String {
    let file = root.conf("depmod.conf", text);
    quiet(&root.depmod(&["-C", &file]));
    base(root)
}

#[test]
fn updates_count_before_the_rest_by_themselves() {
    let root = folders(&["updates", "extra", "weak-updates"]);
    quiet(&root.depmod(&["-C", "/nonexistent"]));
    assert_eq!(base(&root), "updates/base.ko:");
    fs::remove_file(root.file("updates/base.ko")).unwrap();
    quiet(&root.depmod(&["-C", "/nonexistent"]));
    // Of the others none counts more: it is the same one at each run.
    let first = base(&root);
    for _ in 0..3 {
        quiet(&root.depmod(&["--rebuild", "-C", "/nonexistent"]));
        assert_eq!(base(&root), first);
    }
}

#[test]
fn search_lines_say_what_counts_first() {
    let root = folders(&["updates", "extra", "weak/deep"]);
    for (text, chosen) in [
        ("search extra updates built-in\n", "extra/base.ko:"),
        ("search updates extra\n", "updates/base.ko:"),
        ("search built-in extra\n", "kernel/base.ko:"),
        ("search weak built-in\n", "weak/deep/base.ko:"),
        ("search weak/deep extra\n", "weak/deep/base.ko:"),
        // Several lines are one.
        ("search extra\nsearch updates\n", "extra/base.ko:"),
        ("search nosuch extra\n", "extra/base.ko:"),
        (
            "# search updates\nsearch \\\n extra \\\n updates\n",
            "extra/base.ko:",
        ),
    ] {
        assert_eq!(configured(&root, text), chosen, "{text}");
    }
}

#[test]
fn override_lines_count_before_all() {
    let root = folders(&["updates", "extra"]);
    for (text, chosen) in [
        ("override base * extra\n", "extra/base.ko:"),
        (
            "search updates built-in\noverride base ^6\\.1 kernel\n",
            "kernel/base.ko:",
        ),
        ("override base 6.1.0-test extra\n", "extra/base.ko:"),
        // For another kernel, or another module.
        ("override base ^5 extra\n", "updates/base.ko:"),
        ("override soft * extra\n", "updates/base.ko:"),
        ("override base * nosuch\n", "updates/base.ko:"),
    ] {
        assert_eq!(configured(&root, text), chosen, "{text}");
    }
}

#[test]
fn external_directories() {
    let root = folders(&["updates"]);
    let outside = root.path("out side");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::rename(root.file("updates/base.ko"), outside.join("deep/base.ko")).unwrap();
    let link = root.path("outside");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let link = link.display();
    let file = format!("{link}/deep/base.ko:");
    for (text, chosen) in [
        (
            format!("external * {link}\nsearch external built-in\n"),
            &*file,
        ),
        (
            format!("external ^6 {link}\nsearch external built-in\n"),
            &file,
        ),
        (
            format!("external * {link}\nsearch built-in external\n"),
            "kernel/base.ko:",
        ),
        (
            format!("external * {link}\nsearch nosuch\n"),
            "kernel/base.ko:",
        ),
        (
            format!("external ^5 {link}\nsearch external built-in\n"),
            "kernel/base.ko:",
        ),
        (
            "external * /nonexistent\nsearch external\n".to_owned(),
            "kernel/base.ko:",
        ),
    ] {
        assert_eq!(configured(&root, &text), chosen, "{text}");
    }
    // modprobe finds it there.
    configured(
        &root,
        &format!("external * {link}\nsearch external built-in\n"),
    );
    assert_eq!(
        root.planned(&["-D", "base"]),
        format!("insmod {link}/deep/base.ko \n")
    );
}

#[test]
fn excluded_directories_hold_no_modules() {
    let root = folders(&["updates", "kernel/old/deep", "extra/old"]);
    for (text, chosen) in [
        (
            "exclude updates\nsearch updates extra\n",
            "extra/old/base.ko:",
        ),
        ("exclude updates old\n", "kernel/base.ko:"),
        ("exclude old kernel\n", "updates/base.ko:"),
    ] {
        assert_eq!(configured(&root, text), chosen, "{text}");
    }
    assert!(!root.read("modules.dep").contains("kernel/"));
}

#[test]
fn directories_of_configuration_are_merged_by_name() {
    let root = folders(&["updates", "extra", "weak"]);
    root.conf("one/10.conf", "search extra built-in\n");
    root.conf("two/10.conf", "search weak built-in\n");
    root.conf("two/05.txt", "search updates\n");
    let (one, two) = (root.arg("one"), root.arg("two"));
    quiet(&root.depmod(&["-C", &one, "-C", &two]));
    assert_eq!(base(&root), "extra/base.ko:");
    quiet(&root.depmod(&["-C", &two, "-C", &one]));
    assert_eq!(base(&root), "weak/base.ko:");
}

#[test]
fn a_wrong_line_of_configuration_is_told_and_the_rest_taken() {
    let root = folders(&["updates", "extra"]);
    let file = root.conf(
        "depmod.conf",
        "nonsense\nsearch\noverride base\nexternal * relative\noverride base [ extra\n\
         make_map_files no\nsearch extra\n",
    );
    let output = root.depmod(&["-C", &file]);
    ok(&output);
    assert_eq!(base(&root), "extra/base.ko:");
    let said = said(&output);
    for line in 1..=5 {
        assert!(
            said.contains(&format!("WARNING: {file} line {line}: ")),
            "{line}: {said}"
        );
    }
    assert_eq!(said.lines().count(), 5, "{said}");
}

#[test]
fn indexes_somewhere_else() {
    let root = three();
    for (place, given) in [("here", root.arg("here")), ("there", "there".to_owned())] {
        let output = root.path(place).join("lib/modules").join(VERSION);
        fs::create_dir_all(&output).unwrap();
        let mut depmod = command("depmod", &["-b", root.root(), "-o", &given, VERSION]);
        quiet(&depmod.current_dir(root.path("")).output().unwrap());
        let dep = fs::read_to_string(output.join("modules.dep")).unwrap();
        assert!(
            dep.contains("kernel/top.ko: kernel/sub/mid-dle.ko kernel/base.ko\n"),
            "{dep}"
        );
        assert!(!root.file("modules.dep").exists() && !root.file("modules.modfs.cache").exists());
    }
    // Below a file there is nothing.
    let file = root.conf("file", "");
    let said = fails(&root.depmod(&["-o", &file]));
    assert!(
        said.starts_with("depmod: ERROR: ") && said.contains(&file),
        "{said}"
    );
    assert!(!root.file("modules.dep").exists());
}

#[test]
fn modules_below_another_directory() {
    let root = three();
    fs::create_dir_all(root.path("usr/kmod")).unwrap();
    fs::rename(root.file(""), root.path("usr/kmod").join(VERSION)).unwrap();
    for below in ["/usr/kmod", "usr/kmod", "usr/kmod/"] {
        let dep = root.path("usr/kmod").join(VERSION).join("modules.dep");
        quiet(&root.depmod(&["-m", below]));
        assert!(dep.exists(), "{below}");
        fs::remove_file(dep).unwrap();
    }
    assert!(fails(&root.depmod(&["-m", "/nosuch"])).contains("could not open directory"));
}

#[test]
fn only_the_files_that_are_named() {
    let root = three();
    let file = |name: &str| root.file(name).to_str().unwrap().to_owned();
    let (top, base) = (file("kernel/top.ko"), file("kernel/base.ko"));
    quiet(&root.depmod(&[&top, &base]));
    let mut lines: Vec<String> = root
        .read("modules.dep")
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["kernel/base.ko:", "kernel/top.ko: kernel/base.ko"]);
    // Elsewhere, by the whole path.
    let outside = root.path("own.ko");
    fs::copy(&base, &outside).unwrap();
    quiet(&root.depmod(&[outside.to_str().unwrap()]));
    assert_eq!(
        root.read("modules.dep"),
        format!("{}:\n", outside.display())
    );
    let said = fails(&root.depmod(&["kernel/top.ko"]));
    assert!(said.contains("kernel/top.ko: not absolute path"), "{said}");
    let said = fails(&root.depmod(&[&top, "/nonexistent.ko"]));
    assert!(said.contains("/nonexistent.ko: No such file"), "{said}");
}

#[test]
fn versions_and_what_is_none() {
    let root = three();
    let run = |words: &[&str]| command("depmod", &[&["-b", root.root()], words].concat()).output();
    for wrong in ["nonsense", "6", "6.", ".1", "6.x"] {
        let said = fails(&run(&[wrong]).unwrap());
        assert!(
            said.contains(&format!("Bad version passed {wrong}")),
            "{said}"
        );
    }
    let said = fails(&run(&["7.0.0"]).unwrap());
    assert!(said.contains("could not open directory"), "{said}");
    quiet(&run(&["-a", VERSION]).unwrap());
    quiet(&run(&[VERSION, "-F", "/dev/null"]).unwrap());
}

#[test]
fn a_printed_run_writes_nothing() {
    let root = three();
    for option in ["-n", "--show", "--dry-run"] {
        let shown = quiet(&root.depmod(&[option]));
        for line in [
            "kernel/sub/mid-dle.ko: kernel/base.ko",
            "alias usb:* top",
            "softdep mid_dle pre: soft",
            "weakdep top base",
            "alias symbol:base_f base",
            "soft soft c10:7",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}: {shown}");
        }
        assert!(!shown.contains('\0'));
    }
    let left = fs::read_dir(root.file("")).unwrap().count();
    assert_eq!(
        left, 4,
        "modules.order, modules.builtin, its modinfo and kernel"
    );
}

#[test]
fn a_module_packed_anew_replaces_the_plain_one() {
    let root = indexed();
    pack("xz", &root.file("kernel/base.ko"));
    quiet(&root.depmod(&[]));
    assert_eq!(base_packed(&root), "kernel/base.ko.xz:");
    let planned = root.planned(&["-D", "top"]);
    assert!(planned.contains("kernel/base.ko.xz"), "{planned}");
}

fn base_packed(root: &Root) -> String {
    let dep = root.read("modules.dep");
    let line = dep.lines().find(|line| line.starts_with("kernel/base"));
    line.unwrap_or_else(|| panic!("{dep}")).to_owned()
}

#[test]
fn without_the_files_of_the_kernels_build() {
    let root = three();
    for file in [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
    ] {
        fs::remove_file(root.file(file)).unwrap();
    }
    let output = root.depmod(&[]);
    ok(&output);
    for file in [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
    ] {
        assert!(said(&output).contains(&format!("could not open {file} at ")));
    }
    assert!(root.planned(&["-D", "top"]).contains("base.ko"));
}

#[test]
fn a_directory_that_cannot_be_written() {
    let root = three();
    let version = root.file("");
    // Root may write anywhere, but not into a file system that is mounted to be read.
    crate::common::need_root("it mounts a directory to be read only");
    let mut unshare = std::process::Command::new("unshare");
    let script =
        "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    unshare.args(["-m", "sh", "-c", script, "sh"]).arg(&version);
    unshare.args([crate::root::MODFS, "depmod", "-b", root.root(), VERSION]);
    let said = fails(&unshare.output().unwrap());
    assert!(
        said.contains("could not write") && said.contains("Read-only file system"),
        "{said}"
    );
    assert!(!root.file("modules.dep").exists());
}

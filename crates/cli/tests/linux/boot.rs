//! What boots and builds systems: load, closure, install.

use crate::root::{Root, fails, indexed, ok};
use std::fs;
use std::process::Output;

fn with_root(root: &Root, tool: &str, arguments: &[&str]) -> Output {
    let (dir, config) = (root.dir.path(), root.path("etc"));
    let fixed = [
        "-d",
        dir.to_str().unwrap(),
        "-S",
        crate::common::VERSION,
        "-C",
        config.to_str().unwrap(),
    ];
    root.tool(tool, &[&fixed[..], arguments].concat())
}

/// Without the root's path.
fn shown(root: &Root, text: &str) -> String {
    text.replace(root.dir.path().to_str().unwrap(), "")
}

#[test]
fn load_reads_lists_of_names() {
    let root = indexed();
    let list = root.path("list.conf");
    fs::write(&list, "# at boot\n mid-dle\nnosuch\n; top\nbase\n").unwrap();
    let load = |root: &Root| with_root(root, "load", &["-n", list.to_str().unwrap()]);
    let done = load(&root);
    let version = crate::common::VERSION;
    let wanted = format!(
        "insmod /lib/modules/{version}/kernel/base.ko\n\
         insmod /lib/modules/{version}/kernel/soft.ko\n\
         insmod /lib/modules/{version}/kernel/sub/mid-dle.ko\n"
    );
    assert_eq!(shown(&root, &ok(&done)), wanted);
    let said = shown(&root, &String::from_utf8_lossy(&done.stderr));
    let unknown = format!(
        "load: WARNING: Module nosuch of /list.conf line 3 not found in directory /lib/modules/{version}\n"
    );
    assert_eq!(said, unknown);
    // As systemd: what is blacklisted is not loaded by name either.
    root.configure("blacklist mid_dle\n");
    assert_eq!(
        shown(&root, &ok(&load(&root))),
        wanted.lines().next().unwrap().to_owned() + "\n"
    );
    let said = fails(&with_root(&root, "load", &["/nonexistent.conf"]));
    assert!(said.contains("/nonexistent.conf: No such file"), "{said}");
}

#[test]
fn coldplug_says_when_it_can_find_nothing() {
    let root = Root::new();
    let coldplug = || with_root(&root, "coldplug", &["-n"]);
    let said = shown(&root, &String::from_utf8_lossy(&coldplug().stderr));
    let version = crate::common::VERSION;
    let wanted = format!(
        "coldplug: WARNING: /lib/modules/{version}/modules.alias.bin is not there: no alias leads"
    );
    assert!(said.starts_with(&wanted), "{said}");
    root.module("kernel/a.ko", &[], &[], &["alias=acpi*:*"]);
    ok(&root.depmod(&[]));
    let done = coldplug();
    ok(&done);
    assert!(done.stderr.is_empty());
}

#[test]
fn closure_lists_what_modules_need() {
    let root = indexed();
    root.module(
        "kernel/wireless.ko",
        &[],
        &["base_f"],
        &[
            "firmware=vendor/a.bin",
            "firmware=b.bin",
            "firmware=../../etc/shadow",
            "firmware=ven*/c?.[bt]in",
            "alias=pci:v1*",
        ],
    );
    ok(&root.depmod(&[]));
    root.configure(
        "softdep wireless post: soft\ninstall soft echo soft\nweakdep base mid_dle nosuch\n",
    );
    let firmware = root.path("lib/firmware");
    fs::create_dir_all(firmware.join("vendor")).unwrap();
    for file in ["a.bin.xz", "c1.bin", "c2.tin.zst", "c22.bin", "c3.cin"] {
        fs::write(firmware.join("vendor").join(file), "").unwrap();
    }
    let listed = ok(&with_root(&root, "closure", &["pci:v1d2", "wireless"]));
    let version = crate::common::VERSION;
    let begins = format!(
        "module /lib/modules/{version}/kernel/base.ko\n\
         module /lib/modules/{version}/kernel/wireless.ko\n\
         firmware vendor/a.bin /lib/firmware/vendor/a.bin.xz\n\
         firmware b.bin\n\
         firmware ../../etc/shadow\n\
         firmware ven*/c?.[bt]in /lib/firmware/vendor/c1.bin\n\
         firmware ven*/c?.[bt]in /lib/firmware/vendor/c2.tin.zst\n\
         command echo soft\n\
         module /lib/modules/{version}/kernel/soft.ko\n\
         module /lib/modules/{version}/kernel/sub/mid-dle.ko\n\
         config /etc/test.conf\n\
         index /lib/modules/{version}/modules.dep.bin\n"
    );
    let listed = shown(&root, &listed);
    assert!(listed.starts_with(&begins), "{listed}");
    let paths = ok(&with_root(&root, "closure", &["--paths", "wireless"]));
    assert!(
        paths.lines().all(|path| fs::metadata(path).is_ok()),
        "{paths}"
    );
    let json = ok(&with_root(&root, "closure", &["--json", "wireless"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[2]["of"], "wireless");
    assert_eq!(json[3]["path"], serde_json::Value::Null);
    let said = fails(&with_root(&root, "closure", &["base", "nosuch"]));
    assert!(said.contains("Module nosuch not found"), "{said}");
    fs::remove_file(root.file("kernel/base.ko")).unwrap();
    let said = fails(&with_root(&root, "closure", &["wireless"]));
    assert!(said.contains("base.ko"), "{said}");
}

#[test]
fn install_makes_all_names() {
    let root = Root::new();
    let to = root.path("usr/sbin");
    let install = |more: &[&str]| root.tool("install", &[&[to.to_str().unwrap()], more].concat());
    ok(&install(&[]));
    let names = |root: &Root| {
        let entries = fs::read_dir(root.path("usr/sbin")).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let all = [
        "depmod", "insmod", "kmod", "lsmod", "modfs", "modinfo", "modprobe", "rmmod",
    ];
    assert_eq!(names(&root), all);
    let help = std::process::Command::new(to.join("rmmod"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(ok(&help).contains("Remove modules"));
    // Again, and by itself, it has nothing to do.
    ok(&install(&[]));
    let again = std::process::Command::new(to.join("modfs"))
        .arg("install")
        .arg(&to)
        .output();
    ok(&again.unwrap());
    // What is somebody else's stays.
    fs::remove_file(to.join("lsmod")).unwrap();
    fs::remove_file(to.join("rmmod")).unwrap();
    fs::write(to.join("lsmod"), "mine").unwrap();
    let said = fails(&install(&[]));
    assert!(
        said.contains("lsmod is there already; --force replaces"),
        "{said}"
    );
    assert_eq!(fs::read(to.join("lsmod")).unwrap(), b"mine");
    assert!(!to.join("rmmod").exists());
    ok(&install(&["--force"]));
    assert_eq!(names(&root), all);
    fs::write(root.path("file"), "").unwrap();
    let file = root.path("file");
    let said = fails(&root.tool("install", &[file.to_str().unwrap()]));
    assert!(said.contains("file: "), "{said}");
}

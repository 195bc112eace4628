//! The kernel's command line. Needs root and unshare, to have another one.

use crate::common::{need, need_root};
use crate::root::{MODFS, Root, VERSION, indexed, ok, quiet};
use std::process::{Command, Output};

/// modprobe, where the kernel was started with this line.
fn started(root: &Root, line: &str, arguments: &[&str]) -> Output {
    need_root("it mounts a file over /proc/cmdline");
    need("unshare", "util-linux");
    let file = root.conf("cmdline", &format!("{line}\n"));
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /proc/cmdline && shift && exec \"$@\"";
    command.args(["-m", "sh", "-c", script, "sh", &file, MODFS, "modprobe"]);
    command.args(["-d", root.root(), "-S", VERSION, "-C", &root.arg("etc")]);
    command.args(arguments);
    command
        .env_remove("MODFS_TREE")
        .env_remove("MODPROBE_OPTIONS");
    command.output().unwrap()
}

/// The lines that a command line makes.
fn lines(root: &Root, line: &str) -> Vec<String> {
    let shown = quiet(&started(root, line, &["-c"]));
    let own = shown.lines().take_while(|line| !line.is_empty());
    own.filter(|line| line.starts_with("options") || line.starts_with("blacklist"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn parameters_of_modules() {
    let root = indexed();
    for (line, wanted) in [
        (
            "base.x=1 quiet top.y",
            &["options base x=1", "options top y"][..],
        ),
        ("mid-dle.z=a,b root=/dev/x.y", &["options mid_dle z=a,b"]),
        (
            "base.x=1 base.x=2",
            &["options base x=1", "options base x=2"],
        ),
        (
            "base.x=1\ttop.y=2",
            &["options base x=1", "options top y=2"],
        ),
        ("base.x=1 -- top.y=1", &["options base x=1"]),
        ("root=UUID=1.2 init=/x.y=1", &[]),
        ("=1 .x=1 base.=1 . =", &[]),
        ("", &[]),
    ] {
        assert_eq!(lines(&root, line), wanted, "{line}");
    }
}

#[test]
fn quotes() {
    let root = indexed();
    for (line, wanted) in [
        (
            "base.a=\"x y\" top.b=1",
            &["options base a=\"x y\"", "options top b=1"][..],
        ),
        // As grub writes it.
        (
            "\"base.a=x y\" top.b=1",
            &["options base a=\"x y\"", "options top b=1"],
        ),
        ("base.a=x\" \"y", &["options base a=x\" \"y"]),
        ("base.a=\"xy\"", &["options base a=\"xy\""]),
        ("root=\"UUID=1 x.y=2\" base.a=1", &["options base a=1"]),
        ("\"root=UUID=1 x.y=2\" base.a=1", &["options base a=1"]),
        (
            "base.a=\"1 top.b=2\" soft.c=3",
            &["options base a=\"1 top.b=2\"", "options soft c=3"],
        ),
        // Of no module.
        ("\"base.a\"=1", &[]),
        ("base.\"a b\"=1", &[]),
        ("top.b=1 base.a=\"x y", &["options top b=1"]),
    ] {
        assert_eq!(lines(&root, line), wanted, "{line}");
    }
}

#[test]
fn they_come_after_what_is_configured() {
    let root = indexed();
    root.configure("options base a=1\n");
    let shown = ok(&started(
        &root,
        "base.a=2 \"base.b=x y\"",
        &["-D", "base", "a=3"],
    ));
    assert_eq!(
        root.short(&shown),
        "insmod kernel/base.ko a=1 a=2 b=\"x y\" a=3\n"
    );
}

#[test]
fn a_blacklist_on_the_command_line() {
    let root = indexed();
    for line in [
        "modprobe.blacklist=soft,mid-dle",
        "modprobe.blacklist=soft modprobe.blacklist=mid_dle",
        "modprobe.blacklist=\"soft,mid-dle\"",
        "\"modprobe.blacklist=soft,mid-dle\"",
        "modprobe.blacklist=,soft,,mid-dle,",
    ] {
        assert_eq!(
            lines(&root, line),
            ["blacklist soft", "blacklist mid_dle"],
            "{line}"
        );
    }
    for line in ["modprobe.blacklist=", "modprobe.blacklist"] {
        assert_eq!(lines(&root, line), [""; 0], "{line}");
    }
    let line = "modprobe.blacklist=top,mid-dle";
    assert_eq!(quiet(&started(&root, line, &["-D", "usb:v1"])), "");
    assert_eq!(quiet(&started(&root, line, &["-b", "-D", "mid-dle"])), "");
    assert!(quiet(&started(&root, line, &["-D", "mid-dle"])).contains("mid-dle.ko"));
}

#[test]
fn where_a_line_is_from_is_told() {
    let root = indexed();
    let line = "base.a=1";
    let shown = quiet(&started(&root, line, &["--explain", "base"]));
    assert!(shown.contains("with a=1\n"), "{shown}");
    let output = started(&root, "modprobe.blacklist=top", &["-v", "-D", "usb:v1"]);
    let said = crate::root::said(&output);
    assert!(
        said.contains("top is blacklisted by /proc/cmdline"),
        "{said}"
    );
}

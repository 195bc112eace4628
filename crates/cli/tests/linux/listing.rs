//! lsmod, kmod list and kmod static-nodes. Needs root and unshare, to have another /proc.

use crate::common::{need, need_root};
use crate::root::{MODFS, command, fails, quiet, said};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A tool, where these modules are loaded; `None`: where nothing is told of modules.
fn with(modules: Option<&str>, arguments: &[&str]) -> Output {
    need_root("it mounts a directory over /proc");
    need("unshare", "util-linux");
    let dir = tempfile::tempdir().unwrap();
    if let Some(modules) = modules {
        fs::write(dir.path().join("modules"), modules).unwrap();
    }
    let mut unshare = Command::new("unshare");
    let script = "mount --bind \"$1\" /proc && shift && exec \"$@\"";
    unshare.args(["-m", "sh", "-c", script, "sh"]);
    unshare.arg(dir.path()).arg(MODFS).args(arguments);
    unshare.env_remove("MODFS_TREE").env_remove("MODFS_MODULES");
    unshare.output().unwrap()
}

const LOADED: &str = "ext4 1040384 2 - Live 0x0000000000000000\n\
    mbcache 16384 1 ext4, Live 0xffffffffc0400000\n\
    loop 36864 2 zram,other,[permanent], Live 0x0 (OE)\n\
    coming 1 0 - Loading 0x0\ngoing 2 -1 - Unloading 0x0\nuncounted 3 - - Live 0x0\n";

#[test]
fn the_modules_of_linux_in_kmods_columns() {
    let table = "Module                  Size  Used by\n\
                 ext4                 1040384  2\n\
                 mbcache                16384  1 ext4\n\
                 loop                   36864  2 zram,other\n\
                 coming                     1  0 (initializing)\n\
                 going                      2  -1 (exiting)\n\
                 uncounted                  3  0\n";
    for arguments in [
        &["lsmod"][..],
        &["kmod", "list"],
        &["lsmod", "-v"],
        &["lsmod", "-s"],
    ] {
        assert_eq!(quiet(&with(Some(LOADED), arguments)), table);
    }
}

#[test]
fn without_modules_there_is_a_heading_only() {
    let shown = quiet(&with(Some(""), &["lsmod"]));
    assert_eq!(shown, "Module                  Size  Used by\n");
    assert_eq!(quiet(&with(Some(""), &["lsmod", "--json"])), "[]\n");
}

#[test]
fn loaded_modules_as_json() {
    let text = quiet(&with(Some(LOADED), &["lsmod", "--json"]));
    let modules: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(modules.as_array().unwrap().len(), 6);
    assert_eq!(modules[0]["size"], 1_040_384);
    assert_eq!(modules[2]["used_by"], serde_json::json!(["zram", "other"]));
    assert_eq!(modules[4]["uses"], -1);
    assert_eq!(modules[4]["state"], "exiting");
}

#[test]
fn a_line_that_is_none_is_told_with_its_number() {
    for bad in [
        "short",
        "x y 0 - Live 0x0",
        "x 1 z - Live 0x0",
        "x 1 0 -",
        "",
    ] {
        let text = format!("ext4 1 0 - Live 0x0\n{bad}\nloop 1 0 - Live 0x0\n");
        let said = fails(&with(Some(&text), &["lsmod"]));
        assert_eq!(
            said,
            format!("lsmod: ERROR: /proc/modules line 2: not a module: {bad}\n")
        );
    }
}

#[test]
fn a_kernel_without_modules_is_told() {
    let said = fails(&with(None, &["lsmod"]));
    assert!(
        said.starts_with("lsmod: ERROR: cannot read /proc/modules: No such file"),
        "{said}"
    );
    assert!(fails(&with(None, &["kmod", "list"])).contains("/proc/modules"));
}

#[test]
fn kmod_has_commands_of_its_own() {
    for (arguments, wanted) in [(&["help"][..], "static-nodes"), (&["--help"], "list")] {
        let help = quiet(&command("kmod", arguments).output().unwrap());
        assert!(help.contains(wanted), "{help}");
    }
    for wrong in [
        &[][..],
        &["frob"],
        &["list", "x"],
        &["static-nodes", "-f", "x"],
    ] {
        fails(&command("kmod", wrong).output().unwrap());
    }
}

const NODES: &str = "# Device nodes to trigger on-demand module loading.\n\
    fuse fuse c10:229\nsnd_seq snd/seq c116:1\nsnd_timer snd/timer c116:33\nblk blk b7:0\n";

/// A version directory with these devices.
fn devices(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("modules.devname"), text).unwrap();
    dir
}

fn nodes(directory: &Path, arguments: &[&str]) -> Output {
    let mut kmod = command("kmod", &["static-nodes"]);
    kmod.arg("--directory").arg(directory).args(arguments);
    kmod.output().unwrap()
}

#[test]
fn static_nodes_in_three_formats() {
    let dir = devices(NODES);
    let human = "Module: fuse\n\tDevice node: /dev/fuse\n\t\tType: character device\n\
                 \t\tMajor: 10\n\t\tMinor: 229\n";
    for arguments in [&[][..], &["-f", "human"], &["--format=human"]] {
        let shown = quiet(&nodes(dir.path(), arguments));
        assert!(shown.starts_with(human), "{shown}");
        assert!(shown.ends_with(
            "Device node: /dev/blk\n\t\tType: block device\n\t\tMajor: 7\n\t\tMinor: 0\n"
        ));
    }
    assert_eq!(
        quiet(&nodes(dir.path(), &["-f", "tmpfiles"])),
        "c! /dev/fuse 0600 - - - 10:229\nd /dev/snd 0755 - - -\n\
         c! /dev/snd/seq 0600 - - - 116:1\nc! /dev/snd/timer 0600 - - - 116:33\n\
         b! /dev/blk 0600 - - - 7:0\n"
    );
    let devname = quiet(&nodes(dir.path(), &["-f", "devname"]));
    assert_eq!(devname, NODES.split_once('\n').unwrap().1);
}

#[test]
fn static_nodes_into_a_file_whose_directory_is_made() {
    let dir = devices(NODES);
    let file = dir.path().join("a/b/nodes");
    for option in ["-o", "--output"] {
        let shown = quiet(&nodes(
            dir.path(),
            &["-f", "devname", option, file.to_str().unwrap()],
        ));
        assert_eq!(shown, "");
        assert!(
            fs::read_to_string(&file)
                .unwrap()
                .starts_with("fuse fuse c10:229\n")
        );
        fs::remove_file(&file).unwrap();
    }
    let said = fails(&nodes(dir.path(), &["-o", dir.path().to_str().unwrap()]));
    assert!(said.starts_with("kmod: ERROR: cannot write "), "{said}");
}

#[test]
fn without_the_file_of_devices_a_boot_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    let output = nodes(dir.path(), &["-f", "tmpfiles", "-o", to.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!to.exists());
    let file = dir.path().join("modules.devname");
    assert_eq!(
        said(&output),
        format!("Warning: {} not found - ignoring\n", file.display())
    );
}

#[test]
fn a_device_that_is_none_is_told_and_the_others_printed() {
    let dir = devices(
        "one\nfuse fuse c10:229\nx y z1:2\nx y c1\nx y c1:z\nx y cé:1\n x\n\nloop loop b7:0\n",
    );
    let output = nodes(dir.path(), &["-f", "devname"]);
    assert_eq!(
        crate::root::ok(&output),
        "fuse fuse c10:229\nloop loop b7:0\n"
    );
    let said = said(&output);
    for line in [1, 3, 4, 5, 6, 7] {
        assert!(
            said.contains(&format!("modules.devname line {line}: not a device")),
            "{said}"
        );
    }
}

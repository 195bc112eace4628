//! What a name stands for.

use crate::root::{Root, fails, indexed, ok, quiet, said};

/// Modules of which several have aliases alike.
fn aliased() -> Root {
    let root = indexed();
    root.module(
        "kernel/other.ko",
        &[],
        &[],
        &["alias=usb:v1*", "alias=fs-other", "alias=set:[a-c]-[!x]?"],
    );
    ok(&root.depmod(&[]));
    root
}

#[test]
fn a_dash_and_an_underscore_are_one() {
    let root = aliased();
    for name in ["mid-dle", "mid_dle"] {
        assert_eq!(root.planned(&["-R", name]), "mid_dle\n");
        assert!(root.planned(&["-D", name]).contains("sub/mid-dle.ko"));
        let shown = quiet(&root.modinfo(&["-n", name]));
        assert_eq!(root.short(&shown), "kernel/sub/mid-dle.ko\n");
    }
    for name in ["fs-other", "fs_other"] {
        assert_eq!(root.planned(&["-R", name]), "other\n");
    }
}

#[test]
fn every_module_whose_alias_matches_is_meant() {
    let root = aliased();
    assert_eq!(root.planned(&["-R", "usb:v1d2"]), "top\nother\n");
    assert_eq!(root.planned(&["-R", "usb:v2"]), "top\n");
    let planned = root.planned(&["-D", "usb:v1"]);
    assert!(
        planned.ends_with("insmod kernel/top.ko \ninsmod kernel/other.ko \n"),
        "{planned}"
    );
    let shown = quiet(&root.modinfo(&["-n", "usb:v1"]));
    assert_eq!(root.short(&shown), "kernel/top.ko\nkernel/other.ko\n");
}

#[test]
fn sets_in_an_alias_of_a_module() {
    let root = aliased();
    for (name, known) in [
        ("set:a-yz", true),
        ("set:c_yz", true),
        ("set:d-yz", false),
        ("set:a-xz", false),
        ("set:a-y", false),
        ("set:a-yzz", false),
    ] {
        let output = root.modprobe(&["-R", name]);
        assert_eq!(output.status.success(), known, "{name}: {}", said(&output));
    }
}

#[test]
fn sets_in_an_alias_of_the_configuration() {
    let root = aliased();
    root.configure("alias net-[a-c]-? base\n");
    for (name, known) in [
        ("net-a-1", true),
        ("net_c_x", true),
        ("net-d-1", false),
        ("net-a-", false),
    ] {
        let output = root.modprobe(&["-R", name]);
        assert_eq!(output.status.success(), known, "{name}: {}", said(&output));
    }
    // In a set a dash stays one, and there are none in names that are looked up.
    root.configure("alias x[+-_]y base\n");
    assert_eq!(root.planned(&["-R", "x-y"]), "base\n");
}

#[test]
fn an_alias_of_the_configuration_comes_before_all_else() {
    let root = aliased();
    root.configure("alias top soft\nalias usb:* base\n");
    assert_eq!(root.planned(&["-D", "top"]), "insmod kernel/soft.ko \n");
    assert_eq!(root.planned(&["-R", "usb:v1"]), "base\n");
}

#[test]
fn all_aliases_of_the_configuration_that_match_count() {
    let root = aliased();
    root.configure("alias two base\nalias tw* other\nalias two soft\noptions two z=3\n");
    assert_eq!(root.planned(&["-R", "two"]), "base\nother\nsoft\n");
    assert_eq!(
        root.planned(&["-D", "two"]),
        "insmod kernel/base.ko z=3 \ninsmod kernel/other.ko z=3 \ninsmod kernel/soft.ko z=3 \n"
    );
}

#[test]
fn an_alias_of_the_configuration_is_not_followed_to_another() {
    let root = aliased();
    root.configure("alias one two\nalias two base\nalias dev usb:v1\n");
    assert_eq!(root.planned(&["-R", "one"]), "two\n");
    // There is no such module, and nothing to load; so it is with kmod.
    assert_eq!(root.planned(&["-D", "one"]), "");
    assert_eq!(root.planned(&["-D", "dev"]), "");
}

#[test]
fn a_symbol_stands_for_who_exports_it() {
    let root = aliased();
    assert_eq!(root.planned(&["-R", "symbol:mid_f"]), "mid_dle\n");
    assert_eq!(
        root.planned(&["-D", "symbol:base_g"]),
        "insmod kernel/base.ko \n"
    );
    assert!(fails(&root.modprobe(&["-R", "symbol:nobody"])).contains("symbol:nobody not found"));
    assert!(fails(&root.modprobe(&["-R", "mid_f"])).contains("not found"));
}

#[test]
fn options_of_the_name_that_was_asked_for_count_beside_the_modules() {
    let root = aliased();
    root.configure("options base x=1\noptions pci:v8d1 y=2\noptions other z=3\n");
    assert_eq!(
        root.planned(&["-D", "pci:v8d1", "w=4"]),
        "insmod kernel/base.ko x=1 y=2 w=4\n"
    );
    assert_eq!(
        root.planned(&["-D", "pci:v9d1"]),
        "insmod kernel/base.ko x=1 \n"
    );
}

#[test]
fn names_that_are_none() {
    let root = aliased();
    for name in [
        "",
        ".",
        "..",
        "a]b",
        "a[b",
        "no such",
        "new\nline",
        "top.ko",
    ] {
        let said = fails(&root.modprobe(&["-D", name]));
        assert!(
            said.starts_with(&format!("modprobe: FATAL: Module {name} not found in")),
            "{said}"
        );
    }
    // Nor is a pattern, as a name, one.
    assert!(fails(&root.modprobe(&["-R", "usb[:]v1"])).contains("not found"));
    assert!(fails(&root.modprobe(&["-R", "to?"])).contains("not found"));
}

#[test]
fn a_module_that_is_gone_is_not_taken_for_one_of_the_kernel() {
    let root = aliased();
    // As when the modules were replaced and depmod has not run.
    let alias = std::fs::read(root.file("modules.alias.bin")).unwrap();
    std::fs::remove_file(root.file("kernel/other.ko")).unwrap();
    ok(&root.depmod(&[]));
    std::fs::write(root.file("modules.alias.bin"), alias).unwrap();
    let said = fails(&root.modinfo(&["fs-other"]));
    assert!(
        said.contains("could not get modinfo from 'other': there is no such module"),
        "{said}"
    );
}

//! Modules that others would like before or after them.

use crate::root::{Root, fails, indexed, ok, quiet};

fn modules(root: &Root, arguments: &[&str]) -> Vec<String> {
    let planned = root.planned(arguments);
    let name = |line: &str| {
        let file = line.split(' ').nth(1).unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        file.trim_end_matches(".ko").to_owned()
    };
    planned.lines().map(name).collect()
}

#[test]
fn before_and_after() {
    let root = indexed();
    root.configure("softdep soft pre: base fs-builtin post: top\n");
    let planned = root.planned(&["-D", "soft"]);
    assert!(
        planned.starts_with("insmod kernel/base.ko \nbuiltin built_in\ninsmod kernel/soft.ko \n"),
        "{planned}"
    );
    // What comes after comes with what it needs.
    assert!(
        planned.ends_with("insmod kernel/sub/mid-dle.ko \ninsmod kernel/top.ko \n"),
        "{planned}"
    );
}

#[test]
fn lines_for_one_module_add_up() {
    let root = indexed();
    root.module("kernel/more.ko", &[], &[], &[]);
    ok(&root.depmod(&[]));
    root.configure("softdep base pre: soft\nsoftdep base pre: more soft\nsoftdep base post: top\n");
    let all = modules(&root, &["-D", "base"]);
    let at = |name: &str| all.iter().position(|m| m == name).unwrap();
    assert!(
        at("soft") < at("more") && at("more") < at("base"),
        "{all:?}"
    );
    assert!(at("base") < at("top"), "{all:?}");
    let once = all.iter().filter(|name| *name == "more").count();
    assert_eq!(once, 1, "{all:?}");
}

#[test]
fn a_softdep_on_an_alias() {
    let root = indexed();
    root.configure("alias wanted soft\nsoftdep base pre: wanted fs-builtin post: symbol:mid_f\n");
    let planned = root.planned(&["-D", "base"]);
    assert!(
        planned.starts_with("insmod kernel/soft.ko \nbuiltin built_in\ninsmod kernel/base.ko \n"),
        "{planned}"
    );
    assert!(
        planned.ends_with("insmod kernel/sub/mid-dle.ko \n"),
        "{planned}"
    );
}

#[test]
fn one_that_is_not_there_is_no_error() {
    let root = indexed();
    root.configure("softdep base pre: nosuch a]b post: neither\n");
    assert_eq!(quiet(&root.modprobe(&["-D", "base"])).lines().count(), 1);
}

#[test]
fn circles_end() {
    let root = indexed();
    root.configure("softdep base pre: soft\nsoftdep soft pre: base\n");
    assert_eq!(modules(&root, &["-D", "base"]), ["soft", "base"]);
    assert_eq!(modules(&root, &["-D", "soft"]), ["base", "soft"]);
    root.configure("softdep base pre: base post: base\n");
    assert_eq!(modules(&root, &["-D", "base"]), ["base"]);
    root.configure("softdep base post: soft\nsoftdep soft post: top\nsoftdep top post: base\n");
    let all = modules(&root, &["-D", "base"]);
    assert!(all.len() < 10 && all.contains(&"top".to_owned()), "{all:?}");
    // Against the order of what needs what.
    root.configure("softdep base pre: top\n");
    let all = modules(&root, &["-D", "top"]);
    assert!(
        all.len() < 10 && all.contains(&"base".to_owned()),
        "{all:?}"
    );
}

#[test]
fn a_long_chain_is_followed_but_not_for_ever() {
    let root = indexed();
    let chain = |length: usize| {
        let mut text = String::from("softdep base pre: x0\n");
        for number in 0..length {
            text += &format!("install x{number} true\n");
            text += &format!("softdep x{number} pre: x{}\n", number + 1);
        }
        root.configure(&text);
        root.modprobe(&["-D", "base"])
    };
    assert_eq!(quiet(&chain(100)).lines().count(), 101);
    let said = fails(&chain(3000));
    assert!(
        said.contains("Too deep recursion in module dependencies of base!"),
        "{said}"
    );
}

#[test]
fn softdeps_of_what_is_needed_count() {
    let root = indexed();
    root.configure("softdep base post: soft\n");
    assert_eq!(
        modules(&root, &["-D", "top"]),
        ["base", "soft", "mid-dle", "top"]
    );
}

#[test]
fn a_weakdep_is_only_told() {
    let root = indexed();
    root.configure("weakdep base soft\n");
    assert_eq!(modules(&root, &["-D", "base"]), ["base"]);
    assert!(root.planned(&["-c"]).contains("weakdep base soft\n"));
}

#[test]
fn a_blacklist_and_softdeps() {
    let root = indexed();
    root.configure("softdep base pre: soft\nblacklist soft\n");
    assert_eq!(modules(&root, &["-D", "base"]), ["soft", "base"]);
}

/// With kmod the command would be forgotten for the softdep.
#[test]
fn a_command_counts_beside_a_softdep() {
    let root = indexed();
    root.configure("install base /bin/false\nsoftdep base pre: soft\n");
    assert_eq!(
        root.planned(&["-D", "base"]),
        "insmod kernel/soft.ko \ninstall /bin/false \n"
    );
}

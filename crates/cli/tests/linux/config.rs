//! Which files of configuration count, in what order, and how their lines are read.

use crate::root::{Root, fails, indexed, ok, quiet, said};
use std::os::unix::fs::symlink;

/// What modprobe would give to `base`.
fn given(root: &Root, arguments: &[&str]) -> String {
    let shown = root.short(&quiet(
        &root.modprobe_with(&[arguments, &["-D", "base"]].concat()),
    ));
    let options = shown.strip_prefix("insmod kernel/base.ko ");
    options
        .unwrap_or_else(|| panic!("{shown}"))
        .trim_end()
        .to_owned()
}

/// Two directories, and a file.
fn places() -> (Root, String, String, String) {
    let root = indexed();
    root.conf("one/10-a.conf", "options base a=1\n");
    root.conf("one/30-c.conf", "options base c=1\n");
    root.conf("two/10-a.conf", "options base a=2\n");
    root.conf("two/20-b.conf", "options base b=2\n");
    let file = root.conf("file", "options base f=3\n");
    let (one, two) = (root.arg("one"), root.arg("two"));
    (root, one, two, file)
}

#[test]
fn of_files_of_one_name_the_first_directorys_counts() {
    let (root, one, two, _) = places();
    assert_eq!(given(&root, &["-C", &one, "-C", &two]), "a=1 b=2 c=1");
    assert_eq!(given(&root, &["-C", &two, "-C", &one]), "a=2 b=2 c=1");
    assert_eq!(given(&root, &["-C", &two]), "a=2 b=2");
    // An empty file hides another, as does a link to /dev/null.
    root.conf("mask/10-a.conf", "");
    symlink("/dev/null", root.path("mask/30-c.conf")).unwrap();
    let mask = root.arg("mask");
    assert_eq!(given(&root, &["-C", &mask, "-C", &one, "-C", &two]), "b=2");
}

#[test]
fn a_file_is_taken_whatever_its_name() {
    let (root, one, _, file) = places();
    assert_eq!(given(&root, &["-C", &file]), "f=3");
    assert_eq!(given(&root, &["-C", &one, "-C", &file]), "a=1 c=1 f=3");
    assert_eq!(given(&root, &["--config", &file]), "f=3");
    assert_eq!(given(&root, &[&format!("-C{file}")]), "f=3");
}

#[test]
fn a_place_that_is_not_there_holds_nothing() {
    let (root, one, ..) = places();
    assert_eq!(given(&root, &["-C", "/nonexistent"]), "");
    assert_eq!(given(&root, &["-C", "/nonexistent", "-C", &one]), "a=1 c=1");
    symlink("/nonexistent", root.path("dangling")).unwrap();
    assert_eq!(given(&root, &["-C", &root.arg("dangling")]), "");
}

#[test]
fn only_files_that_end_in_conf_are_read_and_no_hidden_ones() {
    let (root, one, ..) = places();
    for name in [
        "d",
        "d.conf.dpkg-old",
        "d.alias",
        ".d.conf",
        "d.conf~",
        "conf",
    ] {
        root.conf(&format!("one/{name}"), "options base d=4\n");
    }
    std::fs::create_dir(root.path("one/e.conf")).unwrap();
    assert_eq!(given(&root, &["-C", &one]), "a=1 c=1");
}

/// Files of other things than modules are in /etc/modprobe.d of some machines too.
#[test]
fn a_file_that_cannot_be_read_is_told_and_the_rest_taken() {
    let (root, one, ..) = places();
    symlink("nowhere", root.path("one/05-gone.conf")).unwrap();
    let output = root.modprobe_with(&["-C", &one, "-D", "base"]);
    assert!(ok(&output).contains("base.ko a=1 c=1"));
    assert!(
        said(&output).contains("05-gone.conf: "),
        "{}",
        said(&output)
    );
    // Bytes that are no text.
    std::fs::remove_file(root.path("one/05-gone.conf")).unwrap();
    std::fs::write(
        root.path("one/05-odd.conf"),
        b"\xff\xfe\0\n\noptions base z=\xff\n",
    )
    .unwrap();
    let output = root.modprobe_with(&["-C", &one, "-D", "base"]);
    assert!(ok(&output).contains(" a=1 c=1"));
    assert!(
        said(&output).contains("05-odd.conf line 1: ignoring"),
        "{}",
        said(&output)
    );
}

#[test]
fn comments_and_lines_that_go_on() {
    let root = indexed();
    root.configure(
        "# options base no=1\n  # options base no=2\n\n\t\n\
         options base a=1\\\n  b=2 \\\n\tc=3\n\
         options\tbase\td=4\te=\"5 # 6\"\n\
         # a comment \\\noptions base no=3\n\
         options base last=7\\",
    );
    let shown = root.planned(&["-D", "base"]);
    let words: Vec<&str> = shown.split_whitespace().skip(2).collect();
    assert_eq!(
        words,
        ["a=1", "b=2", "c=3", "d=4", "e=\"5", "#", "6\"", "last=7"]
    );
}

#[test]
fn a_line_that_is_wrong_is_told_with_its_place_and_is_no_failure() {
    let root = indexed();
    root.configure(
        "alias one\nnonsense x\nalias a] b\n\nblacklist\nsoftdep\ninstall top\nremove top\n\
         options top\ninclude /x\nconfig binary_indexes yes\nOPTIONS base x=1\noptions base y=2\n",
    );
    let output = root.modprobe(&["-D", "base"]);
    assert_eq!(root.short(&ok(&output)), "insmod kernel/base.ko y=2 \n");
    let said = said(&output);
    let file = root.arg("etc/test.conf");
    for line in [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12] {
        let place = format!("modprobe: WARNING: {file} line {line}: ");
        assert!(said.contains(&place), "{line}: {said}");
    }
    assert_eq!(said.lines().count(), 11, "{said}");
    // Nobody wants to hear of them.
    assert_eq!(crate::root::said(&root.modprobe(&["-q", "-D", "base"])), "");
}

#[test]
fn the_usual_places_are_read_when_none_is_given() {
    let root = indexed();
    // Whatever is configured on this machine, it is not an error.
    ok(&root.modprobe_with(&["-D", "base"]));
    ok(&root.modprobe_with(&["-c"]));
}

#[test]
fn what_depmod_found_is_configuration_too_and_sorted_among_it() {
    let root = indexed();
    // modules.softdep comes after a.conf and before z.conf.
    for name in ["a", "z"] {
        root.conf(
            &format!("etc/{name}.conf"),
            &format!("softdep top pre: {name}\n"),
        );
    }
    let shown = root.planned(&["-c"]);
    let told: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("softdep"))
        .collect();
    assert_eq!(
        told,
        [
            "softdep top pre: a",
            "softdep mid_dle pre: soft",
            "softdep top pre: z"
        ]
    );
}

#[test]
fn a_later_line_of_options_adds_to_an_earlier_one() {
    let root = indexed();
    root.configure("options base x=1\noptions soft x=2\noptions ba-se n=1\noptions base x=3 y\n");
    assert_eq!(
        root.planned(&["-D", "base", "x=4"]),
        "insmod kernel/base.ko x=1 x=3 y x=4\n"
    );
}

#[test]
fn a_configuration_that_is_a_loop_of_links_is_told() {
    let root = indexed();
    symlink("loop", root.path("loop")).unwrap();
    let output = root.modprobe_with(&["-C", &root.arg("loop"), "-D", "base"]);
    assert!(ok(&output).contains("base.ko"));
    assert!(said(&output).contains("loop: "), "{}", said(&output));
    fails(&root.modprobe_with(&["-C", &root.arg("loop"), "-D", "nosuch"]));
}

//! blacklist, allow and deny.

use crate::root::{command, fails, indexed, ok, quiet, said};

#[test]
fn a_blacklisted_module_is_not_found_by_an_alias() {
    let root = indexed();
    root.configure("blacklist top\n");
    assert_eq!(root.planned(&["-D", "usb:v1"]), "");
    assert!(root.planned(&["-D", "top"]).contains("kernel/top.ko"));
    // The name is still told.
    assert_eq!(root.planned(&["-R", "usb:v1"]), "top\n");
    // Nor by an alias of the configuration.
    root.configure("blacklist top\nalias mine top\nalias mine soft\n");
    assert_eq!(root.planned(&["-D", "mine"]), "insmod kernel/soft.ko \n");
}

#[test]
fn a_blacklist_keeps_nobody_from_removing_a_module() {
    let root = indexed();
    root.configure("blacklist top\nblacklist mid-dle\n");
    assert_eq!(root.planned(&["-r", "-D", "usb:v1"]), "rmmod top\n");
    assert_eq!(
        root.planned(&["-b", "-r", "-D", "mid-dle"]),
        "rmmod mid_dle\n"
    );
}

#[test]
fn with_b_a_blacklist_is_for_names_too() {
    let root = indexed();
    root.configure("blacklist soft\nblacklist mid-dle\n");
    for option in ["-b", "--use-blacklist"] {
        for name in ["soft", "mid-dle", "mid_dle"] {
            assert_eq!(root.planned(&[option, "-D", name]), "", "{name}");
        }
        // What is needed is not asked for by name.
        assert!(root.planned(&[option, "-D", "top"]).contains("mid-dle.ko"));
    }
    assert!(root.planned(&["-D", "mid_dle"]).contains("mid-dle.ko"));
    // It is said with -v only, as it is no error.
    let output = root.modprobe(&["-b", "-v", "-D", "soft"]);
    ok(&output);
    let place = format!("{} line 1", root.arg("etc/test.conf"));
    assert!(
        said(&output).contains(&format!("soft is blacklisted by {place}")),
        "{}",
        said(&output)
    );
    assert_eq!(quiet(&root.modprobe(&["-b", "-D", "soft"])), "");
}

#[test]
fn with_an_allow_line_the_rest_is_not_allowed() {
    let root = indexed();
    root.configure("allow mid-dle base\nallow so*\n");
    assert!(root.planned(&["-D", "mid_dle"]).contains("soft.ko"));
    let said = fails(&root.modprobe(&["-D", "top"]));
    let place = format!("{} line 1", root.arg("etc/test.conf"));
    assert_eq!(
        said,
        format!("modprobe: FATAL: Module top is not allowed by {place}: no allow line names it\n")
    );
    // With -a it is a warning, and the others go on.
    let output = root.modprobe(&["-a", "-D", "top", "base"]);
    assert!(fails(&output).contains("WARNING: Module top is not allowed"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("base.ko"));
}

#[test]
fn what_a_module_needs_must_be_allowed_too() {
    let root = indexed();
    root.configure("allow top base\n");
    let said = fails(&root.modprobe(&["-D", "top"]));
    assert!(said.contains("Module mid_dle is not allowed"), "{said}");
    // What it only would like is left out.
    root.configure("allow top base mid_dle\n");
    let planned = root.planned(&["-D", "top"]);
    assert!(
        planned.contains("top.ko") && !planned.contains("soft.ko"),
        "{planned}"
    );
}

#[test]
fn a_deny_line_says_why() {
    let root = indexed();
    root.configure("# ours\ndeny ba* it is too old,  use soft\ndeny so*\n");
    let said = fails(&root.modprobe(&["-D", "base"]));
    assert!(
        said.ends_with("test.conf line 2: it is too old,  use soft\n"),
        "{said}"
    );
    let said = fails(&root.modprobe(&["-D", "soft"]));
    assert!(said.ends_with("test.conf line 3\n"), "{said}");
    // By whatever way.
    for name in ["top", "pci:v1d1", "symbol:base_f", "mid_dle"] {
        assert!(fails(&root.modprobe(&["-D", name])).contains("Module base is not allowed"));
    }
    // A command does not stand in for it, and -i does not help.
    root.configure("deny base\ninstall base /bin/true\n");
    for arguments in [&["-D", "base"][..], &["-i", "-D", "base"], &["-n", "base"]] {
        assert!(fails(&root.modprobe(arguments)).contains("not allowed"));
    }
    assert_eq!(fails(&root.modprobe(&["-q", "-D", "base"])), "");
}

#[test]
fn a_deny_line_counts_more_than_an_allow_line() {
    let root = indexed();
    root.configure("allow *\ndeny soft no\n");
    assert!(fails(&root.modprobe(&["-D", "soft"])).contains("line 2: no"));
    assert!(root.planned(&["-D", "base"]).contains("base.ko"));
}

#[test]
fn configured_lines_and_where_they_are_from() {
    let root = indexed();
    let first = root.conf("etc/10-first.conf", "options base a=1\n\nalias mine base\n");
    let second = root.conf(
        "etc/20-second.conf",
        "blacklist so-ft\noptions \\\n mid-dle b=2\n",
    );
    let config = |arguments: &[&str]| {
        let fixed = ["-d", root.root(), "-S", crate::root::VERSION, "-C"];
        let etc = root.arg("etc");
        let all = [&fixed[..], &[&etc], arguments].concat();
        quiet(&command("config", &all).output().unwrap())
    };
    let shown = config(&[]);
    for line in [
        format!("{first}:1: options base a=1"),
        format!("{first}:3: alias mine base"),
        format!("{second}:1: blacklist so_ft"),
        format!("{second}:2: options mid_dle b=2"),
        format!(
            "{}:2: softdep mid_dle pre: soft",
            root.file("modules.softdep").display()
        ),
    ] {
        assert!(shown.lines().any(|l| l == line), "{line}: {shown}");
    }
    let shown = config(&["mid-dle"]);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    let shown = config(&["mine", "so_ft"]);
    assert_eq!(
        shown,
        format!("{first}:3: alias mine base\n{second}:1: blacklist so_ft\n")
    );
    assert_eq!(config(&["nosuch"]), "");
    let rules: serde_json::Value = serde_json::from_str(&config(&["--json", "mid_dle"])).unwrap();
    let rule = rules
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["file"] == *second);
    let rule = rule.unwrap();
    assert_eq!(rule["rule"], "options mid_dle b=2");
    assert_eq!(rule["line"], 2);
    assert_eq!(config(&["--json", "nosuch"]), "[]\n");
}

/// Nobody is kept from removing what is there.
#[test]
fn what_is_denied_can_be_removed() {
    let root = crate::root::indexed();
    root.configure("deny top too old\n");
    fails(&root.modprobe(&["-D", "top"]));
    assert_eq!(root.planned(&["-r", "-n", "top"]), "rmmod top\n");
}

/// One of several that an alias stands for does not keep the others from it; as with kmod the
/// last counts.
#[test]
fn the_others_of_an_alias_go_on() {
    let root = crate::root::indexed();
    root.configure("alias both base\nalias both soft\ndeny base not here\n");
    let done = root.modprobe(&["-D", "both"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && said.contains("not here"),
        "{done:?}"
    );
    assert!(String::from_utf8_lossy(&done.stdout).contains("soft.ko"));
    root.configure("alias both base\nalias both soft\ndeny soft not here\n");
    let done = root.modprobe(&["-D", "both"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stdout).contains("base.ko"));
}

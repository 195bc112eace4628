//! modprobe by a modules.conf of Linux 2.4; `hosts.rs` has what it does in a tree.

use crate::root::{Root, VERSION, command, fails, indexed, ok, quiet};
use std::fs;

/// What modprobe prints, without the path of the version directory.
fn planned(root: &Root, text: &str, arguments: &[&str]) -> String {
    root.short(&quiet(&modprobe(root, text, arguments)))
}

fn modprobe(root: &Root, text: &str, arguments: &[&str]) -> std::process::Output {
    let file = root.conf("modules.conf", text);
    root.modprobe_with(&[&["--modules-conf", &file], arguments].concat())
}

const BASE: &str = "insmod kernel/base.ko";

#[test]
fn aliases_lead_from_one_to_the_next() {
    let root = indexed();
    let text = "alias one two\nalias two base\noptions one a=1\noptions two b=2\n\
                options base c=3\noptions other d=4\n";
    assert_eq!(planned(&root, text, &["-R", "one"]), "base\n");
    assert_eq!(
        planned(&root, text, &["-D", "one", "x=9"]),
        format!("{BASE} a=1 b=2 c=3 x=9\n")
    );
    assert_eq!(
        planned(&root, text, &["-D", "two"]),
        format!("{BASE} b=2 c=3 \n")
    );
    assert_eq!(
        planned(&root, text, &["-D", "base"]),
        format!("{BASE} c=3 \n")
    );
    let why = planned(&root, text, &["--explain", "one"]);
    assert!(why.starts_with("one is base, by an alias in "), "{why}");
    assert!(why.contains("modules.conf line 2\n"), "{why}");
}

#[test]
fn a_later_line_replaces_an_earlier_one_unless_it_is_added() {
    let root = indexed();
    let text =
        "alias x soft\nalias x base\noptions base a=1\noptions base b=2\nadd options base c=3\n";
    assert_eq!(
        planned(&root, text, &["-D", "x"]),
        format!("{BASE} b=2 c=3 \n")
    );
}

#[test]
fn off_is_success_without_doing_anything() {
    let root = indexed();
    let text = "alias eth0 off\nalias chain eth0\n";
    for name in ["eth0", "chain"] {
        assert_eq!(planned(&root, text, &["-D", name]), "");
        assert!(planned(&root, text, &["--explain", name]).contains("line 1 says off"));
    }
    // As modutils had it for protocols by themselves.
    assert_eq!(planned(&root, "", &["-D", "net-pf-3"]), "");
}

#[test]
fn null_has_commands_and_no_module() {
    let root = indexed();
    let text = "alias nada null\npre-install nada echo one\npost-install nada echo two\n";
    assert_eq!(
        planned(&root, text, &["-D", "nada"]),
        "pre-install echo one\npost-install echo two\n"
    );
    assert!(planned(&root, text, &["--explain", "nada"]).contains("line 1 says null"));
}

#[test]
fn an_alias_loop_is_an_error() {
    let root = indexed();
    for text in [
        "alias a b\nalias b a\n",
        "alias a a\n",
        "alias a b\nalias b c\nalias c b\n",
    ] {
        let said = fails(&modprobe(&root, text, &["-D", "a"]));
        assert!(said.contains("alias loop detected on "), "{said}");
        // For nobody else.
        assert_eq!(planned(&root, text, &["-D", "base"]), format!("{BASE} \n"));
    }
    let mut text = String::new();
    for number in 0..900 {
        text += &format!("alias a{number} a{}\n", number + 1);
    }
    text += "alias a900 base\n";
    assert_eq!(planned(&root, &text, &["-R", "a0"]), "base\n");
}

#[test]
fn a_probe_line_stands_for_the_first_that_can_be_loaded() {
    let root = indexed();
    let text = "probe any nosuch soft base\nprobeall all nosuch soft base\nprobe none no1 no2\n\
                probe deep any\nprobe self self\n";
    assert_eq!(planned(&root, text, &["-R", "any"]), "soft\nbase\n");
    assert_eq!(
        planned(&root, text, &["-D", "any"]),
        "insmod kernel/soft.ko \n"
    );
    assert_eq!(
        planned(&root, text, &["-D", "all"]),
        format!("insmod kernel/soft.ko \n{BASE} \n")
    );
    assert_eq!(
        planned(&root, text, &["-D", "deep"]),
        "insmod kernel/soft.ko \n"
    );
    assert!(fails(&modprobe(&root, text, &["-D", "none"])).contains("none not found"));
    assert!(fails(&modprobe(&root, text, &["-D", "self"])).contains("alias loop detected on self"));
    let why = planned(&root, text, &["--explain", "any"]);
    assert!(why.starts_with("any is perhaps soft, by "), "{why}");
}

#[test]
fn below_comes_before_and_above_after() {
    let root = indexed();
    let text = "below soft base\nabove soft top nosuch\n";
    let shown = planned(&root, text, &["-D", "soft"]);
    let files: Vec<&str> = shown
        .split_whitespace()
        .filter(|word| word.ends_with(".ko"))
        .collect();
    assert_eq!(files.first(), Some(&"kernel/base.ko"));
    assert_eq!(files.last(), Some(&"kernel/top.ko"));
    assert!(files.contains(&"kernel/soft.ko"));
    // What is below must be there.
    let said = fails(&modprobe(&root, "below soft nosuch\n", &["-D", "soft"]));
    assert!(said.contains("nosuch not found"), "{said}");
    // Circles end.
    let text = "below soft base\nbelow base soft\nabove soft base\nabove base soft\n";
    assert!(planned(&root, text, &["-D", "soft"]).contains("soft.ko"));
}

#[test]
fn commands_before_after_and_in_place() {
    let root = indexed();
    let text = "alias one base\npre-install one echo 1\npre-install base echo 2\n\
                post-install base echo 3\ninstall soft echo 4\nremove soft echo 5\n";
    let shown = planned(&root, text, &["-D", "one"]);
    assert!(
        shown.starts_with("pre-install echo 1\npre-install echo 2\n"),
        "{shown}"
    );
    assert!(
        shown.ends_with(&format!("{BASE} \npost-install echo 3\n")),
        "{shown}"
    );
    assert_eq!(
        planned(&root, text, &["-D", "soft", "x=1"]),
        "install echo 4 x=1\n"
    );
    assert_eq!(
        planned(&root, text, &["-r", "-D", "soft"]),
        "remove echo 5\n"
    );
    let json = planned(&root, text, &["-D", "--json", "one"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["before"], serde_json::json!(["echo 1", "echo 2"]));
    assert_eq!(json[0]["after"], serde_json::json!(["echo 3"]));
}

#[test]
fn files_that_are_included() {
    let root = indexed();
    root.conf("inc/1.conf", "alias one base\n");
    root.conf("inc/2.conf", "alias two base\noptions base i=2\n");
    let text = format!("include {}/*.conf\n", root.arg("inc"));
    assert_eq!(
        planned(&root, &text, &["-D", "one"]),
        format!("{BASE} i=2 \n")
    );
    assert_eq!(planned(&root, &text, &["-R", "two"]), "base\n");
    let said = fails(&modprobe(
        &root,
        "\ninclude /nonexistent\n",
        &["-D", "base"],
    ));
    assert!(
        said.contains("modules.conf line 2: cannot read /nonexistent: No such file"),
        "{said}"
    );
    // One that includes itself.
    let own = root.arg("modules.conf");
    let said = fails(&modprobe(
        &root,
        &format!("include {own}\n"),
        &["-D", "base"],
    ));
    assert!(said.contains("levels deep"), "{said}");
}

#[test]
fn conditions() {
    let root = indexed();
    let options = |condition: &str, more: &[&str]| {
        let text = format!(
            "define V 5\nif {condition}\noptions base yes=1\nelse\noptions base no=1\nendif\n"
        );
        let shown = planned(&root, &text, &[more, &["-D", "base"]].concat());
        shown.trim_end().rsplit(' ').next().unwrap().to_owned()
    };
    let here = root.arg("etc");
    for (condition, is) in [
        ("1", true),
        ("! 1", false),
        ("-n `kernelversion` >= 6.1", true),
        ("-n `kernelversion` < 6.0", false),
        ("`uname -r` == 6.1.0-test", true),
        ("$V = 5", true),
        ("-n $V > 10", false),
        ("-k", false),
        (&format!("-f {here}"), true),
        ("-f /nonexistent", false),
    ] {
        let wanted = if is { "yes=1" } else { "no=1" };
        assert_eq!(options(condition, &[]), wanted, "{condition}");
    }
    assert_eq!(options("-k", &["-k"]), "yes=1");
    assert_eq!(options("-k", &["--autoclean"]), "yes=1");
    let text = "if 0\nif 1\noptions base a=1\nendif\nelseif 1\noptions base b=1\nelse\noptions base c=1\nendif\n";
    assert_eq!(
        planned(&root, text, &["-D", "base"]),
        format!("{BASE} b=1 \n")
    );
}

#[test]
fn where_indexes_and_modules_are() {
    let root = indexed();
    let there = root.path("there");
    fs::rename(root.file(""), &there).unwrap();
    fs::create_dir(root.path("opt")).unwrap();
    fs::copy(there.join("kernel/soft.ko"), root.path("opt/so-lo.ko")).unwrap();
    fs::copy(there.join("kernel/soft.ko"), root.path("opt/old.o")).unwrap();
    let file = root.conf(
        "modules.conf",
        &format!(
            "depfile={}\npath[own]={}\n",
            there.join("modules.dep").display(),
            root.arg("opt")
        ),
    );
    let run = |name: &str| command("modprobe", &["--modules-conf", &file, "-D", name]).output();
    let shown = quiet(&run("top").unwrap());
    assert!(
        shown.contains(&format!("insmod {}/kernel/base.ko", there.display())),
        "{shown}"
    );
    // What no index knows is looked for.
    for (name, found) in [
        ("so-lo", "so-lo.ko"),
        ("so_lo", "so-lo.ko"),
        ("old", "old.o"),
    ] {
        let shown = quiet(&run(name).unwrap());
        assert_eq!(shown, format!("insmod {}/{found} \n", root.arg("opt")));
    }
    fails(&run("nosuch").unwrap());
    // With a root the paths are below it.
    fs::create_dir_all(root.path("opt2/sub")).unwrap();
    fs::rename(root.path("opt/old.o"), root.path("opt2/sub/old.o")).unwrap();
    let shown = planned(&root, "path=/opt2/sub\n", &["-D", "old"]);
    assert_eq!(shown, format!("insmod {}/sub/old.o \n", root.arg("opt2")));
}

#[test]
fn a_line_that_is_wrong_is_an_error_with_its_place() {
    let root = indexed();
    let file = root.arg("modules.conf");
    for (text, line, why) in [
        ("bogus x\n", 1, "'bogus' is no directive"),
        ("alias a b\n\n# x\nalias\n", 4, "'alias' needs a name"),
        (
            "alias a \\\n\nnonsense\n",
            1,
            "'alias' needs a module's name",
        ),
        ("if 1\nalias a b\n", 1, "has no 'endif'"),
        ("endif\n", 1, "'endif' without 'if'"),
        ("if 1\nelse\nelse\nendif\n", 3, "'else' after 'else'"),
        ("if 1 2\nendif\n", 1, "is no condition"),
        ("pathx=/y\n", 1, "is no directive"),
        ("nosuch=1\n", 1, "is no directive"),
    ] {
        let said = fails(&modprobe(&root, text, &["-D", "base"]));
        assert!(
            said.starts_with(&format!("modprobe: FATAL: {file} line {line}: ")),
            "{text}: {said}"
        );
        assert!(said.contains(why), "{text}: {said}");
    }
    // A branch that is not taken is not read.
    assert_eq!(
        planned(&root, "if 0\nbogus\nendif\n", &["-D", "base"]),
        format!("{BASE} \n")
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let root = indexed();
    for (file, why) in [
        ("/nonexistent", "No such file"),
        (root.root(), "Is a directory"),
    ] {
        let said = fails(&root.modprobe_with(&["--modules-conf", file, "-D", "base"]));
        assert!(
            said.starts_with(&format!("modprobe: FATAL: cannot read {file}: {why}")),
            "{said}"
        );
        assert!(!said.contains("line 0"), "{said}");
    }
    let file = root.conf("m.conf", "");
    fails(&root.modprobe_with(&["--modules-conf", &file, "-C", "/x", "-D", "base"]));
}

#[test]
fn what_it_says_is_shown_with_its_places() {
    let root = indexed();
    let file = root.conf("m.conf", "alias a base\n\nprobeall b base soft\n");
    let fixed = ["-d", root.root(), "-S", VERSION, "--modules-conf", &file];
    let shown = quiet(&command("config", &fixed).output().unwrap());
    assert!(
        shown.contains(&format!("{file}:1: alias a base\n")),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("{file}:3: probeall b base soft\n")),
        "{shown}"
    );
    assert!(shown.contains("(built-in):"), "{shown}");
    let shown = quiet(
        &command("config", &[&fixed[..], &["a"]].concat())
            .output()
            .unwrap(),
    );
    assert_eq!(shown, format!("{file}:1: alias a base\n"));
    assert!(ok(&root.modprobe_with(&["--modules-conf", &file, "-c"])).contains("alias a base\n"));
}

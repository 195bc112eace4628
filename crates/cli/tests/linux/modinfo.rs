//! modinfo: fields, parameters, several modules.

use crate::root::{Root, fails, indexed, ok, quiet, said};
use std::fs;

const SAYS: [&str; 17] = [
    "license=GPL v2",
    "author=One <one@a.b>",
    "author=Two",
    "description=Says = things: x",
    "parm=b:second (default 1)",
    "parmtype=a:int",
    "parmtype=b:charp",
    "parm=a:first",
    "parmtype=c:array of uint",
    "parm=d:no type",
    "flag",
    "depends=base,other",
    "vermagic=6.1.0-test SMP",
    "firmware=x.bin",
    "firmware=y.bin",
    "name=talk",
    "srcversion=ABC",
];

/// A module that says much.
fn talk() -> Root {
    let root = indexed();
    root.module("kernel/talk.ko", &[], &[], &SAYS);
    quiet(&root.depmod(&[]));
    root
}

#[test]
fn all_that_a_module_says() {
    let root = talk();
    let shown = root.short(&quiet(&root.modinfo(&["talk"])));
    assert_eq!(
        shown,
        "filename:       kernel/talk.ko\n\
         license:        GPL v2\n\
         author:         One <one@a.b>\n\
         author:         Two\n\
         description:    Says = things: x\n\
         flag:           \n\
         depends:        base,other\n\
         vermagic:       6.1.0-test SMP\n\
         firmware:       x.bin\n\
         firmware:       y.bin\n\
         name:           talk\n\
         srcversion:     ABC\n\
         parm:           d:no type\n\
         parm:           c:array of uint\n\
         parm:           a:first (int)\n\
         parm:           b:second (default 1) (charp)\n"
    );
}

#[test]
fn one_field_only() {
    let root = talk();
    for (arguments, wanted) in [
        (&["-a"][..], "One <one@a.b>\nTwo\n"),
        (&["--author"], "One <one@a.b>\nTwo\n"),
        (&["-d"], "Says = things: x\n"),
        (&["--description"], "Says = things: x\n"),
        (&["-l"], "GPL v2\n"),
        (&["--license"], "GPL v2\n"),
        (&["-n"], "kernel/talk.ko\n"),
        (&["--filename"], "kernel/talk.ko\n"),
        (&["-F", "filename"], "kernel/talk.ko\n"),
        (&["-F", "firmware"], "x.bin\ny.bin\n"),
        (&["--field", "flag"], "\n"),
        (&["-F", "parmtype"], "a:int\nb:charp\nc:array of uint\n"),
        (&["-F", "nosuch"], ""),
        (&["-F", ""], ""),
        (&["-F", "signer"], ""),
    ] {
        let shown = quiet(&root.modinfo(&[arguments, &["talk"]].concat()));
        assert_eq!(root.short(&shown), wanted, "{arguments:?}");
    }
    // Options may come after the name.
    assert_eq!(quiet(&root.modinfo(&["talk", "-l"])), "GPL v2\n");
}

#[test]
fn the_case_of_a_field_does_not_matter() {
    let root = talk();
    for field in ["license", "LICENSE", "License"] {
        assert_eq!(quiet(&root.modinfo(&["-F", field, "talk"])), "GPL v2\n");
    }
    assert_eq!(
        quiet(&root.modinfo(&["-F", "PARM", "talk"])),
        quiet(&root.modinfo(&["-p", "talk"]))
    );
    let shown = quiet(&root.modinfo(&["-F", "FileName", "talk"]));
    assert_eq!(root.short(&shown), "kernel/talk.ko\n");
}

#[test]
fn parameters_with_their_types() {
    let root = talk();
    for arguments in [&["-p"][..], &["--parameters"], &["-F", "parm"]] {
        assert_eq!(
            quiet(&root.modinfo(&[arguments, &["talk"]].concat())),
            "d:no type\nc: (array of uint)\na:first (int)\nb:second (default 1) (charp)\n"
        );
    }
}

#[test]
fn nul_ends_what_may_have_line_feeds() {
    let root = indexed();
    root.module(
        "kernel/lines.ko",
        &[],
        &[],
        &["description=two\\nlines", "license=X"],
    );
    quiet(&root.depmod(&[]));
    assert_eq!(quiet(&root.modinfo(&["-0", "-d", "lines"])), "two\nlines\0");
    assert_eq!(
        root.short(&quiet(&root.modinfo(&["-0", "lines"]))),
        "filename:       kernel/lines.ko\0description=two\nlines\0license=X\0"
    );
    assert_eq!(
        root.short(&quiet(&root.modinfo(&["--null", "-n", "lines", "top"]))),
        "kernel/lines.ko\0kernel/top.ko\0"
    );
}

#[test]
fn one_of_several_that_is_missing() {
    let root = talk();
    let output = root.modinfo(&["-n", "top", "no1", "talk", "no2"]);
    assert_eq!(
        fails(&output),
        "modinfo: ERROR: Module no1 not found.\nmodinfo: ERROR: Module no2 not found.\n"
    );
    assert_eq!(
        root.short(&String::from_utf8(output.stdout).unwrap()),
        "kernel/top.ko\nkernel/talk.ko\n"
    );
    let output = root.modinfo(&["--json", "no1", "talk"]);
    fails(&output);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["name"], "talk");
    assert!(fails(&root.modinfo(&[])).contains("missing module or filename."));
}

#[test]
fn only_a_modules_name_with_m() {
    let root = talk();
    assert_eq!(quiet(&root.modinfo(&["-m", "-l", "talk"])), "GPL v2\n");
    for option in ["-m", "--modname"] {
        let said = fails(&root.modinfo(&[option, "usb:v1"]));
        assert_eq!(said, "modinfo: ERROR: Module name usb:v1 not found.\n");
    }
    // A file of that name is not looked at.
    fs::copy(root.file("kernel/top.ko"), root.path("x.ko")).unwrap();
    fails(&root.modinfo(&["-m", &root.arg("x.ko")]));
}

#[test]
fn as_json() {
    let root = talk();
    let text = quiet(&root.modinfo(&["--json", "talk", "top"]));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    let talk = &json[0];
    let file = root.file("kernel/talk.ko");
    assert_eq!(talk["filename"], file.to_str().unwrap());
    assert_eq!(
        talk["fields"]["author"],
        serde_json::json!(["One <one@a.b>", "Two"])
    );
    assert_eq!(talk["fields"]["flag"], serde_json::json!([""]));
    assert!(talk["fields"]["parm"].is_null());
    let parameter = |name: &str| {
        let all = talk["parameters"].as_array().unwrap().iter();
        all.clone().find(|p| p["name"] == name).cloned().unwrap()
    };
    assert_eq!(parameter("b")["type"], "charp");
    assert_eq!(parameter("b")["description"], "second (default 1)");
    assert!(parameter("c")["description"].is_null() && parameter("d")["type"].is_null());
    assert!(talk["signature"].is_null() && talk["build_id"].is_null());
    fails(&root.modinfo(&["--json", "-0", "talk"]));
    fails(&root.modinfo(&["--json", "-n", "talk"]));
}

#[test]
fn odd_lines_of_parameters_are_told_where_they_would_be_printed() {
    let root = indexed();
    root.module(
        "kernel/odd.ko",
        &[],
        &[],
        &[
            "license=X",
            "parm=nothing",
            "parm=:x",
            "parmtype=",
            "parm=a:b:c",
            "parm=a:d",
        ],
    );
    quiet(&root.depmod(&[]));
    let output = root.modinfo(&["-p", "odd"]);
    assert_eq!(ok(&output), "a:d\n:x\n");
    let told = said(&output);
    assert!(told.contains("parameter \"nothing\" lacks a ':'"), "{told}");
    assert!(told.contains("parameter \"\" lacks a ':'"), "{told}");
    assert_eq!(said(&root.modinfo(&["odd"])), told);
    assert_eq!(quiet(&root.modinfo(&["-l", "odd"])), "X\n");
    quiet(&root.modinfo(&["-n", "odd"]));
}

#[test]
fn bytes_that_are_no_text_are_printed_as_they_are() {
    let root = indexed();
    root.module(
        "kernel/raw.ko",
        &[],
        &[],
        &["author=\\xff\\xfeo", "license=\\x1b[31mX"],
    );
    quiet(&root.depmod(&[]));
    assert_eq!(root.modinfo(&["-a", "raw"]).stdout, b"\xff\xfeo\n");
    let json = quiet(&root.modinfo(&["--json", "raw"]));
    assert!(json.contains("\\u001b[31mX"), "{json}");
}

#[test]
fn where_a_file_is_needs_no_reading_of_it() {
    let root = talk();
    let file = root.write("kernel/talk.ko", b"no module any more");
    let shown = quiet(&root.modinfo(&["-n", "talk"]));
    assert_eq!(shown.trim_end(), file.to_str().unwrap());
    quiet(&root.modinfo(&["-F", "FILENAME", "talk"]));
    let said = fails(&root.modinfo(&["talk"]));
    assert!(
        said.contains("could not get modinfo from 'talk'") && said.contains("not an ELF object"),
        "{said}"
    );
    fs::remove_file(&file).unwrap();
    let said = fails(&root.modinfo(&["-l", "talk"]));
    assert!(said.contains("cannot be read: No such file"), "{said}");
}

//! `modfs build`: what it makes, and what it says when it cannot.

mod common;

use common::{MODFS, PATIENCE, Ran, quoted, run, sh};
use std::fs;
use tempfile::TempDir;

const HELLO: &str = "#include <linux/module.h>
int init_module(void) { return 0; }
MODULE_LICENSE(\"GPL\");
";

/// A directory with these files in it.
fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    }
    dir
}

fn build(dir: &TempDir, typed: &str) -> Ran {
    let script = typed.replace("modfs", &quoted(MODFS));
    let mut command = sh(&script);
    command.current_dir(dir.path()).env_remove("CC");
    run(command, PATIENCE)
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).expect("readdir");
    let names = entries.map(|e| e.expect("readdir").file_name());
    let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn says_where_the_module_is() {
    let dir = place(&[("hello.c", HELLO), ("d/a.c", HELLO), ("d/b.c", "int b;\n")]);
    assert_eq!(build(&dir, "modfs build hello.c").ok(), "hello.ko\n");
    assert_eq!(build(&dir, "modfs build d").ok(), "d/d.ko\n");
    assert_eq!(
        build(&dir, "modfs build -o x.ko --name other d/a.c").ok(),
        "x.ko\n"
    );
    assert_eq!(build(&dir, "cd d && modfs build .").ok(), "./d.ko\n");
    assert_eq!(names(&dir), ["d", "hello.c", "hello.ko", "x.ko"]);
    let object = fs::read(dir.path().join("x.ko")).expect("read");
    assert!(object.windows(11).any(|bytes| bytes == b"name=other\0"));
    let said = build(&dir, "modfs build -v hello.c").err;
    assert!(said.contains("\"-c\"") && said.contains("\"-r\""), "{said}");
}

#[test]
fn with_either_compiler() {
    let dir = place(&[("hello.c", HELLO)]);
    for (compiler, package) in [("gcc", "gcc"), ("clang", "clang")] {
        common::need(compiler, package);
        build(&dir, &format!("CC={compiler} modfs build hello.c")).ok();
        for flag in ["-O0", "-flto", "-g"] {
            build(
                &dir,
                &format!("CC=gone modfs build --cc '{compiler} {flag}' hello.c"),
            )
            .ok();
            build(
                &dir,
                &format!("modfs build --cc {compiler} --cflag={flag} hello.c"),
            )
            .ok();
        }
    }
}

#[test]
fn says_why_not_and_leaves_nothing() {
    let dir = place(&[
        ("hello.c", HELLO),
        ("wrong.c", "int x = ;\n"),
        ("idle.c", "int nothing;\n"),
        ("missing.c", "#include <stdio.h>\n#include <no/such.h>\n"),
        (
            "tls.c",
            "#include <linux/module.h>\n__thread int t; int init_module(void) { return t; }\n",
        ),
        ("notes.txt", ""),
        ("two words.c", HELLO),
        ("none/notes.txt", ""),
    ]);
    let before = names(&dir);
    for (typed, why) in [
        (
            "CC=nonexistent-cc modfs build hello.c",
            "build: the C compiler nonexistent-cc cannot be run",
        ),
        (
            "PATH=/nonexistent modfs build hello.c",
            "build: no C compiler: ",
        ),
        ("modfs build wrong.c", "wrong.c:1:9: error: "),
        ("modfs build missing.c", "no/such.h: No such file"),
        (
            "modfs build idle.c",
            "build: the sources have neither an init",
        ),
        ("modfs build tls.c", "build: this cannot be a module: "),
        (
            "modfs build nothing.c",
            "build: cannot read nothing.c: No such file",
        ),
        ("modfs build notes.txt", "build: notes.txt is no source"),
        ("modfs build none", "build: none has no .c file"),
        ("modfs build none hello.c", "build it alone"),
        ("modfs build 'two words.c'", "give one with --name"),
        (
            "modfs build --name ../x hello.c",
            "cannot be a module's name",
        ),
        (
            "modfs build -o hello.c hello.c",
            "build: hello.c is a source",
        ),
        (
            "modfs build -o no/where/x.ko hello.c",
            "build: cannot write to the directory no/where",
        ),
        ("modfs build", "Usage"),
    ] {
        let said = build(&dir, typed).fails();
        assert!(said.contains(why), "{typed}: {said}");
        assert_eq!(names(&dir), before, "{typed}");
    }
}

/// To open one would wait for somebody who writes to it.
#[test]
fn a_fifo_is_no_source() {
    let dir = place(&[("hello.c", HELLO)]);
    build(&dir, "mkfifo f.c").ok();
    for typed in ["modfs build f.c", "modfs build hello.c f.c"] {
        let said = build(&dir, typed).fails();
        assert_eq!(said, "build: cannot read f.c: it is not a regular file\n");
    }
    assert_eq!(names(&dir), ["f.c", "hello.c"]);
}

/// The old module stays whole when there is no room for the new one.
#[test]
fn no_room_for_the_output() {
    common::need_root("it mounts a file system that is full");
    let dir = place(&[("hello.c", HELLO)]);
    fs::create_dir(dir.path().join("small")).expect("mkdir");
    // In a name space of its own, so that nothing is left to be unmounted.
    let script = "
        mount -t tmpfs -o size=64k none small && cp hello.c small/hello.ko || exit 2
        head -c 61440 /dev/zero > small/filler || exit 2
        modfs build -o small/hello.ko hello.c
        code=$?
        cmp hello.c small/hello.ko || exit 2
        [ \"$(ls -A small | wc -l)\" = 2 ] || exit 2
        exit $code";
    let script = format!("unshare --mount sh -c {}", quoted(script));
    let said = build(&dir, &script).fails();
    assert!(
        said.contains("No space left") || said.contains("final link failed"),
        "{said}"
    );
}

//! `modfs genksyms`: its options, what it prints, and how it ends.

mod common;

use common::{MODFS, PATIENCE, Ran, quoted, run, sh};
use std::fs;
use tempfile::TempDir;

const SOURCE: &str = "# 1 \"x.c\"
# 1 \"x.h\" 1
typedef unsigned int u32;
struct foo { int a; u32 b; struct foo *next; };
int bar(struct foo *, u32);
# 2 \"x.c\" 2
int undecl_ok;
EXPORT_SYMBOL(bar);
EXPORT_SYMBOL_GPL(undecl_ok);
";
/// As today's kernel writes them.
const TODAY: &str = "#SYMVER bar 0x3a5c93de\n#SYMVER undecl_ok 0x103bd500\n";

fn genksyms(dir: &TempDir, source: &str, arguments: &str) -> Ran {
    fs::write(dir.path().join("source"), source).expect("write");
    let script = format!("{} genksyms {arguments} < source", quoted(MODFS));
    let mut command = sh(&script);
    command.current_dir(dir.path());
    run(command, PATIENCE)
}

fn place() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn of_2_4() {
    let dir = place();
    let expected = |prefix: &str| {
        let line = |name: &str, crc: &str| {
            format!("#define __ver_{name}\t{prefix}{crc}\n#define {name}\t_set_ver({name})\n")
        };
        line("bar", "3a5c93de") + &line("undecl_ok", "103bd500")
    };
    assert_eq!(genksyms(&dir, SOURCE, "-k 2.4.35").ok(), expected(""));
    assert_eq!(
        genksyms(&dir, SOURCE, "-k 2.4.35 -p smp_").ok(),
        expected("smp_")
    );
    let ran = genksyms(&dir, SOURCE, "-D --kernel 2.1.18");
    assert_eq!(
        ran.err,
        "Export bar == <int bar ( struct foo { int a ; typedef unsigned int u32 b ; struct foo * next ; } * , u32 ) >\n\
         Export undecl_ok == <int undecl_ok >\n"
    );
}

#[test]
fn of_today() {
    let dir = place();
    assert_eq!(genksyms(&dir, SOURCE, "").ok(), TODAY);
    // What is not declared, and what is not understood, is told when it is asked for.
    let odd = format!("{SOURCE}EXPORT_SYMBOL(missing);\nint 5;\n");
    assert_eq!(genksyms(&dir, &odd, "").ok(), TODAY);
    assert_eq!(genksyms(&dir, &odd, "-w -q").code, Some(1));
    let ran = genksyms(&dir, &odd, "-w");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), TODAY));
    assert_eq!(
        ran.err,
        "genksyms: 6: syntax error at \"5\"\ngenksyms: export undefined symbol: missing\n"
    );
}

#[test]
fn types_and_what_has_changed() {
    let dir = place();
    genksyms(&dir, SOURCE, "-T types").ok();
    let types = fs::read_to_string(dir.path().join("types")).expect("types");
    assert_eq!(
        types,
        "t#u32 typedef unsigned int u32 \ns#foo struct foo { int a ; t#u32 b ; s#foo * next ; } \n\
         bar int bar ( s#foo * , t#u32 ) \nundecl_ok int undecl_ok \n"
    );
    let ran = genksyms(&dir, SOURCE, "-r types --preserve");
    assert_eq!(ran.err, "");
    ran.ok();
    let other = SOURCE.replace("int a;", "long a;");
    let said = "bar: modversion changed because of changes in struct foo\n";
    let ran = genksyms(&dir, &other, "-r types");
    assert_eq!(ran.err, format!("genksyms: warning: {said}"));
    ran.ok();
    let ran = genksyms(&dir, &other, "-r types --preserve");
    assert_eq!(
        (ran.code, ran.err),
        (Some(1), format!("genksyms: error: {said}"))
    );
    fs::write(
        dir.path().join("types"),
        types.replace("s#foo struct", "override s#foo struct"),
    )
    .expect("write");
    assert_eq!(genksyms(&dir, &other, "-r types --preserve").err, "");
}

#[test]
fn what_is_wrong_is_said() {
    let dir = place();
    for (arguments, why) in [
        ("-k 2.0.40", "before Linux 2.1.18 are not made"),
        ("-k 2.4", "not a version, as 2.4.35"),
        ("-r nothing", "nothing: No such file"),
        ("-T no/such", "no/such: No such file"),
        ("-k 2.4.35 -T types", "cannot be used with"),
        ("-p smp_", "--kernel"),
    ] {
        let said = genksyms(&dir, SOURCE, arguments).fails();
        assert!(said.contains(why), "{arguments}: {said}");
    }
    fs::write(dir.path().join("bytes"), b"int a;\nchar *b = \"\xff\";\n").expect("write");
    let mut command = sh(&format!("{} genksyms < bytes", quoted(MODFS)));
    command.current_dir(dir.path());
    let said = run(command, PATIENCE).fails();
    assert!(said.contains("standard input, line 2: not UTF-8"), "{said}");
}

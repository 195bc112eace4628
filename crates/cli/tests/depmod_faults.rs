//! depmod where something goes wrong: no space, no right to write, a death midway, files that are no
//! modules. Needs root (for mounts), gcc, unshare, xz, zstd and gzip.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{
    MODFS, NOBODY, Random, Root, VERSION, copy_program, fails, need, need_root, ok, pack, three,
};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What modprobe says of indexes of two runs.
const MIXED: &str = "do not belong together";
const INDEXES: [&str; 11] = [
    "modules.dep",
    "modules.dep.bin",
    "modules.alias",
    "modules.alias.bin",
    "modules.softdep",
    "modules.weakdep",
    "modules.symbols",
    "modules.symbols.bin",
    "modules.builtin.bin",
    "modules.builtin.alias.bin",
    "modules.devname",
];

/// The indexes of a directory; each that is not there is empty.
fn indexes(directory: &Path) -> [Vec<u8>; 11] {
    INDEXES.map(|name| fs::read(directory.join(name)).unwrap_or_default())
}

/// What depmod writes beside the files that it replaces, and should not leave.
fn temporary(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

/// A shell script with mounts of its own.
fn apart(script: &str, arguments: &[&Path]) -> Output {
    need_root("it mounts file systems");
    need("unshare", "util-linux");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script, MODFS]);
    command.args(arguments).output().unwrap()
}

/// A tree whose indexes are older than its modules: what is in them, and what should be.
fn outdated() -> (Root, [Vec<u8>; 11], [Vec<u8>; 11]) {
    let root = three();
    ok(&root.depmod(&[]));
    let old = indexes(&root.file(""));
    let info = ["alias=more", "softdep=pre: soft", "weakdep=top"];
    let device = ["alias=devname:more", "alias=char-major-10-8"];
    let info = [&info[..], &device].concat();
    root.module("kernel/more.ko", &["more_f"], &["base_f"], &info);
    let to = root.path("new");
    ok(&root.depmod(&["-o", to.to_str().unwrap()]));
    let new = indexes(&to.join("lib/modules").join(VERSION));
    for (number, name) in INDEXES.iter().enumerate() {
        let same = name.contains("builtin");
        assert_eq!(old[number] == new[number], same, "{name}");
    }
    (root, old, new)
}

#[test]
fn without_space_the_old_indexes_stay() {
    let (root, old, new) = outdated();
    // So many free pages, and then so few inodes.
    let script = r#"
        mount -t tmpfs -o size=1m,nr_inodes=$3 none "$1/small"
        to="$1/small/lib/modules/$(basename "$2")"
        mkdir -p "$to"
        cp "$2"/modules.* "$to"
        dd if=/dev/zero of="$1/small/fill" bs=4096 2>/dev/null || true
        truncate -s "-$(($4 * 4096))" "$1/small/fill"
        status=0
        "$0" depmod -b "$1" -o "$1/small" "$(basename "$2")" || status=$?
        cp -a "$to" "$1/result"
        exit $status"#;
    fs::create_dir_all(root.path("small")).unwrap();
    let inodes = fs::read_dir(root.file("")).unwrap().count() as u64 + 7;
    let mut ends = BTreeMap::new();
    let pages = (0..16).map(|pages| (1000, pages));
    let files = (0..16).map(|more| (inodes + more, 100));
    for (inodes, pages) in pages.chain([(1000, 100)]).chain(files) {
        let (inodes, pages) = (inodes.to_string(), pages.to_string());
        let numbers = [Path::new(&inodes), Path::new(&pages)];
        let (dir, version) = (root.path(""), root.file(""));
        let output = apart(script, &[&[&*dir, &*version], &numbers[..]].concat());
        let what = format!("{inodes} inodes, {pages} pages: {output:?}");
        let result = root.path("result");
        assert_eq!(temporary(&result), [""; 0], "{what}");
        match output.status.success() {
            true => assert_eq!(indexes(&result), new, "{what}"),
            false => {
                let said = fails(&output);
                assert!(said.contains("No space left on device"), "{what}");
                assert!(said.contains("could not write "), "{what}");
                assert!(said.contains("/modules."), "{what}");
                assert_eq!(indexes(&result), old, "{what}");
            }
        }
        *ends.entry(output.status.success()).or_insert(0) += 1;
        fs::remove_dir_all(&result).unwrap();
    }
    assert!(ends.len() == 2 && ends[&false] > 10, "{ends:?}");
}

#[test]
fn where_nothing_can_be_written_depmod_fails() {
    let (root, old, _) = outdated();
    let script = r#"
        mount --bind "$2" "$2"
        mount -o remount,ro,bind "$2"
        exec "$0" depmod -b "$1" "$(basename "$2")""#;
    let said = fails(&apart(script, &[&root.path(""), &root.file("")]));
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("/modules.dep: "), "{said}");
    assert_eq!(indexes(&root.file("")), old);
    // A directory that is to be made, and cannot be.
    fs::write(root.path("file"), "").unwrap();
    let to = root.path("file");
    let said = fails(&root.depmod(&["-o", to.to_str().unwrap()]));
    assert!(said.contains("could not write "), "{said}");
}

#[test]
fn proc_is_not_needed() {
    let (root, _, new) = outdated();
    let script = r#"
        mount -t tmpfs none /proc
        exec "$0" depmod -b "$1" "$(basename "$2")""#;
    let output = apart(script, &[&root.path(""), &root.file("")]);
    assert_eq!(ok(&output), "");
    assert_eq!(indexes(&root.file("")), new);
}

#[test]
fn a_directory_that_cannot_be_read_is_named() {
    need_root("it becomes somebody else");
    let root = three();
    let tool = root.path("modfs");
    copy_program(&tool);
    fs::set_permissions(root.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    let closed = root.file("kernel/sub");
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    let mut command = Command::new(tool);
    command.uid(NOBODY).gid(NOBODY);
    command
        .args(["depmod", "-n", "-b"])
        .arg(root.path(""))
        .arg(VERSION);
    let output = command.output().unwrap();
    let said = fails(&output);
    assert!(
        said.contains("kernel/sub: Permission denied") && said.lines().count() == 1,
        "{said}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("kernel/"));
}

/// depmod, that somebody is about to kill.
fn started(root: &Root, arguments: &[&str]) -> Child {
    let mut command = Command::new(MODFS);
    command.args(["depmod", "-b"]).arg(root.path(""));
    command.arg(VERSION).args(arguments).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Killed at any moment each index is whole, old or new; a mixed set is told, and made good.
#[test]
fn killed_at_any_moment_no_index_is_broken_and_a_mixed_set_is_noticed() {
    let (root, old, new) = outdated();
    let mut random = Random::from_setting("MODFS_KILL_SEED");
    let (here, module, aside) = (
        root.file(""),
        root.file("kernel/more.ko"),
        root.path("more.ko"),
    );
    let begin = Instant::now();
    ok(&root.depmod(&["--rebuild"]));
    let time = begin.elapsed().as_micros() as u64;
    let (mut mixed, mut unchanged) = (0, 0);
    for round in 0..200u64 {
        // From one to the other, and back.
        let (from, to) = match round % 2 {
            0 => (&new, &old),
            _ => (&old, &new),
        };
        match round % 2 {
            0 => fs::rename(&module, &aside).unwrap(),
            _ => fs::rename(&aside, &module).unwrap(),
        }
        let mark = || fs::metadata(here.join("modules.modfs.mark")).map(|mark| mark.ino());
        let before = mark().unwrap();
        let mut child = started(
            &root,
            [&["--rebuild"], &[][..]][usize::from(round % 3 == 0)],
        );
        if round % 4 < 2 {
            std::thread::sleep(Duration::from_micros(random.below(time * 5 / 4)));
        } else {
            // While it gives the files their names.
            let begin = Instant::now();
            while mark().is_ok_and(|now| now == before) && begin.elapsed().as_secs() < 10 {}
            let delay = Duration::from_micros(random.below(200));
            let begin = Instant::now();
            while begin.elapsed() < delay {}
        }
        // It may have ended already.
        let _ = child.kill();
        child.wait().unwrap();
        let now = indexes(&here);
        let mut kinds = [0; 2];
        for (number, name) in INDEXES.iter().enumerate() {
            assert!(
                now[number] == from[number] || now[number] == to[number],
                "{name} in round {round}"
            );
            if from[number] != to[number] {
                kinds[usize::from(now[number] == to[number])] += 1;
            }
        }
        let output = root.modprobe(&["-D", "base"]);
        ok(&output);
        let said = String::from_utf8_lossy(&output.stderr).contains(MIXED);
        // The two that are the same in both are of one run or the other too.
        let is_mixed = kinds[0] > 0 && kinds[1] > 0;
        assert!(said || !is_mixed, "round {round}: {kinds:?}");
        mixed += u32::from(is_mixed);
        unchanged += u32::from(kinds[1] == 0);
        if said {
            ok(&root.depmod(&["-A"]));
        } else {
            ok(&root.depmod(&[]));
        }
        assert!(indexes(&here) == *to, "round {round}: {kinds:?}");
        assert_eq!(temporary(&here), [""; 0], "round {round}");
        let output = root.modprobe(&["-D", "base"]);
        assert!(ok(&output).contains("base.ko") && output.stderr.is_empty());
    }
    eprintln!("{mixed} mixed, {unchanged} unchanged");
    assert!(unchanged > 0);
}

/// The same at one moment that is sure to come: an index that cannot be replaced.
#[test]
fn a_mixed_set_is_told_until_depmod_has_made_it_good() {
    let (root, old, new) = outdated();
    let odd = root.file("modules.symbols");
    fs::remove_file(&odd).unwrap();
    fs::create_dir_all(odd.join("folder")).unwrap();
    let said = fails(&root.depmod(&[]));
    assert!(
        said.contains("could not write ") && said.contains("/modules.symbols: "),
        "{said}"
    );
    assert_eq!(temporary(&root.file("")), [""; 0]);
    let now = indexes(&root.file(""));
    assert!(now[0] == new[0] && now[7] == old[7]);
    let warned = |tool: &str, arguments: &[&str]| {
        let output = root.tool(tool, arguments);
        ok(&output);
        let said = String::from_utf8(output.stderr).unwrap();
        let warning = format!(
            "{tool}: WARNING: the indexes in {} {MIXED}",
            root.file("").display().to_string().trim_end_matches('/')
        );
        said.replace("//", "/").contains(&warning) && said.lines().count() == 1
    };
    let dir = root.path("");
    let dir = dir.to_str().unwrap();
    let modprobe = ["-d", dir, "-S", VERSION, "-D", "top"];
    let modinfo = ["-b", dir, "-k", VERSION, "top", "base"];
    let file = root.file("kernel/top.ko");
    assert!(warned("modprobe", &modprobe));
    assert!(warned("modinfo", &modinfo));
    let quiet = root.tool("modprobe", &[&["-q"], &modprobe[..]].concat());
    ok(&quiet);
    assert!(quiet.stderr.is_empty());
    // Of a file no index is looked at.
    assert!(!warned("modinfo", &[file.to_str().unwrap()]));
    fs::remove_dir_all(&odd).unwrap();
    assert!(warned("modprobe", &modprobe));
    let output = root.depmod(&["-A", "-v"]);
    ok(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the last run was ended midway"), "{said}");
    assert_eq!(indexes(&root.file("")), new);
    assert!(!warned("modprobe", &modprobe) && !warned("modinfo", &modinfo));
    // One that is gone is missed too.
    fs::remove_file(root.file("modules.alias.bin")).unwrap();
    assert!(warned("modprobe", &modprobe));
    ok(&root.depmod(&["-A"]));
    assert_eq!(indexes(&root.file("")), new);
}

#[test]
fn who_makes_all_indexes_again_answers_for_them() {
    let (root, _, new) = outdated();
    ok(&root.depmod(&[]));
    let silent = |root: &Root| {
        let output = root.modprobe(&["-D", "top"]);
        ok(&output);
        output.stderr.is_empty()
    };
    let again = |name: &&str| {
        // As kmod does: a new file, renamed.
        let (path, other) = (root.file(name), root.file("other"));
        fs::copy(&path, &other).unwrap();
        fs::rename(&other, &path).unwrap();
    };
    // Before version 33 there was no modules.weakdep.
    let (last, others): (Vec<&str>, Vec<&str>) = INDEXES
        .iter()
        .partition(|name| ["modules.weakdep", "modules.builtin.alias.bin"].contains(name));
    others.iter().for_each(again);
    assert!(silent(&root));
    last.iter().for_each(again);
    assert!(silent(&root));
    // No mark, as in a tree of kmod's.
    ok(&root.depmod(&[]));
    fs::remove_file(root.file("modules.modfs.mark")).unwrap();
    again(&"modules.dep");
    assert!(silent(&root));
    ok(&root.depmod(&["-A"]));
    assert!(silent(&root));
    assert_eq!(indexes(&root.file("")), new);
    // A copy of all.
    ok(&root.depmod(&[]));
    let copy = three();
    for name in INDEXES.iter().chain(&["modules.modfs.mark"]) {
        fs::copy(root.file(name), copy.file(name)).unwrap();
    }
    assert!(silent(&copy));
}

#[test]
fn several_at_once_make_one_set() {
    let (root, _, new) = outdated();
    for round in 0..8 {
        let children: Vec<Child> = (0..4).map(|_| started(&root, &["--rebuild"])).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            ok(&output);
            assert!(output.stderr.is_empty(), "{output:?}");
        }
        assert!(indexes(&root.file("")) == new, "round {round}");
        assert_eq!(temporary(&root.file("")), [""; 0]);
        let output = root.modprobe(&["-D", "top"]);
        ok(&output);
        assert!(output.stderr.is_empty(), "round {round}: {output:?}");
    }
}

#[test]
fn what_a_killed_run_left_is_removed_and_nothing_else() {
    let root = three();
    let left = [".modules.dep.17", ".modules.modfs.cache.4000000"];
    let others = [
        ".modules.dep.old",
        ".modules.dep",
        ".modules.mine.17",
        ".17",
    ];
    for name in left.iter().chain(&others) {
        root.write(name, b"x");
    }
    // What only looks removes nothing.
    ok(&root.depmod(&["-n"]));
    assert_eq!(temporary(&root.file("")).len(), 6);
    ok(&root.depmod(&[]));
    let mut there = temporary(&root.file(""));
    there.sort();
    let mut wanted = others.map(str::to_owned);
    wanted.sort();
    assert_eq!(there, wanted);
}

/// Replaced by a rename, and written in place.
#[test]
fn a_module_that_changes_while_it_is_read_is_not_remembered_wrongly() {
    let root = three();
    let small = root.module("one.ko", &["base_f", "base_g"], &[], &["alias=one"]);
    let large = root.module("two.ko", &["base_f", "base_g"], &["x"], &["alias=two"]);
    let versions = [small, large].map(|path| {
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        bytes
    });
    let base = root.file("kernel/base.ko");
    for in_place in [false, true] {
        let mut children: Vec<Child> = Vec::new();
        for round in 0..40usize {
            let bytes = &versions[round % 2];
            if in_place {
                fs::write(&base, bytes).unwrap();
            } else {
                let other = root.path("other");
                fs::write(&other, bytes).unwrap();
                fs::rename(&other, &base).unwrap();
            }
            children.push(started(&root, &[]));
            std::thread::sleep(Duration::from_millis(round as u64 % 7));
        }
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() || output.status.code() == Some(1),
                "{output:?}"
            );
            assert!(output.status.success() || in_place, "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        ok(&root.depmod(&[]));
        let remembered = indexes(&root.file(""));
        ok(&root.depmod(&["--rebuild"]));
        assert!(remembered == indexes(&root.file("")));
        assert!(root.read("modules.alias").contains("alias two base"));
    }
}

/// Needs script, for a terminal.
#[test]
fn a_long_run_says_on_a_terminal_how_far_it_is() {
    need("script", "bsdutils");
    let root = three();
    // What takes long to unpack, and is no module.
    let large = root.path("large.ko");
    fs::write(&large, vec![0; 32 << 20]).unwrap();
    pack("xz", &large);
    let command = format!(
        "RAYON_NUM_THREADS=1 {MODFS} depmod --rebuild -b {} {VERSION}",
        root.path("").display()
    );
    let run = |program: &str, arguments: &[&str]| {
        let mut script = Command::new(program);
        script.args(arguments).arg(&command);
        let begin = Instant::now();
        let output = script.args(["/dev/null"]).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8(said).unwrap(), begin.elapsed())
    };
    let line = "\rReading modules: ";
    let mut count = 8;
    loop {
        for number in 0..count {
            let copy = root.file(&format!("kernel/large-{number}.ko.xz"));
            if !copy.exists() {
                fs::hard_link(root.path("large.ko.xz"), copy).unwrap();
            }
        }
        let (said, time) = run("script", &["-qec"]);
        if time < Duration::from_millis(1000) {
            assert!(!said.contains(line), "{said}");
        }
        if said.contains(line) {
            assert!(said.contains(&format!("/{}", count + 4)), "{said}");
            // It is gone before anything else is said.
            let after = said.rsplit(line).next().unwrap();
            let erased = format!("\r{}\r", " ".repeat("Reading modules: /".len()));
            assert!(after.contains(&erased[..erased.len() - 1]), "{after:?}");
            assert!(after.contains("\rdepmod: ERROR: "), "{after:?}");
            break;
        }
        assert!(time < Duration::from_secs(5), "{said}");
        count *= 2;
    }
    let (said, _) = run("sh", &["-c"]);
    assert!(
        said.contains("ERROR") && !said.contains("Reading"),
        "{said}"
    );
    let quiet = command.replace("depmod", "depmod -n");
    let mut script = Command::new("script");
    let output = script.args(["-qec", &quiet, "/dev/null"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("Reading"));
}

#[test]
fn names_that_no_line_can_hold_are_left_out() {
    let root = three();
    ok(&root.depmod(&[]));
    let dep = root.read("modules.dep");
    let whole = fs::read(root.file("kernel/soft.ko")).unwrap();
    for name in ["kernel/new\nline.ko", "kernel/a b/c.ko", "kernel/d:e.ko"] {
        root.write(name, &whole);
        let said = fails(&root.depmod(&[]));
        assert!(
            said.contains("modules.dep cannot name it") && said.lines().count() == 1,
            "{said}"
        );
        assert_eq!(root.read("modules.dep"), dep);
        fs::remove_file(root.file(name)).unwrap();
    }
    root.write("kernel/..ko", &whole);
    assert!(fails(&root.depmod(&[])).contains("there is no name"));
    fs::remove_file(root.file("kernel/..ko")).unwrap();
    // Not ASCII: modules.dep has it, the index cannot.
    root.write("kernel/größe.ko", &whole);
    let output = root.depmod(&[]);
    ok(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("module größe is left out of the index"),
        "{said}"
    );
    assert!(root.read("modules.dep").contains("kernel/größe.ko:\n"));
}

/// What modules.softdep says is configuration.
#[test]
fn a_module_cannot_write_lines_of_configuration() {
    let root = three();
    let info = [
        "softdep=pre: a\\ninstall base touch /tmp/x",
        "softdep=pre: soft",
        "alias=b\\nalias c d",
        "weakdep=e \\\\",
        "alias=f",
    ];
    root.module("kernel/evil.ko", &[], &[], &info);
    for _ in 0..2 {
        // From the module, and from what is remembered of it.
        std::thread::sleep(Duration::from_millis(40));
        let output = root.depmod(&[]);
        ok(&output);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.lines().count(), 3, "{said}");
        assert!(
            said.contains("evil.ko: the softdep \"pre: a\\ninstall"),
            "{said}"
        );
        let softdep = root.read("modules.softdep");
        assert!(softdep.contains("softdep evil pre: soft\n") && !softdep.contains("install"));
        assert!(!root.read("modules.weakdep").contains('\\'));
        let alias = root.read("modules.alias");
        assert!(alias.contains("alias f evil\n") && !alias.contains("c d"));
    }
}

#[test]
fn what_is_damaged_is_named_and_left_out() {
    let root = three();
    let cases: [(&str, &[u8], &str); 5] = [
        ("kernel/empty.ko", b"", "truncated: 0 bytes"),
        (
            "kernel/text.ko",
            b"#!/bin/sh\necho a module\n",
            "not an ELF object",
        ),
        (
            "kernel/cut-x.ko.xz",
            b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0",
            "xz data ends too early",
        ),
        (
            "kernel/cut-s.ko.zst",
            b"\x28\xb5\x2f\xfd\x04\x58",
            "zstd data ends too early",
        ),
        (
            "kernel/cut-g.ko.gz",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\xff\xff\xff\xff\xff\xff\xff\x3f",
            "gzip",
        ),
    ];
    for (name, bytes, _) in &cases {
        root.write(name, bytes);
    }
    let whole = fs::read(root.file("kernel/base.ko")).unwrap();
    root.write("kernel/half.ko", &whole[..whole.len() / 2]);
    fs::create_dir_all(root.file("kernel/folder.ko")).unwrap();
    symlink("nowhere", root.file("kernel/gone.ko")).unwrap();
    symlink("..", root.file("kernel/sub/loop")).unwrap();
    let fifo = root.file("kernel/fifo.ko");
    ok(&Command::new("mkfifo").arg(&fifo).output().unwrap());
    let holes = fs::File::create(root.file("kernel/holes.ko")).unwrap();
    holes.set_len(1 << 42).unwrap();
    let _socket = UnixListener::bind(root.file("kernel/socket.ko")).unwrap();
    for (tool, end) in [("xz", "xz"), ("zstd", "zst"), ("gzip", "gz")] {
        let name = format!("kernel/short-{end}.ko");
        root.write(&name, &whole);
        pack(tool, &root.file(&name));
        let packed = root.file(&format!("{name}.{end}"));
        let bytes = fs::read(&packed).unwrap();
        fs::write(&packed, &bytes[..bytes.len() * 2 / 3]).unwrap();
    }
    let said = fails(&root.depmod(&[]));
    for (name, _, why) in &cases {
        let line = said.lines().find(|line| line.contains(name));
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{name}: {said}"
        );
    }
    for name in ["half.ko", "gone.ko", "fifo.ko", "socket.ko", "holes.ko"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    for end in ["xz", "zst", "gz"] {
        let line = |line: &str| line.contains("truncated") || line.contains("damaged");
        let name = format!("short-{end}.ko.{end} is left out: ");
        assert!(
            said.lines().any(|l| l.contains(&name) && line(l)),
            "{name}: {said}"
        );
    }
    // All the rest is there.
    let dep = root.read("modules.dep");
    assert!(
        dep.contains("kernel/top.ko: kernel/sub/mid-dle.ko kernel/base.ko\n"),
        "{dep}"
    );
    assert_eq!(dep.lines().count(), 4, "{dep}");
}

#[test]
fn modules_that_need_each_other_are_told_and_nothing_is_written() {
    let root = Root::new();
    root.module("kernel/a.ko", &["fa"], &["fb"], &[]);
    root.module("kernel/b.ko", &["fb"], &["fa"], &[]);
    root.module("kernel/c.ko", &[], &[], &[]);
    let said = fails(&root.depmod(&[]));
    assert!(said.contains("depmod: ERROR: Cycle detected: "), "{said}");
    assert!(
        said.contains("Found 2 modules in dependency cycles!"),
        "{said}"
    );
    assert!(!root.file("modules.dep").exists());
}

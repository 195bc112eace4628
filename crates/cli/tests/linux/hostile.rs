//! Files made to do harm, or damaged: an error that names them, and no more.

use crate::common::{NOBODY, copy_program, need, need_root};
use crate::root::{MODFS, Root, VERSION, fails, indexed, ok, pack, quiet, said, three};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

/// The program, killed if it does not end.
fn bounded(words: &[&str]) -> Output {
    need("timeout", "coreutils");
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", MODFS]).args(words);
    command
        .env_remove("MODPROBE_OPTIONS")
        .env_remove("MODFS_TREE");
    command.output().unwrap()
}

/// The program with so much memory, in KiB.
fn with_memory(limit: u64, words: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v $0 && exec timeout -s KILL 300 \"$@\""]);
    command.arg(limit.to_string()).arg(MODFS).args(words);
    command.output().unwrap()
}

fn modprobe(root: &Root, words: &[&str]) -> Output {
    let config = root.arg("etc");
    let fixed = ["modprobe", "-d", root.root(), "-S", VERSION, "-C", &config];
    bounded(&[&fixed[..], words].concat())
}

/// The right answer, or an error that names the file; nothing else.
#[track_caller]
fn answered(output: &Output, right: &[u8], file: &str) -> bool {
    if output.status.success() {
        assert_eq!(output.stdout, right, "{}", String::from_utf8_lossy(right));
        return true;
    }
    let said = fails(output);
    assert!(said.contains(file), "{said}");
    false
}

#[test]
fn an_index_cut_at_any_length() {
    let root = indexed();
    for (file, words) in [
        ("modules.dep.bin", &["-D", "top"][..]),
        ("modules.alias.bin", &["-R", "usb:v1"]),
        ("modules.symbols.bin", &["-R", "symbol:mid_f"]),
        ("modules.builtin.bin", &["-R", "built-in"]),
        ("modules.builtin.alias.bin", &["-R", "fs-builtin"]),
    ] {
        let right = modprobe(&root, words).stdout;
        let index = root.file(file);
        let whole = fs::read(&index).unwrap();
        let mut errors = 0;
        for len in 0..whole.len() {
            fs::write(&index, &whole[..len]).unwrap();
            let output = modprobe(&root, words);
            errors += usize::from(!answered(&output, &right, file));
        }
        assert!(errors > 12, "{file}: {errors}");
        fs::write(&index, whole).unwrap();
    }
}

#[test]
fn an_index_with_any_byte_changed() {
    let root = indexed();
    for (file, words) in [
        ("modules.dep.bin", &["-D", "top"][..]),
        ("modules.alias.bin", &["-R", "usb:v1"]),
    ] {
        let index = root.file(file);
        let whole = fs::read(&index).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= if at % 2 == 0 { 0xff } else { 0x20 };
            fs::write(&index, other).unwrap();
            // What was changed may be a name: then the answer is another one.
            let output = modprobe(&root, words);
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{at}: {output:?}"
            );
            assert!(!said(&output).contains("panicked"), "{at}: {output:?}");
        }
        fs::write(&index, whole).unwrap();
    }
}

/// Magic number, version, and where the root is.
fn head(root: u32) -> Vec<u8> {
    [0xb007_f457u32, 0x0002_0001, root]
        .map(u32::to_be_bytes)
        .concat()
}

const CHILDREN: u32 = 0x2000_0000;
const VALUES: u32 = 0x4000_0000;
const PREFIX: u32 = 0x8000_0000;

#[test]
fn an_index_that_points_in_a_circle_or_outside() {
    let root = indexed();
    let every = |place: u32| {
        let mut bytes = head(CHILDREN | 12);
        bytes.extend([0, 127]);
        bytes.extend((0..128).flat_map(|_| place.to_be_bytes()));
        bytes
    };
    // A large value of a node that is its own child is not to be copied again and again.
    let mut large = head(CHILDREN | VALUES | 12);
    large.extend([b'*', b'?']);
    large.extend((CHILDREN | VALUES | 12).to_be_bytes().repeat(22));
    large.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    large.extend(vec![b'x'; 4 << 20]);
    large.push(0);
    let mut many = head(VALUES | 12);
    many.extend(u32::MAX.to_be_bytes());
    many.extend([0; 64]);
    let mut endless = head(PREFIX | 12);
    endless.extend(vec![b'a'; 1 << 20]);
    let cases = [
        every(CHILDREN | 12),
        every(CHILDREN | VALUES | PREFIX | 0x0fff_ffff),
        every(CHILDREN | 11),
        every(CHILDREN | 0x7ffe),
        head(0xffff_ffff),
        head(CHILDREN | 0x0fff_ffff),
        many,
        endless,
        large,
    ];
    for (number, bytes) in cases.iter().enumerate() {
        for file in ["modules.dep.bin", "modules.alias.bin"] {
            let index = root.file(file);
            let whole = fs::read(&index).unwrap();
            fs::write(&index, bytes).unwrap();
            let config = root.arg("etc");
            for words in [&["-D", "top"][..], &["-R", "usb:v1"], &["-c"]] {
                let fixed = ["modprobe", "-d", root.root(), "-S", VERSION, "-C", &config];
                let output = with_memory(1 << 19, &[&fixed[..], words].concat());
                assert!(
                    matches!(output.status.code(), Some(0 | 1)),
                    "{number} {words:?}: {output:?}"
                );
                assert!(!said(&output).contains("panicked"), "{number}: {output:?}");
            }
            // All of it is read for `-c`, so there it must be told.
            if file == "modules.alias.bin" {
                let said = fails(&modprobe(&root, &["-c"]));
                assert!(
                    said.contains(file) && said.contains("run depmod"),
                    "{number}: {said}"
                );
            }
            fs::write(&index, whole).unwrap();
        }
    }
}

#[test]
fn an_index_of_another_kind_or_version() {
    let root = indexed();
    let index = root.file("modules.dep.bin");
    for (bytes, why) in [
        (&b"kernel/top.ko:\nkernel/base.ko:\n"[..], "no index"),
        (b"\xb0\x07\xf4\x57\0\x03\0\0\0\0\0\x0c", "version 0x30000"),
        (b"\xb0\x07\xf4\x58\0\x02\0\x01\0\0\0\x0c", "no index"),
    ] {
        fs::write(&index, bytes).unwrap();
        let said = fails(&modprobe(&root, &["-D", "top"]));
        assert!(
            said.contains("modprobe: FATAL: ")
                && said.contains("modules.dep.bin")
                && said.contains(why),
            "{said}"
        );
        let fixed = ["modinfo", "-b", root.root(), "-k", VERSION, "top"];
        let said = fails(&bounded(&fixed));
        assert!(
            said.contains("modinfo: ERROR: ") && said.contains(why),
            "{said}"
        );
    }
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    assert!(fails(&modprobe(&root, &["-D", "top"])).contains("modules.dep.bin: Is a directory"));
}

#[test]
fn modules_that_are_no_files() {
    let root = indexed();
    fs::create_dir(root.file("kernel/folder.ko")).unwrap();
    symlink("loop.ko", root.file("kernel/loop.ko")).unwrap();
    symlink("/dev/zero", root.file("kernel/zero.ko")).unwrap();
    symlink("nowhere", root.file("kernel/gone.ko")).unwrap();
    let fifo = root.file("kernel/fifo.ko");
    ok(&Command::new("mkfifo").arg(&fifo).output().unwrap());
    let said = fails(&bounded(&["depmod", "-b", root.root(), VERSION]));
    for name in ["loop.ko", "zero.ko", "gone.ko", "fifo.ko"] {
        assert!(said.contains(&format!("kernel/{name}: ")), "{name}: {said}");
    }
    // The others are in the indexes.
    assert!(root.planned(&["-D", "top"]).contains("base.ko"));
    for name in ["folder", "loop", "zero", "gone", "fifo"] {
        let file = root.file(&format!("kernel/{name}.ko"));
        let file = file.to_str().unwrap();
        for words in [
            &["modinfo", file][..],
            &["modprobe", "--show-exports", file],
            &["modprobe", "-D", file],
        ] {
            let said = fails(&bounded(words));
            assert!(said.contains(file), "{words:?}: {said}");
        }
    }
    // Put in the place of one that the indexes know.
    fs::remove_file(root.file("kernel/base.ko")).unwrap();
    fs::rename(&fifo, root.file("kernel/base.ko")).unwrap();
    let said = fails(&bounded(&[
        "modinfo",
        "-b",
        root.root(),
        "-k",
        VERSION,
        "base",
    ]));
    assert!(said.contains("is not a regular file"), "{said}");
}

#[test]
fn a_module_that_may_not_be_read() {
    need_root("it becomes another user");
    need("setpriv", "util-linux");
    let root = indexed();
    let file = root.file("kernel/base.ko");
    fs::set_permissions(root.path(""), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    // Where the program is, the other user may not be let in.
    let program = root.path("modfs");
    copy_program(&program);
    let run = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        let user = NOBODY.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        command.arg(&program).args(words).output().unwrap()
    };
    let said = fails(&run(&[
        "modinfo",
        "-b",
        root.root(),
        "-k",
        VERSION,
        "base",
        "top",
    ]));
    assert!(
        said.contains("kernel/base.ko: cannot be read: Permission denied"),
        "{said}"
    );
    let output = run(&["depmod", "-n", "--rebuild", "-b", root.root(), VERSION]);
    let said = fails(&output);
    assert!(
        said.contains("base.ko is left out: cannot be read: Permission denied"),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("kernel/top.ko:"));
    // What is not asked of the file needs no rights to it.
    let config = root.arg("etc");
    let fixed = [
        "modprobe",
        "-d",
        root.root(),
        "-S",
        VERSION,
        "-C",
        &config,
        "-D",
        "base",
    ];
    assert!(ok(&run(&fixed)).contains("base.ko"));
    // And an index that may not be read is not an empty one.
    fs::set_permissions(root.file("modules.dep.bin"), Permissions::from_mode(0o000)).unwrap();
    let said = fails(&run(&fixed));
    assert!(
        said.contains("modules.dep.bin: Permission denied"),
        "{said}"
    );
}

#[test]
fn a_packed_module_cut_at_any_length() {
    for (tool, end) in [("xz", "xz"), ("zstd", "zst"), ("gzip", "gz")] {
        let root = three();
        let plain = root.file("kernel/base.ko");
        pack(tool, &plain);
        let file = root.file(&format!("kernel/base.ko.{end}"));
        let whole = fs::read(&file).unwrap();
        let mut names = Vec::new();
        for len in 0..whole.len() {
            let part = root.path(&format!("p{len}.ko.{end}"));
            fs::write(&part, &whole[..len]).unwrap();
            names.push(part.to_str().unwrap().to_owned());
        }
        let mut words = vec!["modinfo"];
        words.extend(names.iter().map(String::as_str));
        let output = bounded(&words);
        let said = fails(&output);
        for name in &names {
            assert!(said.contains(name.as_str()), "{tool} {name}: {said}");
        }
        assert_eq!(output.stdout, b"", "{tool}");
    }
}

/// 4 GiB of zeros in a few hundred kilobytes.
fn bomb(root: &Root, tool: &str, end: &str) -> String {
    const PART: usize = 64 << 20;
    let part = root.path("part");
    fs::write(&part, vec![0; PART]).unwrap();
    pack(tool, &part);
    let packed = root.path(&format!("part.{end}"));
    let file = root.file(&format!("kernel/bomb.ko.{end}"));
    // One after the other they are a file of their own.
    fs::write(&file, fs::read(packed).unwrap().repeat((4 << 30) / PART)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn what_is_4_gib_when_unpacked_is_refused_without_unpacking_it() {
    for (tool, end) in [("xz", "xz"), ("zstd", "zst")] {
        let root = three();
        let file = bomb(&root, tool, end);
        // 1 GiB, and as much as the program itself has.
        let output = with_memory(2 << 20, &["modinfo", &file]);
        let said = fails(&output);
        assert!(said.contains(&file), "{said}");
        assert!(said.contains("more than 1 GiB when unpacked"), "{said}");
        let output = with_memory(1 << 19, &["modinfo", &file]);
        assert!(fails(&output).contains("no memory to unpack it"));
        let output = with_memory(2 << 20, &["depmod", "-b", root.root(), VERSION]);
        let said = fails(&output);
        assert!(said.contains("more than 1 GiB when unpacked"), "{said}");
        assert!(root.read("modules.dep").contains("kernel/top.ko: "));
    }
}

#[test]
fn a_size_that_is_only_claimed_gets_no_memory() {
    let root = three();
    // zstd: a frame that says it has 2^62 bytes. gzip: the size is at its end.
    let zstd = b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x40\x01\0\0";
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0];
    gzip.extend(0x3fff_ffffu32.to_le_bytes());
    for (name, bytes) in [("z.ko.zst", &zstd[..]), ("g.ko.gz", &gzip)] {
        let file = root.write(&format!("kernel/{name}"), bytes);
        let output = with_memory(1 << 18, &["modinfo", file.to_str().unwrap()]);
        let said = fails(&output);
        assert!(said.contains(name), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_device_node_cannot_be_somewhere_else() {
    let root = indexed();
    let info = ["alias=devname:a 0666 - - -", "alias=char-major-1-1"];
    root.module("kernel/blank.ko", &[], &[], &info);
    let info = ["alias=devname:a\\tb", "alias=char-major-1-2"];
    root.module("kernel/tab.ko", &[], &[], &info);
    let output = root.depmod(&[]);
    ok(&output);
    let told = said(&output);
    for name in ["blank", "tab"] {
        assert!(
            told.contains(&format!("Module '{name}' has devname (a")),
            "{told}"
        );
    }
    assert!(
        root.read("modules.devname")
            .ends_with("module loading.\nsoft soft c10:7\n")
    );
    let mut text = String::new();
    for name in [
        "../etc/x",
        "a/../../b",
        "/a",
        "a//b",
        ".",
        "a\t0666",
        "a\u{1b}b",
    ] {
        text += &format!("m {name} c1:1\n");
    }
    root.write("modules.devname", text.as_bytes());
    let directory = root.file("");
    let words = [
        "kmod",
        "static-nodes",
        "-f",
        "tmpfiles",
        "--directory",
        directory.to_str().unwrap(),
    ];
    let output = bounded(&words);
    assert_eq!(ok(&output), "");
    assert_eq!(said(&output).lines().count(), 7, "{}", said(&output));
}

/// As of another depmod, which takes them.
#[test]
fn blanks_in_the_paths_of_an_index() {
    let root = indexed();
    let line = "kernel/a b/x:y/base.ko: kernel/c d/soft.ko kernel/e/top.ko\0";
    let mut bytes = head(PREFIX | VALUES | 12);
    bytes.extend(b"base\0\0\0\0\x01\0\0\0\0");
    bytes.extend(line.as_bytes());
    root.write("modules.dep.bin", &bytes);
    let shown = ok(&root.modinfo(&["-n", "base"]));
    assert_eq!(root.short(&shown), "kernel/a b/x:y/base.ko\n");
    let text = root.planned(&["-D", "--json", "base"]);
    let steps: serde_json::Value = serde_json::from_str(&text).unwrap();
    let steps = steps.as_array().unwrap().iter();
    let names: Vec<&str> = steps.map(|step| step["module"].as_str().unwrap()).collect();
    assert_eq!(names, ["top", "soft", "base"]);
}

#[test]
fn modules_in_circles_are_named() {
    let root = indexed();
    let old = root.read("modules.dep");
    root.module("kernel/c1.ko", &["f1"], &["f2"], &[]);
    root.module("kernel/c2.ko", &["f2"], &["f3"], &[]);
    root.module("kernel/c3.ko", &["f3"], &["f1"], &[]);
    let said = fails(&bounded(&["depmod", "-b", root.root(), VERSION]));
    for name in ["c1", "c2", "c3"] {
        assert!(said.contains(name), "{said}");
    }
    assert!(
        said.contains("Found 3 modules in dependency cycles!"),
        "{said}"
    );
    // The old indexes are there still.
    assert_eq!(root.read("modules.dep"), old);
    assert!(root.planned(&["-D", "top"]).contains("base.ko"));
    // One that needs itself is no circle.
    for name in ["c1", "c2", "c3"] {
        fs::remove_file(root.file(&format!("kernel/{name}.ko"))).unwrap();
    }
    root.module("kernel/own.ko", &["own_f"], &["own_f"], &[]);
    quiet(&root.depmod(&[]));
    assert_eq!(root.planned(&["-D", "own"]), "insmod kernel/own.ko \n");
}

#[test]
fn files_beside_the_modules_that_are_rubbish() {
    let rubbish: Vec<u8> = (0..=255u8).cycle().take(5000).collect();
    for file in [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.softdep",
        "modules.weakdep",
        "modules.modfs.cache",
    ] {
        let root = indexed();
        root.write(file, &rubbish);
        let output = bounded(&["depmod", "-b", root.root(), VERSION]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{file}");
        let output = modprobe(&root, &["-D", "top"]);
        assert!(root.short(&ok(&output)).contains("insmod kernel/base.ko"));
        root.write(file, &rubbish);
        let output = modprobe(&root, &["-q", "-D", "top"]);
        assert!(
            root.short(&ok(&output)).contains("insmod kernel/base.ko"),
            "{file}"
        );
    }
}

#[test]
fn a_pattern_with_many_stars_ends() {
    let root = indexed();
    let pattern = format!("{}x", "*a".repeat(400));
    root.module("kernel/stars.ko", &[], &[], &[&format!("alias={pattern}")]);
    quiet(&root.depmod(&[]));
    root.configure(&format!("alias {pattern}y base\ninstall {pattern} true\n"));
    let name = "a".repeat(20_000);
    let said = fails(&modprobe(&root, &["-q", "-R", &name]));
    assert_eq!(said, "");
    assert_eq!(
        quiet(&modprobe(&root, &["-R", &format!("{name}x")])),
        "stars\n"
    );
}

/// The work must not grow with the square of their number.
#[test]
fn a_module_with_very_many_entries() {
    need("as", "binutils");
    let root = indexed();
    let lines = |line: &dyn Fn(u32) -> String| (0..200_000).map(line).collect::<String>();
    let texts = [
        format!(
            ".section .modinfo,\"a\"\n{}",
            lines(&|n| format!(".asciz \"parm=p{n}:x\"\n.asciz \"parmtype=p{n}:int\"\n"))
        ),
        format!(
            ".section __version_ext_names,\"a\"\n{}.section __version_ext_crcs,\"a\"\n{}",
            lines(&|n| format!(".asciz \"v{n}\"\n")),
            lines(&|n| format!(".long {n}\n"))
        ),
    ];
    for (number, text) in texts.iter().enumerate() {
        let source = root.conf("many.s", text);
        let object = root.file(&format!("kernel/many{number}.ko"));
        let mut assemble = Command::new("as");
        assemble.arg("-o").arg(&object).arg(source);
        ok(&assemble.output().unwrap());
    }
    ok(&bounded(&["depmod", "-b", root.root(), VERSION]));
    let fixed = ["modinfo", "-b", root.root(), "-k", VERSION, "-p", "many0"];
    assert_eq!(ok(&bounded(&fixed)).lines().count(), 200_000);
    let object = root.file("kernel/many1.ko");
    let words = ["modprobe", "--show-modversions", object.to_str().unwrap()];
    assert_eq!(ok(&bounded(&words)).lines().count(), 200_000);
}

#[test]
fn a_standard_output_that_is_closed_is_no_panic() {
    let root = indexed();
    for words in [
        "modprobe -c",
        "depmod -n",
        "modinfo top",
        "config",
        "modprobe --help",
        "kmod help",
    ] {
        let script = format!(
            "{MODFS} {words} --directory {} | head -c 0",
            root.file("").display()
        );
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(
            !said(&output).contains("panicked"),
            "{words}: {}",
            said(&output)
        );
        let output = Command::new("sh")
            .args(["-c", &format!("{MODFS} {words} >&-")])
            .output();
        assert!(!said(&output.unwrap()).contains("panicked"), "{words}");
    }
    assert!(Path::new(MODFS).exists());
}

/// In place of each file that a tool reads: it does not wait for a writer.
#[test]
fn a_fifo_is_waited_for_nowhere() {
    let root = indexed();
    root.modprobe(&["-D", "top"]);
    for name in [
        "modules.dep.bin",
        "modules.alias.bin",
        "modules.symbols.bin",
        "modules.builtin.bin",
        "modules.builtin.alias.bin",
        "modules.softdep",
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.modfs.cache",
        "modules.modfs.mark",
        "modules.devname",
    ] {
        let path = root.file(name);
        let _ = fs::remove_file(&path);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        for words in [
            &["modprobe", "-d"][..],
            &["modinfo", "-b"],
            &["depmod", "-b"],
        ] {
            let version = match words[0] {
                "modprobe" => &["-S", VERSION, "-D", "symbol:base_f"][..],
                "modinfo" => &["-k", VERSION, "top"],
                _ => &[VERSION],
            };
            let done = bounded(&[words, &[root.root()], version].concat());
            // Killed, it has no exit code.
            assert!(done.status.code().is_some(), "{name}: {words:?}");
        }
        let _ = fs::remove_file(&path);
        ok(&root.depmod(&[]));
    }
    let conf = root.path("etc/waits.conf");
    let made = Command::new("mkfifo").arg(&conf).status().unwrap();
    assert!(made.success());
    let done = modprobe(&root, &["-D", "top"]);
    assert!(
        said(&done).contains("waits.conf: it is not a regular file"),
        "{done:?}"
    );
}

/// What cannot be read of the configuration does not take the rest with it.
#[test]
fn one_bad_place_of_configuration_leaves_the_others() {
    let root = indexed();
    let conf = root.conf("good.d/a.conf", "deny top not here\n");
    let good = Path::new(&conf)
        .parent()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let bad = root.arg("loop");
    symlink(&bad, &bad).unwrap();
    for places in [[&good, &bad], [&bad, &good]] {
        let done = root.modprobe_with(&["-C", places[0], "-C", places[1], "-D", "top"]);
        let said = fails(&done);
        assert!(
            said.contains("not here") && said.contains("loop: "),
            "{said}"
        );
    }
}

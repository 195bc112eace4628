//! Checksums of interfaces: made, written into modules, compared, explained, and not minded by force.

mod common;

use common::{Kernel, Ran, program};
use modfs_core::Errno;
use std::fs;

const AREA: &str = "#include <linux/module.h>
struct rect { int w, h; };
int area(const struct rect *r);
int area(const struct rect *r) { return r->w * r->h; }
EXPORT_SYMBOL(area);
int twice(int n);
int twice(int n) { return n * 2; }
EXPORT_SYMBOL_GPL(twice);
MODULE_LICENSE(\"GPL\");
";
const WALL: &str = "#include <linux/module.h>
struct rect { int w, h; };
int area(const struct rect *r);
int init_module(void) { struct rect r = { 6, 7 }; printk(\"area %d\\n\", area(&r)); return 0; }
MODULE_LICENSE(\"GPL\");
";
/// What is said of them when `h` is a long.
const HOW: &str = "struct rect: member `h` was `int` at byte 4, is `long` at byte 8";

/// A host, the two modules built, and `area` built again with another structure as `new.ko`.
fn kernel() -> Kernel {
    let kernel = Kernel::start(&[]);
    for (file, text) in [
        ("area.c", AREA),
        ("new.c", &AREA.replace("int w, h;", "int w; long h;")),
        ("wall.c", WALL),
    ] {
        fs::write(kernel.path(file), text).expect("write");
    }
    kernel
        .sh(
            "modfs build area.c && modfs build -n area -o new.ko new.c && \
             modfs build --symvers area.ko wall.c",
        )
        .ok();
    kernel
}

#[test]
fn what_a_module_says() {
    let kernel = kernel();
    let said =
        kernel.sh("modfs modinfo -F depends wall.ko; modfs modprobe --show-modversions ./wall.ko");
    let said = said.ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "area");
    assert!(
        lines[1].ends_with("\tprintk") && lines[2].ends_with("\tarea"),
        "{said}"
    );
    let exports = kernel.sh("modfs modprobe --show-exports ./area.ko").ok();
    assert!(exports.contains(lines[2]), "{exports}");
    // Unless it is known what it was built against, nothing is said of what it needs.
    let said = kernel.sh("modfs build -o alone.ko wall.c && modfs modinfo -F depends alone.ko");
    assert_eq!(said.ok(), "alone.ko\n");
    // In the tree, and to depmod.
    kernel.sh("insmod area.ko").ok();
    let crc = lines[2].split('\t').next().expect("a checksum");
    let symbols = kernel.get("area/symbols").expect("symbols");
    assert!(symbols.contains(&format!(" {crc} area\n")), "{symbols}");
    let symbols = kernel.get("kernel/symbols").expect("symbols");
    let printk = lines[1].split('\t').next().expect("a checksum");
    assert!(
        symbols.contains(&format!(" {printk} printk\n")),
        "{symbols}"
    );
}

#[test]
fn another_interface_is_refused_and_told() {
    let kernel = kernel();
    kernel
        .sh("insmod area.ko && insmod wall.ko && rmmod wall area")
        .ok();
    let said = kernel
        .sh("modfs explain-version --symvers area.ko wall.ko")
        .ok();
    assert!(said.contains(" of area, the same\n"), "{said}");
    kernel.sh("insmod --name area new.ko").ok();
    let said = kernel.sh("insmod wall.ko").fails();
    assert!(
        said.contains("disagrees about the version of area: built against 0x"),
        "{said}"
    );
    assert!(said.contains(HOW), "{said}");
    assert!(said.contains("modfs build --symvers"), "{said}");
    kernel
        .sh("mkdir k/modules/wall && cp wall.ko k/modules/wall")
        .ok();
    assert_eq!(kernel.control("wall", "map"), Err(Errno::EINVAL));
    assert!(kernel.said("wall").contains(HOW));
    for with in ["--tree k/modules", "--symvers new.ko"] {
        // The one with the new structure is beside it, or given.
        let said = kernel.sh(&format!(
            "mv area.ko old; modfs explain-version {with} wall.ko"
        ));
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains(HOW), "{said:?}");
        assert!(
            said.out
                .ends_with("Build it anew: modfs build --symvers area.ko …\n"),
            "{said:?}"
        );
    }
    kernel
        .sh("rm k/modules/wall/* 2>/dev/null; rmdir k/modules/wall")
        .ok();
    kernel
        .sh("modfs build --symvers new.ko wall.c && insmod wall.ko")
        .ok();
    assert!(kernel.sh("rmmod area").fails().contains("in use"));
}

/// By each of the ways; what was done so is logged, and taints.
#[test]
fn by_force() {
    let kernel = kernel();
    kernel.sh("insmod --name area new.ko").ok();
    assert_eq!(kernel.get("kernel/tainted"), Ok("0\n".into()));
    kernel.sh("insmod --force-vermagic wall.ko").fails();
    assert_eq!(kernel.get("kernel/tainted"), Ok("0\n".into()));
    for typed in ["insmod -f wall.ko", "insmod --force-modversion wall.ko"] {
        kernel.sh(typed).ok();
        let taint = fs::read_to_string(kernel.path("k/sys/module/wall/taint"));
        assert_eq!(taint.expect("taint"), "F\n");
        kernel.sh("rmmod wall").ok();
    }
    // As kmod asks for it.
    let script = "finit wall.ko 0\nfinit wall.ko 2\nfinit wall.ko 1\nremove wall 0x800\n";
    fs::write(kernel.path("script"), script).expect("write");
    let calls = program("calls");
    let run = format!(
        "modfs run -q --tree k/modules -- {} < script",
        calls.display()
    );
    let said = kernel.sh(&run).ok();
    assert_eq!(said, "finit: EINVAL\nfinit: EINVAL\nfinit: 0\nremove: 0\n");
    assert_eq!(kernel.get("kernel/tainted"), Ok("2\n".into()));
    let log = kernel.log();
    assert!(
        log.contains(
            "wall: by force, which taints the kernel: disagrees about the version of area"
        ),
        "{log}"
    );
    // In the tree, and it is linked anew by force too once its init has failed.
    kernel
        .sh("mkdir k/modules/wall && cp wall.ko k/modules/wall")
        .ok();
    assert_eq!(
        kernel.control("wall", "map --force-vermagic"),
        Err(Errno::EINVAL)
    );
    kernel.control("wall", "map -f").expect("map");
    assert!(kernel.said("wall").contains("map -f"));
    kernel.control("wall", "init").expect("init");
    kernel.sh("rmmod wall && rmmod area").ok();
    // What is missing is missing.
    assert!(
        kernel
            .sh("insmod -f wall.ko")
            .fails()
            .contains("unresolved symbol area")
    );
}

#[test]
fn licences() {
    let kernel = kernel();
    for (name, licence) in [
        ("free", "GPL"),
        ("closed", "Proprietary"),
        ("mixed", "Dual MIT/GPL"),
    ] {
        let text = WALL
            .replace("area(&r)", "r.w")
            .replace("int area(const struct rect *r);", "");
        let text = text.replace("(\"GPL\")", &format!("(\"{licence}\")"));
        fs::write(kernel.path(&format!("{name}.c")), text).expect("write");
        kernel
            .sh(&format!("modfs build {name}.c && insmod {name}.ko"))
            .ok();
        let taint = fs::read_to_string(kernel.path(&format!("k/sys/module/{name}/taint")));
        let expected = if name == "closed" { "P\n" } else { "\n" };
        assert_eq!(taint.expect("taint"), expected);
    }
    assert_eq!(kernel.get("kernel/tainted"), Ok("1\n".into()));
    let log = kernel.log();
    let told = "closed: module license 'Proprietary' taints the kernel";
    assert_eq!(log.matches("taints the kernel").count(), 1, "{log}");
    assert!(log.contains(told), "{log}");
    // A loader outside says so by itself, and 2.4's did by a file of /proc.
    let other = Kernel::start(&[]);
    assert_eq!(other.get("kernel/tainted"), Ok("0\n".into()));
    other
        .sh(&format!("modfs ld {}", kernel.path("closed.ko").display()))
        .ok();
    assert_eq!(other.get("kernel/tainted"), Ok("1\n".into()));
    let script = "cat /proc/sys/kernel/tainted\nwrite /proc/sys/kernel/tainted 2\n\
                  write /proc/sys/kernel/tainted x\ncat /proc/sys/kernel/tainted\n";
    fs::write(other.path("script"), script).expect("write");
    let calls = program("calls");
    let run = format!("modfs run --tree k/modules -- {} < script", calls.display());
    assert_eq!(other.sh(&run).ok(), "1\nwrite: 1\nwrite: EINVAL\n3\n");
    // EXPORT_SYMBOL_GPL is for the others.
    kernel.sh("insmod area.ko").ok();
    for (licence, errno) in [("Proprietary", Some("twice")), ("GPL v2", None)] {
        let text = WALL.replace("area(&r)", "twice(r.w)");
        let text = text.replace("int area(const struct rect *r);", "int twice(int);");
        let text = text.replace("(\"GPL\")", &format!("(\"{licence}\")"));
        fs::write(kernel.path("user.c"), text).expect("write");
        let ran = kernel.sh("modfs build --symvers area.ko user.c && insmod user.ko");
        match errno {
            Some(symbol) => assert!(ran.fails().contains(symbol)),
            None => drop(ran.ok()),
        }
    }
}

/// Lists as files: of modules, objects and programs; and how two differ.
#[test]
fn lists() {
    let kernel = kernel();
    kernel
        .sh("modfs symvers area.ko && modfs symvers -o new.list --name other new.ko")
        .ok();
    let list = fs::read_to_string(kernel.path("area.symvers")).expect("list");
    let fields: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(fields[0][1..], ["area", "area", "EXPORT_SYMBOL", ""]);
    assert_eq!(fields[1][1..], ["twice", "area", "EXPORT_SYMBOL_GPL", ""]);
    let types = fs::read_to_string(kernel.path("area.symtypes")).expect("types");
    assert_eq!(
        types,
        "area int ( const s#rect * )\ns#rect struct rect { int w @0 ; int h @4 ; } size 8\ntwice int ( int )\n"
    );
    assert_eq!(kernel.sh("modfs symvers --dump area.ko").ok(), types);
    let list = fs::read_to_string(kernel.path("new.list")).expect("list");
    assert!(list.contains("\tarea\tother\t"), "{list}");
    // A list does as well as the module.
    kernel.sh("modfs build --symvers area.symvers -o listed.ko -n wall wall.c && cmp listed.ko wall.ko").ok();
    // Of an object with DWARF as of the module that was made of it.
    kernel
        .sh(
            "modfs headers h && cc -c -g -O0 -ffreestanding -I h -DMODULE -o area.o area.c && \
               modfs symvers -o o.symvers --name area area.o && cmp o.symvers area.symvers",
        )
        .ok();
    let ran = kernel.sh("modfs symvers --diff area.ko new.ko");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out.starts_with("area: 0x") && ran.out.ends_with(&format!(": {HOW}\n")),
        "{ran:?}"
    );
    assert_eq!(
        kernel.sh("modfs symvers --diff area.ko area.symvers").ok(),
        ""
    );
    // Of a program that is a kernel of its own.
    fs::write(
        kernel.path("server.c"),
        "struct job { int id; }; int submit(struct job *job) { return job->id; } int main(void) { return 0; }\n",
    )
    .expect("write");
    let ran = kernel.sh(
        "cc -g -o server server.c && modfs symvers --symbol submit --symbol nothing server && \
                         cat server.symvers",
    );
    assert!(
        ran.err
            .contains("warning: symvers: server: nothing has no checksum"),
        "{ran:?}"
    );
    let list = ran.ok();
    assert!(
        list.ends_with("\tsubmit\tkernel\tEXPORT_SYMBOL\t\n"),
        "{list}"
    );
}

/// What cannot be made, and what is said of it; nothing is half written.
#[test]
fn what_cannot_be_done() {
    let kernel = kernel();
    fs::write(kernel.path("seven.S"), ".globl seven\n.text\nseven: ret\n").expect("write");
    fs::write(
        kernel.path("seven.c"),
        "#include <linux/module.h>\nextern int seven(void);\nEXPORT_SYMBOL(seven);\nMODULE_LICENSE(\"GPL\");\n",
    )
    .expect("write");
    let ran = kernel.sh("modfs build --cflag=-g0 -o seven.ko seven.c seven.S");
    assert!(
        ran.err.contains("warning: build: seven has no checksum"),
        "{ran:?}"
    );
    ran.ok();
    let said = |typed: &str| -> String { kernel.sh(typed).fails() };
    fs::write(kernel.path("text"), "no list\n").expect("write");
    for (typed, why) in [
        ("modfs symvers nothing", "nothing: No such file"),
        ("modfs symvers text", "text: line 1: no checksum"),
        (
            "cc -c -ffreestanding -I h -DMODULE -o a.o area.c; modfs symvers a.o",
            "a.o: ",
        ),
        (
            "modfs symvers -o x area.ko wall.ko",
            "--output is of one object",
        ),
        ("modfs symvers --diff area.ko", "--diff is of two objects"),
        (
            "modfs symvers -o x.symtypes area.ko",
            "x.symtypes: that is where the types go",
        ),
        (
            "mkdir -p d; cp area.ko d; modfs symvers area.ko d/area.ko",
            "two objects would be written to area.symvers",
        ),
        (
            "gzip -k area.ko; modfs symvers area.ko.gz",
            "area.ko.gz: it is packed: unpack it first",
        ),
        (
            "modfs build --symvers area.ko.gz wall.c",
            "area.ko.gz: it is packed: unpack it first",
        ),
        ("modfs symvers -o no/such/x area.ko", "no/such/x"),
        ("modfs symvers --symbol main /bin/sh", "/bin/sh: "),
        (
            "modfs build --symvers text wall.c",
            "text: line 1: no checksum",
        ),
        (
            "modfs build --symvers nothing wall.c",
            "nothing: No such file",
        ),
        ("modfs explain-version text", "explain-version: text: "),
        (
            "modfs explain-version --symvers text wall.ko",
            "text: line 1: no checksum",
        ),
        ("modfs explain-version --tree nothing wall.ko", "nothing"),
    ] {
        let told = said(typed);
        assert!(told.contains(why), "{typed}: {told}");
    }
    let left = kernel.sh("ls -A | grep -e symtypes -e '^\\.'; ls *.symvers 2>/dev/null");
    assert_eq!(left.out, "");
    // What a module carries may be damaged: it is loaded all the same, and said to be so.
    let path = kernel.path("wall.ko");
    let mut object = fs::read(&path).expect("module");
    let at = object
        .windows(8)
        .position(|w| w == b"[kernel]")
        .expect("types");
    object[at..at + 8].copy_from_slice(b"s#kernel");
    fs::write(&path, object).expect("write");
    kernel
        .sh("insmod area.ko && insmod wall.ko && rmmod wall && rmmod area")
        .ok();
    let told = said("modfs explain-version wall.ko");
    assert!(told.contains("wall.ko: line "), "{told}");
    let Ran { err, .. } = kernel.sh("insmod --name area new.ko; insmod wall.ko");
    assert!(err.contains("disagrees about the version of area"), "{err}");
}

/// As modules of 2.4 had them: the checksum is part of the name.
#[test]
fn in_the_name() {
    let kernel = Kernel::start(&[]);
    let header = |declaration: &str| {
        let script =
            format!("echo '{declaration} EXPORT_SYMBOL(area);' | modfs genksyms -k 2.4.35");
        kernel.sh(&script).ok()
            + "#define __versioned_(name, crc) name ## _R ## crc\n\
               #define __versioned(name, crc) __versioned_(name, crc)\n\
               #define _set_ver(name) __versioned(name, __ver_ ## name)\n"
    };
    let write = |file: &str, text: &str| fs::write(kernel.path(file), text).expect("write");
    write("area.ver", &header("int area(int w, int h);"));
    write("old.ver", &header("int area(int w);"));
    let module = "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");\n";
    write(
        "area.c",
        &format!(
            "#include \"area.ver\"\n{module}int area(int w, int h);\nint area(int w, int h) {{ return w * h; }}\nEXPORT_SYMBOL(area);\n"
        ),
    );
    let user = format!(
        "{module}int area(int w, int h);\nint init_module(void) {{ return area(6, 7) - 42; }}\n"
    );
    write("user.c", &format!("#include \"area.ver\"\n{user}"));
    write("stale.c", &format!("#include \"old.ver\"\n{user}"));
    kernel
        .sh("modfs build area.c && modfs build user.c && modfs build stale.c && insmod area.ko && insmod user.ko")
        .ok();
    let symbols = kernel.sh("modfs ksyms --tree k/modules -h").ok();
    assert!(symbols.contains("area_Re3777184"), "{symbols}");
    let said = kernel.sh("insmod stale.ko").fails();
    assert!(said.contains("unresolved symbol area_R"), "{said}");
}

/// A name that has no room in an entry of `__versions`.
#[test]
fn long_names() {
    let kernel = Kernel::start(&[]);
    let name = format!("{}_of_a_function", "long".repeat(20));
    let write = |file: &str, text: &str| fs::write(kernel.path(file), text).expect("write");
    let module = "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");\n";
    for (file, kind) in [("lib.c", "int"), ("new.c", "long")] {
        let text = format!(
            "{module}int {name}({kind} n);\nint {name}({kind} n) {{ return 0; }}\nEXPORT_SYMBOL({name});\n"
        );
        write(file, &text);
    }
    write(
        "user.c",
        &format!("{module}int {name}(int);\nint init_module(void) {{ return {name}(0); }}\n"),
    );
    kernel
        .sh("modfs build lib.c && modfs build --symvers lib.ko user.c && insmod lib.ko && insmod user.ko && rmmod user lib")
        .ok();
    assert!(
        kernel
            .sh("modfs modprobe --show-modversions ./user.ko")
            .ok()
            .contains(&name)
    );
    kernel
        .sh("modfs build -n lib -o lib.ko new.c && insmod lib.ko")
        .ok();
    let said = kernel.sh("insmod user.ko").fails();
    assert!(
        said.contains(&format!("disagrees about the version of {name}")),
        "{said}"
    );
}

/// Many symbols of one name, and a text of types that is all one line: refused soon, and in few words.
#[test]
fn much_to_explain() {
    let kernel = Kernel::start(&[]);
    let write = |file: &str, text: &str| fs::write(kernel.path(file), text).expect("write");
    write("lib.c", AREA);
    let long = "x ".repeat(500_000);
    write("types", &format!("[area]\narea {long}\n"));
    write(
        "user.c",
        "#include <linux/module.h>\nint area(int);\nint init_module(void) { return area(0); }\n\
         static const struct { unsigned long crc; char name[56]; } versions[] __used \
         __section(\"__versions\") = { { 1, \"area\" } };\n\
         __asm__(\".pushsection .symtypes,\\\"\\\",@progbits\\n.incbin \\\"types\\\"\\n.popsection\");\n",
    );
    kernel
        .sh(
            "modfs build -n area -o area.ko lib.c && insmod area.ko && modfs headers h && \
             cc -c -ffreestanding -fPIC -I h -DMODULE -o user.ko user.c",
        )
        .ok();
    let said = kernel.sh("insmod user.ko").fails();
    assert!(said.contains("built against 0x00000001"), "{said}");
    assert!(said.len() < 2000, "{} bytes", said.len());
}

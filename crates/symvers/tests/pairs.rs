//! Pairs of sources, compiled by the compilers that are there: what changes a checksum, and what does not.

use modfs_symvers::{Symtypes, difference, read};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Compiles a source of C with a compiler and its arguments, as `gcc -O2`.
fn c(source: &str, by: &str) -> Symtypes {
    let mut words = by.split(' ');
    let compiler = words.next().expect("a compiler");
    let flags: Vec<&str> = words.chain(["-g", "-c", "-fPIC"]).collect();
    object("x.c", source, compiler, &flags)
}

/// Compiles a crate for what has no `std`.
fn rust(source: &str, by: &str) -> Symtypes {
    let source = format!("#![no_std]\n#![crate_type = \"lib\"]\n{source}");
    let mut flags = vec!["--emit=obj", "--edition=2024", "-g", "-Awarnings"];
    flags.extend(by.split(' ').filter(|flag| !flag.is_empty()));
    object("x.rs", &source, "rustc", &flags)
}

fn object(file: &str, source: &str, compiler: &str, flags: &[&str]) -> Symtypes {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    fs::write(&path, source).expect("write");
    types(&compiled(&path, compiler, flags))
}

fn compiled(source: &Path, compiler: &str, flags: &[&str]) -> Vec<u8> {
    let object = source.with_extension("o");
    let mut command = Command::new(compiler);
    let status = command.args(flags).arg(source).arg("-o").arg(&object);
    let status = status.status().expect(compiler);
    assert!(status.success(), "{command:?}");
    fs::read(object).expect("read")
}

/// Of the symbols that the sources here define.
fn types(object: &[u8]) -> Symtypes {
    read(object, ["f", "v"]).expect("DWARF")
}

fn sums(types: &Symtypes) -> Vec<(String, Option<u32>)> {
    let sums: Vec<_> = types
        .symbols()
        .map(|symbol| (symbol.to_owned(), types.checksum(symbol)))
        .collect();
    assert!(!sums.is_empty());
    sums
}

#[track_caller]
fn same(before: &Symtypes, after: &Symtypes) {
    assert_eq!(sums(before), sums(after), "\n{before}\n{after}");
}

/// The checksum of `f` differs; and this is said of it.
#[track_caller]
fn differs(before: &Symtypes, after: &Symtypes, said: &str) {
    assert_ne!(before.checksum("f"), after.checksum("f"), "{before}");
    let told = difference(before, after, "f").expect("a difference");
    assert_eq!(told.to_string(), said);
}

const POINT: &str = "struct point { int x, y; };\nint f(struct point *p) { return p->x; }\n";

/// Nothing of this changes what C exports.
#[test]
fn of_c_the_same() {
    let before = c(POINT, "gcc -O2");
    for after in [
        // Comments, lines, other names of parameters.
        "/* A point. */\nstruct point {\n\tint x;\n\tint y;\n};\n\n\nint f(struct point *other)\n{ return other->x; }\n",
        // Unrelated code, before and behind.
        "struct a { char c[3]; } a; static int g(void) { return 7; }\nstruct point { int x, y; };\n\
         int f(struct point *p) { return p->x + g() - 7; } struct point more[4]; int h(void) { return g(); }\n",
        // What is declared before.
        "struct point; int f(struct point *); struct point { int x; int y; };\n\
         int f(struct point *p) { return p->x; }\n",
        // What it does.
        "struct point { int x, y; };\nint f(struct point *p) { return p->y * 3; }\n",
        // A qualifier of the parameter itself.
        "struct point { int x, y; };\nint f(struct point *const p) { return p->x; }\n",
        // Another spelling of the types.
        "struct point { signed x; int signed y; };\nsigned int f(struct point p[2]) { return p->x; }\n",
        // Attributes that are no layout.
        "struct point { int x, y; };\n__attribute__((hot, noinline)) int f(struct point *p) { return p->x; }\n",
        // Inlined before and behind it, and where it is its own.
        "struct point { int x, y; };\nint f(struct point *p);\nint e(struct point *p) { return f(p) * 2; }\n\
         int f(struct point *p) { return p->x; }\nint g(struct point *p) { return f(p) + e(p); }\n",
        // Inlined elsewhere.
        "struct point { int x, y; };\nint f(struct point *p) { return p->x; }\nint g(struct point *p) { return f(p) + f(p + 1); }\n",
    ] {
        same(&before, &c(after, "gcc -O2"));
    }
    // Another compiler, and how it is called.
    for by in [
        "gcc -O0",
        "gcc -O3",
        "gcc -Os",
        "gcc -O2 -gdwarf-4",
        "gcc -g3",
        "clang -O0",
        "clang -O2",
    ] {
        same(&before, &c(POINT, by));
    }
}

/// All of this does.
#[test]
fn of_c_another() {
    for (before, after, said) in [
        (
            POINT,
            "struct point { int x, y, z; };\nint f(struct point *p) { return p->x; }\n",
            "struct point: member `z` (`int` at byte 8) is new",
        ),
        (
            POINT,
            "struct point { int x; };\nint f(struct point *p) { return p->x; }\n",
            "struct point: member `y` is gone",
        ),
        (
            POINT,
            "struct point { int x; long y; };\nint f(struct point *p) { return p->x; }\n",
            "struct point: member `y` was `int` at byte 4, is `long` at byte 8",
        ),
        (
            POINT,
            "struct point { int x, why; };\nint f(struct point *p) { return p->x; }\n",
            "struct point: member `y` is now called `why`",
        ),
        (
            POINT,
            "struct point { int y, x; };\nint f(struct point *p) { return p->x; }\n",
            "struct point: member `y` comes where `x` was",
        ),
        (
            POINT,
            "struct point { int x; unsigned y; };\nint f(struct point *p) { return p->x; }\n",
            "struct point: member `y` was `int`, is `unsigned int`",
        ),
        (
            POINT,
            "struct point { int x, y; } __attribute__((aligned(16)));\nint f(struct point *p) { return p->x; }\n",
            "struct point: was of size 8, is of size 16 align 16",
        ),
        (
            POINT,
            "struct point { int x, y; };\nlong f(struct point *p) { return p->x; }\n",
            "f: was `int (struct point *)`, is `long (struct point *)`",
        ),
        (
            POINT,
            "struct point { int x, y; };\nint f(const struct point *p) { return p->x; }\n",
            "f: was `int (struct point *)`, is `int (const struct point *)`",
        ),
        (
            POINT,
            "struct point { int x, y; };\nint f(struct point *p, ...) { return p->x; }\n",
            "f: was `int (struct point *)`, is `int (struct point *, ...)`",
        ),
        (
            "enum e { A, B }; void f(enum e e) {}",
            "enum e { A, B = 2 }; void f(enum e e) {}",
            "enum e: constant `B` was 1, is 2",
        ),
        (
            "enum e { A, B }; void f(enum e e) {}",
            "enum e { A, X, B }; void f(enum e e) {}",
            "enum e: constant `X` (1) is new",
        ),
        (
            "struct s { char c; long l; }; void f(struct s *s) {}",
            "struct s { char c; long l; } __attribute__((packed)); void f(struct s *s) {}",
            "struct s: member `l` was at byte 8, is at byte 1",
        ),
        (
            "struct s { unsigned a : 3, b : 5; }; void f(struct s *s) {}",
            "struct s { unsigned a : 4, b : 5; }; void f(struct s *s) {}",
            "struct s: member `a` was at byte 0, bit 0, of 3 bits, is at byte 0, bit 0, of 4 bits",
        ),
        // Far away: of what it reaches by pointers, arrays, unions, functions and typedefs.
        (
            "struct d { int a; }; typedef struct d d; union u { d *to; }; struct s { int (*call)(union u [2]); };\n\
             void f(struct s *s) {}",
            "struct d { int a[2]; }; typedef struct d d; union u { d *to; }; struct s { int (*call)(union u [2]); };\n\
             void f(struct s *s) {}",
            "struct d: member `a` was `int`, is `int [2]`",
        ),
        (
            "struct s; void f(struct s *s) {}",
            "struct s { int a; }; void f(struct s *s) {}",
            "struct s: was only declared, is defined",
        ),
        (
            "struct s { int a __attribute__((aligned(16))); int b; }; void f(struct s *s) {}",
            "struct s { int a; int b __attribute__((aligned(16))); }; void f(struct s *s) {}",
            "struct s: member `a` was aligned to 16, is aligned as its type is",
        ),
        (
            "typedef int t; void f(t *t) {}",
            "typedef int t __attribute__((aligned(64))); void f(t *t) {}",
            "t: was `typedef t int`, is `typedef t int align 64`",
        ),
        (
            "int f(float a) { return a; }",
            "int f(a) float a; { return a; }",
            "f: was `int (float)`, is `int (unprototyped float)`",
        ),
        (
            "void f(char *c) {}",
            "void f(unsigned char *c) {}",
            "f: was `void (char *)`, is `void (unsigned char *)`",
        ),
        (
            "typedef int t; void f(t *t) {}",
            "typedef long t; void f(t *t) {}",
            "t: was `typedef t int`, is `typedef t long`",
        ),
    ] {
        differs(&c(before, "gcc -O2"), &c(after, "gcc -O2"), said);
        differs(&c(before, "clang -O1"), &c(after, "clang -O1"), said);
    }
    let (before, after) = (c("int v[3];", "gcc"), c("int v[4];", "gcc"));
    assert_ne!(before.checksum("v"), after.checksum("v"));
}

const SHAPE: &str = "#[repr(C)] pub struct Point { x: i32, y: Option<u32> }\n\
    pub enum Shape { Circle(f64), Line { from: Point, to: &'static Point }, Nothing }\n\
    #[unsafe(no_mangle)] pub extern \"C\" fn f(shape: &mut Shape, _more: *const u8) -> bool {\n\
    matches!(shape, Shape::Nothing) }\n";

#[test]
fn of_rust_the_same() {
    let before = rust(SHAPE, "-Copt-level=3");
    for (old, new) in [
        // Comments and lines.
        ("pub enum", "/// A shape.\n\n\npub enum"),
        // Names of parameters.
        ("_more", "_other"),
        // Another lifetime.
        ("shape: &mut Shape", "shape: &'static mut Shape"),
        // Unrelated code.
        (
            "pub enum",
            "pub struct A([u8; 3]); pub fn a(a: A) -> usize { a.0.len() }\npub enum",
        ),
        // What it does.
        (
            "matches!(shape, Shape::Nothing)",
            "!matches!(shape, Shape::Circle(r) if *r > 1.0)",
        ),
        // What is derived, and methods.
        (
            "#[repr(C)]",
            "impl Point { pub fn x(&self) -> i32 { self.x } }\n#[repr(C)] #[derive(Clone, Copy)]",
        ),
        // What is public.
        ("{ x: i32, y", "{ pub x: i32, y"),
    ] {
        let after = SHAPE.replace(old, new);
        assert_ne!(after, SHAPE);
        same(&before, &rust(&after, "-Copt-level=3"));
    }
    for by in [
        "",
        "-Copt-level=1",
        "-Copt-level=s",
        "-Copt-level=3 -Ccodegen-units=1",
        "-Cdwarf-version=5",
    ] {
        same(&before, &rust(SHAPE, by));
    }
}

#[test]
fn of_rust_another() {
    let before = rust(SHAPE, "-Copt-level=3");
    for (old, new, said) in [
        (
            "y: Option<u32>",
            "y: Option<u64>",
            "struct x::Point: member `y` was `struct core::option::Option<u32>` at byte 4, is \
             `struct core::option::Option<u64>` at byte 8",
        ),
        ("x: i32, ", "", "struct x::Point: member `x` is gone"),
        (
            "to: &'static Point",
            "to: *const Point",
            "struct x::Shape::Line: member `to` was `struct x::Point &`, is `struct x::Point *const`",
        ),
        (
            "Circle(f64)",
            "Circle(f64, f64)",
            "struct x::Shape::Circle: member `__1` (`f64` at byte 16) is new",
        ),
        (
            "shape: &mut Shape",
            "shape: &Shape",
            "f: was `bool (struct x::Shape &mut, u8 *const)`, is `bool (struct x::Shape &, u8 *const)`",
        ),
        (
            "_more: *const u8",
            "_more: *mut u8",
            "f: was `bool (struct x::Shape &mut, u8 *const)`, is `bool (struct x::Shape &mut, u8 *mut)`",
        ),
        (
            "_more: *const u8",
            "_more: extern \"C\" fn(u8)",
            "f: was `bool (struct x::Shape &mut, u8 *const)`, is `bool (struct x::Shape &mut, extern \"C\" void (u8) *)`",
        ),
        (
            "-> bool {",
            "-> u8 { let _ = || {}; u8::from(",
            "f: was `bool (struct x::Shape &mut, u8 *const)`, is `u8 (struct x::Shape &mut, u8 *const)`",
        ),
    ] {
        let mut after = SHAPE.replace(old, new);
        if after.contains("u8::from(") {
            after = after.replace("Shape::Nothing) }", "Shape::Nothing)) }");
        }
        differs(&before, &rust(&after, "-Copt-level=3"), said);
    }
    // A variant more: where the kind is told.
    let after = rust(&SHAPE.replace("Nothing }", "Nothing, More(u8) }"), "");
    assert_ne!(before.checksum("f"), after.checksum("f"));
    let told = difference(&before, &after, "f")
        .expect("a difference")
        .to_string();
    assert!(told.starts_with("struct x::Shape: "), "{told}");
}

/// What other compilers and languages can say.
#[test]
fn of_others() {
    for (file, compiler, before, after) in [
        // clang: enumerations of other types, calling conventions, alignment of members.
        (
            "x.c",
            "clang",
            "enum e : unsigned char { A = 1 }; void f(enum e *e) {}",
            "enum e : signed char { A = 1 }; void f(enum e *e) {}",
        ),
        (
            "x.c",
            "clang",
            "void f(void (*g)(int)) {}",
            "void f(void (*g)(int) __attribute__((ms_abi))) {}",
        ),
        (
            "x.c",
            "clang",
            "struct s { int a __attribute__((aligned(16))); int b[3]; }; void f(struct s *s) {}",
            "struct s { int a, b[3]; }; void f(struct s *s) {}",
        ),
        (
            "x.cc",
            "g++",
            "struct s { virtual int a() { return 1; } virtual int b() { return 2; } int c; }; s v; extern \"C\" void f(s *s) { s->a(); }",
            "struct s { virtual int b() { return 2; } virtual int a() { return 1; } int c; }; s v; extern \"C\" void f(s *s) { s->a(); }",
        ),
        (
            "x.cc",
            "g++",
            "struct a { int x; }; struct s : a { int y; }; extern \"C\" int f(s *s) { return s->y; }",
            "struct a { int x; }; struct s : virtual a { int y; }; extern \"C\" int f(s *s) { return s->y; }",
        ),
        (
            "x.cc",
            "g++",
            "struct a {}; struct b {}; extern \"C\" void f(int a::*m) {}",
            "struct a {}; struct b {}; extern \"C\" void f(int b::*m) {}",
        ),
    ] {
        let flags = ["-g", "-c", "-O1"];
        let (before, after) = (
            object(file, before, compiler, &flags),
            object(file, after, compiler, &flags),
        );
        assert_ne!(before.checksum("f"), after.checksum("f"), "{before}");
    }
    let signed = |flag| object("x.c", "void f(char *c) {}", "gcc", &["-g", "-c", flag]);
    assert_ne!(
        signed("-fsigned-char").checksum("f"),
        signed("-funsigned-char").checksum("f")
    );
    let tag = "#[repr(u8)] #[derive(PartialEq)] pub enum E { A = 1, B = 2 }\n\
               #[unsafe(no_mangle)] pub extern \"C\" fn f(e: &E) -> bool { *e == E::A }\n";
    let (before, after) = (rust(tag, ""), rust(&tag.replace("u8", "i8"), ""));
    assert_ne!(before.checksum("f"), after.checksum("f"), "{before}");
}

/// The same source, in another folder.
#[test]
fn elsewhere() {
    for (file, source, compiler, flags) in [
        ("x.c", POINT.to_owned(), "gcc", &["-g", "-O2", "-c"][..]),
        (
            "x.rs",
            format!("#![no_std]\n#![crate_type = \"lib\"]\n{SHAPE}"),
            "rustc",
            &["--emit=obj", "-g", "--edition=2024"],
        ),
    ] {
        let texts = ["one", "another/and deeper"].map(|place| {
            let folder = tempfile::tempdir().expect("a folder");
            let folder = folder.path().join(place);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(file), &source).expect("write");
            types(&compiled(&folder.join(file), compiler, flags)).to_string()
        });
        assert_eq!(texts[0], texts[1]);
    }
}

/// What is written can be read, and is of the same checksums.
#[test]
fn as_text() {
    for types in [c(POINT, "gcc"), rust(SHAPE, "")] {
        let read = Symtypes::parse(&types.to_string()).expect("lines");
        assert_eq!(read, types);
        assert_eq!(sums(&read), sums(&types));
        let all: Vec<&str> = types.symbols().collect();
        assert_eq!(types.of(all), types);
    }
}

/// What cannot be read, and what helps.
#[test]
fn reasons() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("x.c");
    fs::write(&source, POINT).expect("write");
    for (flags, said) in [
        (&["-c"][..], "compile with -g"),
        (&["-c", "-g", "-gz"], "objcopy --decompress-debug-sections"),
        (
            &["-c", "-g", "-fdebug-types-section"],
            "-fdebug-types-section",
        ),
        (
            &["-c", "-gdwarf-4", "-fdebug-types-section"],
            "-fdebug-types-section",
        ),
    ] {
        let object = compiled(&source, "gcc", flags);
        let error = read(&object, ["f"]).expect_err("nothing to read");
        assert!(error.to_string().contains(said), "{error}");
    }
    // Only lines are told: not that it has no parameters.
    let object = compiled(&source, "gcc", &["-c", "-g1"]);
    assert!(read(&object, ["f"]).expect("DWARF").is_empty());
    let source = folder.path().join("x.rs");
    fs::write(
        &source,
        format!("#![no_std]\n#![crate_type = \"lib\"]\n{SHAPE}"),
    )
    .expect("write");
    let flags = [
        "--emit=obj",
        "--edition=2024",
        "-Cdebuginfo=line-tables-only",
        "-Awarnings",
    ];
    assert!(
        read(&compiled(&source, "rustc", &flags), ["f"])
            .expect("DWARF")
            .is_empty()
    );
    let source = folder.path().join("x.c");
    // Cut off anywhere.
    let object = compiled(&source, "gcc", &["-c", "-g"]);
    for end in (0..object.len()).step_by(7) {
        let _ = read(&object[..end], ["f"]);
    }
}

/// Made to take time and memory: entries within entries without an end, and types of one name that only the last of a long
/// chain tells apart.
#[test]
fn hostile() {
    const HEAD: &str =
        ".section .debug_info,\"\",@progbits\n.long e-s\ns: .short 4\n.long 0\n.byte 8\n.byte 1\n";
    let nested = format!(
        ".section .debug_abbrev,\"\",@progbits\n.byte 1,0x11,1,0,0,2,0x39,1,0,0,0\n{HEAD}\
         .rept 300000\n.byte 2\n.endr\ne:\n"
    );
    let mut chain = format!(
        ".section .debug_abbrev,\"\",@progbits\n.byte 1,0x11,1,0,0\n.byte 2,0x13,1,3,8,0xb,0xb,0,0\n\
         .byte 3,0xd,0,0x49,0x13,0,0\n.byte 4,0x34,0,3,8,0x49,0x13,0,0\n.byte 0\n{HEAD}"
    );
    for n in 0..3000 {
        let next = if n == 2999 { 0 } else { n + 1 };
        chain += &format!(
            "t{n}: .byte 2\n.asciz \"a\"\n.byte {}\n.byte 3\n.long t{next}-s+4\n.byte 0\n",
            n / 2999
        );
    }
    chain += ".byte 4\n.asciz \"f\"\n.long t0-s+4\n.byte 0\ne:\n";
    for source in [nested, chain] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.s");
        fs::write(&path, source).expect("write");
        let error = read(&compiled(&path, "gcc", &["-c"]), ["f"]).expect_err("no end");
        assert!(error.to_string().contains("has no end"), "{error}");
    }
}

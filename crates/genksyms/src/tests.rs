//! `tests/*.c` with what modutils 2.4.25 printed for them.

use super::*;

/// What modutils' genksyms made of a source: its dump, and its output.
fn golden(source: &str, dump: &str, ver: &str) {
    let found = parse(source, Language::Old);
    let sums: Vec<_> = found.checksums().filter_map(Result::ok).collect();
    let shown: String = sums
        .iter()
        .map(|sum| format!("Export {} == <{}>\n", sum.name, sum.text))
        .collect();
    // A dump that was kept may have lost the last newline.
    assert_eq!(shown.trim_end(), dump.trim_end());
    let lines: String = sums
        .iter()
        .map(|sum| {
            let (name, crc) = (sum.name, sum.crc);
            format!("#define __ver_{name}\t{crc:08x}\n#define {name}\t_set_ver({name})\n")
        })
        .collect();
    assert_eq!(lines, ver);
}

#[test]
fn first() {
    golden(
        include_str!("../tests/g.c"),
        include_str!("../tests/g.dump"),
        include_str!("../tests/g.ver"),
    );
}

#[test]
fn third() {
    golden(
        include_str!("../tests/g3.c"),
        include_str!("../tests/g3.dump"),
        include_str!("../tests/g3.ver"),
    );
}

#[test]
fn names_that_are_types_too() {
    golden(
        include_str!("../tests/prec.c"),
        include_str!("../tests/prec.dump"),
        include_str!("../tests/prec.ver"),
    );
}

/// What the kernel 2.4.35 itself had for i386, by its own headers.
#[test]
fn of_the_kernel() {
    let source = "\
        typedef unsigned int __kernel_size_t; typedef __kernel_size_t size_t;\n\
        __attribute__((regparm(0))) int printk(const char * fmt, ...)\n\
          __attribute__ ((format (printf, 1, 2)));\n\
        extern void *kmalloc(size_t, int); extern void kfree(const void *);\n\
        extern void vfree(void * addr); extern char * strcpy(char *, const char *);\n\
        extern int sprintf(char * buf, const char * fmt, ...)\n\
          __attribute__ ((format (printf, 2, 3)));\n\
        extern int unregister_chrdev(unsigned int, const char *);\n\
        extern unsigned long volatile jiffies;\n\
        EXPORT_SYMBOL(printk); EXPORT_SYMBOL(kfree); EXPORT_SYMBOL(kmalloc); EXPORT_SYMBOL(vfree);\n\
        EXPORT_SYMBOL(strcpy); EXPORT_SYMBOL(sprintf); EXPORT_SYMBOL(unregister_chrdev);\n\
        EXPORT_SYMBOL(jiffies);";
    let found = parse(source, Language::Old);
    let sums: Vec<_> = found.checksums().filter_map(Result::ok).collect();
    let shown: Vec<String> = sums
        .iter()
        .map(|s| format!("{} {:08x}", s.name, s.crc))
        .collect();
    assert_eq!(
        shown,
        [
            "printk 1b7d4074",
            "kfree 037a0cba",
            "kmalloc 93d4cfe6",
            "vfree 2fd1d81c",
            "strcpy e914e41e",
            "sprintf 1d26aa98",
            "unregister_chrdev c192d491",
            "jiffies 0da02d67",
        ]
    );
}

fn today(source: &str) -> Vec<String> {
    let found = parse(source, Language::Today);
    assert_eq!(found.messages(), [""; 0]);
    let sums = found.checksums().filter_map(Result::ok);
    sums.map(|sum| sum.text).collect()
}

/// What today's differs in, as the genksyms of Linux 6.12 shows it.
#[test]
fn of_linux_today() {
    let source = "\
        enum e { A, B = 4, C, }; typedef _Bool bool; struct s { int a[C], b[A]; };\n\
        __extension__ typedef long long ll;\n\
        void f(struct s *, ll) __attribute__((noreturn)); __typeof__(bool) p; __typeof__(p + 1) q;\n\
        typedef int (*fn)(bool x); void g(const fn fn);\n\
        _Static_assert(sizeof(int) == 4, \"int\");\n\
        __GENKSYMS_EXPORT_SYMBOL(f); __GENKSYMS_EXPORT_SYMBOL(p); __GENKSYMS_EXPORT_SYMBOL(q);\n\
        __GENKSYMS_EXPORT_SYMBOL(g);";
    assert_eq!(
        today(source),
        [
            "void f ( struct s { int a [ ( 4 ) + 1 ] , b [ 0 ] ; } * , \
             __extension__ typedef long long ll ) ",
            "__typeof__ ( typedef _Bool bool ) p ",
            "__typeof__ ( p + 1 ) q ",
            "void g ( const typedef int ( * fn ) ( typedef _Bool bool ) fn ) ",
        ]
    );
}

/// What is wrong is passed over, up to the next `;` or `}`.
#[test]
fn mistakes() {
    let source = "int a; 5 x; int b; struct; int d; EXPORT_SYMBOL(a); EXPORT_SYMBOL(b)\n\
                  EXPORT_SYMBOL(missing); EXPORT_SYMBOL(d);";
    let found = parse(source, Language::Old);
    assert_eq!(
        found.messages(),
        [
            "1: syntax error at \"5\"",
            "1: syntax error at \";\"",
            "2: syntax error at \"EXPORT_SYMBOL\"",
        ]
    );
    let names: Vec<_> = found
        .checksums()
        .map(|sum| sum.map(|sum| sum.name).map_err(|Undeclared(name)| name))
        .collect();
    assert_eq!(names, [Ok("a"), Ok("d")]);
    let found = parse("EXPORT_SYMBOL(missing);", Language::Old);
    assert_eq!(found.checksums().next(), Some(Err(Undeclared("missing"))));
    // A constant that is given nothing is none.
    let found = parse(
        "enum e { A= , B }; int C= ; EXPORT_SYMBOL(A); EXPORT_SYMBOL(C);",
        Language::Today,
    );
    assert_eq!(
        found.messages(),
        ["1: syntax error at \",\"", "1: syntax error at \";\""]
    );
    let sums: Vec<_> = found.checksums().collect();
    assert_eq!(sums, [Err(Undeclared("A")), Err(Undeclared("C"))]);
    // As deep as it may be, and deeper.
    for deep in ["(", "struct {", "typeof(int (", "int (*f)("] {
        assert_ne!(
            parse(&deep.repeat(100_000), Language::Today).messages(),
            [""; 0]
        );
    }
    for odd in [
        "", "#", "\"", "'", "L\"", "\u{e9}", "0x", "1e", ".5e+", "\\", "a\u{300}",
    ] {
        assert_eq!(parse(odd, Language::Today).checksums().count(), 0);
    }
}

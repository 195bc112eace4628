//! Each row of the calls of 2.4 (linux-2.4, kernel/module.c).

use super::{answers, answers_and_leaves, kernel, made};
use crate::common::{NOBODY, program};

#[test]
fn names() {
    answers(
        "create EMPTY 4096\ncreate LONG 4096\ncreate BAD 4096\ncreate NULL 4096\ncreate OPEN 4096\n\
         create EDGE 4096\ninit EMPTY\ninit LONG\ninit BAD\ndelete EMPTY\ndelete LONG\ndelete BAD\n\
         delete OPEN\nquery EMPTY 0\nquery LONG 0\nquery BAD 0\ndelete edge\n",
        "create: EINVAL\ncreate: ENAMETOOLONG\ncreate: EFAULT\ncreate: EFAULT\ncreate: EFAULT\n\
         create: @0\ninit: EINVAL\ninit: ENAMETOOLONG\ninit: EFAULT\ndelete: EINVAL\n\
         delete: ENAMETOOLONG\ndelete: EFAULT\ndelete: EFAULT\nquery EMPTY 0: EINVAL\n\
         query LONG 0: ENAMETOOLONG\nquery BAD 0: EFAULT\ndelete: 0\n",
    );
}

/// Whoever does not own the tree may ask, and nothing else; that is said before anything is looked at.
#[test]
fn who_may() {
    let kernel = kernel(&[]);
    let script = format!(
        "create t1 1024\nuser {NOBODY}\ncreate BAD 0\ninit BAD\ndelete BAD\ndelete NULL\nfinit - 0\n\
         load /proc/self/exe\nquery NULL 1\nquery t1 5\n"
    );
    let said = made(&kernel, &program("calls"), &script).ok();
    assert_eq!(
        said,
        "create: @0\nuser: 0\ncreate: EPERM\ninit: EPERM\ndelete: EPERM\ndelete: EPERM\n\
         finit: EPERM\nload: EPERM\nquery NULL 1: 1 t1\n\
         query t1 5: 32 address @0 size 1024 flags 0 usecount 0\n"
    );
    made(&kernel, &program("calls"), "query NULL 0\ndelete t1\n").ok();
}

#[test]
fn create_module_sizes() {
    // The header, the name and its NUL.
    answers(
        "create t1 0\ncreate t1 186\ncreate t1 187\nquery t1 5\ndelete t1\ncreate t1 0x10000000000\n\
         create t1 0xffffffffffffffff\ncreate t1 0x8000000\nquery NULL 1\n",
        "create: EINVAL\ncreate: EINVAL\ncreate: @0\n\
         query t1 5: 32 address @0 size 187 flags 0 usecount 0\ndelete: 0\ncreate: ENOMEM\n\
         create: ENOMEM\ncreate: ENOMEM\nquery NULL 1: 0\n",
    );
}

#[test]
fn create_module_twice() {
    answers(
        "create t1 1024\ncreate t1 1024\ncreate t1 1\ncreate kernel 1024\ncreate a/b 1024\ncreate .. 1024\n\
         delete t1\ncreate t1 1024\ndelete t1\n",
        "create: @0\ncreate: EEXIST\ncreate: EINVAL\ncreate: EEXIST\ncreate: EINVAL\n\
         create: EINVAL\ndelete: 0\ncreate: @0\ndelete: 0\n",
    );
}

#[test]
fn a_created_module_is_there_but_says_nothing() {
    answers(
        "create t1 1024\nquery t1 2\nquery t1 3\nquery t1 4\nquery NULL 1\ncat /proc/modules\n\
         delete t1\n",
        "create: @0\nquery t1 2: 0\nquery t1 3: 0\nquery t1 4: 0\nquery NULL 1: 1 t1\n\
         t1                      1024 (uninitialized)\ndelete: 0\n",
    );
}

#[test]
fn init_module_without_a_module() {
    answers(
        "query NULL 0\nimage t1 1024 0\ninit t1\ninit kernel\n",
        "query NULL 0: 0\ninit: ENOENT\ninit: ENOENT\n",
    );
}

#[test]
fn init_module_header_size() {
    answers(
        "create t1 1024\nimage t1 1024 0\nset 0 111\ninit t1\nset 0 313\ninit t1\nset 0 0\ninit t1\n\
         set 0 -1\ninit t1\nset 0 112\ninit t1\nquery t1 4\ndelete t1\n",
        "create: @0\ninit: EINVAL\ninit: EINVAL\ninit: EINVAL\ninit: EINVAL\ninit: 0\n\
         query t1 4: 0\ndelete: 0\n",
    );
}

/// Where the image cannot be read: the first word, the header, what follows it.
#[test]
fn init_module_faults() {
    answers(
        "create t1 1024\nimage t1 1024 0\ninitat t1 4\ninitat t1 64\ninitat t1 184\ninitat t1 900\n\
         initat t1 1024\ndelete t1\n",
        "create: @0\ninit: EFAULT\ninit: EFAULT\ninit: EFAULT\ninit: EFAULT\ninit: 0\ndelete: 0\n",
    );
}

#[test]
fn init_module_fields() {
    // Each is put right again after it was refused.
    let mut script = String::from("create t1 1024\nimage t1 1024 0\nsymbol f @768\n");
    let mut expected = String::from("create: @0\n");
    for (offset, wrong, right) in [
        (24, "1025", "1024"),
        (24, "8", "1024"),
        (16, "@0", "@184"),
        (16, "@1024", "@184"),
        (56, "@1016", "@256"),
        (56, "0", "@256"),
        (80, "@8", "@768"),
        (80, "@1024", "@768"),
        (88, "0x1000", "@784"),
        (96, "@1000", "0"),
        (40, "1", "0"),
        (40, "2", "0"),
        (128, "8", "0"),
        (144, "@1000", "0"),
        (152, "@1025", "0"),
        (168, "@1025", "0"),
        (176, "1", "0"),
        (264, "0", "@320"),
    ] {
        script += &format!("set {offset} {wrong}\ninit t1\nset {offset} {right}\n");
        expected += "init: EINVAL\n";
    }
    for (offset, wrong, right) in [(48, "-1", "1"), (48, "60", "1"), (52, "1", "0")] {
        script += &format!("int {offset} {wrong}\ninit t1\nint {offset} {right}\n");
        expected += "init: EINVAL\n";
    }
    script += "init t1\nquery t1 4\ndelete t1\n";
    expected += "init: 0\nquery t1 4: 1 f@768\ndelete: 0\n";
    answers(&script, &expected);
}

/// The table of exceptions ends before the module does, and counts only when it begins somewhere.
#[test]
fn init_module_exceptions() {
    answers(
        "create t1 1024\nimage t1 1024 0\nset 96 @800\nset 104 @1024\ninit t1\nset 104 @817\ninit t1\n\
         set 96 0\nset 104 32\ninit t1\ndelete t1\ncreate t1 1024\nimage t1 1024 0\nset 96 @800\n\
         set 104 @1008\ninit t1\ndelete t1\n",
        "create: @0\ninit: EINVAL\ninit: EINVAL\ninit: 0\ndelete: 0\ncreate: @0\ninit: 0\n\
         delete: 0\n",
    );
}

/// A page that may not be read, or written, is as one that is not there.
#[test]
fn protected_memory() {
    let kernel = kernel(&[]);
    let script = "create CLOSED 1024\ncreate t1 1024\ninit CLOSED\nquery CLOSED 1\nquery NULL 1 -2\n\
                  query t1 5 -2\ndelete t1\n";
    let said = made(&kernel, &program("calls"), script).ok();
    assert_eq!(
        said,
        "create: EFAULT\ncreate: @0\ninit: EFAULT\nquery CLOSED 1: EFAULT\nquery NULL 1: EFAULT\n\
         query t1 5: EFAULT\ndelete: 0\n"
    );
}

/// Symbols are listed as the module's table has them.
#[test]
fn symbols_in_their_order() {
    answers(
        "create t1 1024\nimage t1 1024 0\nsymbol zeta @768\nsymbol alpha @769\nsymbol zeta @770\ninit t1\n\
         query t1 4\ndelete t1\n",
        "create: @0\ninit: 0\nquery t1 4: 3 zeta@768 alpha@769 zeta@770\ndelete: 0\n",
    );
}

/// What only asks does not count as a visit.
#[test]
fn autoclean_leaves_flags_alone() {
    answers_and_leaves(
        "create t1 1024\nimage t1 1024 0\nset 128 @800\ncode 800 b801000000c3\nset 40 4\ninit t1\n\
         delete NULL\nquery t1 5\n",
        "create: @0\ninit: 0\ndelete: 0\n\
         query t1 5: 32 address @0 size 1024 flags 5 usecount -1\n",
        1,
    );
}

/// A directory that somebody has made is not removed, whatever becomes of the call.
#[test]
fn a_directory_of_others_stays() {
    let kernel = kernel(&["hello"]);
    kernel.sh("mkdir k/modules/t1").ok();
    let said = made(&kernel, &program("calls"), "create t1 0x8000000\n").ok();
    assert_eq!(said, "create: ENOMEM\n");
    assert!(kernel.tree("t1").is_dir());
    // A module that is there from other files runs already.
    kernel.sh("modfs ld ko/hello.ko").ok();
    let script = "query NULL 0\nimage hello 1024 0\ninit hello\ncreate hello 1024\n";
    let said = made(&kernel, &program("calls"), script).ok();
    assert_eq!(said, "query NULL 0: 0\ninit: EEXIST\ncreate: EEXIST\n");
    kernel.sh("rmmod hello").ok();
}

#[test]
fn init_module_another_name() {
    answers(
        "create t1 1024\nimage t2 1024 0\ninit t1\nimage t1 1024 0\ntext 184 t11\ninit t1\n\
         text 184 t1\nset 16 @185\ninit t1\nset 16 @190\ninit t1\nset 16 @184\ninit t1\ndelete t1\n",
        "create: @0\ninit: EINVAL\ninit: EINVAL\ninit: EINVAL\ninit: EINVAL\ninit: 0\n\
         delete: 0\n",
    );
}

#[test]
fn init_module_dependencies() {
    answers(
        "create t1 1024\nimage t1 1024 0\ninit t1\ncreate t2 1024\nimage t2 1024 0\nint 52 1\n\
         set 64 @512\nset 512 0x1234\ninit t2\nset 512 @0\ninit t2\nimage t2 1024 0\ndep t1\n\
         dep t1\ninit t2\nquery t2 2\nquery t1 3\ndelete t1\ndelete t2\ndelete t1\n",
        "create: @0\ninit: 0\ncreate: @0\ninit: EINVAL\ninit: EINVAL\ninit: 0\n\
         query t2 2: 1 t1\nquery t1 3: 1 t2\ndelete: EBUSY\ndelete: 0\ndelete: 0\n",
    );
}

/// What has come after an image's place was made is not what it was linked against.
#[test]
fn a_dependency_that_came_later() {
    answers(
        "create t2 1024\ncreate t1 1024\nimage t1 1024 0\ninit t1\nother\nimage t2 1024 0\ndep t1\n\
         init t2\nquery t1 3\ndelete t2\ncreate t2 1024\nimage t2 1024 0\ndep t1\ninit t2\n\
         delete t2\ndelete t1\n",
        "create: @0\ncreate: @0\ninit: 0\ninit: EINVAL\nquery t1 3: 0\ndelete: 0\ncreate: @0\n\
         init: 0\ndelete: 0\ndelete: 0\n",
    );
}

/// What init returns: negative as it is, positive EBUSY. The module stays, for its loader to delete, or to
/// try again; but, unlike in 2.4, what it used is free.
#[test]
fn init_that_fails() {
    answers(
        "create t1 1024\nimage t1 1024 0\ninit t1\ncreate t2 1024\nimage t2 1024 -19\ndep t1\ninit t2\n\
         query t1 3\nquery t2 5\ncat /proc/modules\nimage t2 1024 1\ninit t2\nimage t2 1024 0\ninit t2\n\
         delete t2\ndelete t1\n",
        "create: @0\ninit: 0\ncreate: @0\ninit: ENODEV\nquery t1 3: 0\n\
         query t2 5: 32 address @0 size 1024 flags 0 usecount 0\n\
         t2                      1024 (uninitialized)\nt1                      1024   0\n\
         init: EBUSY\ninit: 0\ndelete: 0\ndelete: 0\n",
    );
}

/// In 2.4 it could be, and lost its references.
#[test]
fn a_running_module_is_not_initialised_again() {
    answers(
        "create t1 1024\nimage t1 1024 0\ninit t1\ninit t1\nquery t1 5\ndelete t1\n",
        "create: @0\ninit: 0\ninit: EEXIST\n\
         query t1 5: 32 address @0 size 1024 flags 1 usecount 0\ndelete: 0\n",
    );
}

/// A module without init and cleanup is just there.
#[test]
fn no_functions() {
    answers(
        "create t1 1024\nimage t1 1024 0\nset 80 0\nset 88 0\ninit t1\nquery t1 5\ndelete t1\n",
        "create: @0\ninit: 0\nquery t1 5: 32 address @0 size 1024 flags 1 usecount 0\n\
         delete: 0\n",
    );
}

/// Its own count, in its header: what module code does by itself keeps it.
#[test]
fn a_count_in_the_header() {
    // init: lock inc dword [header + 32]; or qword [header + 40], VISITED | USED_ONCE; xor eax, eax; ret
    // from 768 on: relative to the end of each instruction.
    let init = "f0ff0519fdffff48830d19fdffff1831c0c3";
    answers_and_leaves(
        &format!(
            "create t1 1024\nimage t1 1024 0\ncode 768 {init}\nset 88 @850\ncode 850 c3\n\
             init t1\nquery t1 5\ndelete t1\ncat /proc/modules\n"
        ),
        "create: @0\ninit: 0\nquery t1 5: 32 address @0 size 1024 flags 25 usecount 1\n\
         delete: EBUSY\nt1                      1024   1\n",
        1,
    );
}

#[test]
fn can_unload() {
    answers_and_leaves(
        "create t1 1024\nimage t1 1024 0\nset 128 @800\ncode 800 8b0505000000c3\nint 811 5\ninit t1\n\
         query t1 5\ncat /proc/modules\ndelete t1\n",
        "create: @0\ninit: 0\nquery t1 5: 32 address @0 size 1024 flags 1 usecount -1\n\
         t1                      1024  -1 (unused)\ndelete: EBUSY\n",
        1,
    );
}

#[test]
fn delete_module() {
    answers(
        "query NULL 0\ndelete t1\ncreate t1 1024\ndelete t1\ndelete t1\ndelete kernel\n",
        "query NULL 0: 0\ndelete: ENOENT\ncreate: @0\ndelete: 0\ndelete: ENOENT\n\
         delete: ENOENT\n",
    );
}

/// Of NULL: what was loaded on demand, used, and is not used now goes, at the second sweep after a visit.
#[test]
fn autoclean() {
    answers(
        "delete NULL\ncreate t1 1024\nimage t1 1024 0\nset 40 4\ninit t1\ndelete NULL\nquery NULL 1\n\
         create t2 1024\nimage t2 1024 0\ndep t1\ninit t2\ncat /proc/modules\ndelete NULL\n\
         delete t2\ndelete NULL\nquery NULL 1\n",
        "delete: 0\ncreate: @0\ninit: 0\ndelete: 0\nquery NULL 1: 1 t1\ncreate: @0\ninit: 0\n\
         t2                      1024   0 (unused)\n\
         t1                      1024   0 (autoclean) [t2]\n\
         delete: 0\ndelete: 0\ndelete: 0\nquery NULL 1: 0\n",
    );
}

#[test]
fn query_module_buffers() {
    answers(
        "create t1 1024\nimage t1 1024 0\nsymbol func @768\ninit t1\ncreate t2 1024\nimage t2 1024 0\n\
         dep t1\ninit t2\nquery t1 0 0\nquery nosuch 0\nquery t1 6\nquery t1 -1\nquery NULL 2\n\
         query NULL 3\nquery NULL 5\nquery NULL 1 5\nquery NULL 1 6\nquery t1 1\nquery t2 2 2\nquery t2 2 3\n\
         query t1 3 0\nquery t1 4 20\nquery t1 4 21\nquery t1 5 31\nquery t1 5 32\nquery t1 5 -1\n\
         query t1 4 -1\nquery NULL 1 -1\nraw 178 0 1 0 0 1\nraw 178 0 0 0 0 1\ndelete t2\ndelete t1\n",
        "create: @0\ninit: 0\ncreate: @0\ninit: 0\nquery t1 0: 0\nquery nosuch 0: ENOENT\n\
         query t1 6: EINVAL\nquery t1 18446744073709551615: EINVAL\nquery NULL 2: EINVAL\n\
         query NULL 3: EINVAL\nquery NULL 5: EINVAL\nquery NULL 1: ENOSPC 6\n\
         query NULL 1: 2 t2 t1\nquery t1 1: 2 t2 t1\nquery t2 2: ENOSPC 3\nquery t2 2: 1 t1\n\
         query t1 3: ENOSPC 3\nquery t1 4: ENOSPC 21\nquery t1 4: 1 func\n\
         query t1 5: ENOSPC 32\nquery t1 5: 32 address other size 1024 flags 17 usecount 0\n\
         query t1 5: EFAULT\nquery t1 4: EFAULT\nquery NULL 1: EFAULT\nraw: EFAULT\nraw: 0\n\
         delete: 0\ndelete: 0\n",
    );
}

#[test]
fn symbols_of_the_kernel() {
    let kernel = kernel(&[]);
    let said = made(&kernel, &program("calls"), "query NULL 4\nsyms\nsyms 3\n").ok();
    let lines: Vec<&str> = said.lines().collect();
    let count = |line: &str| -> usize { line.split(' ').nth(3).unwrap().parse().unwrap() };
    let exports = kernel.get("kernel/symbols").unwrap().lines().count();
    assert_eq!(count(lines[0]), exports, "{said}");
    assert_eq!(lines[1], format!("syms: {}", exports + 1));
    assert!(lines[2].starts_with("syms: 3 # "), "{said}");
    let said = made(
        &kernel,
        &program("calls"),
        "create t1 1024\nimage t1 1024 0\nsymbol func @768\ninit t1\nsyms 4\nsyms\nsyms 1\ndelete t1\n",
    );
    let said = said.ok();
    assert!(said.contains("syms: 4 #t1 func # "), "{said}");
    assert!(said.contains(&format!("syms: {}\n", exports + 3)), "{said}");
    assert!(said.contains("syms: 1 #t1\n"), "{said}");
}

/// Only what is for modules with a GPL-compatible licence says so in its name.
#[test]
fn gpl_only_symbols() {
    let kernel = kernel(&[]);
    let script = "create t1 1024\nimage t1 1024 0\nsymbol GPLONLY_secret @768\ninit t1\nquery t1 4\n\
                  cat /proc/ksyms\ndelete t1\n";
    let said = made(&kernel, &program("calls"), script).ok();
    assert!(
        said.contains("query t1 4: 1 GPLONLY_secret@768\n"),
        "{said}"
    );
    let line = said.lines().find(|line| line.ends_with("\t[t1]"));
    let line = line.expect("a line of ksyms");
    assert_eq!(&line[16..], " GPLONLY_secret\t[t1]");
    let kernels = said.lines().filter(|line| line.ends_with(" printk"));
    assert_eq!(kernels.count(), 1, "{said}");
}

/// A host that is not told to takes no such image, and says why.
#[test]
fn without_allow_wx() {
    let kernel = crate::common::Kernel::start(&[]);
    std::fs::write(kernel.path("script"), "create t1 1024\nquery NULL 1\n").unwrap();
    let calls = program("calls");
    let ran = kernel.sh(&format!(
        "modfs run --tree k/modules -- {} < script",
        calls.display()
    ));
    assert_eq!(ran.out, "create: EPERM\nquery NULL 1: 0\n", "{ran:?}");
    assert!(ran.err.contains("--allow-wx"), "{ran:?}");
}

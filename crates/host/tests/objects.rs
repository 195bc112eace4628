//! What gcc and clang make of C, in every way they may be told to: it loads, computes what it
//! should, and goes again without a trace.

mod common;

use common::build::COMPILERS;
use common::{Build, function, host, load, logged, map, record, refused, status, unload};
use modfs_core::Errno;
use modfs_host::{Host, HostExport};
use std::sync::atomic::{AtomicI64, Ordering};

/// How code refers to what is elsewhere.
const MODELS: [&[&str]; 6] = [
    &["-fPIC"],
    &["-fPIC", "-fno-plt"],
    &["-fPIE"],
    &["-fno-pic"],
    &["-fno-pic", "-mcmodel=small"],
    &["-fno-pic", "-mcmodel=kernel"],
];

const LEVELS: [&str; 4] = ["-O0", "-O1", "-O2", "-O3"];

const FURTHER: [&[&str]; 5] = [
    &["-O2", "-ffunction-sections", "-fdata-sections"],
    &["-O2", "-g"],
    &["-O1", "-fcommon", "-DCOMMON"],
    &[
        "-Os",
        "-fno-omit-frame-pointer",
        "-fasynchronous-unwind-tables",
    ],
    &[
        "-O2",
        "-ffunction-sections",
        "-fdata-sections",
        "-g3",
        "-fcommon",
        "-DCOMMON",
    ],
];

thread_local! {
    /// Each test has one of its own: they run at the same time.
    static HOST_VARIABLE: &'static AtomicI64 = Box::leak(Box::default());
}

fn world() -> Host {
    let host = host();
    record::export(&host);
    let variable = std::ptr::from_ref(HOST_VARIABLE.with(|v| *v)).cast();
    host.export(&[HostExport::variable("host_variable", variable)])
        .expect("export");
    host
}

fn everything(compiler: &str, flags: &[&str]) -> Vec<u8> {
    Build::by(compiler)
        .flags(flags)
        .fixture("everything.c")
        .fixture("other.c")
        .object()
}

/// What `everything.c` records from its first constructor to the end of init, for `number` 4.
fn expected(pic: bool) -> Vec<(&'static str, i64)> {
    let jumps = [11, 41, 4, 11, 44, 5, 44, 6, -1];
    let mut list = vec![
        ("constructor 101", 11),
        ("constructor 5000", 11),
        ("constructor", 11),
        ("bss is zero", 0),
        ("bss", 7),
        ("data", 33),
        ("a pointer to data", 22),
        ("other's data", 33),
        ("other's pointer", 33),
        ("a common block", 5),
        ("constants", 31_415_926),
        ("strings", 97_004),
        ("equal strings", 0),
        ("a weak function that is nowhere", 0),
        ("a weak function", 1),
        ("a weak function that is replaced", 2),
        ("a table of functions", 7_011_243),
        ("names in it", i64::from(b'm')),
        ("printk by a pointer", 15),
        ("printk", 28),
        ("own and other's pointer", 1),
        ("in a switch", 4),
        ("a switch", jumps.iter().fold(0, |sum, n| sum * 3 + n)),
        ("a computed goto", 2),
    ];
    if pic {
        list.extend([("host's variable", 41), ("host's variable changed", 42)]);
    }
    list.extend([("floating point", 575), ("init part", 10), ("own name", 0)]);
    list
}

#[track_caller]
fn assert_recorded(expected: &[(&str, i64)], what: &str) {
    let found = record::take();
    let found: Vec<(&str, i64)> = found.iter().map(|(s, n)| (s.as_str(), *n)).collect();
    assert_eq!(found, expected, "{what}");
}

/// The whole life of a module in one host; `what` says how it was built.
fn lives(host: &Host, object: &[u8], pic: bool, what: &str) {
    HOST_VARIABLE.with(|v| v.store(41, Ordering::Relaxed));
    map(host, "everything", object).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    let mapped = status(host, "everything").size;
    common::init(host, "everything", &["number=4"])
        .unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    assert_recorded(&expected(pic), what);
    if pic {
        let variable = HOST_VARIABLE.with(|v| v.load(Ordering::Relaxed));
        assert_eq!(variable, 42, "{what}");
    }
    // 8000 bytes each of data and constants, and some code.
    let left = status(host, "everything").size;
    assert!(left + 16_000 < mapped, "{what}: {mapped} then {left}");
    assert_eq!(function(host, "everything_exported")(10), 55, "{what}");
    assert!(logged(host, "by a pointer 4"), "{what}");
    assert!(logged(host, "a call -4 x abcdef    lo|"), "{what}");
    unload(host, "everything");
    assert_recorded(
        &[("exit", 15), ("destructor", 15), ("destructor 101", 15)],
        what,
    );
}

fn lives_in_every_model(compiler: &str, variants: &[&[&str]]) {
    let host = world();
    for model in MODELS {
        for variant in variants {
            let flags = [model, *variant].concat();
            let pic = flags.contains(&"-fPIC");
            lives(
                &host,
                &everything(compiler, &flags),
                pic,
                &format!("{compiler} {}", flags.join(" ")),
            );
        }
    }
    assert_eq!(host.names(), [""; 0]);
}

#[test]
fn every_model_and_level_of_gcc() {
    lives_in_every_model("gcc", &LEVELS.each_ref().map(std::slice::from_ref));
}

#[test]
fn every_model_and_level_of_clang() {
    lives_in_every_model("clang", &LEVELS.each_ref().map(std::slice::from_ref));
}

#[test]
fn sections_debug_information_and_common_blocks_of_gcc() {
    lives_in_every_model("gcc", &FURTHER);
}

#[test]
fn sections_debug_information_and_common_blocks_of_clang() {
    lives_in_every_model("clang", &FURTHER);
}

/// Calls by thunks, each in a COMDAT group.
#[test]
fn thunks_in_groups() {
    let host = world();
    for (compiler, flag) in [("gcc", "-mindirect-branch=thunk"), ("clang", "-mretpoline")] {
        for model in ["-fPIC", "-fno-pic"] {
            let flags = ["-O2", model, flag];
            let object = everything(compiler, &flags);
            lives(&host, &object, model == "-fPIC", &flags.join(" "));
        }
    }
}

/// Of two groups of one name the first is taken, and what refers to the second finds it there.
#[test]
fn the_first_of_two_groups() {
    const ASM: &str = r#"
        __asm__(
        ".section .text.twice,\"axG\",@progbits,twice,comdat\n"
        ".weak twice\n" "twice: mov $111, %eax\n ret\n"
        ".section .text.second,\"axG\",@progbits,twice,comdat\n"
        "mov $222, %eax\n ret\n"
        ".text\n");
        extern long twice(void);
        long call_twice(long n);
        long call_twice(long n) { return twice() + n; }
        EXPORT_SYMBOL(call_twice);
    "#;
    let host = host();
    for compiler in COMPILERS {
        let object = Build::by(compiler).flags(["-O2"]).text(ASM).unlinked();
        load(&host, "groups", &object.object(), &[]);
        assert_eq!(function(&host, "call_twice")(0), 111, "{compiler}");
        unload(&host, "groups");
    }
}

/// The compiler's own output, without the step that joins objects.
#[test]
fn a_single_object_as_the_compiler_makes_it() {
    const TEXT: &str = "
        int common_one[100];
        static int twice(int n) { return 2 * n + common_one[99]; }
        int (*function)(int) = twice;
        long doubled(long n);
        long doubled(long n) { return function(n); }
        EXPORT_SYMBOL(doubled);
    ";
    let host = host();
    for compiler in COMPILERS {
        for flags in MODELS {
            let build = Build::by(compiler).flags(flags).flags(["-fcommon"]);
            load(&host, "single", &build.text(TEXT).unlinked().object(), &[]);
            assert_eq!(function(&host, "doubled")(21), 42, "{compiler} {flags:?}");
            unload(&host, "single");
        }
    }
}

/// A variable of the host is out of reach of code that is not position-independent.
#[test]
fn a_host_variable_out_of_reach_is_named() {
    const TEXT: &str = "
        extern long host_variable;
        int init_module(void) { return (int)host_variable; }
    ";
    let host = world();
    for compiler in COMPILERS {
        for model in [["-fno-pic"], ["-fPIE"]] {
            let build = Build::by(compiler).flags(model).flags(["-O2"]);
            let object = build.text(TEXT).object();
            let result = map(&host, "far", &object);
            // clang's -fPIE goes through the table too.
            if result.is_ok() && model == ["-fPIE"] {
                common::unmap(&host, "far").expect("unmap");
                continue;
            }
            refused(
                result.clone(),
                Errno::ENOEXEC,
                "host_variable is out of reach",
            );
            refused(result, Errno::ENOEXEC, "-fPIC");
        }
    }
}

/// What one module exports another calls and reads, however both are built.
#[test]
fn exports_reach_other_modules() {
    const USER: &str = "
        extern long everything_exported(long n);
        extern int exported_variable;
        static long (*pointer)(long) = everything_exported;
        long user_of_it(long n);
        long user_of_it(long n)
        {
            exported_variable += 1;
            return pointer(n) * 10000 + everything_exported(n) * 100 + exported_variable - 100;
        }
        EXPORT_SYMBOL(user_of_it);
    ";
    let host = world();
    for (of_library, of_user) in [("gcc", "clang"), ("clang", "gcc")] {
        for model in [MODELS[0], MODELS[1], MODELS[3], MODELS[5]] {
            let flags = [model, &["-O2"]].concat();
            load(&host, "everything", &everything(of_library, &flags), &[]);
            let user = Build::by(of_user).flags(&flags).text(USER).object();
            load(&host, "user", &user, &[]);
            assert_eq!(status(&host, "user").deps, ["everything"]);
            assert_eq!(status(&host, "everything").refs, ["user"]);
            refused(host.unload("everything"), Errno::EBUSY, "is used by user");
            // number is 1, and in_data 12.
            assert_eq!(function(&host, "user_of_it")(8), 202_000, "{flags:?}");
            unload(&host, "user");
            unload(&host, "everything");
        }
    }
    record::take();
}

#[test]
fn parameters_of_every_type() {
    let host = host();
    for compiler in COMPILERS {
        for model in ["-fPIC", "-fno-pic"] {
            let build = Build::by(compiler).flags([model, "-O2"]);
            let object = build.fixture("parameters.c").object();
            let given = [
                "a_byte=255",
                "a_short=-32768",
                "a_ushort=0xffff",
                "an_int=-2147483648",
                "a_uint=4294967295",
                "a_long=-9223372036854775808",
                "a_ulong=18446744073709551615",
                "a_ullong=0x1234567890abcdef",
                "a_hexint=beef",
                "a_bool",
                "an_invbool=y",
                "a_charp=moon",
                "a_string=station",
                "numbers=1,2,3",
                "words=a,b",
                "other-name=8",
                "hidden=9",
                "tagged=-1,65535",
                "tagged_string=t",
            ];
            load(&host, "parameters", &object, &given);
            assert_eq!(
                function(&host, "parameters_wrong")(0),
                0,
                "{compiler} {model}"
            );
            let kernel = host.kernel();
            for (name, value) in [
                ("a_byte", "255"),
                ("a_long", "-9223372036854775808"),
                ("a_hexint", "0xbeef"),
                ("a_bool", "Y"),
                ("an_invbool", "Y"),
                ("a_charp", "moon"),
                ("a_string", "station"),
                ("numbers", "1,2,3"),
                ("words", "a,b,(null)"),
                ("other_name", "8"),
            ] {
                assert_eq!(
                    kernel.parameter("parameters", name).as_deref(),
                    Ok(value),
                    "{name}"
                );
            }
            unload(&host, "parameters");
        }
    }
}

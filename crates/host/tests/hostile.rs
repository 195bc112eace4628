//! Objects that are damaged, or mean harm: refused with a reason, or mapped and never started.

mod common;

use common::elf::{CLASS, DATA, Field, MACHINE, Patched, Rela, TYPE};
use common::rust::rust;
use common::{Random, arena_used, host, map, refused, unmap};
use modfs_core::{Errno, Refusal};
use modfs_host::{Host, HostExport};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The arena is one for all tests of this program, and here it is looked at what they take.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const FLIPS: usize = 10_000;

/// What a damaged object may be refused with.
const ERRNOS: [Errno; 6] = [
    Errno::ENOEXEC,
    Errno::EINVAL,
    Errno::E2BIG,
    Errno::ENOMEM,
    Errno::ENOENT,
    Errno::EEXIST,
];

/// A module with something of everything that a loader reads.
const SAMPLE: &str = r#"
    extern int nowhere(void) __weak;
    static int times = 1;
    module_param(times, int, 0644);
    static char *whom = "world";
    module_param(whom, charp, 0444);
    static int zeros[64];
    static int __initdata early = 3;
    long sample_call(long n);
    long sample_call(long n) { return n + zeros[n & 63] + (nowhere ? nowhere() : 0); }
    EXPORT_SYMBOL(sample_call);
    static void __attribute__((__constructor__)) made(void) { zeros[0] = 1; }
    static int __init begin(void)
    {
        printk(KERN_INFO "hello, %s %d %d\n", whom, times, early);
        return THIS_MODULE->name[0] ? 0 : -EINVAL;
    }
    static void __exit end(void) { printk(KERN_INFO "bye\n"); }
    module_init(begin);
    module_exit(end);
    MODULE_LICENSE("GPL");
"#;

/// What the module in Rust imports; none of these modules is started.
extern "C" fn unused() {}

/// 300 variables, 300 functions and a table of both.
fn many_relocations() -> Vec<u8> {
    let mut text = String::from("#define C(x) __modfs_concat(x, __LINE__)\n");
    let mut table = String::from("void *const table[] = {\n");
    for i in 0..300 {
        let _ = writeln!(
            text,
            "int v{i} = {i}; int f{i}(int n); int f{i}(int n) {{ return printk(\"%d\", v{i} + n); }}"
        );
        let _ = writeln!(table, "&v{i}, f{i},");
    }
    common::module(&format!("{text}{table}}};\n"))
}

/// Maps what may be mapped, and unmaps it again; asserts what must hold of a refusal.
fn tried(host: &Host, object: &[u8], what: &dyn Fn() -> String) -> Result<(), Refusal> {
    let used = arena_used();
    let result = map(host, "sample", object);
    match &result {
        Ok(()) => unmap(host, "sample").unwrap_or_else(|refusal| panic!("{}: {refusal}", what())),
        Err(refusal) => {
            assert!(ERRNOS.contains(&refusal.errno), "{}: {refusal:?}", what());
            assert!(
                !refusal.reasons.is_empty() && refusal.reasons.iter().all(|r| !r.is_empty()),
                "{}: {refusal:?}",
                what()
            );
        }
    }
    assert_eq!(arena_used(), used, "{}: not all memory came back", what());
    result
}

#[test]
fn every_truncation() {
    truncations(&common::module(SAMPLE));
}

#[test]
fn every_truncation_of_a_module_in_rust() {
    truncations(&rust("plugin"));
}

/// A host with what the samples import.
fn host_of_plugins() -> Host {
    let host = host();
    host.export(&[HostExport::function(
        "plugin_total_add",
        unused as *const (),
    )])
    .expect("export");
    host
}

fn truncations(sample: &[u8]) {
    let _alone = alone();
    let host = host_of_plugins();
    for length in 0..sample.len() {
        let result = tried(&host, &sample[..length], &|| format!("{length} bytes"));
        refused(result, Errno::ENOEXEC, "");
    }
    tried(&host, sample, &|| "the whole".into()).expect("the sample itself");
    assert_eq!(host.names(), [""; 0]);
}

fn random_flips(object: &[u8], seed: u64) {
    let _alone = alone();
    let host = host_of_plugins();
    let mut random = Random(seed);
    let mut refusals = 0;
    for round in 0..FLIPS {
        let mut damaged = object.to_vec();
        let flips: Vec<(usize, u8)> = (0..1 + random.below(4))
            .map(|_| (random.below(object.len()), 1 + random.below(255) as u8))
            .collect();
        for (at, change) in &flips {
            damaged[*at] ^= change;
        }
        let what = || format!("round {round}, flips {flips:?}");
        refusals += usize::from(tried(&host, &damaged, &what).is_err());
    }
    assert!(refusals > 0 && refusals < FLIPS, "{refusals} refusals");
    assert_eq!(host.names(), [""; 0]);
}

#[test]
fn random_flips_of_a_sample() {
    random_flips(&common::module(SAMPLE), 1);
}

#[test]
fn random_flips_of_a_module_in_rust() {
    random_flips(&rust("plugin"), 5);
}

#[test]
fn random_flips_of_many_relocations() {
    random_flips(&many_relocations(), 2);
}

/// Only where the tables are: of an object most bytes are names and code.
#[test]
fn random_flips_of_headers_and_relocations() {
    let _alone = alone();
    let host = host();
    let object = Patched(common::module(SAMPLE));
    let headers = object.0.len() - object.0.len() % 64;
    let mut random = Random(3);
    for round in 0..FLIPS {
        let mut damaged = object.clone();
        let at = match random.below(3) {
            0 => random.below(64),
            1 => headers - 64 * (1 + random.below(24)) + random.below(64),
            _ => {
                let table = object.section(".rela.text");
                object.get(table, Field::Offset) + random.below(object.get(table, Field::Size))
            }
        };
        let bit = random.below(8);
        damaged.0[at] ^= 1 << bit;
        let _ = tried(&host, &damaged.0, &|| {
            format!("round {round}, bit {bit} of {at}")
        });
    }
}

/// Changes the sample and expects a refusal.
#[track_caller]
fn changed(change: impl FnOnce(&mut Patched), errno: Errno, text: &str) {
    let _alone = alone();
    let mut object = Patched(common::module(SAMPLE));
    change(&mut object);
    let host = host();
    refused(tried(&host, &object.0, &|| text.to_owned()), errno, text);
}

#[test]
fn what_is_no_object_for_this_machine() {
    let big = 2;
    changed(|o| o.put(CLASS, &[1]), Errno::ENOEXEC, "64-bit");
    changed(|o| o.put(DATA, &[big]), Errno::ENOEXEC, "little-endian");
    changed(|o| o.put(MACHINE, &[183, 0]), Errno::ENOEXEC, "machine 183");
    changed(|o| o.put(0, b"#!/b"), Errno::ENOEXEC, "not an ELF object");
    for (kind, text) in [(2, "a program"), (3, "shared object"), (4, "core dump")] {
        changed(|o| o.put(TYPE, &[kind, 0]), Errno::ENOEXEC, text);
    }
    let host = host();
    // All zeroes are a place for a linked image.
    for odd in [b"".as_slice(), b"\x7fELF", &[0, 0, 0, 1], &[0xff; 4096]] {
        refused(map(&host, "odd", odd), Errno::ENOEXEC, "");
    }
}

#[test]
fn sections_that_lie() {
    changed(
        |o| {
            let text = o.get(o.section(".text"), Field::Offset);
            o.set(".modinfo", Field::Offset, text as u64);
        },
        Errno::ENOEXEC,
        "overlap",
    );
    for beyond in [1 << 20, 1 << 62, u64::MAX] {
        changed(
            |o| o.set(".text", Field::Size, beyond),
            Errno::ENOEXEC,
            "lies outside the file",
        );
        changed(
            |o| o.set(".text", Field::Offset, beyond),
            Errno::ENOEXEC,
            "lies outside the file",
        );
    }
    changed(
        |o| o.set(".text", Field::Align, 3),
        Errno::ENOEXEC,
        "not a power of two",
    );
    changed(
        |o| o.set(".text", Field::Align, 1 << 40),
        Errno::ENOEXEC,
        "more than a page",
    );
    changed(
        |o| o.set(".text", Field::Flags, 7),
        Errno::ENOEXEC,
        "both writable and executable",
    );
    changed(
        |o| o.set(".data", Field::Flags, 0x403),
        Errno::ENOEXEC,
        "thread-local",
    );
    changed(
        |o| o.set(".rela.text", Field::Info, 999),
        Errno::ENOEXEC,
        "belongs to no section",
    );
}

#[test]
fn absurd_sizes() {
    for size in [1 << 62, (1 << 30) + 1, u64::MAX, u64::MAX - 4095] {
        changed(
            |o| o.set(".bss", Field::Size, size),
            Errno::E2BIG,
            "larger than",
        );
    }
    for size in [300 << 20, 900 << 20] {
        changed(
            |o| o.set(".bss", Field::Size, size),
            Errno::ENOMEM,
            "no room",
        );
    }
    // Code that is all zeros has no place in the file.
    const NOBITS: u64 = 8;
    for (size, errno) in [(1 << 62, Errno::E2BIG), (900 << 20, Errno::ENOMEM)] {
        changed(
            |o| {
                o.set(".init.text", Field::Type, NOBITS);
                o.set(".init.text", Field::Size, size);
            },
            errno,
            "",
        );
    }
}

#[test]
fn relocations_that_lie() {
    const PC32: u64 = 2;
    const TPOFF32: u64 = 23;
    for (field, value, text) in [
        (Rela::Offset, 1 << 20, "outside the section"),
        (Rela::Offset, u64::MAX, "outside the section"),
        (Rela::Offset, u64::MAX - 3, "outside the section"),
        (Rela::Symbol, 1 << 30, "does not exist"),
        (Rela::Kind, 5, "shared object"),
        (Rela::Kind, TPOFF32, "R_X86_64_TPOFF32"),
        (Rela::Kind, 37, "IFUNC"),
        (Rela::Kind, 9999, "9999"),
    ] {
        changed(
            |o| o.set_rela(".rela.text", field, value),
            Errno::ENOEXEC,
            text,
        );
    }
    for addend in [1 << 33, i64::MAX as u64, i64::MIN as u64] {
        changed(
            |o| {
                o.set_rela(".rela.text", Rela::Kind, PC32);
                o.set_rela(".rela.text", Rela::Addend, addend);
            },
            Errno::ENOEXEC,
            "out of reach",
        );
    }
}

/// A parameter's record may point anywhere, but is believed only within the module's variables.
#[test]
fn parameters_that_lie() {
    const ABS64: u64 = 1;
    for addend in [1 << 40, 1 << 20, u64::MAX] {
        changed(
            |o| {
                o.set_rela(".rela__param", Rela::Kind, ABS64);
                o.set_rela(".rela__param", Rela::Addend, addend);
            },
            Errno::ENOEXEC,
            "__param",
        );
    }
}

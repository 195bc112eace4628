//! What the Rust SDK promises to authors of modules, one by one.

mod common;

use common::device::{self, open_in, read_all};
use common::elf::Patched;
use common::rust::rust;
use common::{
    call, function, host, init, load, log_text, logged, map, refused, state, unload, unmap,
};
use modfs_core::{Errno, State};
use modfs_host::{Host, HostExport, Level, RUSTC};
use std::sync::atomic::{AtomicBool, Ordering};

fn kit(parameters: &[&str]) -> Host {
    let host = host();
    load(&host, "kit", &rust("kit"), parameters);
    host
}

/// Calls an export that asserts on its own what it shows.
#[track_caller]
fn does(host: &Host, name: &str) -> i64 {
    call(host, name, 0).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

#[test]
fn parameters_of_every_type() {
    let host = kit(&[]);
    does(&host, "kit_say");
    assert!(logged(&host, "kit: 1 -2 3 -4 5 -6 7 true \"none\""));
    unload(&host, "kit");
    let given = [
        "a_byte=255",
        "a_short=-32768",
        "a_ushort=65535",
        "an_int=-2147483648",
        "a_uint=4294967295",
        "a_long=-9223372036854775808",
        "a_ulong=18446744073709551615",
        "a_bool=n",
        "a_str=two words, häuser",
    ];
    load(&host, "kit", &rust("kit"), &given);
    does(&host, "kit_say");
    let text = "kit: 255 -32768 65535 -2147483648 4294967295 -9223372036854775808 \
                18446744073709551615 false \"two words, häuser\"";
    assert!(logged(&host, text), "{}", log_text(&host));
    let kernel = host.kernel();
    for (name, value, shown) in [
        ("a_byte", "7", "7"),
        ("an_int", "0x10", "16"),
        ("a_bool", "1", "Y"),
    ] {
        kernel.set_parameter("kit", name, value).expect("set");
        assert_eq!(kernel.parameter("kit", name).expect("get").trim(), shown);
    }
    does(&host, "kit_say");
    assert!(logged(&host, "kit: 7 -32768 65535 16 4294967295"));
    // A string is read while the module runs, so it is set at init only, whatever mode was given.
    refused(
        kernel.set_parameter("kit", "a_str", "x"),
        Errno::EPERM,
        "a_str",
    );
    unload(&host, "kit");
    for wrong in ["a_byte=256", "a_short=x", "an_int=2147483648", "a_bool=7"] {
        map(&host, "kit", &rust("kit")).expect("map");
        let name = wrong.split('=').next().expect("a name");
        let refusal = init(&host, "kit", &[wrong]).expect_err(wrong);
        assert!(refusal.to_string().contains(name), "{refusal}");
        unmap(&host, "kit").expect("unmap");
    }
}

#[test]
fn says_what_it_is() {
    let host = kit(&[]);
    let info = host.kernel().info("kit");
    for (key, value) in [
        ("license", "Dual MIT/GPL"),
        ("description", "Something of everything"),
        ("author", "The modfs project"),
        ("version", "1.2"),
        ("alias", "kit-alias"),
        ("alias", "char-major-77-*"),
        ("parm", "a_byte: A byte"),
        ("name", "kit"),
        ("rustc", RUSTC),
    ] {
        let found = info.iter().filter(|(k, _)| k == key);
        let found: Vec<&str> = found.map(|(_, v)| v.as_str()).collect();
        assert!(found.contains(&value), "{key}={value} is not in {info:?}");
    }
}

#[test]
fn collections_formats_and_memory() {
    let host = kit(&[]);
    for _ in 0..3 {
        assert_eq!(does(&host, "kit_collections"), 2);
        assert_eq!(does(&host, "kit_memory"), 0);
        assert_eq!(does(&host, "kit_no_memory"), 1);
    }
    does(&host, "kit_format");
    let line = |level: Level, text: &str| {
        let found = host
            .log()
            .into_iter()
            .any(|record| record.level == level && record.text.contains(text));
        assert!(found, "{text}: {}", log_text(&host));
    };
    line(
        Level::Info,
        "kit: [Square(3), Oblong(2, 5)] 0x00ff    1.500 1.2345e3    mid   |",
    );
    line(Level::Err, r#"kit: Some("quoted \"x\"\n") 'x'..='z'"#);
    line(Level::Notice, "kit: 100%s%n");
    line(Level::Debug, "kit: Errno(16)");
    line(Level::Debug, "kit: level nine is seven");
    // Too long a line is cut.
    line(Level::Warning, &"ä".repeat(400));
    unload(&host, "kit");
}

#[test]
fn memory_that_there_is_not() {
    let host = kit(&[]);
    for _ in 0..3 {
        let result = call(&host, "kit_much_memory", 0);
        let size = isize::MAX / 2;
        refused(
            result,
            Errno::EIO,
            &format!("out of memory: {size} bytes, aligned to 1, cannot be had"),
        );
        let result = call(&host, "kit_too_much_memory", 0);
        refused(result, Errno::EIO, "capacity overflow");
    }
    assert_eq!(does(&host, "kit_drops"), 6, "what was held is dropped");
    assert_eq!(state(&host, "kit"), State::Running);
    unload(&host, "kit");
}

#[test]
fn an_error_of_init() {
    let host = host();
    map(&host, "kit", &rust("kit")).expect("map");
    for _ in 0..2 {
        let result = init(&host, "kit", &["errno=19"]);
        refused(result, Errno::ENODEV, "init returned -19");
        // What was dropped took itself back; what is in a static, the host.
        let log = log_text(&host);
        assert!(!log.contains("left virtual file"), "{log}");
        assert!(log.contains("left character device"), "{log}");
        assert_eq!(open_in(&host, "proc", "kit").err(), Some(Errno::ENOENT));
    }
    init(&host, "kit", &[]).expect("init");
    assert_eq!(does(&host, "kit_request"), 2, "there is no helper: ENOENT");
    unload(&host, "kit");
    assert!(logged(&host, "kit: the end"));
}

#[test]
fn a_device_from_open_to_release() {
    let host = kit(&[]);
    let one = device::open(&host, "kit").expect("open");
    let two = device::open(&host, "kit").expect("open");
    assert_eq!(device::write(&*one, "a word"), Ok(6));
    assert_eq!(device::write(&*one, "full"), Err(Errno::ENOSPC));
    assert_eq!(read_all(&*one).as_deref(), Ok("alive 0 a word"));
    assert_eq!(read_all(&*two).as_deref(), Ok("alive 0 "));
    let major = (1..255).find(|major| {
        let name = format!("c-{major}-13");
        device::open(&host, &name).err() == Some(Errno::EACCES)
    });
    let other = device::open(&host, &format!("c-{}-5", major.expect("a major number")));
    let other = other.expect("open");
    assert_eq!(read_all(&*other).as_deref(), Ok("alive 5 "));
    assert_eq!(does(&host, "kit_opens"), 3);
    refused(host.unload("kit"), Errno::EBUSY, "in use 3 times");
    drop((one, two, other));
    assert_eq!(does(&host, "kit_opens"), 0);
    unload(&host, "kit");
}

/// Who has it open keeps it; nobody else gets it.
#[test]
fn a_device_that_goes_while_it_is_open() {
    let host = kit(&[]);
    let open = device::open(&host, "kit").expect("open");
    assert_eq!(device::write(&*open, "kept"), Ok(4));
    let before = does(&host, "kit_drops");
    assert_eq!(call(&host, "kit_device", 0).expect("call"), 0);
    assert_eq!(does(&host, "kit_drops"), before, "the device is kept");
    assert_eq!(read_all(&*open).as_deref(), Ok("alive 0 kept"));
    assert_eq!(device::open(&host, "kit").err(), Some(Errno::ENOENT));
    assert_eq!(call(&host, "kit_device", 1).expect("call"), 0);
    let again = device::open(&host, "kit").expect("open");
    assert_eq!(read_all(&*again).as_deref(), Ok("alive 0 "));
    assert_eq!(call(&host, "kit_device", 1).expect("call"), -16, "EBUSY");
    let before = does(&host, "kit_drops");
    drop(open);
    // Two reads of the open that was dropped have counted nothing here.
    assert_eq!(does(&host, "kit_drops"), before + 1, "the device goes");
    drop(again);
    unload(&host, "kit");
}

/// An open that is under way when the device is taken back meets a device that is there.
#[test]
fn a_device_that_comes_and_goes_while_others_open_it() {
    const TIMES: u32 = 2000;
    let host = kit(&[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut opened = 0;
                    while !done.load(Ordering::Relaxed) {
                        match device::open(&host, "kit") {
                            Ok(open) => {
                                assert_eq!(read_all(&*open).as_deref(), Ok("alive 0 "));
                                opened += 1;
                            }
                            Err(errno) => {
                                assert!([Errno::ENOENT, Errno::ENXIO].contains(&errno), "{errno:?}")
                            }
                        }
                    }
                    opened
                })
            })
            .collect();
        for _ in 0..TIMES {
            assert_eq!(call(&host, "kit_device", 0).expect("call"), 0);
            assert_eq!(call(&host, "kit_device", 1).expect("call"), 0);
        }
        done.store(true, Ordering::Relaxed);
        let opened: u32 = others.into_iter().map(|o| o.join().expect("opens")).sum();
        assert!(opened > 0);
    });
    assert_eq!(does(&host, "kit_opens"), 0);
    unload(&host, "kit");
    assert!(!log_text(&host).contains("panicked"), "{}", log_text(&host));
}

#[test]
fn a_file_of_any_size() {
    let host = kit(&[]);
    let file = |text: &str| {
        let file = open_in(&host, "proc", "kit").expect("open");
        assert_eq!(read_all(&*file).expect("read"), text);
        file
    };
    for lines in [0, 1, 255, 256, 257, 5000, 70_000] {
        call(&host, "kit_lines", lines).expect("call");
        let text: String = (0..lines).map(|n| format!("line {n:>10}\n")).collect();
        file(&text);
    }
    call(&host, "kit_lines", 0).expect("call");
    let open = file("");
    assert_eq!(device::write(&*open, "stored"), Ok(6));
    assert_eq!(device::write(&*open, ""), Err(Errno::EINVAL));
    file("stored");
    // Larger than any page, to and fro.
    let large = "x".repeat(100_000);
    assert_eq!(device::write(&*open, &large), Ok(large.len()));
    file(&large);
    assert_eq!(does(&host, "kit_second_file"), i64::from(libc::EEXIST));
    unload(&host, "kit");
    assert_eq!(device::write(&*open, "late"), Err(Errno::ENOENT));
}

const MID: &str = "
    extern long kit_twice(long n);
    extern long kit_gpl(long n);
    long mid(long n);
    long mid(long n) { return kit_twice(n) + kit_gpl(n); }
    EXPORT_SYMBOL(mid);
";

extern "C" fn nest(n: i64) -> i64 {
    n
}

/// C calls Rust, which calls C, which calls Rust.
#[test]
fn both_languages_in_a_chain() {
    const TOP: &str = "
        extern long outer(long n);
        static long n = 1;
        module_param(n, long, 0444);
        int init_module(void) { printk(\"top: %ld\\n\", outer(n)); return 0; }
        void cleanup_module(void) { printk(\"top: %ld at the end\\n\", outer(n + 1)); }
        MODULE_LICENSE(\"GPL\");
    ";
    let host = kit(&[]);
    host.export(&[HostExport::function("nest", nest as *const ())])
        .expect("export");
    let mid = common::module(&format!("{MID} MODULE_LICENSE(\"GPL\");"));
    load(&host, "mid", &mid, &[]);
    load(&host, "chain", &rust("chain"), &[]);
    load(&host, "top", &common::module(TOP), &["n=10"]);
    assert!(logged(&host, "top: 51"));
    assert_eq!(function(&host, "outer")(100), 501);
    let uses = |name: &str| host.kernel().status(name).expect("mapped").refs;
    assert_eq!(uses("kit"), ["mid"]);
    assert_eq!(uses("mid"), ["chain"]);
    assert_eq!(uses("chain"), ["top"]);
    refused(host.unload("kit"), Errno::EBUSY, "used by mid");
    for name in ["top", "chain", "mid", "kit"] {
        unload(&host, name);
    }
    assert!(logged(&host, "top: 56 at the end"));

    // What is for modules under the GPL only is refused to others.
    load(&host, "kit", &rust("kit"), &[]);
    let closed = common::module(&format!("{MID} MODULE_LICENSE(\"Proprietary\");"));
    let result = map(&host, "closed", &closed);
    refused(result.clone(), Errno::ENOENT, "kit_gpl: kit exports it for");
    assert!(!result.expect_err("refused").to_string().contains("twice"));
}

/// What rustc calls has no stable interface, so both must be made by the same.
#[test]
fn built_by_another_compiler() {
    let host = host();
    let mut object = Patched(rust("kit"));
    let other = RUSTC.replace("rustc 1.", "rustc 9.");
    assert_ne!(other, RUSTC);
    object.replace(RUSTC.as_bytes(), other.as_bytes());
    let result = map(&host, "kit", &object.0);
    refused(result.clone(), Errno::ENOEXEC, &other);
    refused(result, Errno::ENOEXEC, RUSTC);
    assert_eq!(host.names(), [""; 0]);
    load(&host, "kit", &rust("kit"), &[]);
    unload(&host, "kit");
}

#[test]
fn a_file_that_removes_itself() {
    let host = kit(&[]);
    for round in 1..=100 {
        assert_eq!(does(&host, "kit_once"), 0);
        let file = open_in(&host, "proc", "once").expect("open");
        assert_eq!(read_all(&*file).as_deref(), Ok("alive"));
        assert_eq!(does(&host, "kit_drops"), round);
        assert_eq!(open_in(&host, "proc", "once").err(), Some(Errno::ENOENT));
    }
    unload(&host, "kit");
}

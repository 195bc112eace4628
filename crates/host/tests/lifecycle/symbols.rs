//! Exports: whose they are, who may use them, and those added by hand.

use crate::common::{self, function, host, init, load, map, refused, status, unload, unmap};
use modfs_core::{Errno, KERNEL, SymbolLine};
use modfs_host::HostExport;

const LIBRARY: &str = "
    long plain(long n);
    long plain(long n) { return n + 1; }
    EXPORT_SYMBOL(plain);
    long free_only(long n);
    long free_only(long n) { return n + 2; }
    EXPORT_SYMBOL_GPL(free_only);
";

fn user_of(symbol: &str, license: &str) -> Vec<u8> {
    common::module(&format!(
        "extern long {symbol}(long n); long (*pointer)(long) = {symbol};
         int init_module(void) {{ return pointer(41) > 41 ? 0 : -EIO; }}
         {license}"
    ))
}

fn line(name: &str, address: u64) -> SymbolLine {
    SymbolLine {
        name: name.into(),
        address,
        crc: None,
        gpl: false,
    }
}

#[test]
fn names_that_are_taken() {
    let host = host();
    load(&host, "library", &common::module(LIBRARY), &[]);
    let again = map(&host, "again", &common::module(LIBRARY));
    let text = "exports plain, which library exports already";
    refused(again.clone(), Errno::EEXIST, text);
    refused(again, Errno::EEXIST, "free_only");
    let kernels = "int kfree2; EXPORT_SYMBOL(kfree2); long kzalloc(void);
        long kzalloc(void) { return 0; } EXPORT_SYMBOL(kzalloc);";
    let result = map(&host, "kernels", &common::module(kernels));
    refused(result, Errno::EEXIST, "which kernel exports already");
    assert!(host.symbol("kfree2").is_none());
    assert_eq!(host.names(), ["library"]);
    assert_eq!(function(&host, "plain")(1), 2);
    unload(&host, "library");
}

#[test]
fn for_free_modules_only() {
    let host = host();
    let export = HostExport::function("of_host", plus_ten as *const ());
    host.export(&[export.gpl_only()]).expect("export");
    load(&host, "library", &common::module(LIBRARY), &[]);
    for (license, free) in [
        ("", false),
        ("MODULE_LICENSE(\"Proprietary\");", false),
        ("MODULE_LICENSE(\"MIT\");", false),
        ("MODULE_LICENSE(\"GPL\");", true),
        ("MODULE_LICENSE(\"Dual MIT/GPL\");", true),
    ] {
        for (symbol, owner) in [("free_only", "library"), ("of_host", "kernel")] {
            let result = map(&host, "user", &user_of(symbol, license));
            if free {
                result.expect("map");
                init(&host, "user", &[]).expect("init");
                unload(&host, "user");
            } else {
                let text = format!("unresolved symbol {symbol}: {owner} exports it for modules");
                refused(result, Errno::ENOENT, &text);
            }
        }
        load(&host, "user", &user_of("plain", license), &[]);
        unload(&host, "user");
    }
    unload(&host, "library");
}

extern "C" fn plus_ten(n: i64) -> i64 {
    n + 10
}

/// An exporter that is not running is named.
#[test]
fn of_a_module_that_does_not_run() {
    let host = host();
    map(&host, "library", &common::module(LIBRARY)).expect("map");
    let user = user_of("plain", "");
    let text = "unresolved symbol plain: library exports it, but is uninitialized";
    refused(map(&host, "user", &user), Errno::ENOENT, text);
    init(&host, "library", &[]).expect("init");
    map(&host, "user", &user).expect("map");
    refused(
        common::exit(&host, "library"),
        Errno::EBUSY,
        "library is used by user",
    );
    unmap(&host, "user").expect("unmap");
    common::exit(&host, "library").expect("exit");
    refused(map(&host, "user", &user), Errno::ENOENT, "symbol plain");
}

#[test]
fn added_by_hand_to_the_kernel() {
    let host = host();
    let kernel = host.kernel();
    load(&host, "library", &common::module(LIBRARY), &[]);
    let address = host.symbol("plain").expect("plain");
    kernel
        .add_symbol(KERNEL, line("by_hand", address))
        .expect("add");
    refused(
        kernel.add_symbol(KERNEL, line("by_hand", 1)),
        Errno::EEXIST,
        "by kernel already",
    );
    refused(kernel.add_symbol(KERNEL, line("", 1)), Errno::EINVAL, "");
    load(&host, "user", &user_of("by_hand", ""), &[]);
    // Whose it is goes by the name, not by the address.
    assert_eq!(status(&host, "user").deps, [""; 0]);
    refused(
        kernel.del_symbol(KERNEL, "by_hand"),
        Errno::EBUSY,
        "by_hand is used by user",
    );
    unload(&host, "user");
    kernel.del_symbol(KERNEL, "by_hand").expect("del");
    refused(
        kernel.del_symbol(KERNEL, "by_hand"),
        Errno::ENOENT,
        "kernel exports no by_hand",
    );
    refused(
        kernel.del_symbol(KERNEL, "printk"),
        Errno::EPERM,
        "part of kernel",
    );
    unload(&host, "library");
}

#[test]
fn added_by_hand_to_a_module() {
    let host = host();
    let kernel = host.kernel();
    load(&host, "library", &common::module(LIBRARY), &[]);
    let address = host.symbol("plain").expect("plain");
    kernel
        .add_symbol("library", line("further", address))
        .expect("add");
    let nobody = kernel.add_symbol("nobody", line("x", 1));
    refused(nobody, Errno::ENOENT, "nobody is not mapped");
    refused(
        kernel.del_symbol("library", "plain"),
        Errno::EPERM,
        "part of library",
    );
    load(&host, "user", &user_of("further", ""), &[]);
    assert_eq!(status(&host, "user").deps, ["library"]);
    unload(&host, "user");
    let names: Vec<String> = kernel
        .symbols("library")
        .into_iter()
        .map(|symbol| symbol.name)
        .collect();
    assert_eq!(names, ["free_only", "further", "plain"]);
    unload(&host, "library");
    assert!(host.symbol("further").is_none());
}

//! Two hosts in one process.

use crate::common::{self, function, host, load, map, refused, unload};
use modfs_core::Errno;
use modfs_host::HostExport;

extern "C" fn one() -> i64 {
    1
}

extern "C" fn two() -> i64 {
    2
}

const MODULE: &str = "
    extern long whose(void);
    static long calls;
    long in_host(long n);
    long in_host(long n) { calls++; return whose() * 100 + n * 10 + calls; }
    EXPORT_SYMBOL(in_host);
";

#[test]
fn share_nothing_but_the_arena() {
    let hosts = [host(), host()];
    let exports = [one as *const (), two as *const ()];
    for (host, export) in hosts.iter().zip(exports) {
        host.export(&[HostExport::function("whose", export)])
            .expect("export");
        load(host, "module", &common::module(MODULE), &[]);
        let taken = host.export(&[HostExport::function("whose", export)]);
        refused(taken, Errno::EEXIST, "whose is exported by kernel already");
    }
    let calls = hosts.each_ref().map(|host| function(host, "in_host"));
    assert_eq!(calls.map(|call| call(3)), [131, 231]);
    assert_eq!(calls.map(|call| call(3)), [132, 232]);
    unload(&hosts[0], "module");
    assert!(hosts[0].symbol("in_host").is_none());
    assert_eq!(calls[1](3), 233);
    // A name of the other's module is none here.
    let user = "extern long in_host(long n); long (*pointer)(long) = in_host;";
    let result = map(&hosts[0], "user", &common::module(user));
    refused(result, Errno::ENOENT, "unresolved symbol in_host");
    unload(&hosts[1], "module");
}

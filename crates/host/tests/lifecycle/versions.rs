//! Interfaces of other versions: by vermagic, and by checksums.

use crate::common::{self, Build, host, load, map, refused, unload};
use modfs_core::Errno;
use modfs_host::{HostExport, VERMAGIC};

extern "C" fn checked() {}

#[test]
fn of_another_kernel() {
    let host = host();
    let with = |vermagic: &str| common::module(&format!("MODULE_INFO(vermagic, \"{vermagic}\");"));
    load(&host, "same", &with(VERMAGIC), &[]);
    unload(&host, "same");
    for other in ["2.4.37 SMP", "modfs-2 x86_64", ""] {
        let result = map(&host, "other", &with(other));
        refused(result.clone(), Errno::ENOEXEC, &format!("\"{other}\""));
        refused(result, Errno::ENOEXEC, &format!("\"{VERMAGIC}\""));
    }
}

/// What a module was built against, as the final link stage writes it: 64 bytes each.
fn built_against(symbol: &str, crc: &str) -> Vec<u8> {
    common::module(&format!(
        "extern void {symbol}(void); void (*pointer)(void) = {symbol};
         static const struct {{ unsigned long crc; char name[56]; }} versions[] __used
             __section(\"__versions\") = {{ {{ 7, \"printk\" }}, {{ {crc}, \"{symbol}\" }} }};"
    ))
}

#[test]
fn checksums_of_the_host() {
    let host = host();
    let export = |name| HostExport::function(name, checked as *const ());
    host.export(&[export("with").with_crc(0x1234_abcd), export("without")])
        .expect("export");
    load(&host, "same", &built_against("with", "0x1234abcd"), &[]);
    unload(&host, "same");
    let result = map(&host, "other", &built_against("with", "0x1234abce"));
    let text = "disagrees about the version of with: built against 0x1234abce, kernel exports \
                0x1234abcd";
    refused(result, Errno::EINVAL, text);
    // Nothing to compare with.
    load(&host, "some", &built_against("without", "0x1"), &[]);
    unload(&host, "some");
    let none = common::module("extern void with(void); void (*pointer)(void) = with;");
    load(&host, "none", &none, &[]);
    unload(&host, "none");
}

#[test]
fn checksums_of_a_module() {
    const LIBRARY: &str = r#"
        void of_library(void);
        void of_library(void) {}
        EXPORT_SYMBOL(of_library);
        __asm__(".globl __crc_of_library\n.set __crc_of_library, 0xfeedbeef");
    "#;
    let host = host();
    for object in [
        common::module(LIBRARY),
        Build::by("clang")
            .flags(["-fno-pic"])
            .text(LIBRARY)
            .object(),
    ] {
        load(&host, "library", &object, &[]);
        assert_eq!(host.kernel().symbols("library")[0].crc, Some(0xfeed_beef));
        load(
            &host,
            "user",
            &built_against("of_library", "0xfeedbeef"),
            &[],
        );
        unload(&host, "user");
        let result = map(&host, "user", &built_against("of_library", "1"));
        refused(result, Errno::EINVAL, "library exports 0xfeedbeef");
        // The refused one holds no reference.
        unload(&host, "library");
    }
}

//! The other files that depmod reads. `c`: its cache, `d`: depmod.d, `s`: System.map and
//! Module.symvers, `b`: modules.builtin and its modinfo, `n`: names and aliases.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_depot::{KernelSymbols, extension, fuzz, module_name, normalize_alias};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((kind, rest)) = data.split_first() else {
        return Corpus::Reject;
    };
    match kind {
        b'c' => fuzz::cache(rest),
        b'd' => {
            let text = String::from_utf8_lossy(rest);
            let wrong = fuzz::depmod_conf(&text, "6.12.111+deb12-amd64");
            assert!(wrong <= text.lines().count());
        }
        b's' => {
            for prefix in [None, Some(b'_')] {
                KernelSymbols::of_system_map(rest, prefix);
                KernelSymbols::of_symvers(rest, prefix);
            }
        }
        b'b' => {
            for index in fuzz::builtin(rest) {
                assert!(index.starts_with(&[0xb0, 0x07, 0xf4, 0x57]));
            }
        }
        b'n' => names(rest),
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

fn names(name: &[u8]) {
    let file = OsStr::from_bytes(name);
    let module = module_name(file);
    assert!(!module.contains(['-', '.']));
    assert!(extension(file).is_none_or(|end| name.ends_with(end.as_bytes())));
    if let Some(normal) = normalize_alias(name) {
        assert_eq!(normal.len(), name.len());
        assert_eq!(normalize_alias(&normal).as_ref(), Some(&normal));
    }
    if let Some((kind, ..)) = fuzz::device_number(name) {
        assert!(matches!(kind, 'c' | 'b'));
    }
}

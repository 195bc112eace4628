//! DWARF: whatever an object says, it is read to an end, and what is found is a text that can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_symvers::{Exported, Symtypes, read};
use std::path::Path;

fuzz_target!(|file: &[u8]| {
    let _ = Exported::of_module(file, Path::new("module.ko"));
    let Ok(types) = read(file, ["f", "v"]) else {
        return;
    };
    let text = types.to_string();
    let again = Symtypes::parse(&text).expect("lines");
    assert_eq!(again.to_string(), text);
    for symbol in types.symbols() {
        assert_eq!(types.checksum(symbol), again.checksum(symbol));
    }
});

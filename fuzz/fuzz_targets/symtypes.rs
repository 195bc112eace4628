//! Texts of types and lists of checksums: what is taken is written as it was read, and any two can be compared.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_symvers::{Carried, Symtypes, Table, difference};

fuzz_target!(|text: &str| {
    if let Ok(table) = Table::parse(text) {
        assert_eq!(Table::parse(&table.to_string()), Ok(table));
    }
    let Ok(carried) = Carried::parse(text) else {
        return;
    };
    assert_eq!(Carried::parse(&carried.to_string()).as_ref(), Ok(&carried));
    let none = Symtypes::default();
    for before in carried.imports.values().chain([&none]) {
        for symbol in before.symbols().chain(["f"]) {
            let found = difference(before, &carried.exports, symbol);
            assert!(found.is_none() || before.expanded(symbol) != carried.exports.expanded(symbol));
        }
    }
});

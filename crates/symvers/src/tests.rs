//! What is no object, no text of types, or no list.

use crate::*;

#[test]
fn words_of_a_line() {
    let text = "\nf s#'a b' * ( void )\ns#'a b' struct 'a b' { int x @0 ; t#t y @4 ; } size 8\n\
                t#t typedef t s#'a b' *\n";
    let types = Symtypes::parse(text).unwrap();
    assert_eq!(types.to_string(), text.trim_start());
    // A type is told once, and called by its kind and name from then on.
    let expanded =
        "f struct 'a b' { int x @0 ; typedef t struct 'a b' * y @4 ; } size 8 * ( void ) ";
    assert_eq!(types.expanded("f").as_deref(), Some(expanded));
    assert_eq!(
        types.checksum("f"),
        Some(crc32fast::hash(expanded.as_bytes()))
    );
    assert_eq!(types.checksum("g"), None);
    assert_eq!(types.symbols().collect::<Vec<_>>(), ["f"]);
    assert_eq!(types.of(["g"]), Symtypes::default());
}

#[test]
fn lines_that_are_none() {
    for (text, line, why) in [
        ("f\n", 1, "nothing that it is"),
        ("f int\n\nf int\n", 3, "declared twice"),
        ("s#s struct\n", 1, "without its kind and its name"),
        (" [lib] x\n", 1, "begins with ["),
    ] {
        let error = Symtypes::parse(text).unwrap_err();
        assert_eq!(error.line, line);
        assert!(error.to_string().contains(why), "{error}");
    }
    for (text, line, why) in [
        ("0x1\n", 1, "no symbol"),
        ("0x1\tf\tm\tEXPORT_SYMBOL\n\nf\n", 3, "no checksum"),
        ("0x123456789\tf\tm\n", 1, "no checksum"),
        ("0x1\tf\t\n", 1, "no module"),
        ("0x1\tf\tdrivers/\n", 1, "no module"),
        ("0x1\tf\tm\"); int evil; (\"\n", 1, "in no name"),
    ] {
        let error = Table::parse(text).unwrap_err();
        assert_eq!(error.line, line);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_list_as_linux_has_it() {
    let text = "0x0000002a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
                0xfeedbeef\tlib_add\tdrivers/a-lib\tEXPORT_SYMBOL_GPL\t\n";
    let table = Table::parse(text).unwrap();
    assert_eq!(table.0[0].module, "kernel");
    assert_eq!((table.0[0].gpl, table.0[1].gpl), (false, true));
    assert_eq!(
        table.to_string(),
        text.replace("vmlinux", "kernel")
            .replace("drivers/a-lib", "a_lib")
    );
    assert_eq!(Table::parse(&table.to_string()), Ok(table));
    let spaced = "0x1\tf\tm\tEXPORT_SYMBOL_GPL\tNAMESPACE\n";
    assert!(Table::parse(spaced).unwrap().0[0].gpl);
}

#[test]
fn types_without_an_end() {
    // A structure within itself, and a difference that is as deep as the text is long.
    let long: String = (0..50_000)
        .map(|n| format!("s#{n} struct {n} {{ s#{} a @0 ; }} size 8\n", n + 1))
        .collect();
    let long = format!("f s#0 *\n{long}s#50000 struct 50000 {{ s#0 b @0 ; }} size 8\n");
    let before = Symtypes::parse(&long).unwrap();
    let after = Symtypes::parse(&long.replace(" b @0", " c @0")).unwrap();
    assert_ne!(before.checksum("f"), after.checksum("f"));
    let told = difference(&before, &after, "f").unwrap().to_string();
    assert_eq!(told, "struct 50000: member `b` is now called `c`");
    assert_eq!(difference(&before, &before, "f"), None);
    assert_eq!(difference(&before, &Symtypes::default(), "f"), None);
}

/// Of several types of one name each is told apart from the others also where it comes again.
#[test]
fn types_of_one_name() {
    let types = "s#b struct b { int x @0 ; } size 4\ns#b~2 struct b { long x @0 ; } size 8\n";
    let sum = |words: &str| {
        let types = Symtypes::parse(&format!("{types}f void ( {words} )\n")).unwrap();
        types.checksum("f").unwrap()
    };
    assert_ne!(sum("s#b , s#b~2 , s#b"), sum("s#b , s#b~2 , s#b~2"));
    assert_eq!(sum("s#b , s#b"), sum("s#b , s#b"));
}

#[test]
fn no_objects() {
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
        assert!(matches!(read(bytes, ["f"]), Err(Error::Object(_))));
    }
    // This program was compiled with DWARF, and exports no such symbol.
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(read(&own, ["no_such_symbol"]).unwrap().is_empty());
}

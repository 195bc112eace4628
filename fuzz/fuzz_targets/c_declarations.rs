//! C declarations: whatever the source is, it is read, and each checksum is of the text that is told.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_genksyms::{Language, parse};

fuzz_target!(|source: &str| {
    // Each export tells all that it reaches: what grows as the square of the source is not of interest.
    let source = &source[..source.floor_char_boundary(4096)];
    for language in [Language::Old, Language::Today] {
        let declarations = parse(source, language);
        for sum in declarations.checksums().flatten() {
            assert!(sum.text.ends_with(' '));
            assert!(source.contains(sum.name));
        }
        assert!(
            declarations
                .messages()
                .iter()
                .all(|message| message.contains(": "))
        );
    }
});

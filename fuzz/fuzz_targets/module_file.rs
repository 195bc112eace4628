//! What depmod and modinfo read of a module file, of any machine: names, checksums, signature.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_object::{ModuleFile, modinfo, signature};
use object::read::ReadCache;
use std::io::Cursor;

fuzz_target!(|data: &[u8]| -> Corpus {
    let inside = |part: &[u8]| {
        let (all, part) = (data.as_ptr_range(), part.as_ptr_range());
        assert!(part.is_empty() || all.start <= part.start && part.end <= all.end);
    };
    for (tag, value) in modinfo(data) {
        inside(tag);
        inside(value);
        assert!(!tag.contains(&b'=') && !value.contains(&0));
    }
    if let Some(signature) = signature(data) {
        inside(signature.content);
        assert!(signature.content.len() < data.len());
        match signature.signer() {
            Ok(signer) => assert!(!signer.kind.is_empty()),
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
    let parsed = ModuleFile::parse(data);
    // Where in memory the bytes are makes no difference, nor that they are read in pieces.
    let pieces = ReadCache::new(Cursor::new(data));
    let other = ModuleFile::parse(&pieces);
    let (module, other) = match (parsed, other) {
        (Ok(module), Ok(other)) => (module, other),
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            assert!(!one.to_string().is_empty());
            return Corpus::Keep;
        }
        _ => panic!("it depends on how the bytes are read"),
    };
    let (exports, imports, versions) = (module.exports(), module.imports(), module.versions());
    for name in exports.iter().map(|export| export.name) {
        inside(name);
        assert!(!name.contains(&0));
    }
    // Without checksums they are the same.
    let names = exports.iter().map(|export| export.name);
    assert!(names.eq(module.export_names()));
    for import in &imports {
        inside(import.name);
        assert!(!import.name.is_empty() && !import.name.contains(&0));
    }
    for (name, _) in &versions {
        inside(name);
        assert!(!name.contains(&0));
    }
    assert_eq!(other.exports(), exports);
    assert_eq!(other.imports(), imports);
    assert_eq!(other.versions(), versions);
    assert_eq!(other.build_id(), module.build_id());
    assert!(module.modinfo().eq(other.modinfo()));
    assert_eq!(module.machine(), other.machine());
    Corpus::Keep
});

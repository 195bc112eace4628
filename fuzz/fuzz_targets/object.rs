//! Reading an object: whatever the bytes are, they are refused or give an object that keeps what
//! `modfs_object` promises.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_object::{EM_X86_64, Object, Place, SectionKind};

fuzz_target!(|data: &[u8]| -> Corpus {
    let parsed = Object::parse(data, EM_X86_64);
    // Where in memory the bytes are makes no difference.
    let shifted = [&[0], data].concat();
    match (&parsed, Object::parse(&shifted[1..], EM_X86_64)) {
        (Ok(_), Ok(_)) => {}
        (Err(one), Err(other)) => assert_eq!(*one, other),
        (one, other) => panic!("{one:?} here, {other:?} there"),
    }
    let object = match parsed {
        Ok(object) => object,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Corpus::Keep;
        }
    };
    let (sections, symbols) = (object.sections(), object.symbols());
    for section in sections {
        assert!(section.data.len() <= data.len());
        if section.alloc {
            assert!(section.align.is_power_of_two());
            assert!(!(section.write && section.exec));
        }
        if section.kind == SectionKind::Bytes {
            assert_eq!(section.data.len() as u64, section.size);
        }
        for relocation in section.relocations() {
            assert!(relocation.symbol < symbols.len());
        }
    }
    for symbol in symbols {
        if let Place::Section(at) = symbol.place {
            let at = at as usize;
            assert!(at != 0 && at < sections.len());
            assert!(!sections[at].alloc || symbol.value <= sections[at].size);
        }
    }
    for export in object.exports() {
        let symbol = &symbols[export.symbol];
        assert_eq!(symbol.name, export.name);
        assert_ne!(symbol.place, Place::Undefined);
    }
    for (index, import) in object.imports() {
        assert_eq!(symbols[index].place, Place::Undefined);
        assert!(
            object
                .global(import.name)
                .is_none_or(|at| symbols[at].place != Place::Undefined)
        );
    }
    for (name, _) in object.versions() {
        assert!(name.len() < 56 && !name.contains('\0'));
    }
    let info = object.modinfo();
    for (tag, value) in info.entries() {
        assert!(!tag.contains('=') && info.all(tag).any(|v| v == value));
    }
    info.is_gpl_compatible();
    Corpus::Keep
});

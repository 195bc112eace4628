//! What the fuzz targets reach of what is private otherwise. No interface: it may change any day.

use crate::cache::{self, Stamp};
use crate::search::Search;
use crate::{Level, Report, glob, texts};
use std::path::Path;

/// Whether a pattern matches a name.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    glob::matches(pattern, name)
}

/// Reads depmod's cache: a file with these bytes after its head.
///
/// # Panics
/// What was read is not read again when it is written.
pub fn cache(rest: &[u8]) {
    let Some((names, mut known)) = cache::decode(&cache::file(rest)) else {
        return;
    };
    let taken = known.take_all();
    let modules = taken
        .iter()
        .map(|(path, stamp, facts)| (&**path, *stamp, facts));
    let file = cache::encode(&names, modules);
    let (again, mut known) = cache::decode(&file).expect("what was written is read");
    assert!(names.iter().eq(again.iter()));
    for (path, stamp, mut facts) in taken {
        let found = known.take(&path, &stamp);
        assert_eq!(found.as_ref(), Some(&facts));
        let odd = |text: &[u8]| text.contains(&b'\n') || text.ends_with(b"\\");
        for strings in [&mut facts.aliases, &mut facts.softdeps, &mut facts.weakdeps] {
            let before = strings.iter().count();
            let taken = strings.take_unprintable();
            assert!(taken.iter().all(|text| odd(text)) && !strings.iter().any(odd));
            assert_eq!(before, strings.iter().count() + taken.len());
        }
        assert_eq!(known.take(&path, &Stamp::UNKNOWN), None);
    }
}

/// Reads a depmod.d file; returns how many lines were not understood.
pub fn depmod_conf(text: &str, version: &str) -> usize {
    let wrong = std::sync::atomic::AtomicUsize::new(0);
    let report = |_: Level, _: &str| {
        wrong.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    Search::default().text(text, Path::new("x"), version, &report);
    wrong.into_inner()
}

/// The indexes of what is part of the kernel, of `modules.builtin` and `modules.builtin.modinfo`.
pub fn builtin(bytes: &[u8]) -> [Vec<u8>; 2] {
    let report: &dyn Report = &|_: Level, _: &str| {};
    let made = [
        texts::builtin_bin(bytes),
        texts::builtin_alias_bin(bytes, report),
    ];
    made.map(|index| index.expect("a small index has room"))
}

/// The device node that an alias names.
pub fn device_number(alias: &[u8]) -> Option<(char, u32, u32)> {
    texts::device_number(alias)
}

//! The binary indexes. `i`: any file is refused or gives answers, and ends. `w`: what is written is
//! read again; lines `PRIORITY KEY VALUE`.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_depot::fuzz;
use modfs_depot::index::{Index, Value, Writer};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A file in memory.
static FILE: LazyLock<(File, PathBuf)> = LazyLock::new(|| {
    let fd = rustix::fs::memfd_create("index", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    (File::from(fd), path.into())
});

fuzz_target!(|data: &[u8]| -> Corpus {
    match data.split_first() {
        Some((b'i', file)) => any(file),
        Some((b'w', lines)) => written(lines),
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

fn open(bytes: &[u8]) -> Result<Index, modfs_depot::index::ReadError> {
    let (file, path) = &*FILE;
    file.set_len(0).expect("truncate");
    fs::write(path, bytes).expect("write");
    Index::open(path)
}

fn any(file: &[u8]) {
    let Ok(index) = open(file) else {
        return;
    };
    let names: [&[u8]; 4] = [b"", b"pci:v00008086d00001533sv", b"symbol:fa", b"a"];
    for name in names {
        let _ = (index.find(name), index.matching(name));
    }
    // What is found by walking is found by asking.
    for (key, value) in index.entries().unwrap_or_default().iter().take(64) {
        let found = index.find(key);
        assert!(found.is_ok_and(|found| found.contains(value)), "{key:?}");
    }
}

fn written(lines: &[u8]) {
    let mut writer = Writer::new();
    let mut wanted: BTreeMap<&[u8], Vec<Value>> = BTreeMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(3, |byte| *byte == b' ');
        let [Some(priority), Some(key), Some(text)] = [(); 3].map(|()| fields.next()) else {
            continue;
        };
        let priority = priority
            .iter()
            .fold(0, |sum, byte| sum * 10 % 1000 + u32::from(*byte));
        // In two pieces it is the same key.
        let (begin, end) = key.split_at(key.len() / 2);
        if writer.add(&[begin, end], text, priority) {
            let value = text.to_vec();
            wanted
                .entry(key)
                .or_default()
                .push(Value { priority, value });
        }
    }
    let index = open(&writer.finish().expect("it is small")).expect("it is an index");
    let mut all = Vec::new();
    for (key, values) in &mut wanted {
        // Of one priority they are in the order in which they were added.
        values.sort_by_key(|value| value.priority);
        assert_eq!(index.find(key).ok().as_ref(), Some(&*values));
        all.extend(values.iter().map(|value| (key.to_vec(), value.clone())));
    }
    assert_eq!(index.entries().ok().as_ref(), Some(&all));
    // Here a backslash is a byte as others, in patterns it is not; no alias has one.
    let escaped = wanted.keys().any(|key| key.contains(&b'\\'));
    for name in wanted.keys().take(if escaped { 0 } else { 16 }) {
        let mut found = index.matching(name).expect("it is sound");
        let matching = wanted.iter().filter(|(key, _)| fuzz::glob(key, name));
        let mut values: Vec<Value> = matching.flat_map(|(_, values)| values.clone()).collect();
        found.sort();
        values.sort();
        // As with kmod, a name that is itself a pattern is found as it is, too.
        if name.iter().any(|byte| b"*?[".contains(byte)) {
            found.retain(|value| values.contains(value));
            found.dedup();
            values.dedup();
        }
        assert_eq!(found, values, "{:?}", String::from_utf8_lossy(name));
    }
}

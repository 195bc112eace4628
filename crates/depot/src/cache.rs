//! What the last run knew of each module file, so that one that has not changed is not read again.
//!
//! The file is depmod's own, and can be deleted at any time. It is little-endian: the magic, a
//! CRC-32 of the rest, then names and modules as [`encode`] writes them. What does not look as it
//! should is not used.

use crate::facts::{Facts, Names, Strings};
use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What it is called in a version directory.
pub(crate) const FILE: &str = "modules.modfs.cache";
const MAGIC: &[u8; 16] = b"modfs depmod 1\n\0";

/// A state of a file: when any of it differs the file may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp([u64; 7]);

impl Stamp {
    /// That of no file.
    pub(crate) const UNKNOWN: Stamp = Stamp([u64::MAX; 7]);

    pub(crate) fn of(metadata: &Metadata) -> Stamp {
        Stamp([
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.mtime() as u64,
            metadata.mtime_nsec() as u64,
            metadata.ctime() as u64,
            metadata.ctime_nsec() as u64,
        ])
    }
}

/// The modules of the last run, by path.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    modules: HashMap<Box<[u8]>, Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    facts: Facts<Vec<u32>>,
}

impl Cache {
    /// Takes out what is known of a file, if it has not changed since.
    pub(crate) fn take(&mut self, path: &Path, stamp: &Stamp) -> Option<Facts<Vec<u32>>> {
        let path = path.as_os_str().as_bytes();
        if self.modules.get(path)?.stamp != *stamp {
            return None;
        }
        Some(self.modules.remove(path)?.facts)
    }

    /// Takes out everything.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn take_all(&mut self) -> Vec<(std::path::PathBuf, Stamp, Facts<Vec<u32>>)> {
        use std::os::unix::ffi::OsStringExt;
        let path = |bytes: Box<[u8]>| std::ffi::OsString::from_vec(bytes.into()).into();
        let modules = self.modules.drain();
        modules
            .map(|(bytes, known)| (path(bytes), known.stamp, known.facts))
            .collect()
    }
}

/// The cache file of modules: path, stamp, and what is known of each.
pub(crate) fn encode<'a>(
    names: &Names,
    modules: impl ExactSizeIterator<Item = (&'a Path, Stamp, &'a Facts<Vec<u32>>)>,
) -> Vec<u8> {
    let mut out = Out(Vec::new());
    out.0.extend_from_slice(MAGIC);
    out.word(0);
    out.word(names.len() as u32);
    for name in names.iter() {
        out.bytes(name);
    }
    out.word(modules.len() as u32);
    for (path, stamp, facts) in modules {
        out.bytes(path.as_os_str().as_bytes());
        for field in stamp.0 {
            out.0.extend_from_slice(&field.to_le_bytes());
        }
        out.words(&facts.exports);
        out.words(&facts.imports);
        out.words(&facts.import_crcs);
        out.bytes(
            &facts
                .weak
                .iter()
                .map(|weak| u8::from(*weak))
                .collect::<Vec<u8>>(),
        );
        for strings in [&facts.aliases, &facts.softdeps, &facts.weakdeps] {
            out.bytes(&strings.0);
        }
    }
    let crc = crc32fast::hash(&out.0[MAGIC.len() + 4..]);
    out.0[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&crc.to_le_bytes());
    out.0
}

/// A file with the right checksum.
#[cfg(feature = "fuzzing")]
pub(crate) fn file(rest: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(rest).to_le_bytes();
    [MAGIC, &crc[..], rest].concat()
}

/// What is in a cache file; `None` when it is damaged, or of another version.
pub(crate) fn decode(file: &[u8]) -> Option<(Names, Cache)> {
    let (crc, rest) = file.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut input = In(rest);
    let mut names = Names::default();
    let count = input.word()?;
    for _ in 0..count {
        names.push(input.bytes()?);
    }
    let mut cache = Cache::default();
    for _ in 0..input.word()? {
        let path = input.bytes()?;
        let mut stamp = [0; 7];
        for field in &mut stamp {
            *field = input.long()?;
        }
        let facts = Facts {
            exports: input.words()?,
            imports: input.words()?,
            import_crcs: input.words()?,
            weak: input.bytes()?.iter().map(|weak| *weak != 0).collect(),
            aliases: input.strings()?,
            softdeps: input.strings()?,
            weakdeps: input.strings()?,
        };
        let mut symbols = facts.exports.iter().chain(&facts.imports);
        let lens = [facts.import_crcs.len(), facts.weak.len()];
        if symbols.any(|number| *number >= count) || lens != [facts.imports.len(); 2] {
            return None;
        }
        let stamp = Stamp(stamp);
        cache.modules.insert(path.into(), Known { stamp, facts });
    }
    Some((names, cache))
}

struct Out(Vec<u8>);

impl Out {
    fn word(&mut self, word: u32) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }

    fn words(&mut self, words: &[u32]) {
        self.word(words.len() as u32);
        words.iter().for_each(|word| self.word(*word));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.word()? as usize;
        self.take(len)
    }

    fn words(&mut self) -> Option<Vec<u32>> {
        let len = (self.word()? as usize).checked_mul(4)?;
        let words = self.take(len)?.chunks_exact(4);
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Some(words.map(word).collect())
    }

    fn strings(&mut self) -> Option<Strings> {
        let bytes = self.bytes()?;
        let ended = bytes.last().is_none_or(|last| *last == 0);
        ended.then(|| Strings(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut names = Names::default();
        let mut raw = Facts::<Strings>::default();
        for name in ["one", "two"] {
            raw.exports.push(name.as_bytes());
        }
        raw.imports.push(b"one");
        raw.import_crcs.push(7);
        raw.weak.push(true);
        raw.aliases.push(b"pci:*");
        let facts = raw.intern(&mut names);
        let path = Path::new("kernel/a.ko");
        encode(&names, [(path, Stamp([1; 7]), &facts)].into_iter())
    }

    #[test]
    fn what_was_written_is_read_unless_the_file_changed() {
        let (names, mut cache) = decode(&sample()).unwrap();
        let path = Path::new("kernel/a.ko");
        assert!(cache.take(path, &Stamp([2; 7])).is_none());
        let facts = cache.take(path, &Stamp([1; 7])).unwrap();
        assert_eq!(names.name(facts.exports[1]), b"two");
        assert_eq!((facts.imports, facts.weak), (vec![0], vec![true]));
        assert!(facts.aliases.iter().eq([b"pci:*"]));
        assert!(cache.take(path, &Stamp([1; 7])).is_none());
    }

    #[test]
    fn what_is_damaged_is_not_used() {
        let file = sample();
        for len in 0..file.len() {
            assert!(decode(&file[..len]).is_none());
        }
        for at in 0..file.len() {
            let mut other = file.clone();
            other[at] ^= 1;
            assert!(decode(&other).is_none(), "byte {at}");
        }
    }
}

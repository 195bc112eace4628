//! Writing an index.

use super::{CHILDREN, MAGIC, OFFSET, PREFIX, VALUES, VERSION};

/// Why an index cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The format has 28 bits for an offset.
    #[error("more than 256 MiB: the format has no room for more")]
    TooLarge,
}

/// No key is longer: a trie is as deep as its keys are long.
pub const KEY_MAX: usize = 4095;

/// Collects the entries of an index.
#[derive(Debug, Default)]
pub struct Writer<'a> {
    entries: Vec<Entry<'a>>,
    /// Keys that were made for the index, one after the other.
    keys: Vec<u8>,
}

#[derive(Debug)]
struct Entry<'a> {
    /// Where in `keys` it is.
    key: std::ops::Range<usize>,
    priority: u32,
    value: &'a [u8],
}

impl<'a> Writer<'a> {
    /// One without entries.
    pub fn new() -> Writer<'a> {
        Writer::default()
    }

    /// Adds a value to a key, which is made of pieces. A key has several values in the order of
    /// their priorities. Returns `false`, and adds nothing, when it is not 7-bit ASCII without
    /// NUL, or longer than [`KEY_MAX`].
    pub fn add(&mut self, key: &[&[u8]], value: &'a [u8], priority: u32) -> bool {
        let start = self.keys.len();
        for piece in key {
            self.keys.extend_from_slice(piece);
        }
        let bytes = |bytes: &[u8]| bytes.iter().all(|byte| (1..128).contains(byte));
        let too_long = self.keys.len() - start > KEY_MAX;
        if too_long || !bytes(&self.keys[start..]) || value.contains(&0) {
            self.keys.truncate(start);
            return false;
        }
        self.entries.push(Entry {
            key: start..self.keys.len(),
            priority,
            value,
        });
        true
    }

    /// The file.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`].
    pub fn finish(mut self) -> Result<Vec<u8>, IndexError> {
        let keys = std::mem::take(&mut self.keys);
        let by_key = |e: &Entry<'a>| (e.key.clone(), e.priority);
        self.entries.sort_by(|a, b| {
            let ((a, at_a), (b, at_b)) = (by_key(a), by_key(b));
            (&keys[a], at_a).cmp(&(&keys[b], at_b))
        });
        let mut out = Vec::with_capacity(keys.len() + self.entries.len() * 16);
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        let root = Trie { keys: &keys }.node(&mut out, &self.entries, 0)?;
        out[8..12].copy_from_slice(&root.to_be_bytes());
        Ok(out)
    }
}

struct Trie<'k> {
    keys: &'k [u8],
}

impl<'k> Trie<'k> {
    fn key(&self, entry: &Entry<'_>) -> &'k [u8] {
        &self.keys[entry.key.clone()]
    }

    /// Writes the node of sorted entries, of which the first `depth` bytes are spelt already,
    /// after its children. Returns its place.
    fn node(
        &self,
        out: &mut Vec<u8>,
        entries: &[Entry<'_>],
        depth: usize,
    ) -> Result<u32, IndexError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return self.place(out.len(), 0);
        };
        let (first, last) = (&self.key(first)[depth..], &self.key(last)[depth..]);
        let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let prefix = &first[..common];
        let end = depth + common;
        let is_here = |entry: &Entry<'_>| self.key(entry).len() == end;
        let (values, rest) = entries.split_at(entries.partition_point(is_here));
        let mut children: Vec<(u8, u32)> = Vec::new();
        let byte = |entry: &Entry<'_>| self.key(entry)[end];
        for group in rest.chunk_by(|a, b| byte(a) == byte(b)) {
            children.push((byte(&group[0]), self.node(out, group, end + 1)?));
        }
        let start = out.len();
        let mut flags = 0;
        if !prefix.is_empty() {
            flags |= PREFIX;
            out.extend_from_slice(prefix);
            out.push(0);
        }
        if let (Some((first, _)), Some((last, _))) = (children.first(), children.last()) {
            flags |= CHILDREN;
            out.extend_from_slice(&[*first, *last]);
            let mut list = children.iter().peekable();
            for byte in *first..=*last {
                let place = list
                    .next_if(|(b, _)| *b == byte)
                    .map_or(0, |(_, place)| *place);
                out.extend_from_slice(&place.to_be_bytes());
            }
        }
        if !values.is_empty() {
            flags |= VALUES;
            out.extend_from_slice(&(values.len() as u32).to_be_bytes());
            for entry in values {
                out.extend_from_slice(&entry.priority.to_be_bytes());
                out.extend_from_slice(entry.value);
                out.push(0);
            }
        }
        self.place(start, flags)
    }

    fn place(&self, offset: usize, flags: u32) -> Result<u32, IndexError> {
        match u32::try_from(offset) {
            Ok(offset) if offset <= OFFSET => Ok(offset | flags),
            _ => Err(IndexError::TooLarge),
        }
    }
}

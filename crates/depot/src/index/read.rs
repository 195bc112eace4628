//! Looking things up in an index.

use super::{CHILDREN, KEY_MAX, MAGIC, OFFSET, PREFIX, VALUES, VERSION};
use crate::{glob, reader};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is of another kind.
    #[error("this is no index of modules: run depmod")]
    Magic,
    /// It is of a later version.
    #[error("index version {0:#x} is not known here: run this program's depmod")]
    Version(u32),
    /// It points where nothing is, or in circles.
    #[error("damaged: {0}; run depmod")]
    Damaged(&'static str),
}

/// A value of an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// Values of a key are in the order of it.
    pub priority: u32,
    /// The value.
    pub value: Vec<u8>,
}

/// An open index. Only the pieces that a look-up needs are read.
#[derive(Debug)]
pub struct Index {
    file: File,
    size: u64,
    root: u32,
    /// Those that have been read.
    blocks: Box<[OnceLock<Box<[u8]>>]>,
}

const BLOCK: u64 = 4096;
/// A place is of 28 bits; what is there is not longer than some more.
const REACH: u64 = (1 << 28) + (1 << 20);

/// A node; what it has, and where.
struct Node {
    prefix: Vec<u8>,
    /// The first byte that has a child, and the place of each.
    first: u8,
    children: Vec<u32>,
    values: Vec<Value>,
}

impl Node {
    fn child(&self, byte: u8) -> Option<u32> {
        let at = byte.checked_sub(self.first)?;
        self.children
            .get(usize::from(at))
            .copied()
            .filter(|place| *place != 0)
    }

    fn children(&self) -> impl Iterator<Item = (u8, u32)> {
        let bytes = self.first..=u8::MAX;
        bytes
            .zip(&self.children)
            .filter(|(_, place)| **place != 0)
            .map(|(byte, place)| (byte, *place))
    }
}

impl Index {
    /// Opens an index.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path) -> Result<Index, ReadError> {
        let file = reader::regular(path)?;
        let size = file.metadata()?.len();
        let count = size.min(REACH).div_ceil(BLOCK);
        let mut index = Index {
            file,
            size,
            root: 0,
            blocks: (0..count).map(|_| OnceLock::new()).collect(),
        };
        if size < 12 || index.word(0)? != MAGIC {
            return Err(ReadError::Magic);
        }
        match index.word(4)? {
            version if version >> 16 == VERSION >> 16 => {}
            version => return Err(ReadError::Version(version)),
        }
        index.root = index.word(8)?;
        Ok(index)
    }

    /// The values of a key, as it is.
    ///
    /// # Errors
    /// [`ReadError::Io`], [`ReadError::Damaged`].
    pub fn find(&self, key: &[u8]) -> Result<Vec<Value>, ReadError> {
        let mut rest = key;
        let mut place = self.root;
        loop {
            let node = self.node(place)?;
            let Some(after) = rest.strip_prefix(&node.prefix[..]) else {
                return Ok(Vec::new());
            };
            let Some((byte, after)) = after.split_first() else {
                return Ok(node.values);
            };
            match node.child(*byte) {
                Some(child) => (rest, place) = (after, child),
                None => return Ok(Vec::new()),
            }
        }
    }

    /// The values of every key that, as a pattern of fnmatch(3), matches `name`.
    ///
    /// # Errors
    /// As [`Index::find`].
    pub fn matching(&self, name: &[u8]) -> Result<Vec<Value>, ReadError> {
        let mut found = Vec::new();
        let mut rest = name;
        let mut place = self.root;
        'nodes: loop {
            let node = self.node(place)?;
            for (at, byte) in node.prefix.iter().enumerate() {
                if is_wild(*byte) {
                    self.patterns(node, at, rest, &mut found)?;
                    break 'nodes;
                }
                match rest.split_first() {
                    Some((first, after)) if first == byte => rest = after,
                    _ => break 'nodes,
                }
            }
            for wild in [b'*', b'?', b'['] {
                if let Some(child) = node.child(wild) {
                    let mut child = self.node(child)?;
                    child.prefix.insert(0, wild);
                    self.patterns(child, 0, rest, &mut found)?;
                }
            }
            let Some((byte, after)) = rest.split_first() else {
                found.extend(node.values);
                break;
            };
            match node.child(*byte) {
                // What begins with a wildcard has been looked at already, and is found once more:
                // kmod answers `modprobe -R 'usb:*'` with it twice.
                Some(child) => (rest, place) = (after, child),
                None => break,
            }
        }
        found.sort_by_key(|value| value.priority);
        Ok(found)
    }

    /// Of all keys below a node, from `skip` bytes of its prefix on, those that match `name`.
    fn patterns(
        &self,
        mut node: Node,
        skip: usize,
        name: &[u8],
        found: &mut Vec<Value>,
    ) -> Result<(), ReadError> {
        node.prefix.drain(..skip);
        self.below(node, &mut |key, values| {
            if glob::matches(key, name) {
                found.extend(values);
            }
        })
    }

    /// Every key with its values, in the order of the bytes.
    ///
    /// # Errors
    /// As [`Index::find`].
    pub fn entries(&self) -> Result<Vec<(Vec<u8>, Value)>, ReadError> {
        let mut entries = Vec::new();
        self.below(self.node(self.root)?, &mut |key, values| {
            entries.extend(values.into_iter().map(|value| (key.to_vec(), value)));
        })?;
        Ok(entries)
    }

    fn below(&self, node: Node, each: &mut dyn FnMut(&[u8], Vec<Value>)) -> Result<(), ReadError> {
        // In a sound file each byte is of one node only, and no key is longer than the limit: what
        // points back into itself exceeds one of them.
        let mut left = self.size;
        let mut pass = |node: &Node| {
            let values = node.values.iter().map(|value| value.value.len() + 5);
            let len = node.prefix.len() + node.children.len() * 4 + values.sum::<usize>();
            left = left.checked_sub((len as u64).max(1)).ok_or(CIRCLE)?;
            Ok::<(), ReadError>(())
        };
        pass(&node)?;
        let mut queue = vec![(Vec::new(), node)];
        while let Some((mut key, mut node)) = queue.pop() {
            key.extend_from_slice(&node.prefix);
            if key.len() > KEY_MAX {
                return Err(CIRCLE);
            }
            let values = std::mem::take(&mut node.values);
            if !values.is_empty() {
                each(&key, values);
            }
            let children: Vec<_> = node.children().collect();
            for (byte, place) in children.into_iter().rev() {
                let mut below = key.clone();
                below.push(byte);
                let child = self.node(place)?;
                pass(&child)?;
                queue.push((below, child));
            }
        }
        Ok(())
    }

    fn node(&self, place: u32) -> Result<Node, ReadError> {
        let mut at = u64::from(place & OFFSET);
        let mut node = Node {
            prefix: Vec::new(),
            first: 0,
            children: Vec::new(),
            values: Vec::new(),
        };
        if place & PREFIX != 0 {
            (node.prefix, at) = self.string(at)?;
            if node.prefix.len() > KEY_MAX {
                return Err(ReadError::Damaged("a key is too long"));
            }
        }
        if place & CHILDREN != 0 {
            let (first, last) = (self.byte(at)?, self.byte(at + 1)?);
            at += 2;
            node.first = first;
            for _ in first..=last {
                node.children.push(self.word(at)?);
                at += 4;
            }
        }
        if place & VALUES != 0 {
            let count = self.word(at)?;
            at += 4;
            if u64::from(count) > self.size / 5 {
                return Err(OUTSIDE);
            }
            for _ in 0..count {
                let priority = self.word(at)?;
                let (value, end) = self.string(at + 4)?;
                node.values.push(Value { priority, value });
                at = end;
            }
        }
        Ok(node)
    }

    /// The bytes up to the next NUL, and what comes after it.
    fn string(&self, mut at: u64) -> Result<(Vec<u8>, u64), ReadError> {
        let mut string = Vec::new();
        loop {
            let end = self.block(at, |bytes| match bytes.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    string.extend_from_slice(&bytes[..end]);
                    Some(end as u64 + 1)
                }
                None => {
                    string.extend_from_slice(bytes);
                    None
                }
            })?;
            if let Some(end) = end {
                return Ok((string, at + end));
            }
            at = (at / BLOCK + 1) * BLOCK;
        }
    }

    fn byte(&self, at: u64) -> Result<u8, ReadError> {
        self.block(at, |bytes| bytes[0])
    }

    fn word(&self, at: u64) -> Result<u32, ReadError> {
        let whole = self.block(at, |bytes| bytes.first_chunk::<4>().copied())?;
        if let Some(word) = whole {
            return Ok(u32::from_be_bytes(word));
        }
        let mut word = [0; 4];
        for (offset, byte) in word.iter_mut().enumerate() {
            *byte = self.byte(at + offset as u64)?;
        }
        Ok(u32::from_be_bytes(word))
    }

    /// Calls `f` with the rest of the block that has this place; never with nothing.
    fn block<R>(&self, at: u64, f: impl FnOnce(&[u8]) -> R) -> Result<R, ReadError> {
        let cell = self.blocks.get((at / BLOCK) as usize).ok_or(OUTSIDE)?;
        let block = match cell.get() {
            Some(block) => block,
            None => {
                let start = at / BLOCK * BLOCK;
                let len = self.size.saturating_sub(start).min(BLOCK);
                let mut bytes = vec![0; len as usize];
                self.file.read_exact_at(&mut bytes, start)?;
                // Another thread may have read it meanwhile.
                cell.get_or_init(|| bytes.into())
            }
        };
        match block.get((at % BLOCK) as usize..) {
            Some(bytes) if !bytes.is_empty() => Ok(f(bytes)),
            _ => Err(OUTSIDE),
        }
    }
}

const OUTSIDE: ReadError = ReadError::Damaged("it points beyond its end");
const CIRCLE: ReadError = ReadError::Damaged("it points in a circle");

fn is_wild(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Writer;
    use std::io::Write as _;

    fn index(bytes: &[u8]) -> Result<Index, ReadError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Index::open(file.path())
    }

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new();
        let entries = [
            ("pci:v*d*", "any"),
            ("pci:v8086d1533*", "igb"),
            ("pci:v8086d15[37]3", "set"),
            ("usb", "usb"),
            ("usbcore", "core"),
            ("", "empty"),
            ("?", "one"),
        ];
        for (number, (key, value)) in entries.iter().enumerate() {
            assert!(writer.add(&[key.as_bytes()], value.as_bytes(), number as u32));
        }
        assert!(!writer.add(&["ü".as_bytes()], b"", 0));
        assert!(!writer.add(&[&[b'a'; KEY_MAX + 1]], b"", 0));
        writer.finish().unwrap()
    }

    fn texts(values: Vec<Value>) -> Vec<String> {
        let text = |v: Value| String::from_utf8(v.value).unwrap();
        values.into_iter().map(text).collect()
    }

    #[test]
    fn keys_and_patterns() {
        let index = index(&sample()).unwrap();
        let find = |key: &str| texts(index.find(key.as_bytes()).unwrap());
        assert_eq!(find("usb"), ["usb"]);
        assert_eq!(find("usbcore"), ["core"]);
        assert_eq!(find("pci:v*d*"), ["any"]);
        assert_eq!(find(""), ["empty"]);
        for missing in ["us", "usbc", "usbcores", "pci:v8086d1533sv"] {
            assert!(find(missing).is_empty(), "{missing}");
        }
        let matching = |name: &str| texts(index.matching(name.as_bytes()).unwrap());
        assert_eq!(matching("pci:v8086d1533sv1"), ["any", "igb"]);
        assert_eq!(matching("pci:v8086d1533"), ["any", "igb", "set"]);
        assert_eq!(matching("pci:v8086d1573"), ["any", "set"]);
        assert_eq!(matching("x"), ["one"]);
        assert_eq!(matching("?"), ["one", "one"]);
        assert_eq!(matching(""), ["empty"]);
        assert_eq!(matching("usbcore"), ["core"]);
        assert_eq!(index.entries().unwrap().len(), 7);
    }

    #[test]
    fn what_is_damaged_is_an_error_or_another_answer_but_ends() {
        let sample = sample();
        for len in 0..sample.len() {
            let Ok(index) = index(&sample[..len]) else {
                continue;
            };
            let _ = (index.entries(), index.matching(b"pci:v8086d1533"));
        }
        for at in 8..sample.len() {
            for byte in [0, 1, 0x7f, 0xe0, 0xff, sample[at] ^ 0x20] {
                let mut other = sample.clone();
                other[at] = byte;
                let Ok(index) = index(&other) else { continue };
                let _ = (index.entries(), index.matching(b"pci:v8086d1533"));
                let _ = index.find(b"usbcore");
            }
        }
    }

    #[test]
    fn a_node_that_is_its_own_child_is_found_out() {
        let mut bytes = [MAGIC, VERSION, CHILDREN | 12]
            .map(u32::to_be_bytes)
            .concat();
        bytes.extend([b'a', b'a']);
        bytes.extend((CHILDREN | 12).to_be_bytes());
        let index = index(&bytes).unwrap();
        assert!(index.entries().is_err());
        assert!(index.find(b"aaaa").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_index_says_so() {
        assert!(matches!(index(b""), Err(ReadError::Magic)));
        assert!(matches!(index(b"\x7fELF........"), Err(ReadError::Magic)));
        let later = [MAGIC, 0x0003_0000, 12].map(u32::to_be_bytes).concat();
        assert!(matches!(
            index(&later),
            Err(ReadError::Version(0x0003_0000))
        ));
    }
}

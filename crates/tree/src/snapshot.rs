//! Text that is made when a file is opened, so that reads at increasing offsets fit together.

use crate::{Caller, Handle};
use modfs_core::Errno;

/// An open file whose content was made when it was opened.
#[derive(Debug)]
pub struct Snapshot(pub(crate) Vec<u8>);

impl Snapshot {
    /// An open file of this content.
    pub fn new(content: impl Into<Vec<u8>>) -> Snapshot {
        Snapshot(content.into())
    }

    pub(crate) fn boxed(text: String) -> Box<dyn Handle> {
        Box::new(Snapshot(text.into_bytes()))
    }
}

impl Handle for Snapshot {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        Ok(slice(&self.0, offset, size))
    }
}

/// The part of `text` that read(2) asks for.
pub(crate) fn slice(text: &[u8], offset: u64, size: usize) -> Vec<u8> {
    let start = usize::try_from(offset).map_or(text.len(), |o| o.min(text.len()));
    let end = start.saturating_add(size).min(text.len());
    text[start..end].to_vec()
}

/// `text` on one line: newlines, backslashes and control characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\\' => line.push_str("\\\\"),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

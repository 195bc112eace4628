//! What a module file carries of the types at its borders.

use crate::{BadLine, Symtypes};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// The section of a module file that the text is in; it is not loaded.
pub const SECTION: &str = ".symtypes";

/// The types of what a module exports, and, by who exports it, of what it imports, as they were when it was
/// built: those first, and then those of each exporter behind a line `[NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Of what it exports.
    pub exports: Symtypes,
    /// Of what it imports, by the exporter's name.
    pub imports: BTreeMap<String, Symtypes>,
}

impl Carried {
    /// Reads what [`Display`] has written.
    ///
    /// # Errors
    /// The first line that cannot be one.
    pub fn parse(text: &str) -> Result<Carried, BadLine> {
        let mut found = Carried::default();
        // Of each block: whose it is, the line before it, and its text.
        let mut blocks = vec![(None, 0, String::new())];
        for (at, line) in text.split('\n').enumerate() {
            let name = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'));
            if let Some(name) = name {
                blocks.push((Some(name), at + 1, String::new()));
            } else if let Some((_, _, block)) = blocks.last_mut() {
                block.push_str(line);
                block.push('\n');
            }
        }
        for (name, before, block) in blocks {
            let types = Symtypes::parse(&block).map_err(|bad| BadLine {
                line: before + bad.line,
                ..bad
            })?;
            match name {
                None => found.exports = types,
                Some(name) => drop(found.imports.insert(name.to_owned(), types)),
            }
        }
        Ok(found)
    }
}

impl Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.exports)?;
        for (name, types) in &self.imports {
            write!(f, "[{name}]\n{types}")?;
        }
        Ok(())
    }
}

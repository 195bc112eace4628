//! Declarations and types as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};

/// Symbols and types, each with the words it is declared by.
///
/// A type is called `s#NAME` (a structure or class), `u#NAME` (a union), `e#NAME` (an enumeration) or `t#NAME`
/// (by typedef), `~2` and so on behind it where there are several of a name; a symbol as it is. A name with blanks is in single quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symtypes {
    entries: BTreeMap<String, Vec<String>>,
}

/// A line that is none of a text of types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Which, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Whether a word stands for a type.
pub(crate) fn is_type(word: &str) -> bool {
    matches!(word.as_bytes(), [b's' | b'u' | b'e' | b't', b'#', _, ..])
}

/// The words of a line: at blanks, but for those in quotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '\'';
        c == ' ' && !quoted
    })
    .filter(|word| !word.is_empty())
}

impl Symtypes {
    /// Reads what [`Display`] has written. Empty lines are passed over.
    ///
    /// # Errors
    /// The first line that cannot be one.
    pub fn parse(text: &str) -> Result<Symtypes, BadLine> {
        let mut entries = BTreeMap::new();
        for (at, line) in text.split('\n').enumerate() {
            let bad = |why| BadLine { line: at + 1, why };
            let mut words = words(line).map(str::to_owned);
            let Some(name) = words.next() else { continue };
            let declaration: Vec<String> = words.collect();
            // That is whose the lines behind it are.
            if name.starts_with('[') {
                return Err(bad("a name that begins with ["));
            }
            if declaration.is_empty() {
                return Err(bad("a name, and nothing that it is"));
            }
            // What stands for it where it is not told again.
            if is_type(&name) && declaration.len() < 2 {
                return Err(bad("a type without its kind and its name"));
            }
            if entries.insert(name, declaration).is_some() {
                return Err(bad("declared twice"));
            }
        }
        Ok(Symtypes { entries })
    }

    pub(crate) fn insert(&mut self, name: String, declaration: Vec<String>) {
        self.entries.insert(name, declaration);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[String]> {
        self.entries.get(name).map(Vec::as_slice)
    }

    /// The symbols, without the types.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.keys().map(String::as_str);
        names.filter(|name| !is_type(name))
    }

    /// Whether a symbol is declared.
    pub fn has(&self, symbol: &str) -> bool {
        self.entries.contains_key(symbol)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Hands over the words of a symbol, with each type in the place where it is reached first; `false`: there is
    /// no such symbol.
    fn expand<'a>(&'a self, symbol: &'a str, mut word: impl FnMut(&'a str)) -> bool {
        let Some(declaration) = self.get(symbol) else {
            return false;
        };
        let mut known = BTreeSet::new();
        // Not by recursion: types may be nested as deep as a file is long.
        let mut left = vec![declaration.iter()];
        word(symbol);
        while let Some(words) = left.last_mut() {
            let Some(next) = words.next() else {
                left.pop();
                continue;
            };
            match self.get(next).filter(|_| is_type(next)) {
                Some(declared) if known.insert(next.as_str()) => left.push(declared.iter()),
                // Its kind and its name.
                Some(declared) => declared.iter().take(2).for_each(|next| word(next)),
                None => word(next),
            }
        }
        true
    }

    /// A symbol's declaration with every type that it reaches; `None`: there is no such symbol.
    pub fn expanded(&self, symbol: &str) -> Option<String> {
        let mut text = String::new();
        let found = self.expand(symbol, |word| {
            text.push_str(word);
            text.push(' ');
        });
        found.then_some(text)
    }

    /// The checksum of a symbol: the CRC-32 of [`Symtypes::expanded`]. `None`: there is no such symbol.
    pub fn checksum(&self, symbol: &str) -> Option<u32> {
        let mut sum = crc32fast::Hasher::new();
        let found = self.expand(symbol, |word| {
            sum.update(word.as_bytes());
            sum.update(b" ");
        });
        found.then(|| sum.finalize())
    }

    /// Some symbols, and the types that they reach.
    pub fn of<'a>(&self, symbols: impl IntoIterator<Item = &'a str>) -> Symtypes {
        let mut found = Symtypes::default();
        let mut left: Vec<&str> = symbols.into_iter().collect();
        while let Some(name) = left.pop() {
            let Some((name, declaration)) = self.entries.get_key_value(name) else {
                continue;
            };
            if found.entries.contains_key(name) {
                continue;
            }
            let types = declaration.iter().map(String::as_str);
            left.extend(types.filter(|word| is_type(word)));
            found.entries.insert(name.clone(), declaration.clone());
        }
        found
    }
}

impl Display for Symtypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, declaration) in &self.entries {
            f.write_str(name)?;
            for word in declaration {
                f.write_char(' ')?;
                f.write_str(word)?;
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}

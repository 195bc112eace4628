//! Declarations and types as text.

use std::collections::{BTreeMap, HashMap};
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

    /// A symbol's declaration with every type that it reaches; `None`: there is no such symbol.
    pub fn expanded(&self, symbol: &str) -> Option<String> {
        let mut text = String::new();
        let found = Checksums::new(self).expand(symbol, |part| text.push_str(part));
        found.then_some(text)
    }

    /// The checksum of a symbol: the CRC-32 of [`Symtypes::expanded`]. `None`: there is no such symbol. Of many
    /// [`Checksums`] are made sooner.
    pub fn checksum(&self, symbol: &str) -> Option<u32> {
        Checksums::new(self).of(symbol)
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

/// What makes checksums of symbols, one after the other.
#[derive(Debug)]
pub struct Checksums<'a> {
    numbers: HashMap<&'a str, usize>,
    declarations: Vec<Declaration>,
    /// Which symbol a type was last reached by: each is expanded once by each.
    reached: Vec<usize>,
    /// Which of one kind and name it was then.
    order: Vec<usize>,
    /// Those of which there are several, and how many have been reached.
    several: HashMap<String, usize>,
    asked: usize,
}

/// A declaration, as parts of the text that a checksum is of.
#[derive(Debug, Default)]
struct Declaration {
    parts: Vec<Part>,
    /// What stands for it where it is not told again: its kind and its name.
    short: String,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Type(usize),
}

impl<'a> Checksums<'a> {
    /// Of the symbols of these declarations.
    pub fn new(types: &'a Symtypes) -> Checksums<'a> {
        let names = types.entries.keys().map(String::as_str);
        let numbers: HashMap<&str, usize> = names.zip(0..).collect();
        let declaration = |words: &Vec<String>| {
            let mut made = Declaration::default();
            for word in words.iter().take(2) {
                made.short.push_str(word);
                made.short.push(' ');
            }
            for word in words {
                let known = numbers.get(word.as_str()).filter(|_| is_type(word));
                match (known, made.parts.last_mut()) {
                    (Some(number), _) => made.parts.push(Part::Type(*number)),
                    (None, Some(Part::Text(text))) => {
                        text.push_str(word);
                        text.push(' ');
                    }
                    (None, _) => made.parts.push(Part::Text(format!("{word} "))),
                }
            }
            made
        };
        let declarations: Vec<Declaration> = types.entries.values().map(declaration).collect();
        let mut several: HashMap<String, usize> = HashMap::new();
        for declaration in &declarations {
            *several.entry(declaration.short.clone()).or_default() += 1;
        }
        several.retain(|_, count| *count > 1);
        Checksums {
            reached: vec![0; declarations.len()],
            order: vec![0; declarations.len()],
            several,
            numbers,
            declarations,
            asked: 0,
        }
    }

    /// The checksum of a symbol; `None`: there is no such symbol.
    pub fn of(&mut self, symbol: &str) -> Option<u32> {
        let mut sum = crc32fast::Hasher::new();
        let found = self.expand(symbol, |part| sum.update(part.as_bytes()));
        found.then(|| sum.finalize())
    }

    /// Hands over the text of a symbol, with each type in the place where it is reached first; `false`: there is
    /// no such symbol.
    fn expand(&mut self, symbol: &str, mut part: impl FnMut(&str)) -> bool {
        let Some(own) = self.numbers.get(symbol) else {
            return false;
        };
        self.asked += 1;
        self.several.values_mut().for_each(|count| *count = 0);
        part(symbol);
        part(" ");
        // Not by recursion: types may be nested as deep as a file is long.
        let mut left = vec![self.declarations[*own].parts.iter()];
        while let Some(parts) = left.last_mut() {
            match parts.next() {
                None => drop(left.pop()),
                Some(Part::Text(text)) => part(text),
                Some(Part::Type(number)) if self.reached[*number] == self.asked => {
                    part(&self.declarations[*number].short);
                    if self.order[*number] > 1 {
                        part(&format!("~{} ", self.order[*number]));
                    }
                }
                Some(Part::Type(number)) => {
                    self.reached[*number] = self.asked;
                    let several = self.several.get_mut(&self.declarations[*number].short);
                    self.order[*number] = several.map_or(1, |count| {
                        *count += 1;
                        *count
                    });
                    left.push(self.declarations[*number].parts.iter());
                }
            }
        }
        true
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

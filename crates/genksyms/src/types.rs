//! Types as text, a line each, to be compared with those of another time: Linux's symtypes.

use crate::{Declarations, Key, Kind, Node, Space};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// The types that checksums were of, at another time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference(HashMap<String, Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    definition: String,
    /// A change of it is not to count.
    overrides: bool,
}

impl Reference {
    /// Reads what [`Declarations::types`] has written. A line may begin with `override`: a change of this
    /// type is none.
    pub fn parse(text: &str) -> Reference {
        let line = |line: &str| {
            let (line, overrides) = match line.strip_prefix("override ") {
                Some(line) => (line, true),
                None => (line, false),
            };
            let mut words = line.split_ascii_whitespace();
            let name = words.next()?.to_owned();
            let definition = words.collect::<Vec<_>>().join(" ");
            let line = Line {
                definition,
                overrides,
            };
            Some((name, line))
        };
        Reference(text.lines().filter_map(line).collect())
    }
}

/// A word as such a text has it: of types the kind and the name.
fn word(node: &Node<'_>) -> String {
    match node.kind {
        Kind::Number(number) => number.to_string(),
        Kind::Plain => node.text.to_owned(),
        Kind::Typedef => format!("t#{}", node.text),
        Kind::Struct => format!("s#{}", node.text),
        Kind::Union => format!("u#{}", node.text),
        Kind::Enum => format!("e#{}", node.text),
        Kind::Constant => format!("E#{}", node.text),
    }
}

/// What has changed since a reference was written.
#[derive(Debug)]
pub struct Changes<'d, 'a> {
    declarations: &'d Declarations<'a>,
    reference: &'d Reference,
    /// Of what has been looked at.
    known: HashMap<Key<'a>, Option<String>>,
}

impl<'d, 'a> Changes<'d, 'a> {
    /// What has changed of these declarations.
    pub fn new(declarations: &'d Declarations<'a>, reference: &'d Reference) -> Changes<'d, 'a> {
        Changes {
            declarations,
            reference,
            known: HashMap::new(),
        }
    }

    /// Of what an export reaches, the innermost first.
    pub fn of(&mut self, name: &'a str) -> Vec<String> {
        if self.reference.0.is_empty() {
            return Vec::new();
        }
        let (declarations, reference) = (self.declarations, self.reference);
        let reached = declarations.expanded(name).unwrap_or_default().reached;
        let changed = |key| {
            let known = self.known.entry(key);
            known
                .or_insert_with(|| declarations.change(key, reference))
                .clone()
        };
        reached.into_iter().rev().filter_map(changed).collect()
    }
}

impl<'a> Declarations<'a> {
    /// All types that exports reach, a line each, with its name before it; a type before what is made of it.
    pub fn types(&self) -> String {
        let mut text = String::new();
        let mut known: HashSet<Key<'a>> = HashSet::new();
        for name in &self.exports {
            let Some(expansion) = self.expanded(name) else {
                continue;
            };
            for key in expansion.inner_first {
                if known.insert(key) {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{} {} ", self.name(key), self.definition(key));
                }
            }
        }
        text
    }

    /// What a type or symbol is told as if it has changed; what has no line there counts as unchanged.
    fn change(&self, key: Key<'a>, reference: &Reference) -> Option<String> {
        let now = self.name(key);
        let was = reference.0.get(&now)?;
        if was.overrides || was.definition == self.definition(key) {
            return None;
        }
        let (_, own) = key;
        let kind = now.split_once('#').map_or("", |(kind, _)| match kind {
            "s" => "struct ",
            "u" => "union ",
            "e" => "enum ",
            "t" => "typedef ",
            _ => "enum constant ",
        });
        Some(match was.definition.ends_with("{ UNKNOWN }") {
            true => format!("{kind}{own} (became defined)"),
            false => format!("{kind}{own}"),
        })
    }

    /// What a declaration is called in such a text.
    fn name(&self, (space, name): Key<'a>) -> String {
        let symbol = self.symbols.get(&(space, name));
        let first = symbol.and_then(|symbol| symbol.definition.first());
        let letter = match (space, symbol.map(|symbol| symbol.kind)) {
            (Space::Ordinary, Some(Kind::Typedef)) => "t#",
            (Space::Ordinary, Some(Kind::Constant)) => "E#",
            (Space::Ordinary, _) => "",
            (Space::Enum, _) => "e#",
            (Space::Tag, _) if first.is_some_and(|first| first.text == "union") => "u#",
            (Space::Tag, _) => "s#",
        };
        format!("{letter}{name}")
    }

    /// What it is, or that it is not known.
    fn definition(&self, (space, name): Key<'a>) -> String {
        match self.symbols.get(&(space, name)) {
            Some(symbol) => {
                let before = symbol.is_extern.then(|| "extern".to_owned());
                let words = before.into_iter().chain(symbol.definition.iter().map(word));
                words.collect::<Vec<_>>().join(" ")
            }
            None => {
                let keyword = if space == Space::Enum {
                    "enum"
                } else {
                    "struct"
                };
                format!("{keyword} {name} {{ UNKNOWN }}")
            }
        }
    }
}

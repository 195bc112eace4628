//! A declaration with the types that it reaches.

use crate::{Declarations, Key, Kind, Node};
use std::collections::HashSet;

/// What came of an export.
#[derive(Debug, Default)]
pub(crate) struct Expansion<'a> {
    /// Its declaration, with each type in the place where it is reached first.
    pub(crate) text: String,
    /// What was reached, in that order: itself first.
    pub(crate) reached: Vec<Key<'a>>,
    /// The same, each behind what it is made of: itself last.
    pub(crate) inner_first: Vec<Key<'a>>,
}

impl<'a> Declarations<'a> {
    /// Expands a symbol; `None`: it is not declared.
    pub(crate) fn expanded(&self, name: &'a str) -> Option<Expansion<'a>> {
        let own = (Kind::Plain.space(), name);
        let symbol = self.symbols.get(&own)?;
        let mut found = Expansion::default();
        found.reached.push(own);
        // What has been expanded is only named from then on; what is exported always was, being a name and no type.
        let mut known: HashSet<Key<'a>> = HashSet::new();
        // Not by recursion: types may be nested as deep as a source is long.
        let mut left: Vec<(Key<'a>, std::slice::Iter<'_, Node<'a>>)> =
            vec![(own, symbol.definition.iter())];
        while let Some((key, nodes)) = left.last_mut() {
            let Some(node) = nodes.next() else {
                found.inner_first.push(*key);
                left.pop();
                continue;
            };
            let key = (node.kind.space(), node.text);
            let mut word = |word: &str| {
                found.text.push_str(word);
                found.text.push(' ');
            };
            if let Kind::Number(number) = node.kind {
                word(&number.to_string());
            } else if node.kind == Kind::Plain {
                word(node.text);
            } else if !known.insert(key) {
                match node.kind.keyword() {
                    "" => {}
                    keyword => word(keyword),
                }
                word(node.text);
            } else if let Some(defined) = self.symbols.get(&key) {
                found.reached.push(key);
                left.push((key, defined.definition.iter()));
            } else {
                word(node.kind.keyword());
                word(node.text);
                word("{ UNKNOWN }");
                found.reached.push(key);
                found.inner_first.push(key);
            }
        }
        Some(found)
    }
}

//! A declaration with the types that it reaches.

use crate::{Declarations, Kind, Node, Space};
use std::collections::HashSet;

impl<'a> Declarations<'a> {
    /// The text of a symbol; `None`: it is not declared.
    pub(crate) fn expanded(&self, name: &'a str) -> Option<String> {
        let symbol = self.symbols.get(&(Space::Ordinary, name))?;
        let mut text = String::new();
        // What has been expanded is only named from then on.
        let mut known: HashSet<(Space, &'a str)> = HashSet::new();
        // Not by recursion: types may be nested as deep as a source is long.
        let mut left: Vec<std::slice::Iter<'_, Node<'a>>> = vec![symbol.definition.iter()];
        while let Some(nodes) = left.last_mut() {
            let Some(node) = nodes.next() else {
                left.pop();
                continue;
            };
            let key = (node.kind.space(), node.text);
            let mut word = |word: &str| {
                text.push_str(word);
                text.push(' ');
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
                left.push(defined.definition.iter());
            } else {
                word(node.kind.keyword());
                word(node.text);
                word("{ UNKNOWN }");
            }
        }
        Some(text)
    }
}

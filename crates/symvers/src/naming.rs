//! Words of declarations, and names for the types in them.

use crate::Symtypes;
use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};

/// A word of a declaration.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Word {
    Text(String),
    /// A type that has a name.
    Type(usize),
}

/// A type that has a name.
pub(crate) struct Named {
    /// `s#NAME` and so on.
    pub(crate) key: String,
    pub(crate) words: Vec<Word>,
}

/// The text of all that was found. Types of one name that are the same are one; of others each has a number
/// behind its name.
pub(crate) fn told(named: &[Named], declared: Vec<(&str, Vec<Word>)>) -> Symtypes {
    let classes = classes(named);
    let mut keys: HashMap<u64, String> = HashMap::new();
    let mut many: HashMap<&str, usize> = HashMap::new();
    for (number, class) in classes.iter().enumerate() {
        if let Entry::Vacant(vacant) = keys.entry(*class) {
            let key = named[number].key.as_str();
            let count = many.entry(key).or_default();
            *count += 1;
            vacant.insert(match count {
                1 => key.to_owned(),
                count => format!("{key}~{count}"),
            });
        }
    }
    let key = |number: usize| keys[&classes[number]].clone();
    let line = |words: &[Word]| -> Vec<String> {
        let word = |word: &Word| match word {
            Word::Text(text) => text.clone(),
            Word::Type(number) => key(*number),
        };
        words.iter().map(word).collect()
    };
    let mut types = Symtypes::default();
    for (number, named) in named.iter().enumerate() {
        types.insert(key(number), line(&named.words));
    }
    for (name, words) in declared {
        types.insert(quoted(name), line(&words));
    }
    types
}

/// Tells types apart by what they are, as deep as they go: each round looks a level deeper, until no more are
/// told apart.
fn classes(named: &[Named]) -> Vec<u64> {
    let hash = |value: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        value(&mut hasher);
        hasher.finish()
    };
    let mut classes: Vec<u64> = named
        .iter()
        .map(|named| hash(&|hasher| named.key.hash(hasher)))
        .collect();
    let count = |classes: &[u64]| {
        let mut sorted = classes.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.len()
    };
    let mut before = count(&classes);
    loop {
        let next: Vec<u64> = named
            .iter()
            .map(|named| {
                hash(&|hasher| {
                    named.key.hash(hasher);
                    for word in &named.words {
                        match word {
                            Word::Text(text) => text.hash(hasher),
                            Word::Type(number) => classes[*number].hash(hasher),
                        }
                    }
                })
            })
            .collect();
        let now = count(&next);
        classes = next;
        if now == before {
            return classes;
        }
        before = now;
    }
}

/// What kind of pointer it is: Rust says so in its name.
pub(crate) fn pointer(name: Option<&str>) -> &'static str {
    let kinds = [
        ("&mut ", "&mut"),
        ("&", "&"),
        ("*const ", "*const"),
        ("*mut ", "*mut"),
    ];
    let kind = |name: &str| {
        let found = kinds.iter().find(|(prefix, _)| name.starts_with(prefix));
        found.map(|(_, kind)| *kind)
    };
    name.and_then(kind).unwrap_or("*")
}

/// The name of a base type: `long int` and `int long` are `long`.
pub(crate) fn base(name: &str) -> String {
    let (mut longs, mut unsigned, mut rest) = (0, false, Vec::new());
    for word in name.split_ascii_whitespace() {
        match word {
            "long" => longs += 1,
            "unsigned" => unsigned = true,
            "int" => {}
            word => rest.push(word),
        }
    }
    let is_plain = matches!(rest[..], [] | ["short" | "char" | "__int128"]);
    let is_c = longs > 0 || unsigned || name.split_ascii_whitespace().any(|word| word == "int");
    if !is_c || !is_plain {
        return name.to_owned();
    }
    let mut words = Vec::new();
    words.extend(unsigned.then_some("unsigned"));
    words.extend(rest.iter().copied());
    words.extend(std::iter::repeat_n("long", longs));
    if rest.is_empty() && longs == 0 {
        words.push("int");
    }
    words.join(" ")
}

/// A name without what would end a line, or a quoted name.
pub(crate) fn tidy(name: &str) -> String {
    name.replace(|c: char| c.is_control() || c == '\'', "?")
}

/// A name as a word.
pub(crate) fn quoted(name: &str) -> String {
    let name = tidy(name);
    match name.contains(' ') || name.is_empty() {
        true => format!("'{name}'"),
        false => name,
    }
}

//! Words of declarations, and names for the types in them.

use crate::{Error, Symtypes};
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
///
/// # Errors
/// [`Error::Endless`]: types of one name are told apart too deep only.
pub(crate) fn told(named: &[Named], declared: Vec<(&str, Vec<Word>)>) -> Result<Symtypes, Error> {
    let classes = classes(named)?;
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
    Ok(types)
}

/// Tells types apart by what they are, as deep as they go: each round looks a level deeper, until no more are
/// told apart.
fn classes(named: &[Named]) -> Result<Vec<u64>, Error> {
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
    for _ in 0..ROUNDS {
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
            return Ok(classes);
        }
        before = now;
    }
    let first = named.first().map_or("", |named| &named.key);
    Err(Error::Endless(first.to_owned()))
}

/// Types of one name of which only what is deeper differs are in no program.
const ROUNDS: usize = 64;

/// Whether a base type is what is called so: its bytes, and how they are read (`DW_ATE_…`).
pub(crate) fn is_usual(name: &str, size: i128, encoding: i128) -> bool {
    const ADDRESS: i128 = 1;
    const BOOLEAN: i128 = 2;
    const FLOAT: i128 = 4;
    const SIGNED: i128 = 5;
    const SIGNED_CHAR: i128 = 6;
    const UNSIGNED: i128 = 7;
    const UNSIGNED_CHAR: i128 = 8;
    const UTF: i128 = 0x10;
    let known: &[(i128, i128)] = match name {
        // Of Rust, too.
        "char" => &[(1, SIGNED_CHAR), (4, UTF)],
        "signed char" => &[(1, SIGNED_CHAR)],
        "unsigned char" => &[(1, UNSIGNED_CHAR)],
        "short" | "i16" => &[(2, SIGNED)],
        "unsigned short" | "u16" => &[(2, UNSIGNED)],
        "int" | "i32" => &[(4, SIGNED)],
        "unsigned int" | "u32" => &[(4, UNSIGNED)],
        "long" | "long long" | "i64" | "isize" => &[(8, SIGNED)],
        "unsigned long" | "unsigned long long" | "u64" | "usize" => &[(8, UNSIGNED)],
        "__int128" | "i128" => &[(16, SIGNED)],
        "unsigned __int128" | "u128" => &[(16, UNSIGNED)],
        "i8" => &[(1, SIGNED), (1, SIGNED_CHAR)],
        "u8" => &[(1, UNSIGNED), (1, UNSIGNED_CHAR)],
        "_Bool" | "bool" => &[(1, BOOLEAN)],
        "float" | "f32" => &[(4, FLOAT)],
        "double" | "f64" => &[(8, FLOAT)],
        "()" | "!" => &[(0, UNSIGNED), (0, ADDRESS)],
        _ => &[],
    };
    known.contains(&(size, encoding))
}

/// What kind of pointer it is: Rust says so in its name.
pub(crate) fn pointer(name: &str) -> &'static str {
    let kinds = [
        ("&mut ", "&mut"),
        ("&", "&"),
        ("*const ", "*const"),
        ("*mut ", "*mut"),
    ];
    let found = kinds.iter().find(|(prefix, _)| name.starts_with(prefix));
    found.map_or("*", |(_, kind)| *kind)
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

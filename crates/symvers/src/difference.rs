//! Where two declarations part, in words.

use crate::Symtypes;
use crate::symtypes::is_type;
use std::collections::BTreeSet;
use std::fmt::{self, Display};

/// A place where two declarations of a symbol differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs: the symbol itself, or `struct point`.
    pub of: String,
    /// How.
    pub how: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.how)
    }
}

/// Says where the declarations of a symbol differ. Of all places it is one that tells why: a member that is another
/// before one that is only moved, and of two types the one that is within the other. `None`: they do not, or one
/// of them is not known.
pub fn difference(before: &Symtypes, after: &Symtypes, symbol: &str) -> Option<Difference> {
    let another = |was: &[String], is: &[String]| !essence(was).eq(essence(is));
    search(before, after, symbol, another)
        .or_else(|| search(before, after, symbol, |was, is| was != is))
}

/// Words without what a change elsewhere may bring about: places and sizes.
fn essence(words: &[String]) -> impl Iterator<Item = &str> {
    let behind = words.iter().rposition(|word| word == "}");
    let words = words[..behind.unwrap_or(words.len())].iter();
    words.map(|word| match word.strip_prefix('@') {
        // Of a bit-field its bits count.
        Some(place) => {
            let (place, _) = place.split_once('/').unwrap_or((place, ""));
            place.split_once(':').map_or("", |(_, bits)| bits)
        }
        None => word,
    })
}

/// The first declaration that differs, from the innermost on.
fn search(
    before: &Symtypes,
    after: &Symtypes,
    symbol: &str,
    differ: impl Fn(&[String], &[String]) -> bool,
) -> Option<Difference> {
    let both = |name| Some((before.get(name)?, after.get(name)?));
    let mut known: BTreeSet<&str> = BTreeSet::new();
    // Not by recursion: types may be nested as deep as a file is long.
    let mut left = vec![(symbol, both(symbol)?.0.iter())];
    while let Some((name, words)) = left.last_mut() {
        let mut types = words.filter(|word| is_type(word) && known.insert(word.as_str()));
        if let Some(inner) = types.next() {
            if let Some((was, _)) = both(inner) {
                left.push((inner, was.iter()));
            }
            continue;
        }
        let (was, is) = both(name)?;
        if differ(was, is) {
            return Some(Difference {
                of: shown(name),
                how: how(was, is),
            });
        }
        left.pop();
    }
    None
}

/// A word as people write it.
fn shown(word: &str) -> String {
    let name = |name: &str| {
        let name = name.split('~').next().unwrap_or(name);
        name.trim_matches('\'').to_owned()
    };
    match word.split_at_checked(2) {
        Some(("s#", rest)) => format!("struct {}", name(rest)),
        Some(("u#", rest)) => format!("union {}", name(rest)),
        Some(("e#", rest)) => format!("enum {}", name(rest)),
        Some(("t#", rest)) => name(rest),
        _ => word.trim_matches('\'').to_owned(),
    }
}

fn phrase(words: &[String]) -> String {
    let shown: Vec<String> = words.iter().map(|word| shown(word)).collect();
    shown
        .join(" ")
        .replace(" ,", ",")
        .replace("( ", "(")
        .replace(" )", ")")
}

/// A member, or a constant.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: String,
    /// Its type, or its value.
    what: String,
    /// Where it is, in words; empty of a constant.
    place: String,
    /// What it asks for by itself.
    align: String,
}

/// A structure, union or enumeration, taken apart.
struct Parts {
    is_enum: bool,
    parts: Vec<Part>,
    /// What is behind them: its size.
    rest: String,
}

fn parts(words: &[String]) -> Option<Parts> {
    let is_enum = match words.first()?.as_str() {
        "struct" | "union" => false,
        "enum" => true,
        _ => return None,
    };
    let open = words.iter().position(|word| word == "{")?;
    let close = words.iter().rposition(|word| word == "}")?;
    let end = if is_enum { "," } else { ";" };
    let (mut parts, mut part, mut depth) = (Vec::new(), Vec::new(), 0);
    for word in words.get(open + 1..close)? {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && word == end {
            parts.push(match is_enum {
                true => constant(&part)?,
                false => member(&part),
            });
            part.clear();
        } else {
            part.push(word.clone());
        }
    }
    Some(Parts {
        is_enum,
        parts,
        rest: phrase(&words[close + 1..]),
    })
}

fn constant(words: &[String]) -> Option<Part> {
    let [name, _, value] = words else { return None };
    Some(Part {
        name: shown(name),
        what: value.clone(),
        place: String::new(),
        align: String::new(),
    })
}

/// What tells the variants of an enumeration of Rust.
const VARIANTS: &str = "switch";

/// `TYPE NAME @PLACE`; one without a name has its type for it.
fn member(words: &[String]) -> Part {
    if words.first().is_some_and(|word| word == VARIANTS) {
        return Part {
            name: VARIANTS.to_owned(),
            what: phrase(&words[1..]),
            place: String::new(),
            align: String::new(),
        };
    }
    let (place, words) = match words.split_last() {
        Some((last, words)) if last.starts_with('@') => (last.as_str(), words),
        _ => ("", words),
    };
    let (place, align) = place.split_once('/').unwrap_or((place, ""));
    let is_name = |word: &&String| {
        let first = word.chars().next().unwrap_or(' ');
        first.is_alphabetic() || matches!(first, '_' | '\'' | '$')
    };
    let (name, what) = match words.split_last() {
        Some((last, before)) if !before.is_empty() && is_name(&last) && !is_type(last) => {
            (shown(last), phrase(before))
        }
        _ => (phrase(words), phrase(words)),
    };
    let place = match place.trim_start_matches('@').split_once('.') {
        Some((byte, bits)) => match bits.split_once(':') {
            Some((bit, count)) => format!("byte {byte}, bit {bit}, of {count} bits"),
            None => format!("byte {byte}"),
        },
        None if place.is_empty() => String::new(),
        None => format!("byte {}", &place[1..]),
    };
    Part {
        name,
        what,
        place,
        align: align.to_owned(),
    }
}

fn how(was: &[String], is: &[String]) -> String {
    let is_defined = |words: &[String]| !words.iter().any(|word| word == "?");
    let (before, after) = match (is_defined(was), is_defined(is), parts(was), parts(is)) {
        (false, true, ..) => return "was only declared, is defined".to_owned(),
        (true, false, ..) => return "was defined, is only declared".to_owned(),
        (.., Some(before), Some(after)) => (before, after),
        _ => return format!("was `{}`, is `{}`", phrase(was), phrase(is)),
    };
    let what = if before.is_enum { "constant" } else { "member" };
    let has = |parts: &Parts, name: &str| parts.parts.iter().any(|part| part.name == name);
    let mut pairs = before.parts.iter().zip(&after.parts);
    if let Some((old, new)) = pairs.find(|(old, new)| old != new) {
        let (gone, added) = (!has(&after, &old.name), !has(&before, &new.name));
        return match (old.name == new.name, gone, added) {
            _ if old.name == VARIANTS || new.name == VARIANTS => {
                format!("variants were `{}`, are `{}`", old.what, new.what)
            }
            (true, ..) => changed(what, old, new),
            (_, true, true) if (&old.what, &old.place) == (&new.what, &new.place) => {
                format!("{what} `{}` is now called `{}`", old.name, new.name)
            }
            (_, _, true) => added_text(what, new),
            (_, true, _) => format!("{what} `{}` is gone", old.name),
            (..) => format!("{what} `{}` comes where `{}` was", new.name, old.name),
        };
    }
    let common = before.parts.len().min(after.parts.len());
    if let Some(new) = after.parts.get(common) {
        return added_text(what, new);
    }
    if let Some(old) = before.parts.get(common) {
        return format!("{what} `{}` is gone", old.name);
    }
    format!("was of {}, is of {}", before.rest, after.rest)
}

fn added_text(what: &str, part: &Part) -> String {
    match part.place.is_empty() {
        true => format!("{what} `{}` ({}) is new", part.name, part.what),
        false => format!(
            "{what} `{}` (`{}` at {}) is new",
            part.name, part.what, part.place
        ),
    }
}

fn changed(what: &str, old: &Part, new: &Part) -> String {
    let name = &old.name;
    if old.place.is_empty() {
        return format!("{what} `{name}` was {}, is {}", old.what, new.what);
    }
    let told = |align: &str| match align {
        "" => "as its type is".to_owned(),
        align => format!("to {align}"),
    };
    match (old.what == new.what, old.place == new.place) {
        (true, true) => format!(
            "{what} `{name}` was aligned {}, is aligned {}",
            told(&old.align),
            told(&new.align)
        ),
        (true, _) => format!("{what} `{name}` was at {}, is at {}", old.place, new.place),
        (_, true) => format!("{what} `{name}` was `{}`, is `{}`", old.what, new.what),
        _ => format!(
            "{what} `{name}` was `{}` at {}, is `{}` at {}",
            old.what, old.place, new.what, new.place
        ),
    }
}

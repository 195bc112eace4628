//! Checksums of C declarations, as genksyms makes them: that of modutils 2.4.25 (checksum version 2), and that
//! of Linux today (scripts/genksyms).
//!
//! Preprocessed C goes in; for each `EXPORT_SYMBOL(name)` its declaration comes out, with every type that it
//! reaches in the place where it is first reached, and the CRC-32 of that text.

#![forbid(unsafe_code)]

mod expand;
mod lexer;
mod parser;
mod types;

pub use parser::{Language, parse};
pub use types::{Changes, Reference};

use std::collections::HashMap;

/// What a name is declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Space {
    /// Structures and unions.
    Tag,
    /// Enumerations.
    Enum,
    /// Types by typedef, functions and variables.
    Ordinary,
}

/// A name, in its space.
type Key<'a> = (Space, &'a str);

/// What a word of a declaration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Itself.
    Plain,
    /// A type by typedef.
    Typedef,
    /// `struct` and its name.
    Struct,
    /// `union` and its name.
    Union,
    /// `enum` and its name.
    Enum,
    /// A constant of an enumeration.
    Constant,
    /// A number.
    Number(u32),
}

impl Kind {
    fn space(self) -> Space {
        match self {
            Kind::Struct | Kind::Union => Space::Tag,
            Kind::Enum => Space::Enum,
            Kind::Plain | Kind::Typedef | Kind::Constant | Kind::Number(_) => Space::Ordinary,
        }
    }

    /// The keyword before a name.
    fn keyword(self) -> &'static str {
        match self {
            Kind::Struct => "struct",
            Kind::Union => "union",
            Kind::Enum => "enum",
            Kind::Plain | Kind::Typedef | Kind::Constant | Kind::Number(_) => "",
        }
    }
}

/// A word of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node<'a> {
    kind: Kind,
    text: &'a str,
}

/// What was declared.
#[derive(Clone, Debug)]
struct Symbol<'a> {
    /// Of [`Space::Ordinary`]: a type, a constant, or neither.
    kind: Kind,
    definition: Vec<Node<'a>>,
    /// It was declared so: the types as text say it.
    is_extern: bool,
}

/// All declarations of a source, and what it exports.
#[derive(Debug, Default)]
pub struct Declarations<'a> {
    symbols: HashMap<(Space, &'a str), Symbol<'a>>,
    exports: Vec<&'a str>,
    messages: Vec<String>,
}

/// A checksum of an exported symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum<'a> {
    /// The symbol.
    pub name: &'a str,
    /// The checksum.
    pub crc: u32,
    /// What it is of.
    pub text: String,
}

impl<'a> Declarations<'a> {
    /// What was wrong: `LINE: TEXT`, each.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The checksums of what is exported, in the order of the source. What was not declared has none.
    pub fn checksums(&self) -> impl Iterator<Item = Result<Checksum<'a>, Undeclared<'a>>> + '_ {
        self.exports.iter().map(|name| {
            let text = self.expanded(name).ok_or(Undeclared(name))?.text;
            Ok(Checksum {
                name,
                crc: crc32fast::hash(text.as_bytes()),
                text,
            })
        })
    }
}

/// A symbol that is exported, and not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undeclared<'a>(pub &'a str);

impl std::fmt::Display for Undeclared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "export undefined symbol: {}", self.0)
    }
}

#[cfg(test)]
mod tests;

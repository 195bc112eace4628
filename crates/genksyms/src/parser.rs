//! Declarations of C, as far as their checksums need them.

use crate::lexer::{Token, tokens};
use crate::{Declarations, Kind, Node, Space, Symbol};

/// Deeper declarators and structures are no source that a compiler takes.
const DEEPEST: usize = 200;

/// Reads preprocessed C. What cannot be understood is passed over, with a message.
pub fn parse(source: &str, language: Language) -> Declarations<'_> {
    let mut parser = Parser {
        language,
        tokens: tokens(source),
        at: 0,
        depth: 0,
        is_extern: false,
        found: Declarations::default(),
    };
    while !parser.is_over() {
        if let Err(Unexpected) = parser.external() {
            parser.recover();
        }
    }
    parser.found
}

/// Whose keywords hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// modutils 2.4.25.
    Old,
    /// Linux today (scripts/genksyms).
    Today,
}

/// A word that cannot be where it is.
struct Unexpected;

type Parsed<T> = Result<T, Unexpected>;

/// What keyword a word is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Asm,
    Attribute,
    Export,
    /// Dropped: storage, `inline`, `restrict`.
    Dropped,
    Typedef,
    /// Kept: `const`, `volatile`.
    Qualifier,
    /// A type of the language.
    Type,
    Typeof,
    Assertion,
    Tag(Kind),
}

fn keyword(text: &str, language: Language) -> Option<Keyword> {
    let today = language == Language::Today;
    Some(match text {
        "__GENKSYMS_EXPORT_SYMBOL" if today => Keyword::Export,
        "_Static_assert" if today => Keyword::Assertion,
        "__extension__" if today => Keyword::Qualifier,
        "__typeof" | "__typeof__" | "typeof" if today => Keyword::Typeof,
        "__builtin_va_list" | "__int128" | "__int128_t" | "__uint128_t" if today => Keyword::Type,
        "EXPORT_SYMBOL" | "EXPORT_SYMBOL_GPL" => Keyword::Export,
        "__asm" | "__asm__" | "asm" => Keyword::Asm,
        "__attribute" | "__attribute__" => Keyword::Attribute,
        "__const" | "__const__" | "const" | "__volatile" | "__volatile__" | "volatile" => {
            Keyword::Qualifier
        }
        "__inline" | "__inline__" | "inline" | "_restrict" | "__restrict__" | "restrict"
        | "auto" | "extern" | "register" | "static" => Keyword::Dropped,
        "__signed" | "__signed__" | "signed" | "_Bool" | "char" | "double" | "float" | "int"
        | "long" | "short" | "unsigned" | "void" => Keyword::Type,
        "typedef" => Keyword::Typedef,
        "struct" => Keyword::Tag(Kind::Struct),
        "union" => Keyword::Tag(Kind::Union),
        "enum" => Keyword::Tag(Kind::Enum),
        _ => return None,
    })
}

/// A number that no source has.
fn decimal(number: usize) -> Node<'static> {
    Node {
        kind: Kind::Number(u32::try_from(number).unwrap_or(u32::MAX)),
        text: "",
    }
}

fn plain(text: &str) -> Node<'_> {
    Node {
        kind: Kind::Plain,
        text,
    }
}

/// The words that come before declarators.
#[derive(Default)]
struct Specifiers<'a> {
    nodes: Vec<Node<'a>>,
    is_typedef: bool,
    has_type: bool,
}

/// Where a declarator is: what becomes of its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is kept.
    Named,
    /// A parameter's is not.
    Parameter,
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    language: Language,
    /// The declaration that is read has said so.
    is_extern: bool,
    found: Declarations<'a>,
}

impl<'a> Parser<'a> {
    fn is_over(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn keyword(&self, text: &str) -> Option<Keyword> {
        keyword(text, self.language)
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn after(&self) -> &'a str {
        self.tokens.get(self.at + 1).map_or("", |token| token.text)
    }

    fn take(&mut self) -> &'a str {
        let text = self.peek();
        self.at += 1;
        text
    }

    fn expect(&mut self, text: &str) -> Parsed<&'a str> {
        match self.peek() == text {
            true => Ok(self.take()),
            false => Err(Unexpected),
        }
    }

    /// A name that is no keyword, if one is next.
    fn name(&mut self) -> Option<&'a str> {
        let token = self.tokens.get(self.at)?;
        if !token.is_word() || self.keyword(token.text).is_some() {
            return None;
        }
        Some(self.take())
    }

    fn is_type(&self, name: &str) -> bool {
        let known = self.found.symbols.get(&(Space::Ordinary, name));
        known.is_some_and(|symbol| symbol.kind == Kind::Typedef)
    }

    /// A word of a phrase: today's constants stand for their values.
    fn phrase_word(&self, text: &'a str) -> Node<'a> {
        let known = self.found.symbols.get(&(Space::Ordinary, text));
        let is_constant = known.is_some_and(|symbol| symbol.kind == Kind::Constant);
        Node {
            kind: if is_constant {
                Kind::Constant
            } else {
                Kind::Plain
            },
            text,
        }
    }

    /// Goes on after the next `;` or `}`.
    fn recover(&mut self) {
        let line = self.tokens.get(self.at).or(self.tokens.last());
        let (line, text) = line.map_or((0, ""), |token| (token.line, token.text));
        self.found
            .messages
            .push(format!("{line}: syntax error at {text:?}"));
        self.depth = 0;
        while !self.is_over() && !matches!(self.take(), ";" | "}") {}
    }

    fn external(&mut self) -> Parsed<()> {
        if self.peek() == ";" {
            self.take();
            return Ok(());
        }
        match self.keyword(self.peek()) {
            Some(Keyword::Export) => {
                self.take();
                self.expect("(")?;
                let name = self.take();
                self.expect(")")?;
                self.expect(";")?;
                self.found.exports.push(name);
                Ok(())
            }
            Some(Keyword::Asm | Keyword::Assertion) => {
                self.phrase(&mut Vec::new())?;
                self.expect(";").map(drop)
            }
            _ => self.declaration(),
        }
    }

    fn declaration(&mut self) -> Parsed<()> {
        self.is_extern = false;
        let specifiers = self.specifiers()?;
        if self.peek() == ";" {
            self.take();
            return Ok(());
        }
        loop {
            let mut nodes = specifiers.nodes.clone();
            let name = self.declarator(&mut nodes, Place::Named)?;
            let name = name.ok_or(Unexpected)?;
            match self.language {
                Language::Old => self.trailers(&mut nodes)?,
                Language::Today => self.trailers(&mut Vec::new())?,
            }
            if self.peek() == "=" {
                self.take();
                self.expression(&mut Vec::new())?;
            }
            let kind = if specifiers.is_typedef {
                Kind::Typedef
            } else {
                Kind::Plain
            };
            self.define(Space::Ordinary, name, nodes, kind);
            match self.take() {
                "," => {}
                ";" => return Ok(()),
                "{" => {
                    self.at -= 1;
                    return self.braces(&mut Vec::new());
                }
                _ => {
                    self.at -= 1;
                    return Err(Unexpected);
                }
            }
        }
    }

    /// The first declaration holds.
    fn define(&mut self, space: Space, name: &'a str, definition: Vec<Node<'a>>, kind: Kind) {
        let is_extern = self.is_extern && kind == Kind::Plain;
        let symbol = Symbol {
            kind,
            definition,
            is_extern,
        };
        self.found.symbols.entry((space, name)).or_insert(symbol);
    }

    fn specifiers(&mut self) -> Parsed<Specifiers<'a>> {
        let mut found = Specifiers::default();
        loop {
            match self.keyword(self.peek()) {
                Some(Keyword::Typedef) => {
                    found.nodes.push(plain(self.take()));
                    found.is_typedef = true;
                }
                Some(Keyword::Dropped) => match self.take() {
                    "extern" => self.is_extern = true,
                    "inline" | "__inline" | "__inline__" => self.is_extern = false,
                    _ => {}
                },
                Some(Keyword::Qualifier) => found.nodes.push(plain(self.take())),
                Some(Keyword::Type) => {
                    found.nodes.push(plain(self.take()));
                    found.has_type = true;
                }
                Some(Keyword::Attribute) => self.phrase(&mut found.nodes)?,
                Some(Keyword::Tag(Kind::Enum)) => {
                    self.enumeration(&mut found.nodes)?;
                    found.has_type = true;
                }
                Some(Keyword::Tag(kind)) => {
                    self.structure(kind, &mut found.nodes)?;
                    found.has_type = true;
                }
                Some(Keyword::Typeof) => {
                    self.deeper(|parser| parser.type_of(&mut found.nodes))?;
                    found.has_type = true;
                }
                Some(Keyword::Asm | Keyword::Export | Keyword::Assertion) => {
                    return Err(Unexpected);
                }
                None if !found.has_type && self.is_type(self.peek()) => {
                    let text = self.take();
                    found.nodes.push(Node {
                        kind: Kind::Typedef,
                        text,
                    });
                    found.has_type = true;
                }
                None => return Ok(found),
            }
        }
    }

    /// `typeof` of a type, or of an expression.
    fn type_of(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        let first = self.tokens.get(self.at + 2).map_or("", |token| token.text);
        if self.keyword(first).is_none() && !self.is_type(first) {
            return self.phrase(nodes);
        }
        nodes.push(plain(self.take()));
        nodes.push(plain(self.expect("(")?));
        let specifiers = self.specifiers()?;
        nodes.extend_from_slice(&specifiers.nodes);
        self.declarator(nodes, Place::Parameter)?;
        nodes.push(plain(self.expect(")")?));
        Ok(())
    }

    fn deeper<T>(&mut self, what: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return Err(Unexpected);
        }
        self.depth += 1;
        let done = what(self);
        self.depth = self.depth.saturating_sub(1);
        done
    }

    /// A declarator; returns its name.
    fn declarator(&mut self, nodes: &mut Vec<Node<'a>>, place: Place) -> Parsed<Option<&'a str>> {
        self.deeper(|parser| parser.declarator_within(nodes, place))
    }

    fn declarator_within(
        &mut self,
        nodes: &mut Vec<Node<'a>>,
        place: Place,
    ) -> Parsed<Option<&'a str>> {
        loop {
            match self.keyword(self.peek()) {
                _ if self.peek() == "*" => nodes.push(plain(self.take())),
                Some(Keyword::Qualifier) => nodes.push(plain(self.take())),
                Some(Keyword::Dropped) => drop(self.take()),
                Some(Keyword::Attribute) => self.phrase(nodes)?,
                _ => break,
            }
        }
        let mut name = None;
        if let Some(found) = self.name() {
            name = Some(found);
            if place == Place::Named {
                // To today's genksyms a type's name right after one is a type, not what is declared.
                let after_type = nodes.last().is_some_and(|node| node.kind == Kind::Typedef);
                let today = self.language == Language::Today;
                let is_type = today && after_type && self.is_type(found);
                nodes.push(Node {
                    kind: if is_type { Kind::Typedef } else { Kind::Plain },
                    text: found,
                });
            }
        } else if self.peek() == "(" && (place == Place::Named || self.is_nested()) {
            nodes.push(plain(self.take()));
            name = self.declarator(nodes, place)?;
            nodes.push(plain(self.expect(")")?));
        }
        loop {
            match self.peek() {
                "(" => self.parameters(nodes)?,
                "[" => self.brackets(nodes)?,
                _ => return Ok(name),
            }
        }
    }

    /// Whether the parenthesis that is next is around a declarator, and not around parameters.
    fn is_nested(&self) -> bool {
        let next = self.after();
        let is_name = self.tokens.get(self.at + 1).is_some_and(Token::is_word);
        match self.keyword(next) {
            Some(Keyword::Attribute) => true,
            Some(_) => false,
            None => matches!(next, "*" | "(" | "[") || is_name && !self.is_type(next),
        }
    }

    fn parameters(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        nodes.push(plain(self.expect("(")?));
        while self.peek() != ")" {
            if self.peek() == "..." {
                nodes.push(plain(self.take()));
            } else {
                let mut specifiers = self.specifiers()?;
                // To today's genksyms a type's name right after a type is not the parameter's.
                while self.language == Language::Today && self.is_type(self.peek()) {
                    let text = self.take();
                    specifiers.nodes.push(Node {
                        kind: Kind::Typedef,
                        text,
                    });
                }
                let has_none = specifiers.nodes.is_empty();
                nodes.extend_from_slice(&specifiers.nodes);
                match has_none {
                    // As long ago: only names.
                    true => nodes.push(plain(self.name().ok_or(Unexpected)?)),
                    false => drop(self.declarator(nodes, Place::Parameter)?),
                }
                self.trailers(nodes)?;
            }
            if self.peek() == "," {
                nodes.push(plain(self.take()));
            } else if self.peek() != ")" {
                return Err(Unexpected);
            }
        }
        nodes.push(plain(self.take()));
        Ok(())
    }

    /// What may follow a declarator: asm and attributes.
    fn trailers(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        while let Some(Keyword::Asm | Keyword::Attribute) = self.keyword(self.peek()) {
            self.phrase(nodes)?;
        }
        Ok(())
    }

    /// A keyword, and what is in the parentheses after it.
    fn phrase(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        nodes.push(plain(self.take()));
        // `asm volatile ("")`
        while self.keyword(self.peek()) == Some(Keyword::Qualifier) {
            nodes.push(plain(self.take()));
        }
        self.balanced("(", ")", nodes)
    }

    fn brackets(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        self.balanced("[", "]", nodes)
    }

    fn braces(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        self.balanced("{", "}", nodes)
    }

    /// All words from an opening one to the one that closes it.
    fn balanced(&mut self, open: &str, close: &str, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        nodes.push(plain(self.expect(open)?));
        let mut depth = 1;
        while depth > 0 {
            if self.is_over() {
                return Err(Unexpected);
            }
            let text = self.take();
            if text == open {
                depth += 1;
            } else if text == close {
                depth -= 1;
            }
            nodes.push(self.phrase_word(text));
        }
        Ok(())
    }

    /// All words, and one at least, up to a comma or semicolon that is in no parentheses.
    fn expression(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        let (start, mut depth) = (self.at, 0_usize);
        while !self.is_over() {
            match self.peek() {
                "," | ";" if depth == 0 => break,
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => break,
                },
                _ => {}
            }
            let text = self.take();
            nodes.push(self.phrase_word(text));
        }
        match self.at > start {
            true => Ok(()),
            false => Err(Unexpected),
        }
    }

    fn enumeration(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        let keyword = self.take();
        let is_own = self.is_own();
        let name = self.name();
        let mut body = Vec::new();
        if self.peek() == "{" {
            match self.language {
                Language::Old => self.braces(&mut body)?,
                Language::Today => self.constants(&mut body)?,
            }
        }
        self.tagged(Kind::Enum, is_own, keyword, name, body, nodes)
    }

    /// The constants of an enumeration: each stands for the expression that it is given, or for the last
    /// such and how far it is from it.
    fn constants(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        nodes.push(plain(self.expect("{")?));
        let (mut last, mut count): (Vec<Node<'a>>, usize) = (Vec::new(), 0);
        while self.peek() != "}" {
            let name = self.name().ok_or(Unexpected)?;
            nodes.push(plain(name));
            self.trailers(nodes)?;
            let mut value = Vec::new();
            if self.peek() == "=" {
                nodes.push(plain(self.take()));
                self.expression(&mut value)?;
                nodes.extend_from_slice(&value);
                last.clone_from(&value);
                count = 0;
            } else if last.is_empty() {
                value.push(decimal(count));
            } else {
                value.push(plain("("));
                value.extend_from_slice(&last);
                value.extend([plain(")"), plain("+"), decimal(count)]);
            }
            count += 1;
            self.define(Space::Ordinary, name, value, Kind::Constant);
            if self.peek() == "," {
                nodes.push(plain(self.take()));
            } else if self.peek() != "}" {
                return Err(Unexpected);
            }
        }
        nodes.push(plain(self.take()));
        Ok(())
    }

    fn structure(&mut self, kind: Kind, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        let keyword = self.take();
        let mut attributes = Vec::new();
        self.trailers(&mut attributes)?;
        // A typedef's name may be a structure's too.
        let is_own = self.is_own();
        let name = self.name();
        let mut body = Vec::new();
        if self.peek() == "{" {
            body.push(plain(self.take()));
            self.deeper(|parser| parser.members(&mut body))?;
            body.push(plain(self.expect("}")?));
        }
        self.tagged(kind, is_own, keyword, name, body, nodes)
    }

    /// Whether the next word is in the file that is compiled. What is defined there nobody else can look into, and
    /// so is nobody else's to Linux's genksyms.
    fn is_own(&self) -> bool {
        let token = self.tokens.get(self.at);
        self.language == Language::Today && token.is_some_and(|token| token.is_own)
    }

    /// Notes what has a name, and a body; and what stands for it.
    fn tagged(
        &mut self,
        kind: Kind,
        is_own: bool,
        keyword: &'a str,
        name: Option<&'a str>,
        body: Vec<Node<'a>>,
        nodes: &mut Vec<Node<'a>>,
    ) -> Parsed<()> {
        match name {
            Some(text) => {
                if !body.is_empty() && !is_own {
                    let mut definition = vec![plain(keyword), plain(text)];
                    definition.extend(body);
                    self.define(kind.space(), text, definition, Kind::Plain);
                }
                nodes.push(Node { kind, text });
                Ok(())
            }
            None if body.is_empty() => Err(Unexpected),
            None => {
                nodes.push(plain(keyword));
                nodes.extend(body);
                Ok(())
            }
        }
    }

    fn members(&mut self, nodes: &mut Vec<Node<'a>>) -> Parsed<()> {
        while self.peek() != "}" {
            if self.is_over() {
                return Err(Unexpected);
            }
            let specifiers = self.specifiers()?;
            nodes.extend_from_slice(&specifiers.nodes);
            while self.peek() != ";" {
                self.declarator(nodes, Place::Named)?;
                if self.peek() == ":" {
                    nodes.push(plain(self.take()));
                    self.expression(nodes)?;
                }
                self.trailers(nodes)?;
                match self.peek() {
                    "," => nodes.push(plain(self.take())),
                    ";" => {}
                    _ => return Err(Unexpected),
                }
            }
            nodes.push(plain(self.take()));
        }
        Ok(())
    }
}

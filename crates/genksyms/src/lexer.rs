//! Words of preprocessed C.

/// A word, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: u32,
    /// In the file that is compiled, and not in one that it includes.
    pub(crate) is_own: bool,
}

impl Token<'_> {
    /// Whether it is a name or a keyword.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(is_letter) && !self.text.ends_with(['"', '\''])
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// The words of a source, without the lines that the preprocessor left.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    // What the preprocessor names first is what is compiled.
    let (mut compiled, mut is_own) = (None, false);
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            let end = rest.find('\n').unwrap_or(rest.len());
            if let Some((told, file)) = place(&rest[..end]) {
                line = told.saturating_sub(1);
                is_own = *compiled.get_or_insert(file) == file;
            }
            rest = &rest[end..];
            continue;
        }
        if first.is_whitespace() {
            line += u32::from(first == '\n');
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let length = length(rest).max(first.len_utf8());
        let (text, after) = rest.split_at(length);
        tokens.push(Token { text, line, is_own });
        line += text.matches('\n').count() as u32;
        rest = after;
    }
    tokens
}

/// The number and the file of `# NUMBER "FILE"`.
fn place(text: &str) -> Option<(u32, &str)> {
    let after = text.strip_prefix('#')?.trim_start();
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    let file = after[end..].trim_start().strip_prefix('"')?;
    let (file, _) = file.rsplit_once('"')?;
    Some((after[..end].parse().ok()?, file))
}

/// Bytes of the first word.
fn length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let string = match bytes {
        [b'L', b'"' | b'\'', ..] => quoted(&text[1..]).map(|length| length + 1),
        [b'"' | b'\'', ..] => quoted(text),
        _ => None,
    };
    if let Some(length) = string {
        return length;
    }
    match bytes {
        [first, ..] if is_letter(char::from(*first)) => text
            .find(|c: char| !is_letter(c) && !c.is_ascii_digit())
            .unwrap_or(text.len()),
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => number(text),
        [b'.', b'.', b'.', ..] => 3,
        [
            b'~' | b'%' | b'^' | b'&' | b'*' | b'+' | b'=' | b'|' | b'<' | b'>' | b'/' | b'-',
            b'=',
            ..,
        ]
        | [b'&', b'&', ..]
        | [b'|', b'|', ..]
        | [b'-', b'>', ..]
        | [b'<', b'<', ..]
        | [b'>', b'>', ..] => 2,
        _ => 1,
    }
}

/// Bytes of a string or a character; `None`: it has no end.
fn quoted(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == bytes[0] => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Bytes of a number: of a real one the longest, or else of an integer with one suffix.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize, hex: bool| {
        let is_digit = |byte: &u8| {
            if hex {
                byte.is_ascii_hexdigit()
            } else {
                byte.is_ascii_digit()
            }
        };
        bytes[from..]
            .iter()
            .take_while(|byte| is_digit(byte))
            .count()
    };
    let integer = match bytes {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => 2 + digits(2, true),
        _ => digits(0, false),
    };
    let is_hex = bytes.len() > 1 && matches!(bytes[1], b'x' | b'X');
    let mut real = None;
    if !is_hex {
        let fraction = match bytes.get(integer) {
            Some(b'.') => 1 + digits(integer + 1, false),
            _ => 0,
        };
        let mut end = integer + fraction;
        let exponent = match bytes.get(end) {
            Some(b'e' | b'E') => {
                let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                match bytes
                    .get(end + 1 + sign..)
                    .map_or(0, |_| digits(end + 1 + sign, false))
                {
                    0 => 0,
                    count => 1 + sign + count,
                }
            }
            _ => 0,
        };
        end += exponent;
        if fraction + exponent > 0 {
            let suffix = matches!(bytes.get(end), Some(b'f' | b'F' | b'l' | b'L'));
            real = Some(end + usize::from(suffix));
        }
    }
    real.unwrap_or_else(|| {
        let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
        let (u, l) = (&b"uU"[..], &b"lL"[..]);
        let two = is(integer, u) && is(integer + 1, l) || is(integer, l) && is(integer + 1, u);
        let one = is(integer, u) || is(integer, l);
        integer + if two { 2 } else { usize::from(one) }
    })
}

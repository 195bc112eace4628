//! The lines and words of modules.conf.

use super::Surroundings;
use std::collections::HashMap;
use std::process::Command;

/// The lines that say something, each with the number of its first. A `#` begins a comment
/// wherever it is; a line that ends in `\` goes on in the next, whose leading blanks become one;
/// `\\` at the end is a backslash.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (u32, String)> {
    let mut lines = text.lines().zip(1u32..);
    let bare = |line: &str| {
        let told = line.split('#').next().unwrap_or_default();
        told.trim_end().to_owned()
    };
    std::iter::from_fn(move || {
        loop {
            let (first, number) = lines.next()?;
            let mut whole = bare(first);
            loop {
                if whole.ends_with("\\\\") {
                    whole.pop();
                    break;
                }
                if !whole.ends_with('\\') {
                    break;
                }
                whole.pop();
                let Some((next, _)) = lines.next() else { break };
                let next = bare(next);
                if next.starts_with([' ', '\t']) {
                    whole.push(' ');
                }
                whole.push_str(next.trim_start());
            }
            let told = whole.trim();
            if !told.is_empty() {
                return Some((number, told.to_owned()));
            }
        }
    })
}

/// The first word of a line as it is written, and what comes after it.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = first_end(text);
    (&text[..end], text[end..].trim())
}

/// Where the first word ends: at a blank that is in no quotes.
fn first_end(text: &str) -> usize {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                chars.next();
            }
            ('\'' | '"' | '`', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

/// No word is longer when it is expanded: each variable may have another one several times.
const LONGEST: usize = 1 << 20;

/// Expands words.
pub(super) struct Expander<'a> {
    pub(super) around: &'a Surroundings,
    /// By `define`.
    pub(super) defined: HashMap<String, String>,
}

impl Expander<'_> {
    /// All words of a text, expanded.
    pub(super) fn words(&self, text: &str) -> Result<Vec<String>, String> {
        let mut words = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (word, after) = split(rest);
            words.extend(self.expand(word)?);
            rest = after;
        }
        Ok(words)
    }

    /// One word, expanded; of what becomes several the first, of nothing an empty one.
    pub(super) fn word(&self, word: &str) -> Result<String, String> {
        Ok(self.expand(word)?.into_iter().next().unwrap_or_default())
    }

    fn expand(&self, word: &str) -> Result<Vec<String>, String> {
        let word = word
            .replace("`uname -r`", &self.around.version)
            .replace("`kernelversion`", &self.around.kernel_version());
        if word.contains('`') || word.contains("$(") {
            return self.by_shell(&word);
        }
        let plain = self.unquoted(&word)?;
        if !plain.pattern {
            return Ok(vec![plain.text]);
        }
        let paths = glob::glob(&plain.text).map_err(|e| format!("'{}': {e}", plain.text))?;
        let found: Vec<String> = paths
            .flatten()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        match found.is_empty() {
            true => Ok(vec![plain.text]),
            false => Ok(found),
        }
    }

    /// What the shell makes of it.
    fn by_shell(&self, word: &str) -> Result<Vec<String>, String> {
        if !self.around.commands {
            return Err(format!("commands are not run here: {word}"));
        }
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("echo {word}"));
        let done = shell.envs(&self.defined).output();
        let done = done.map_err(|e| format!("cannot run /bin/sh for {word}: {e}"))?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr);
            return Err(format!("{word} failed ({}): {}", done.status, why.trim()));
        }
        let text = String::from_utf8_lossy(&done.stdout);
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// A word without its quotes, with the values of variables; one that is not set is empty.
    fn unquoted(&self, word: &str) -> Result<Unquoted, String> {
        let mut result = Unquoted::default();
        let mut quote = None;
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', None | Some('"')) => result.text.extend(chars.next()),
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('$', None | Some('"')) => {
                    let braced = chars.next_if_eq(&'{').is_some();
                    let mut name = String::new();
                    let part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
                    while let Some(c) = chars.next_if(part) {
                        name.push(c);
                    }
                    if braced {
                        chars.next_if_eq(&'}');
                    }
                    match name.is_empty() {
                        true => result.text.push('$'),
                        false => result.text += &self.variable(&name),
                    }
                }
                (c, _) => {
                    result.pattern |= quote.is_none() && "*?[".contains(c);
                    result.text.push(c);
                }
            }
            if result.text.len() > LONGEST {
                return Err(format!("a word is longer than {LONGEST} bytes"));
            }
        }
        Ok(result)
    }

    fn variable(&self, name: &str) -> String {
        let defined = self.defined.get(name).cloned();
        defined
            .or_else(|| std::env::var(name).ok())
            .unwrap_or_default()
    }
}

#[derive(Default)]
struct Unquoted {
    text: String,
    /// It has `*`, `?` or `[` outside quotes.
    pattern: bool,
}

//! The text that is written to a `control` file, as commands. Pure: bytes in, commands out.
//!
//! ```text
//! map [-f] [FILE]    unmap [FILE]    exit [FILE]
//! init [-k] [FILE] [param[=value] …]
//! ```
//!
//! `-f`, or `--force-modversion` or `--force-vermagic` alone: versions are not compared.
//! FILE can be left out when there is one. A module that others loaded has none: there, too, it is
//! left out, or is the module's name.
//!
//! One command per line; the last needs no newline, blank lines are passed over. Words are
//! separated by white space. A word, or the value after the first `=` of one, may stand in
//! double quotes, which are taken off and in which white space is kept (`name="a b"`, as on the
//! kernel's command line). Everything else is taken as it stands.

use modfs_core::{Command, Errno, Force, InitArgs, Refusal};

/// The longest write a `control` file takes, in bytes.
pub const MAX_WRITE: usize = 64 * 1024;

/// A command for a module, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What to do.
    pub command: Command,
    /// With which of the module's files; `None`: the only one.
    pub file: Option<String>,
    /// What is not to be looked at when it is mapped.
    pub force: Force,
    /// How to start it; empty for the other commands.
    pub args: InitArgs,
}

/// The lines of a write, without the blank ones and white space at either end.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

/// Splits a line into words.
///
/// # Errors
/// EINVAL: not UTF-8, a NUL, a quote that is not closed, or text right after a closing quote.
pub fn words(line: &[u8]) -> Result<Vec<String>, Refusal> {
    let invalid = |reason: &str| Refusal::new(Errno::EINVAL, reason);
    let text = str::from_utf8(line).map_err(|_| invalid("the line is not UTF-8"))?;
    if text.contains('\0') {
        return Err(invalid("the line contains a NUL"));
    }
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        let bare = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (unquoted, quoted) = match rest[..bare].split_once('=') {
            _ if rest.starts_with('"') => ("", &rest[1..]),
            Some((name, value)) if value.starts_with('"') => {
                (&rest[..=name.len()], &rest[name.len() + 2..])
            }
            _ => {
                word.push_str(&rest[..bare]);
                words.push(word);
                rest = rest[bare..].trim_start();
                continue;
            }
        };
        let (value, after) = quoted
            .split_once('"')
            .ok_or_else(|| invalid("a double quote is not closed"))?;
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(invalid("text follows a closing double quote"));
        }
        word.push_str(unquoted);
        word.push_str(value);
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// Parses one line for a module's `control`.
///
/// # Errors
/// EINVAL: what [`words`] refuses, no such command, or too many words for it.
pub fn parse(line: &[u8]) -> Result<Parsed, Refusal> {
    let mut words = words(line)?.into_iter().peekable();
    let word = words.next().unwrap_or_default();
    let command = Command::ALL
        .into_iter()
        .find(|c| c.word() == word)
        .ok_or_else(|| {
            let reason = format!("no command {word:?}: there are map, unmap, init and exit");
            Refusal::new(Errno::EINVAL, reason)
        })?;
    let (mut args, mut force) = (InitArgs::default(), Force::default());
    if command == Command::Map {
        let forces = |word: &str| Force::WORDS.iter().find(|(known, _)| *known == word);
        while let Some((_, more)) = words.peek().and_then(|word| forces(word)) {
            force.modversions |= more.modversions;
            force.vermagic |= more.vermagic;
            words.next();
        }
    }
    if command == Command::Init {
        args.autoclean = words.next_if(|w| w == "-k").is_some();
        let file = words.next_if(|w| !w.contains('='));
        args.parameters = words.collect();
        return Ok(Parsed {
            command,
            file,
            force,
            args,
        });
    }
    let file = words.next();
    match words.next() {
        None => Ok(Parsed {
            command,
            file,
            force,
            args,
        }),
        Some(extra) => Err(Refusal::new(
            Errno::EINVAL,
            format!("{command} takes one file; {extra:?} is too much"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }

    fn refused(line: &[u8]) -> Errno {
        parse(line).expect_err("must be refused").errno
    }

    #[test]
    fn commands() {
        let map = parsed("map hello.ko");
        assert_eq!(map.command, Command::Map);
        assert_eq!(map.file.as_deref(), Some("hello.ko"));
        assert_eq!(parsed("exit").file, None);
        assert_eq!(parsed("unmap\t \"a b\"").file.as_deref(), Some("a b"));
        assert_eq!(refused(b"map a b"), Errno::EINVAL);
    }

    #[test]
    fn init_arguments() {
        let init = parsed(r#"init -k hello.ko a=1 b="x y" c=a"b quiet d= e="""#);
        assert!(init.args.autoclean);
        assert_eq!(init.file.as_deref(), Some("hello.ko"));
        assert_eq!(
            init.args.parameters,
            ["a=1", "b=x y", "c=a\"b", "quiet", "d=", "e="]
        );
        let init = parsed("init debug=1 quiet");
        assert_eq!(init.file, None);
        assert_eq!(init.args.parameters, ["debug=1", "quiet"]);
    }

    /// The RFC's scan for the end of the word ran past the text when no white space ended it.
    #[test]
    fn row_10_command_without_whitespace() {
        assert_eq!(parsed("map").command, Command::Map);
        assert_eq!(parsed("map x").file.as_deref(), Some("x"));
        assert_eq!(refused(b"mapx"), Errno::EINVAL);
        assert_eq!(refused(b"map a\0b"), Errno::EINVAL);
        assert_eq!(refused(b""), Errno::EINVAL);
    }

    #[test]
    fn row_11_what_is_not_a_command_is_refused() {
        for bad in [
            &b"frob x"[..],
            b"MAP x",
            b"map \xff",
            b"map \"x",
            b"map \"x\"y",
            b"init a=\"b",
        ] {
            assert_eq!(refused(bad), Errno::EINVAL, "{bad:?}");
        }
    }

    #[test]
    fn lines_of_a_write() {
        let text = b"\n  map a \r\n\n\tinit a\nexit a";
        let all: Vec<_> = lines(text).collect();
        assert_eq!(all, [&b"map a"[..], b"init a", b"exit a"]);
    }

    #[test]
    fn never_panics() {
        let alphabet = b"map init-k=\"\\ \t\0\n\xc3\xa9\xff\xe2\x80\x83";
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            for line in lines(&text) {
                let _ = parse(line);
            }
        }
    }
}

//! Patterns as of fnmatch(3) without flags, of bytes.

/// Whether a pattern matches all of a name: `*` any bytes, `?` one, `[…]` one of a set, `\` takes
/// the next as it is.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on when what follows the last `*` does not match.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            (pattern, again) = (rest, Some((rest, name)));
            continue;
        }
        let step = match (pattern.is_empty(), name.split_first()) {
            (true, None) => return true,
            (true, Some(_)) => None,
            (false, None) => return false,
            (false, Some((byte, after))) => one(pattern, *byte).map(|rest| (rest, after)),
        };
        match (step, again) {
            (Some(next), _) => (pattern, name) = next,
            (None, Some((rest, [_, from @ ..]))) => {
                (pattern, name, again) = (rest, from, Some((rest, from)));
            }
            (None, _) => return false,
        }
    }
}

/// Matches one byte with the beginning of a pattern; returns the rest of it.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', set @ ..] => match in_set(set, byte) {
            Some((true, rest)) => Some(rest),
            Some((false, _)) => None,
            // Not ended: an ordinary bracket.
            None => (byte == b'[').then_some(set),
        },
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
        [] => None,
    }
}

/// Whether a byte is in a set, whose opening bracket has been read, and what comes after it;
/// `None` when it does not end.
fn in_set(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    let mut first = true;
    loop {
        let (low, after) = match rest {
            [b']', after @ ..] if !first => return Some((found != negated, after)),
            [b'\\', low, after @ ..] | [low, after @ ..] => (*low, after),
            [] => return None,
        };
        first = false;
        (found, rest) = match after {
            [b'-', high, after @ ..] if *high != b']' => {
                (found || (low..=*high).contains(&byte), after)
            }
            _ => (found || low == byte, after),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_fnmatch_has_it() {
        let yes = [
            ("", ""),
            ("*", ""),
            ("a*c", "abbbc"),
            ("a*b*c", "aXbYbZc"),
            ("?", "x"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]a]", "]"),
            ("[a-]", "-"),
            ("\\*", "*"),
            ("[", "["),
            ("a[", "a["),
            ("*:v*d[12]", "pci:v1d2"),
        ];
        for (pattern, name) in yes {
            assert!(
                matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
        let no = [
            ("", "a"),
            ("a", ""),
            ("a*c", "ab"),
            ("?", ""),
            ("[a-c]", "d"),
            ("[!a]", "a"),
            ("\\*", "x"),
            ("*a", "b"),
            ("a*", "ba"),
        ];
        for (pattern, name) in no {
            assert!(
                !matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
    }

    /// Many stars take no more than the product of the lengths.
    #[test]
    fn many_stars_end() {
        let pattern = b"a*".repeat(2_000);
        let name = [&b"a".repeat(20_000)[..], b"b"].concat();
        assert!(matches(&pattern, &name));
        let pattern = [&pattern[..], b"c"].concat();
        assert!(!matches(&pattern, &name));
    }
}

//! Names of modules, files and aliases.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The endings of module files.
const EXTENSIONS: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

/// The ending by which a file name is a module's, if it is.
pub fn extension(name: &OsStr) -> Option<&'static str> {
    let name = name.as_bytes();
    let ends = |end: &&str| name.len() > end.len() && name.ends_with(end.as_bytes());
    EXTENSIONS.into_iter().find(ends)
}

/// The name of the module in a file of this name: up to the first dot, `-` as `_`.
pub fn module_name(file: &OsStr) -> String {
    let name = file.as_bytes();
    let name = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    String::from_utf8_lossy(name).replace('-', "_")
}

/// An alias as it is looked up: `-` as `_` outside brackets. `None`: its brackets do not match.
pub fn normalize_alias(alias: &[u8]) -> Option<Vec<u8>> {
    let mut normal = Vec::with_capacity(alias.len());
    let mut bracket = false;
    for byte in alias {
        match byte {
            b'[' => bracket = true,
            b']' if !bracket => return None,
            b']' => bracket = false,
            _ => {}
        }
        normal.push(if *byte == b'-' && !bracket {
            b'_'
        } else {
            *byte
        });
    }
    (!bracket).then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            module_name(OsStr::new("snd-hda-intel.ko.xz")),
            "snd_hda_intel"
        );
        assert_eq!(extension(OsStr::new("a.ko.zst")), Some(".ko.zst"));
        assert_eq!(extension(OsStr::new("a.ko")), Some(".ko"));
        for other in [".ko", "a.ko.bz2", "ako", "a.o"] {
            assert_eq!(extension(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn aliases() {
        let normal = |alias: &str| normalize_alias(alias.as_bytes());
        assert_eq!(normal("a-b[c-d]-e").as_deref(), Some(&b"a_b[c-d]_e"[..]));
        assert_eq!(normal("a]"), None);
        assert_eq!(normal("a[b"), None);
    }
}

//! The symbols of a module or of the kernel, as text.
//!
//! Read, a line each: `ADDRESS CRC NAME [gpl]`, the address as `0x` and 16 digits (all 0 for
//! those who may not know it), the CRC as `0x` and 8 digits or `-` when unknown. Backslashes, white
//! space and control characters, which a damaged object may have in a name, are escaped.
//!
//! Written to a module's file, a line each: `add NAME ADDRESS [CRC]` or `del NAME`; numbers are
//! decimal or, after `0x`, hexadecimal. A name has no white space and no control characters. Lines
//! run in order up to the first that fails.

use crate::command::{lines, words};
use crate::module_dir::ModuleDir;
use crate::snapshot::Snapshot;
use crate::{Caller, Handle, MAX_WRITE, OpenMode};
use modfs_core::{Errno, Kernel, Refusal, SymbolLine};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

/// The lines of a `symbols` file.
pub(crate) fn text(symbols: &[SymbolLine], privileged: bool) -> String {
    let mut text = String::new();
    for symbol in symbols {
        let address = if privileged { symbol.address } else { 0 };
        let crc = match symbol.crc {
            Some(crc) => format!("{crc:#010x}"),
            None => "-".to_owned(),
        };
        let gpl = if symbol.gpl { " gpl" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{address:#018x} {crc} {}{gpl}",
            one_word(&symbol.name)
        );
    }
    text
}

fn breaks_word(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// `name` as one word, whatever is in it.
fn one_word(name: &str) -> Cow<'_, str> {
    if !name.contains(|c| breaks_word(c) || c == '\\') {
        return name.into();
    }
    let mut word = String::new();
    for c in name.chars() {
        match c {
            '\\' => word.push_str("\\\\"),
            c if breaks_word(c) => word.extend(c.escape_unicode()),
            c => word.push(c),
        }
    }
    word.into()
}

/// A module's `symbols`, open.
pub(crate) struct SymbolsHandle {
    dir: Arc<ModuleDir>,
    mode: OpenMode,
    text: Snapshot,
}

impl SymbolsHandle {
    pub(crate) fn new(dir: Arc<ModuleDir>, mode: OpenMode, text: String) -> SymbolsHandle {
        SymbolsHandle {
            dir,
            mode,
            text: Snapshot(text.into_bytes()),
        }
    }
}

impl Handle for SymbolsHandle {
    fn read(&self, caller: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        if !self.mode.read {
            return Err(Errno::EBADF);
        }
        self.text.read(caller, offset, size)
    }

    fn write(&self, caller: &Caller, _: u64, data: &[u8]) -> Result<usize, Errno> {
        if !self.mode.write {
            return Err(Errno::EBADF);
        }
        if !self.dir.shared.privileged(caller) {
            return Err(Errno::EPERM);
        }
        if data.len() > MAX_WRITE {
            return Err(Errno::E2BIG);
        }
        // A removed directory's name may be another module's by now.
        self.dir.lock().alive()?;
        for line in lines(data) {
            let kernel = &*self.dir.shared.kernel;
            edit(kernel, self.dir.name(), line).map_err(|refusal| refusal.errno)?;
        }
        Ok(data.len())
    }
}

fn edit(kernel: &dyn Kernel, module: &str, line: &[u8]) -> Result<(), Refusal> {
    let words = words(line)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, address, crc) = match words[..] {
        ["del", name] => return kernel.del_symbol(module, name),
        ["add", name, address] => (name, address, None),
        ["add", name, address, crc] => (name, address, Some(crc)),
        _ => return Err(Errno::EINVAL.into()),
    };
    if name.contains(breaks_word) {
        return Err(Errno::EINVAL.into());
    }
    let crc = crc.map(number).transpose()?;
    let symbol = SymbolLine {
        name: name.to_owned(),
        address: number(address)?,
        crc: match crc {
            Some(crc) => Some(u32::try_from(crc).map_err(|_| Errno::EINVAL)?),
            None => None,
        },
        gpl: false,
    };
    kernel.add_symbol(module, symbol)
}

fn number(text: &str) -> Result<u64, Errno> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // from_str_radix takes a sign, which is no digit.
    if digits.starts_with('+') {
        return Err(Errno::EINVAL);
    }
    u64::from_str_radix(digits, radix).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_symbols() {
        let symbols = [
            SymbolLine {
                name: "lib_add".into(),
                address: 0x7f00_1000,
                crc: Some(0xabc),
                gpl: true,
            },
            SymbolLine {
                name: "lib_sub".into(),
                address: 16,
                crc: None,
                gpl: false,
            },
        ];
        assert_eq!(
            text(&symbols, true),
            "0x000000007f001000 0x00000abc lib_add gpl\n0x0000000000000010 - lib_sub\n"
        );
        assert!(text(&symbols, false).starts_with("0x0000000000000000 0x00000abc lib_add"));
    }

    /// Found by fuzzing: a name with a blank in it was shown as two fields, one with a newline as
    /// two symbols.
    #[test]
    fn names_are_one_word() {
        let odd = SymbolLine {
            name: "a gpl\n0x1 - b\\\u{2028}".into(),
            address: 1,
            crc: None,
            gpl: false,
        };
        assert_eq!(
            text(&[odd], true),
            "0x0000000000000001 - a\\u{20}gpl\\u{a}0x1\\u{20}-\\u{20}b\\\\\\u{2028}\n"
        );
        let kernel = crate::double::Double::new();
        for bad in [
            "add \"a b\" 1",
            "add \"a gpl\" 1",
            "add a\u{1}b 1",
            "add \"a\u{2028}b\" 1",
        ] {
            let refusal = edit(&*kernel, "m", bad.as_bytes()).unwrap_err();
            assert_eq!(refusal.errno, Errno::EINVAL, "{bad:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number("0x10"), Ok(16));
        assert_eq!(number("10"), Ok(10));
        for bad in ["", "0x", "+1", "-1", "0x+1", "x", "99999999999999999999"] {
            assert_eq!(number(bad), Err(Errno::EINVAL), "{bad:?}");
        }
    }
}

//! What is written into each index.

use crate::deps::Deps;
use crate::facts::{Facts, Names};
use crate::index::{IndexError, Writer};
use crate::walk::Found;
use crate::{Level, Report, module_name, normalize_alias, order};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A module, with all that is known of it.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) found: Found,
    pub(crate) facts: Facts<Vec<u32>>,
    /// Not all that it says of itself is in the facts.
    pub(crate) odd: bool,
}

impl Module {
    fn path(&self) -> &[u8] {
        self.found.relative.as_os_str().as_bytes()
    }

    fn name(&self) -> &[u8] {
        self.found.name.as_bytes()
    }
}

/// All modules of a version directory, in the order in which they are listed.
#[derive(Debug)]
pub(crate) struct Modules {
    pub(crate) list: Vec<Module>,
    pub(crate) deps: Deps,
    pub(crate) names: Names,
    /// Every exported symbol's number and that of its module, in the order of kmod's table.
    pub(crate) symbols: Vec<(u32, u32)>,
}

impl Modules {
    /// `modules.dep`: a line for each module.
    pub(crate) fn dep(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for number in 0..self.list.len() as u32 {
            self.dep_line(number, &mut text);
            text.push(b'\n');
        }
        text
    }

    fn dep_line(&self, number: u32, text: &mut Vec<u8>) {
        text.extend_from_slice(self.list[number as usize].path());
        text.push(b':');
        for dep in self.deps.all(number) {
            text.push(b' ');
            text.extend_from_slice(self.list[dep as usize].path());
        }
    }

    /// Of the bytes of `modules.dep`.
    pub(crate) fn dep_bin(&self, text: &[u8], report: &dyn Report) -> Result<Vec<u8>, IndexError> {
        let mut index = Writer::new();
        for (number, (line, module)) in text.split(|b| *b == b'\n').zip(&self.list).enumerate() {
            if !index.add(&[module.name()], line, number as u32) {
                let text = format!(
                    "module {} is left out of the index: its name is longer than {} bytes or not ASCII",
                    module.found.name,
                    crate::index::KEY_MAX
                );
                report.report(Level::Warning, &text);
            }
        }
        index.finish()
    }

    /// `modules.alias`.
    pub(crate) fn alias(&self) -> Vec<u8> {
        let head = "# Aliases extracted from modules themselves.\n";
        self.lines(head, |module, line| {
            for alias in module.facts.aliases.iter() {
                line(&[b"alias ", alias, b" ", module.name()]);
            }
        })
    }

    /// `duplicates`: an alias that a module has twice is reported.
    pub(crate) fn alias_bin(
        &self,
        duplicates: bool,
        report: &dyn Report,
    ) -> Result<Vec<u8>, IndexError> {
        let mut index = Writer::new();
        for (number, module) in self.list.iter().enumerate() {
            let mut seen = HashSet::new();
            for alias in module.facts.aliases.iter() {
                if duplicates && !seen.insert(alias) {
                    let alias = String::from_utf8_lossy(alias);
                    let text = format!("duplicate module alias:\n{alias} {}", module.found.name);
                    report.report(Level::Warning, &text);
                }
                add_alias(&mut index, alias, module.name(), number as u32, report);
            }
        }
        index.finish()
    }

    /// `modules.softdep`.
    pub(crate) fn softdep(&self) -> Vec<u8> {
        let head = "# Soft dependencies extracted from modules themselves.\n";
        self.lines(head, |module, line| {
            for softdep in module.facts.softdeps.iter() {
                line(&[b"softdep ", module.name(), b" ", softdep]);
            }
        })
    }

    /// `modules.weakdep`.
    pub(crate) fn weakdep(&self) -> Vec<u8> {
        let head = "# Weak dependencies extracted from modules themselves.\n";
        self.lines(head, |module, line| {
            for weakdep in module.facts.weakdeps.iter() {
                line(&[b"weakdep ", module.name(), b" ", weakdep]);
            }
        })
    }

    /// `modules.symbols`.
    pub(crate) fn symbols(&self) -> Vec<u8> {
        let mut text = b"# Aliases for symbols, used by symbol_request().\n".to_vec();
        for (symbol, owner) in &self.symbols {
            let name = self.list[*owner as usize].name();
            for piece in [
                b"alias symbol:",
                self.names.name(*symbol),
                b" ",
                name,
                b"\n",
            ] {
                text.extend_from_slice(piece);
            }
        }
        text
    }

    pub(crate) fn symbols_bin(&self) -> Result<Vec<u8>, IndexError> {
        let mut index = Writer::new();
        for (symbol, owner) in &self.symbols {
            let name = self.list[*owner as usize].name();
            index.add(&[b"symbol:", self.names.name(*symbol)], name, *owner);
        }
        index.finish()
    }

    /// `modules.devname`: the device nodes that can be made before their modules are loaded.
    pub(crate) fn devname(&self, report: &dyn Report) -> Vec<u8> {
        let mut text = Vec::new();
        for module in &self.list {
            let mut name = None;
            let mut number = None;
            for alias in module.facts.aliases.iter() {
                if let Some(node) = alias.strip_prefix(b"devname:") {
                    name = Some(node);
                } else if let Some(found) = device_number(alias) {
                    number = Some(found);
                }
                if name.is_some() && number.is_some() {
                    break;
                }
            }
            let Some(name) = name else { continue };
            // Whoever makes the nodes would take it for something else.
            let is_odd = |b: &u8| b.is_ascii_whitespace() || b.is_ascii_control();
            if name.iter().any(is_odd) {
                let name = String::from_utf8_lossy(name).escape_debug().to_string();
                let module = &module.found.name;
                let text = format!("Module '{module}' has devname ({name}). Ignoring.");
                report.report(Level::Error, &text);
                continue;
            }
            let Some((kind, major, minor)) = number else {
                let text = format!(
                    "Module '{}' has devname ({}) but lacks major and minor information. Ignoring.",
                    module.found.name,
                    String::from_utf8_lossy(name)
                );
                report.report(Level::Error, &text);
                continue;
            };
            if text.is_empty() {
                text.extend_from_slice(b"# Device nodes to trigger on-demand module loading.\n");
            }
            for piece in [module.name(), b" ", name, b" "] {
                text.extend_from_slice(piece);
            }
            text.extend_from_slice(format!("{kind}{major}:{minor}\n").as_bytes());
        }
        text
    }

    fn lines(&self, head: &str, of: impl Fn(&Module, &mut dyn FnMut(&[&[u8]]))) -> Vec<u8> {
        let mut text = head.as_bytes().to_vec();
        for module in &self.list {
            of(module, &mut |pieces| {
                for piece in pieces {
                    text.extend_from_slice(piece);
                }
                text.push(b'\n');
            });
        }
        text
    }
}

/// `char-major-M-N` or `block-major-M-N`, as a letter and two numbers.
pub(crate) fn device_number(alias: &[u8]) -> Option<(char, u32, u32)> {
    let alias = std::str::from_utf8(alias).ok()?;
    let (kind, rest) = match alias.strip_prefix("char-major-") {
        Some(rest) => ('c', rest),
        None => ('b', alias.strip_prefix("block-major-")?),
    };
    let (major, minor) = rest.split_once('-')?;
    // As with sscanf(3), what follows the digits does not matter.
    let digits = minor
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(minor.len());
    Some((kind, major.parse().ok()?, minor[..digits].parse().ok()?))
}

fn add_alias<'a>(
    index: &mut Writer<'a>,
    alias: &[u8],
    name: &'a [u8],
    priority: u32,
    report: &dyn Report,
) {
    let shown = || String::from_utf8_lossy(alias).into_owned();
    match normalize_alias(alias) {
        None => report.report(Level::Warning, &format!("Unmatched bracket in {}", shown())),
        Some(normal) => {
            if !index.add(&[&normal], name, priority) {
                let text = format!(
                    "alias {} is left out of the index: it is longer than {} bytes or not ASCII",
                    shown(),
                    crate::index::KEY_MAX
                );
                report.report(Level::Warning, &text);
            }
        }
    }
}

/// `modules.builtin.bin`, of the lines of `modules.builtin`.
pub(crate) fn builtin_bin(builtin: &[u8]) -> Result<Vec<u8>, IndexError> {
    let mut index = Writer::new();
    for line in builtin
        .split(|byte| *byte == b'\n')
        .filter(|l| !l.is_empty())
    {
        let file = Path::new(OsStr::from_bytes(line)).file_name();
        index.add(&[module_name(file.unwrap_or_default()).as_bytes()], b"", 0);
    }
    index.finish()
}

/// `modules.builtin.alias.bin`, of `modules.builtin.modinfo`: strings `MODULE.TAG=VALUE`.
pub(crate) fn builtin_alias_bin(
    modinfo: &[u8],
    report: &dyn Report,
) -> Result<Vec<u8>, IndexError> {
    let mut index = Writer::new();
    for (tag, value) in modfs_object::modinfo(modinfo) {
        if let Some(name) = tag.strip_suffix(b".alias") {
            add_alias(&mut index, value, name, 0, report);
        }
    }
    index.finish()
}

/// Sorts symbols, each with its module, as kmod's table lists them.
pub(crate) fn sort_symbols(mut symbols: Vec<(u32, u32)>, names: &Names) -> Vec<(u32, u32)> {
    symbols.sort_by_cached_key(|(name, _)| order::key(names.name(*name), order::SYMBOLS));
    symbols
}

//! Who in the kernel exports what, as `/proc/kallsyms` shows it.

use crate::Linux;
use modfs_core::SymbolLine;
use modfs_object::ModuleFile;
use std::collections::HashMap;
use std::fs;

/// The exports of the kernel and of its modules at one time.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    /// Which module exports a symbol; empty: the kernel itself.
    owners: HashMap<String, String>,
    /// By owner, in the kernel's order.
    lines: HashMap<String, Vec<SymbolLine>>,
}

/// A line: address, type, name, and for a module's symbol its name.
struct Line<'a> {
    address: u64,
    is_global: bool,
    name: &'a str,
    owner: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Line<'a>> {
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let kind = words.next()?;
        let name = words.next()?;
        let owner = words.next().unwrap_or_default();
        Some(Line {
            address,
            is_global: kind.starts_with(|c: char| c.is_ascii_uppercase()),
            name,
            owner: owner.trim_start_matches('[').trim_end_matches(']'),
        })
    }
}

impl Exports {
    /// Reads them now; there are none where the kernel does not show its symbols.
    pub(crate) fn read(linux: &Linux) -> Exports {
        let text = fs::read(linux.kallsyms()).unwrap_or_default();
        Exports::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Exports {
        // An export has an entry `__ksymtab_NAME` in a table: that is where the entry is, not what
        // is exported.
        let mut exports: Vec<(Line<'_>, SymbolLine)> = Vec::new();
        let mut index = HashMap::new();
        let mut gpl = 0..0;
        for line in text.lines().filter(|line| line.contains("__ksymtab_")) {
            let Some(line) = Line::parse(line) else {
                continue;
            };
            match (line.name, line.name.strip_prefix("__ksymtab_")) {
                ("__start___ksymtab_gpl", _) => gpl.start = line.address,
                ("__stop___ksymtab_gpl", _) => gpl.end = line.address,
                (_, Some(name)) => {
                    let symbol = SymbolLine {
                        name: name.to_owned(),
                        address: 0,
                        crc: None,
                        gpl: false,
                    };
                    index.insert(name, exports.len());
                    exports.push((line, symbol));
                }
                _ => {}
            }
        }
        for line in text.lines().filter_map(Line::parse) {
            let Some((entry, symbol)) = index.get(line.name).and_then(|at| exports.get_mut(*at))
            else {
                continue;
            };
            // Of several that are called so, what is not global is not exported.
            if entry.owner == line.owner && (line.is_global || symbol.address == 0) {
                symbol.address = line.address;
            }
        }
        let mut all = Exports::default();
        for (entry, mut symbol) in exports {
            symbol.gpl = gpl.contains(&entry.address);
            let owner = entry.owner.to_owned();
            all.owners.insert(symbol.name.clone(), owner.clone());
            all.lines.entry(owner).or_default().push(symbol);
        }
        all
    }

    /// What a module exports, or for an empty name the kernel itself.
    pub(crate) fn of(&self, owner: &str) -> &[SymbolLine] {
        self.lines.get(owner).map_or(&[], Vec::as_slice)
    }

    /// The imports of a module that nobody exports. Without a table of exports nothing can be
    /// said, and none are missing.
    pub(crate) fn missing(&self, module: &ModuleFile<'_>) -> Vec<String> {
        if self.owners.is_empty() {
            return Vec::new();
        }
        let imports = module.imports().into_iter();
        imports
            .filter(|import| !import.weak)
            .map(|import| String::from_utf8_lossy(import.name).into_owned())
            .filter(|name| name != "module_layout" && !self.owners.contains_key(name))
            .collect()
    }

    /// The modules that export what a module imports.
    pub(crate) fn needed(&self, module: &ModuleFile<'_>) -> Vec<String> {
        let mut needed: Vec<String> = Vec::new();
        for import in module.imports() {
            let owner = str::from_utf8(import.name)
                .ok()
                .and_then(|name| self.owners.get(name));
            if let Some(owner) = owner.filter(|owner| !owner.is_empty() && !needed.contains(owner))
            {
                needed.push(owner.clone());
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T _stext
ffffffff81001000 t printk_x
ffffffff81002000 T _printk
ffffffff81002100 t only_gpl
ffffffff81003000 T only_gpl
ffffffff82000000 r __ksymtab__printk
ffffffff82000100 R __start___ksymtab_gpl
ffffffff82000100 r __ksymtab_only_gpl
ffffffff82000110 R __stop___ksymtab_gpl
ffffffffc0001000 T xor_blocks\t[xor]
ffffffffc0002000 r __ksymtab_xor_blocks\t[xor]
junk
ffffffffc0002000
";

    #[test]
    fn exports_of_the_kernel_and_of_modules() {
        let exports = Exports::parse(KALLSYMS);
        let shown = |owner| -> Vec<(String, u64, bool)> {
            let lines = exports.of(owner).iter();
            lines.map(|s| (s.name.clone(), s.address, s.gpl)).collect()
        };
        assert_eq!(
            shown(""),
            [
                ("_printk".to_owned(), 0xffff_ffff_8100_2000, false),
                ("only_gpl".to_owned(), 0xffff_ffff_8100_3000, true)
            ]
        );
        assert_eq!(
            shown("xor"),
            [("xor_blocks".to_owned(), 0xffff_ffff_c000_1000, false)]
        );
        assert_eq!(shown("nosuch"), []);
        assert_eq!(exports.owners["xor_blocks"], "xor");
    }

    #[test]
    fn who_may_not_know_addresses_sees_names() {
        let zero = "0000000000000000 r __ksymtab__printk\n0000000000000000 T _printk\n";
        let exports = Exports::parse(zero);
        assert_eq!(exports.of("")[0].address, 0);
        assert!(!exports.of("")[0].gpl);
    }
}

//! Lists of checksums, as Linux's Module.symvers.

use crate::BadLine;
use std::fmt::{self, Display};

/// A symbol, its checksum, and who exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The checksum; 0 when there is none.
    pub crc: u32,
    /// The symbol.
    pub symbol: String,
    /// Who exports it: a module's name, or `kernel`.
    pub module: String,
    /// Only for modules whose licence is compatible with the GPL.
    pub gpl: bool,
}

/// Such a list: a line each, `0xCRC<TAB>SYMBOL<TAB>MODULE<TAB>EXPORT_SYMBOL[_GPL]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(pub Vec<Version>);

impl Table {
    /// Reads one. A fifth field, a namespace, and what may follow is passed over.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Table, BadLine> {
        let mut versions = Vec::new();
        for (at, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let bad = |why| BadLine { line: at + 1, why };
            let mut fields = line.split('\t');
            let crc = fields.next().and_then(|field| field.strip_prefix("0x"));
            let crc = crc.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let crc = crc.ok_or(bad("no checksum, as 0x1234abcd, at its beginning"))?;
            let symbol = fields.next().filter(|field| !field.is_empty());
            let symbol = symbol.ok_or(bad("no symbol behind the checksum and a tab"))?;
            let module = fields.next().filter(|field| !name_of(field).is_empty());
            let module = module.ok_or(bad("no module behind the symbol and a tab"))?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.$/".contains(c);
            if !symbol.chars().all(is_plain) || !module.chars().all(is_plain) {
                return Err(bad("a symbol or module of which a character is in no name"));
            }
            versions.push(Version {
                crc,
                symbol: symbol.to_owned(),
                module: name_of(module),
                gpl: fields.next().is_some_and(|terms| terms.ends_with("_GPL")),
            });
        }
        Ok(Table(versions))
    }
}

/// The name of who exports: Linux's lists have a module's path, and call the kernel vmlinux.
fn name_of(module: &str) -> String {
    match module.rsplit('/').next().unwrap_or(module) {
        "vmlinux" => "kernel".to_owned(),
        name => name.replace('-', "_"),
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for version in &self.0 {
            let (crc, symbol, module) = (version.crc, &version.symbol, &version.module);
            let terms = if version.gpl { "_GPL" } else { "" };
            writeln!(f, "{crc:#010x}\t{symbol}\t{module}\tEXPORT_SYMBOL{terms}\t")?;
        }
        Ok(())
    }
}

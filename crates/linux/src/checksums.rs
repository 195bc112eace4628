//! Symbols whose checksums differ (CONFIG_MODVERSIONS): what a module was built against, and what there
//! is. The kernel names such a symbol in its log, and shows no checksum of its own.

use crate::Linux;
use modfs_depot::Reader;
use modfs_depot::config::Config;
use modfs_depot::probe::Depot;
use modfs_object::ModuleFile;
use std::fs;
use std::path::Path;

/// A line for each symbol that the kernel's log names.
pub(crate) fn differing(linux: &Linux, log: &[String], module: &ModuleFile<'_>) -> Vec<String> {
    let named = log.iter().filter_map(|line| {
        let (_, symbol) = line.split_once("disagrees about version of symbol ")?;
        symbol.split_whitespace().next()
    });
    let versions = module.versions();
    let line = |symbol: &str| {
        let built = versions.iter().find(|(name, _)| *name == symbol.as_bytes());
        let Some((_, built)) = built else {
            return format!("symbol {symbol}: the module has no checksum of it");
        };
        match there(linux, symbol) {
            Some((crc, place)) => format!(
                "symbol {symbol}: the module was built against {built:#010x}, {place} has {crc:#010x}"
            ),
            None => format!("symbol {symbol}: the module was built against {built:#010x}"),
        }
    };
    named.map(line).collect()
}

/// A symbol's checksum, of the module on disk that exports it, or else of the kernel's headers, where
/// those are installed; and where that is.
fn there(linux: &Linux, symbol: &str) -> Option<(u32, String)> {
    let depot = Depot::new(&linux.directory, Config::default());
    let mut reader = Reader::default();
    let answer = depot.find(&format!("symbol:{symbol}")).ok()?;
    let of_module = answer.modules.iter().find_map(|found| {
        let path = depot.path(&found.name).ok()??;
        let module = ModuleFile::parse(reader.read(&path).ok()?).ok()?;
        let exports = module.exports().into_iter();
        let mut crcs = exports.filter(|export| export.name == symbol.as_bytes());
        Some((crcs.next()?.crc?, format!("{} on disk", found.name)))
    });
    of_module.or_else(|| {
        let list = linux.directory.join("build/Module.symvers");
        Some((in_symvers(&list, symbol)?, "this kernel".to_owned()))
    })
}

/// A line is a checksum, a symbol, who exports it, and more, with tabs in between (Linux,
/// Documentation/kbuild/modules.rst).
fn in_symvers(list: &Path, symbol: &str) -> Option<u32> {
    let text = fs::read_to_string(list).ok()?;
    let mut lines = text.lines().map(|line| line.split('\t'));
    lines.find_map(|mut fields| {
        let crc = fields.next()?.strip_prefix("0x")?;
        (fields.next()? == symbol).then(|| u32::from_str_radix(crc, 16).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_symvers() {
        let dir = tempfile::tempdir().expect("a folder");
        let list = dir.path().join("Module.symvers");
        let text = "0xdeadbeef\tprintk_\tvmlinux\tEXPORT_SYMBOL\t\n0x0000002a\tprintk\tvmlinux\n\nodd\n0xz\tx\n";
        fs::write(&list, text).expect("write");
        assert_eq!(in_symvers(&list, "printk"), Some(42));
        assert_eq!(in_symvers(&list, "x"), None);
        assert_eq!(in_symvers(&list, "none"), None);
    }
}

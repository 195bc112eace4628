//! What the kernel itself exports, to check modules against.

use std::collections::HashMap;

/// The symbols of a kernel, each with its checksum where that is known.
#[derive(Clone, Debug, Default)]
pub struct KernelSymbols {
    symbols: HashMap<Vec<u8>, Option<u32>>,
}

impl KernelSymbols {
    /// Of a `System.map`: what has a symbol `__ksymtab_NAME`.
    pub fn of_system_map(text: &[u8]) -> KernelSymbols {
        let name = |line: &[u8]| {
            let name = line.split(|byte| *byte == b' ').nth(2)?;
            Some((name.strip_prefix(b"__ksymtab_")?.to_vec(), None))
        };
        KernelSymbols {
            symbols: lines(text).filter_map(name).collect(),
        }
    }

    /// Of a `Module.symvers`: `CRC SYMBOL vmlinux …`, parted by tabs.
    pub fn of_symvers(text: &[u8]) -> KernelSymbols {
        let symbol = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == b'\t');
            let (crc, name, place) = (fields.next()?, fields.next()?, fields.next()?);
            let crc = std::str::from_utf8(crc).ok()?.strip_prefix("0x")?;
            let crc = u32::from_str_radix(crc, 16).ok()?;
            (place == b"vmlinux").then(|| (name.to_vec(), Some(crc)))
        };
        KernelSymbols {
            symbols: lines(text).filter_map(symbol).collect(),
        }
    }

    /// Whether the kernel exports a symbol, and its checksum where that is known.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Option<u32>> {
        self.symbols.get(name).copied()
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_both_files() {
        let map = b"ffffffff81000000 T startup\nffffffff82000000 r __ksymtab_printk\nodd\n";
        let map = KernelSymbols::of_system_map(map);
        assert_eq!(
            (map.get(b"printk"), map.get(b"startup")),
            (Some(None), None)
        );
        let symvers = b"0x0000abcd\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
                        0x1\tother\tdrivers/x\tEXPORT_SYMBOL\nodd\n";
        let symvers = KernelSymbols::of_symvers(symvers);
        assert_eq!(symvers.get(b"printk"), Some(Some(0xabcd)));
        assert_eq!(symvers.get(b"other"), None);
    }
}

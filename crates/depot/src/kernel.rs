//! What the kernel itself exports, to check modules against.

use std::collections::HashMap;

/// The symbols of a kernel, each with its checksum where that is known.
#[derive(Clone, Debug, Default)]
pub struct KernelSymbols {
    symbols: HashMap<Vec<u8>, Option<u32>>,
}

impl KernelSymbols {
    /// Of a `System.map`: what has a symbol `__ksymtab_NAME`. `prefix`: with what every symbol
    /// begins on some machines.
    pub fn of_system_map(text: &[u8], prefix: Option<u8>) -> KernelSymbols {
        let name = |line: &[u8]| {
            let name = line.split(|byte| *byte == b' ').nth(2)?;
            let name = without(prefix, name);
            Some((name.strip_prefix(b"__ksymtab_")?.to_vec(), None))
        };
        KernelSymbols {
            symbols: lines(text).filter_map(name).collect(),
        }
    }

    /// Of a `Module.symvers`: `CRC SYMBOL vmlinux …`, parted by tabs. `prefix` as in a
    /// `System.map`.
    pub fn of_symvers(text: &[u8], prefix: Option<u8>) -> KernelSymbols {
        let symbol = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == b'\t');
            let (crc, name, place) = (fields.next()?, fields.next()?, fields.next()?);
            let crc = std::str::from_utf8(crc).ok()?.strip_prefix("0x")?;
            let crc = u32::from_str_radix(crc, 16).ok()?;
            (place == b"vmlinux").then(|| (without(prefix, name).to_vec(), Some(crc)))
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

/// A symbol's name without what all begin with on its machine.
pub(crate) fn without(prefix: Option<u8>, name: &[u8]) -> &[u8] {
    match name.split_first() {
        Some((first, rest)) if Some(*first) == prefix => rest,
        _ => name,
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
        let map = KernelSymbols::of_system_map(map, None);
        assert_eq!(
            (map.get(b"printk"), map.get(b"startup")),
            (Some(None), None)
        );
        let symvers = b"0x0000abcd\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
                        0x1\tother\tdrivers/x\tEXPORT_SYMBOL\nodd\n";
        let symvers = KernelSymbols::of_symvers(symvers, None);
        assert_eq!(symvers.get(b"printk"), Some(Some(0xabcd)));
        assert_eq!(symvers.get(b"other"), None);
    }

    #[test]
    fn a_prefix_is_no_part_of_a_name() {
        let map = b"0 r ___ksymtab_printk\n0 r __ksymtab__no\n";
        let map = KernelSymbols::of_system_map(map, Some(b'_'));
        assert_eq!((map.get(b"printk"), map.get(b"_no")), (Some(None), None));
        let symvers = b"0x1\t_printk\tvmlinux\tE\t\n0x2\tplain\tvmlinux\tE\t\n";
        let symvers = KernelSymbols::of_symvers(symvers, Some(b'_'));
        assert_eq!(symvers.get(b"printk"), Some(Some(1)));
        assert_eq!(symvers.get(b"plain"), Some(Some(2)));
    }
}

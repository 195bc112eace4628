//! `/proc/modules`.

use std::fs;
use std::io;
use std::path::Path;

/// A module that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Users of it that the kernel counts, modules among them; -1: it cannot be unloaded.
    pub uses: i64,
    /// The modules that use it.
    pub used_by: Vec<String>,
    /// The kernel's word: `Live`, `Loading`, `Unloading`.
    pub state: String,
    /// Where it is; 0: who asks may not know.
    pub address: u64,
}

impl Loaded {
    pub(crate) fn read(file: &Path) -> io::Result<Vec<Loaded>> {
        let shown = file.display();
        let text = fs::read_to_string(file);
        let text =
            text.map_err(|e| io::Error::new(e.kind(), format!("cannot read {shown}: {e}")))?;
        let line = |(number, line): (usize, &str)| {
            Loaded::parse(line).ok_or_else(|| {
                io::Error::other(format!("{shown} line {}: not a module: {line}", number + 1))
            })
        };
        text.lines().enumerate().map(line).collect()
    }

    /// A line: name, size, use count, users each with a comma after it or `-`, state, address.
    fn parse(line: &str) -> Option<Loaded> {
        let mut words = line.split(' ');
        let (name, size, uses) = (words.next()?, words.next()?, words.next()?);
        let users = words.next()?;
        Some(Loaded {
            name: name.to_owned(),
            size: size.parse().ok()?,
            // `-`: this kernel cannot unload modules, and does not count.
            uses: match uses {
                "-" => 0,
                count => count.parse().ok()?,
            },
            used_by: users
                .split(',')
                .filter(|user| !matches!(*user, "" | "-" | "[permanent]"))
                .map(str::to_owned)
                .collect(),
            state: words.next()?.to_owned(),
            address: words.next().map_or(0, |address| {
                let digits = address.trim_start_matches("0x");
                u64::from_str_radix(digits, 16).unwrap_or(0)
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_modules() {
        let line = "loop 36864 2 zram,[permanent], Live 0xffffffffc0a6e000 (OE)";
        let line = Loaded::parse(line).unwrap();
        assert_eq!(
            (line.name.as_str(), line.size, line.uses),
            ("loop", 36864, 2)
        );
        assert_eq!(line.address, 0xffff_ffff_c0a6_e000);
        assert_eq!(
            (line.used_by, line.state.as_str()),
            (vec!["zram".to_owned()], "Live")
        );
        let line = Loaded::parse("ext4 1040384 - - Unloading 0x0").unwrap();
        assert_eq!((line.uses, line.used_by.len()), (0, 0));
        for bad in ["", "ext4", "ext4 x 0 - Live 0x0", "ext4 1 0 -"] {
            assert_eq!(Loaded::parse(bad), None, "{bad}");
        }
    }
}

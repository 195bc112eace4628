//! The functions of a module: what an oops, a trace and a profiler call its addresses.
//!
//! Kept in as few bytes as will do, so that the object need not be kept for it.

use modfs_link::{Layout, PARTS, Part};
use modfs_object::{Bind, Object, Place};

/// Addresses, sizes and names, one after the other: 4 bytes each of the first two, since the arena
/// is below 4 GiB, and the name with a NUL.
#[derive(Debug, Default)]
pub(crate) struct Functions(Box<[u8]>);

/// Set in the size of a symbol that only its object sees. Of several names for a place it counts:
/// the alias `init_module` says less than the function's own name.
const LOCAL: u32 = 1 << 31;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function<'a> {
    address: u32,
    local: bool,
    size: u32,
    name: &'a str,
}

impl Functions {
    /// Those of a linked object.
    pub(crate) fn of(object: &Object<'_>, layout: &Layout, bases: &[u64; PARTS]) -> Functions {
        let functions = || {
            object.defined().filter_map(|(index, symbol)| {
                if !matches!(symbol.place, Place::Section(_)) || symbol.name.is_empty() {
                    return None;
                }
                match layout.symbol(object, index)? {
                    (part @ (Part::Text | Part::InitText), offset) => {
                        Some((symbol, bases[part as usize] + offset))
                    }
                    _ => None,
                }
            })
        };
        let size = functions().map(|(symbol, _)| symbol.name.len() + 9).sum();
        let mut bytes = Vec::with_capacity(size);
        for (symbol, address) in functions() {
            let local = if symbol.bind == Bind::Local { LOCAL } else { 0 };
            let size = u32::try_from(symbol.size).unwrap_or(0) & !LOCAL;
            bytes.extend_from_slice(&(address as u32).to_le_bytes());
            bytes.extend_from_slice(&(size | local).to_le_bytes());
            bytes.extend_from_slice(symbol.name.as_bytes());
            bytes.push(0);
        }
        Functions(bytes.into_boxed_slice())
    }

    fn iter(&self) -> impl Iterator<Item = Function<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (address, after) = rest.split_first_chunk::<4>()?;
            let (size, after) = after.split_first_chunk::<4>()?;
            let end = after.iter().position(|byte| *byte == 0)?;
            rest = &after[end + 1..];
            let size = u32::from_le_bytes(*size);
            Some(Function {
                address: u32::from_le_bytes(*address),
                local: size & LOCAL != 0,
                size: size & !LOCAL,
                name: std::str::from_utf8(&after[..end]).ok()?,
            })
        })
    }

    /// Address, size and name of each, for people to read.
    pub(crate) fn list(&self) -> Vec<(u64, u64, String)> {
        let mut list: Vec<Function<'_>> = self.iter().collect();
        list.sort_unstable();
        let line = |f: &Function<'_>| (f.address.into(), f.size.into(), readable(f.name));
        list.iter().map(line).collect()
    }

    /// Where in the module an address of its code is, as an oops shows it:
    /// `symbol+0x12/0x40`.
    pub(crate) fn place(&self, address: u64) -> Option<String> {
        let before = |f: &Function<'_>| u64::from(f.address) <= address;
        let function = self.iter().filter(before).max()?;
        let offset = address - u64::from(function.address);
        Some(format!(
            "{}+{offset:#x}/{:#x}",
            readable(function.name),
            function.size
        ))
    }
}

/// A name without the hash that rustc ends its names with.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(list: &[(u32, u32, &str)]) -> Functions {
        let mut bytes = Vec::new();
        for (address, size, name) in list {
            bytes.extend_from_slice(&address.to_le_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        Functions(bytes.into_boxed_slice())
    }

    #[test]
    fn the_nearest_before_and_of_two_the_local_one() {
        let functions = functions(&[
            (0x2000, 0x10, "later"),
            (0x1000, 0x20, "init_module"),
            (0x1000, 0x20 | LOCAL, "hello_init"),
        ]);
        assert_eq!(
            functions.place(0x1004).as_deref(),
            Some("hello_init+0x4/0x20")
        );
        assert_eq!(functions.place(0x2000).as_deref(), Some("later+0x0/0x10"));
        assert_eq!(functions.place(0xfff), None);
        assert_eq!(functions.list().len(), 3);
        assert_eq!(Functions::default().place(1), None);
    }
}

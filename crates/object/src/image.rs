//! Linked images: what a loader outside of the kernel has linked, with 2.4's `struct module` at the head of
//! one of its files (linux-2.4, include/linux/module.h, x86_64).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// `sizeof(struct module)`.
pub const HEADER: usize = 184;
/// The offset of its first member that a header need not have.
const REQUIRED: u64 = 112;
/// A header may be so much longer than those that are known.
const NEWER: u64 = 16 * 8;
/// `sizeof(struct module_symbol)`: value, name.
pub const SYMBOL: u64 = 16;
/// `sizeof(struct module_ref)`: dep, ref, next_ref.
pub const REF: u64 = 24;
/// `sizeof(struct exception_table_entry)`.
const EXCEPTION: u64 = 16;

/// No name is longer: 2.4's insmod makes some of the paths of files.
const LONGEST: usize = 8192;

/// `MOD_AUTOCLEAN`: the one flag that a header may have.
pub const AUTOCLEAN: u64 = 4;
/// What a name in the symbols begins with that is only for modules with a GPL-compatible licence.
pub const GPLONLY: &str = "GPLONLY_";

/// Offsets of the members that the kernel changes.
pub mod offset {
    /// `next`.
    pub const NEXT: u64 = 8;
    /// `uc.usecount`, an int.
    pub const USECOUNT: u64 = 32;
    /// `flags`.
    pub const FLAGS: u64 = 40;
    /// `refs`.
    pub const REFS: u64 = 72;
}

/// `struct module`, as a loader fills it in. Pointers are addresses in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "2.4's names")]
pub struct Header {
    pub size_of_struct: u64,
    pub name: u64,
    pub size: u64,
    pub flags: u64,
    pub nsyms: u32,
    pub ndeps: u32,
    pub syms: u64,
    pub deps: u64,
    pub init: u64,
    pub cleanup: u64,
    pub ex_table_start: u64,
    pub ex_table_end: u64,
    pub can_unload: u64,
    pub kallsyms_start: u64,
    pub kallsyms_end: u64,
    pub archdata_start: u64,
    pub archdata_end: u64,
    pub kernel_data: u64,
}

impl Header {
    /// The structure's bytes; what the kernel keeps in it is 0.
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = |at: usize, value: u64| {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        };
        put(0, self.size_of_struct);
        put(16, self.name);
        put(24, self.size);
        put(40, self.flags);
        put(48, u64::from(self.nsyms) | u64::from(self.ndeps) << 32);
        put(56, self.syms);
        put(64, self.deps);
        put(80, self.init);
        put(88, self.cleanup);
        put(96, self.ex_table_start);
        put(104, self.ex_table_end);
        put(128, self.can_unload);
        put(144, self.kallsyms_start);
        put(152, self.kallsyms_end);
        put(160, self.archdata_start);
        put(168, self.archdata_end);
        put(176, self.kernel_data);
        bytes
    }

    /// Whether this can be the first word of one.
    pub fn may_be(word: u64) -> bool {
        (REQUIRED..=HEADER as u64 + NEWER).contains(&word)
    }

    /// How long the header is whose first word is this.
    ///
    /// # Errors
    /// It is no header.
    pub fn length(first: &[u8; 8]) -> Result<usize, ImageError> {
        let size = u64::from_le_bytes(*first);
        let length = usize::try_from(size).ok().filter(|_| Header::may_be(size));
        length.ok_or(ImageError::HeaderSize(size))
    }

    /// The structure at the head of a file. What `size_of_struct` says is not there is 0.
    ///
    /// # Errors
    /// It is no such header.
    pub fn read(file: &[u8]) -> Result<Header, ImageError> {
        let length = Header::length(file.first_chunk().unwrap_or(&[0; 8]))?;
        let size_of_struct = length as u64;
        // Its own length, so in the file, or the file is too short.
        let there = file.get(..length);
        let there = there.ok_or(ImageError::HeaderSize(size_of_struct))?;
        let word = |at: usize| {
            let bytes = there
                .get(at..at + 8)
                .and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        let counts = word(48);
        Ok(Header {
            size_of_struct,
            name: word(16),
            size: word(24),
            flags: word(40),
            nsyms: counts as u32,
            ndeps: (counts >> 32) as u32,
            syms: word(56),
            deps: word(64),
            init: word(80),
            cleanup: word(88),
            ex_table_start: word(96),
            ex_table_end: word(104),
            can_unload: word(128),
            kallsyms_start: word(144),
            kallsyms_end: word(152),
            archdata_start: word(160),
            archdata_end: word(168),
            kernel_data: word(176),
        })
    }
}

impl Header {
    /// Checks all that can be checked without the rest of the module, in 2.4's order but for the name.
    /// `head` is the file that it is at the head of, `others` are the module's other files.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn check(&self, head: Extent, others: &[Extent]) -> Result<(), ImageError> {
        if self.size > head.size || self.size < self.size_of_struct {
            return Err(ImageError::Size(self.size, head.size));
        }
        // Not the header, and not beyond what it says to be the module.
        let body = Extent {
            address: head.address.wrapping_add(self.size_of_struct),
            size: self.size - self.size_of_struct,
        };
        let has = |address: u64, length: u64| {
            [body]
                .iter()
                .chain(others)
                .any(|extent| extent.has(address, length))
        };
        let bounds = |address: u64, length: u64, what| match has(address, length) {
            true => Ok(()),
            false => Err(ImageError::Bounds(what)),
        };
        let table = |address: u64, entries: u32, entry: u64, what| match entries {
            0 => Ok(()),
            entries => bounds(address, u64::from(entries) * entry, what),
        };
        let function = |address: u64, what| match address {
            0 => Ok(()),
            address => bounds(address, 1, what),
        };
        let range = |start: u64, end: u64, what| {
            let length = end.checked_sub(start).ok_or(ImageError::Range(what))?;
            match end {
                0 => Ok(()),
                _ => bounds(start, length, what),
            }
        };
        bounds(self.name, 1, "name")?;
        table(self.syms, self.nsyms, SYMBOL, "syms")?;
        table(self.deps, self.ndeps, REF, "deps")?;
        function(self.init, "init")?;
        function(self.cleanup, "cleanup")?;
        let (start, end) = (self.ex_table_start, self.ex_table_end);
        let length = end
            .checked_sub(start)
            .ok_or(ImageError::Range("ex_table"))?;
        // Strictly before the end, and only looked at when it begins somewhere.
        if start != 0 {
            bounds(start, length + 1, "ex_table")?;
        }
        if length % EXCEPTION != 0 {
            return Err(ImageError::Range("ex_table"));
        }
        if self.flags & !AUTOCLEAN != 0 {
            return Err(ImageError::Flags(self.flags));
        }
        function(self.can_unload, "can_unload")?;
        range(self.kallsyms_start, self.kallsyms_end, "kallsyms")?;
        range(self.archdata_start, self.archdata_end, "archdata")?;
        match self.kernel_data {
            0 => Ok(()),
            _ => Err(ImageError::KernelData),
        }
    }
}

/// Why an image is not taken: EINVAL, as in 2.4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is no header of 2.4, or the file is shorter than it.
    #[error(
        "invalid module header size {0}: it has from 112 to 312 bytes, at the head of the file"
    )]
    HeaderSize(u64),
    /// The header says less than itself, or more than was created.
    #[error("header: size is {0}; it has to be from the header's own to the file's, {1}")]
    Size(u64, u64),
    /// Something points out of the module.
    #[error("header: {0} is not within the module")]
    Bounds(&'static str),
    /// A range ends before it begins, or is no whole number of entries.
    #[error("header: {0} is not a range of entries")]
    Range(&'static str),
    /// Flags that only the kernel sets.
    #[error("header: flags are {0:#x}; only MOD_AUTOCLEAN (4) can be given")]
    Flags(u64),
    /// What only the kernel sets.
    #[error("header: kernel_data is not 0")]
    KernelData,
    /// It is of another name.
    #[error("changed module name to `{0}' from `{1}'")]
    Name(String, String),
    /// Names that would take far more room than the module has.
    #[error("header: the names of symbols overlap, to more than the module's size")]
    Overlap,
    /// A string without an end, or that is no text.
    #[error("header: {0} is not a string within the module")]
    Text(&'static str),
}

/// A file of a module, and where it is in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Where it is.
    pub address: u64,
    /// What is there.
    pub bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    fn get(&self, address: u64, length: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.bytes.get(start..end)
    }
}

/// Where a file of a module is in the kernel, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it is.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

impl Extent {
    fn has(self, address: u64, length: u64) -> bool {
        let at = address.checked_sub(self.address);
        let end = at.and_then(|at| at.checked_add(length));
        end.is_some_and(|end| end <= self.size)
    }
}

/// A module as its image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The header.
    pub header: Header,
    /// The addresses of the headers of the modules that it uses.
    pub deps: Vec<u64>,
    /// The symbols that it exports, with `GPLONLY_` before their names where that is so.
    pub symbols: Vec<(&'a str, u64)>,
}

impl<'a> Image<'a> {
    /// Reads an image, and checks all that it says (linux-2.4, kernel/module.c, sys_init_module) and what
    /// 2.4 did not: each symbol.
    ///
    /// `pieces` are the module's files, the first the one with the header; `name` is the module's.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn read(pieces: &[Piece<'a>], name: &str) -> Result<Image<'a>, ImageError> {
        let Some((head, others)) = pieces.split_first() else {
            return Err(ImageError::HeaderSize(0));
        };
        let header = Header::read(head.bytes)?;
        let extent = |piece: &Piece<'_>| Extent {
            address: piece.address,
            size: piece.bytes.len() as u64,
        };
        let extents: Vec<Extent> = others.iter().map(extent).collect();
        header.check(extent(head), &extents)?;
        let body = [Piece {
            address: head.address + header.size_of_struct,
            bytes: &head.bytes[header.size_of_struct as usize..header.size as usize],
        }];
        let parts = || body.iter().chain(others);
        let get = |address: u64, length: u64| {
            let found = parts().find_map(|piece| piece.get(address, length));
            found.unwrap_or_default()
        };
        let text = |address: u64, what: &'static str| {
            let after = parts().find_map(|piece| {
                let start = usize::try_from(address.checked_sub(piece.address)?).ok()?;
                piece.bytes.get(start..)
            });
            let after: &'a [u8] = after.ok_or(ImageError::Bounds(what))?;
            let after = &after[..after.len().min(LONGEST)];
            let end = after.iter().position(|byte| *byte == 0);
            let text = end.and_then(|end| str::from_utf8(&after[..end]).ok());
            text.ok_or(ImageError::Text(what))
        };
        let own = text(header.name, "name")?;
        if own != name {
            return Err(ImageError::Name(own.to_string(), name.to_string()));
        }
        let word = |bytes: &[u8]| {
            bytes
                .first_chunk()
                .map_or(0, |word| u64::from_le_bytes(*word))
        };
        // One may be that of the end of something, and the header itself has a symbol.
        let inside = |value: u64| {
            pieces.iter().any(|piece| {
                let at = value.checked_sub(piece.address);
                at.is_some_and(|at| at <= piece.bytes.len() as u64)
            })
        };
        let syms = get(header.syms, u64::from(header.nsyms) * SYMBOL);
        let mut symbols = Vec::with_capacity(syms.len() / SYMBOL as usize);
        // They may share bytes, but who keeps them must not need much more memory than the module.
        let mut room = 2 * pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>();
        for entry in syms.chunks_exact(SYMBOL as usize) {
            let value = word(entry);
            if !inside(value) {
                return Err(ImageError::Bounds("the value of a symbol"));
            }
            let name = text(word(&entry[8..]), "the name of a symbol")?;
            room = room.checked_sub(name.len()).ok_or(ImageError::Overlap)?;
            symbols.push((name, value));
        }
        let refs = get(header.deps, u64::from(header.ndeps) * REF);
        Ok(Image {
            header,
            deps: refs.chunks_exact(REF as usize).map(word).collect(),
            symbols,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x1000_0000;

    /// A module of one file: header, name, a symbol, its name, a dependency, code.
    fn image(change: impl FnOnce(&mut Header)) -> Vec<u8> {
        let body = AT + HEADER as u64;
        let mut header = Header {
            size_of_struct: HEADER as u64,
            name: body,
            size: HEADER as u64 + 96,
            nsyms: 1,
            syms: body + 8,
            ndeps: 1,
            deps: body + 32,
            init: body + 64,
            cleanup: body + 72,
            ..Header::default()
        };
        change(&mut header);
        let mut bytes = header.to_bytes().to_vec();
        bytes.resize(HEADER + 96, 0);
        let mut put = |at: usize, part: &[u8]| {
            bytes[HEADER + at..HEADER + at + part.len()].copy_from_slice(part);
        };
        put(0, b"t1\0");
        put(8, &(body + 64).to_le_bytes());
        put(16, &(body + 24).to_le_bytes());
        put(24, b"func\0");
        put(32, &0x2000_u64.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
        Image::read(&[Piece { address: AT, bytes }], "t1")
    }

    fn refused(change: impl FnOnce(&mut Header)) -> ImageError {
        let bytes = image(change);
        read(&bytes).expect_err("must be refused")
    }

    #[test]
    fn an_image_is_read() {
        let bytes = image(|_| ());
        let image = read(&bytes).unwrap();
        assert_eq!(image.symbols, [("func", AT + HEADER as u64 + 64)]);
        assert_eq!(image.deps, [0x2000]);
        assert_eq!(Header::read(&bytes), Ok(image.header));
    }

    #[test]
    fn each_field_is_checked() {
        let end = AT + HEADER as u64 + 96;
        assert_eq!(
            refused(|h| h.size_of_struct = 104),
            ImageError::HeaderSize(104)
        );
        assert_eq!(
            refused(|h| h.size_of_struct = 320),
            ImageError::HeaderSize(320)
        );
        assert_eq!(refused(|h| h.size += 1), ImageError::Size(281, 280));
        assert_eq!(refused(|h| h.size = 8), ImageError::Size(8, 280));
        assert_eq!(refused(|h| h.name = AT), ImageError::Bounds("name"));
        assert_eq!(
            refused(|h| h.name += 1),
            ImageError::Name("1".into(), "t1".into())
        );
        for (change, what) in [
            (
                &(|h: &mut Header| h.syms = end - 8) as &dyn Fn(&mut Header),
                "syms",
            ),
            (&|h| h.nsyms = u32::MAX, "syms"),
            (&|h| h.deps = u64::MAX - 7, "deps"),
            (&|h| h.ndeps = 5, "deps"),
            (&|h| h.init = AT + 8, "init"),
            (&|h| h.cleanup = end, "cleanup"),
            (&|h| h.can_unload = 1, "can_unload"),
            (
                &|h| (h.kallsyms_start, h.kallsyms_end) = (end, end + 1),
                "kallsyms",
            ),
            (
                &|h| (h.archdata_start, h.archdata_end) = (AT, end),
                "archdata",
            ),
        ] {
            assert_eq!(refused(change), ImageError::Bounds(what), "{what}");
        }
        let range = |start, end| refused(|h| (h.ex_table_start, h.ex_table_end) = (start, end));
        assert_eq!(range(end, end - 16), ImageError::Range("ex_table"));
        assert_eq!(range(end - 32, end - 17), ImageError::Range("ex_table"));
        // It ends before the module does.
        assert_eq!(range(end - 16, end), ImageError::Bounds("ex_table"));
        assert_eq!(range(AT, AT + 16), ImageError::Bounds("ex_table"));
        assert_eq!(refused(|h| h.flags = 1), ImageError::Flags(1));
        assert_eq!(refused(|h| h.kernel_data = 1), ImageError::KernelData);
        // What a shorter header does not have is not looked at.
        let bytes = image(|h| {
            h.size_of_struct = 112;
            h.kernel_data = 1;
        });
        assert!(read(&bytes).is_ok());
    }

    #[test]
    fn symbols_are_checked() {
        let mut bytes = image(|_| ());
        bytes[HEADER + 16..HEADER + 24].copy_from_slice(&(AT + 8).to_le_bytes());
        assert_eq!(
            read(&bytes),
            Err(ImageError::Bounds("the name of a symbol"))
        );
        let mut bytes = image(|_| ());
        bytes[HEADER + 8..HEADER + 16].copy_from_slice(&8_u64.to_le_bytes());
        assert_eq!(
            read(&bytes),
            Err(ImageError::Bounds("the value of a symbol"))
        );
        // A name without an end.
        let mut bytes = image(|h| h.name = AT + HEADER as u64 + 90);
        bytes[HEADER + 90..].fill(b'x');
        assert_eq!(read(&bytes), Err(ImageError::Text("name")));
    }

    /// A file of megabytes could name gigabytes.
    #[test]
    fn names_do_not_add_up_to_more_than_there_is() {
        let (symbols, length) = (1000, 4000);
        let body = AT + HEADER as u64;
        let strings = body + 8 + symbols * SYMBOL;
        let header = Header {
            size_of_struct: HEADER as u64,
            name: body,
            size: HEADER as u64 + 8 + symbols * SYMBOL + length + 1,
            nsyms: symbols as u32,
            syms: body + 8,
            ..Header::default()
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend_from_slice(b"t1\0\0\0\0\0\0");
        for _ in 0..symbols {
            bytes.extend_from_slice(&body.to_le_bytes());
            bytes.extend_from_slice(&strings.to_le_bytes());
        }
        bytes.resize(bytes.len() + length as usize, b'x');
        bytes.push(0);
        assert_eq!(read(&bytes), Err(ImageError::Overlap));
    }

    #[test]
    fn files_of_a_module_are_one() {
        let code = [0xc3; 16];
        let bytes = image(|h| h.init = 0x5000);
        let head = Piece {
            address: AT,
            bytes: &bytes,
        };
        let text = Piece {
            address: 0x5000,
            bytes: &code,
        };
        assert_eq!(read(&bytes), Err(ImageError::Bounds("init")));
        assert!(Image::read(&[head, text], "t1").is_ok());
        assert!(Image::read(&[], "t1").is_err());
    }
}

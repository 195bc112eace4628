//! What there is to build against: who exports which symbol, of which checksum and types.

use crate::carried::{Carried, SECTION};
use crate::{BadLine, Checksums, Symtypes, Table, Version};
use modfs_object::ModuleFile;
use std::io;
use std::path::{Path, PathBuf};

/// Who exports what: modules, a kernel.
#[derive(Clone, Debug, Default)]
pub struct Interfaces(Vec<Interface>);

#[derive(Clone, Debug)]
struct Interface {
    /// Sorted by symbol, each with whether the types are those that its checksum is of.
    versions: Vec<(Version, bool)>,
    types: Symtypes,
}

/// Why it cannot be built against a file.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// It cannot be read.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    /// It is packed.
    #[error("{}: it is packed: unpack it first (gzip -d, xz -d, zstd -d)", .0.display())]
    Packed(PathBuf),
    /// It is no module file.
    #[error("{}: {}", .0.display(), .1)]
    Module(PathBuf, #[source] modfs_object::Error),
    /// A line is none of such a file.
    #[error("{}: {}; it is to be a module, or what modfs symvers has written", .0.display(), .1)]
    Line(PathBuf, #[source] BadLine),
    /// Its types cannot be told.
    #[error("{}: {}", .0.display(), .1)]
    Types(PathBuf, #[source] crate::Error),
}

/// What one file exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Each symbol that has a checksum.
    pub table: Table,
    /// Their types, as far as they are known.
    pub types: Symtypes,
    /// The symbols whose declarations the file does not tell: they have no checksum.
    pub unknown: Vec<String>,
}

impl Exported {
    /// What a module file, or an object with DWARF, exports. What it carries itself counts before its DWARF.
    ///
    /// # Errors
    /// [`InterfaceError`]; `path` is the file, from which a name is taken when it says none itself.
    pub fn of_module(bytes: &[u8], path: &Path) -> Result<Exported, InterfaceError> {
        let module = |error| InterfaceError::Module(path.to_owned(), error);
        let file = ModuleFile::parse(bytes).map_err(module)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let named = file.modinfo().find(|(tag, _)| *tag == b"name");
        let name = named.map_or_else(|| stem(path), |(_, value)| text(value));
        let terms = file.export_terms();
        let names: Vec<String> = terms.iter().map(|export| text(export.name)).collect();
        let types = match file.section(SECTION) {
            Some(carried) => {
                let carried = Carried::parse(&text(carried));
                let line = |bad| InterfaceError::Line(path.to_owned(), bad);
                carried.map_err(line)?.exports
            }
            None => match crate::read(bytes, names.iter().map(String::as_str)) {
                Ok(types) => types,
                // Of what has its checksums the types are not needed.
                Err(_) if terms.iter().all(|export| export.crc.is_some()) => Symtypes::default(),
                Err(error) => return Err(InterfaceError::Types(path.to_owned(), error)),
            },
        };
        let (mut versions, mut unknown) = (Vec::new(), Vec::new());
        let mut sums = Checksums::new(&types);
        for (export, symbol) in terms.iter().zip(names) {
            match export.crc.or_else(|| sums.of(&symbol)) {
                Some(crc) => versions.push(Version {
                    crc,
                    symbol,
                    module: name.clone(),
                    gpl: export.gpl,
                }),
                None => unknown.push(symbol),
            }
        }
        // The order of an object's symbols is its linker's.
        versions.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        Ok(Exported {
            table: Table(versions),
            types,
            unknown,
        })
    }

    /// What is exported under these declarations, by the one who is called `name`.
    pub fn of_types(name: &str, types: Symtypes) -> Exported {
        let mut sums = Checksums::new(&types);
        let version = |symbol: &str| Version {
            crc: sums.of(symbol).unwrap_or(0),
            symbol: symbol.to_owned(),
            module: name.to_owned(),
            gpl: false,
        };
        Exported {
            table: Table(types.symbols().map(version).collect()),
            types,
            unknown: Vec::new(),
        }
    }

    /// What a file says is exported: a module, an object with DWARF, or a list, whose types are in a file of the same
    /// name with `.symtypes` if they are anywhere.
    ///
    /// # Errors
    /// [`InterfaceError`].
    pub fn read(path: &Path) -> Result<Exported, InterfaceError> {
        let file = |path: &Path| {
            std::fs::read(path).map_err(|error| InterfaceError::File(path.to_owned(), error))
        };
        let bytes = file(path)?;
        if bytes.starts_with(b"\x7fELF") {
            return Exported::of_module(&bytes, path);
        }
        // gzip, xz, zstd.
        let packed: [&[u8]; 3] = [b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
        if packed.iter().any(|magic| bytes.starts_with(magic)) {
            return Err(InterfaceError::Packed(path.to_owned()));
        }
        let lines = |path: &Path, bad| InterfaceError::Line(path.to_owned(), bad);
        let table = Table::parse(&String::from_utf8_lossy(&bytes));
        let mut found = Exported {
            table: table.map_err(|bad| lines(path, bad))?,
            ..Exported::default()
        };
        let beside = path.with_extension("symtypes");
        if beside != path && beside.exists() {
            let types = Symtypes::parse(&String::from_utf8_lossy(&file(&beside)?));
            found.types = types.map_err(|bad| lines(&beside, bad))?;
        }
        Ok(found)
    }
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

impl Interfaces {
    /// Adds what one exports. What is added later counts first.
    pub fn add(&mut self, exported: Exported) {
        let mut versions = exported.table.0;
        versions.retain(|version| version.crc != 0);
        // Of two lines for one symbol the first counts.
        versions.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        versions.dedup_by(|later, first| later.symbol == first.symbol);
        let mut sums = Checksums::new(&exported.types);
        let versions = versions.into_iter().map(|version| {
            let is_told = sums.of(&version.symbol) == Some(version.crc);
            (version, is_told)
        });
        self.0.push(Interface {
            versions: versions.collect(),
            types: exported.types,
        });
    }

    /// Who exports a symbol, and its types if they are those that the checksum is of.
    pub fn find(&self, symbol: &str) -> Option<(&Version, Option<&Symtypes>)> {
        self.0.iter().rev().find_map(|interface| {
            let versions = &interface.versions;
            let at = versions.binary_search_by(|(version, _)| version.symbol.as_str().cmp(symbol));
            let (version, is_told) = &versions[at.ok()?];
            Some((version, is_told.then_some(&interface.types)))
        })
    }
}

//! The files of an image in the tree.

use crate::symbols::Symbols;
use crate::{LoadError, x86_64};
use modfs_client::{Claim, Tree};
use modfs_link::{Layout, PARTS, Part, Staging};
use modfs_object::Object;
use modfs_object::image::{self, AUTOCLEAN, GPLONLY, HEADER, Header, REF, SYMBOL};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// The files, by part: name and mode.
const FILES: [(Part, &str, u32); PARTS] = [
    (Part::Text, "text", 0o500),
    (Part::Rodata, "rodata", 0o400),
    (Part::Data, DATA, 0o600),
    (Part::InitText, "init.text", 0o500),
    (Part::InitRodata, "init.rodata", 0o400),
    (Part::InitData, "init.data", 0o600),
];
/// The one with the header.
const DATA: &str = "data";

struct Piece {
    part: Part,
    file: &'static str,
    address: u64,
    content: Vec<u8>,
}

/// The files of an image that is being made; unless it was started, dropping this removes them.
pub(crate) struct Files<'a> {
    tree: &'a Tree,
    name: &'a str,
    claim: Claim,
    pieces: Vec<Piece>,
    /// Where in `data` the variables begin.
    variables: u64,
    /// Where in `text` the functions are that call constructors, and destructors.
    callers: u64,
    /// Where in `data` is room for strings still.
    strings: usize,
    started: bool,
}

impl<'a> Files<'a> {
    /// Makes and maps the files, so that they have addresses; `strings` bytes of parameters may come.
    pub(crate) fn make(
        tree: &'a Tree,
        name: &'a str,
        object: &Object<'_>,
        layout: &Layout,
        symbols: &Symbols,
        strings: usize,
    ) -> Result<Files<'a>, LoadError> {
        let claim = tree.claim(name).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => LoadError::Taken,
            _ => LoadError::File(error, tree.dir(name).display().to_string()),
        })?;
        if tree.is_mapped(name) {
            return Err(LoadError::Taken);
        }
        let data = layout.extent(Part::Data);
        let text = layout.extent(Part::Text);
        let variables = ((HEADER + name.len() + 1) as u64).next_multiple_of(data.align.max(16));
        let mut files = Files {
            tree,
            name,
            claim,
            pieces: Vec::new(),
            variables,
            callers: text.size.next_multiple_of(16),
            strings: 0,
            started: false,
        };
        for (part, file, mode) in FILES {
            let size = layout.extent(part).size;
            let size = match part {
                Part::Text => match callers(object, layout) {
                    0 => size,
                    room => files.callers + room as u64,
                },
                Part::Data => {
                    variables + size.next_multiple_of(8) + tables(object, symbols) + strings as u64
                }
                _ => size,
            };
            if size > 0 {
                files.add(part, file, mode, size)?;
            }
        }
        Ok(files)
    }

    fn add(
        &mut self,
        part: Part,
        file: &'static str,
        mode: u32,
        size: u64,
    ) -> Result<(), LoadError> {
        let path = self.tree.path(self.name, file);
        // Of an earlier attempt.
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(mode);
        let made = options.open(&path).and_then(|file| file.set_len(size));
        made.map_err(|error| LoadError::File(error, path.display().to_string()))?;
        self.command(&format!("map {file}"))?;
        let text = self.tree.read(self.name, file).unwrap_or_default();
        let address = text.lines().last().and_then(|line| line.strip_prefix("0x"));
        let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        self.pieces.push(Piece {
            part,
            file,
            address: address.ok_or_else(|| {
                let error = io::Error::from(io::ErrorKind::PermissionDenied);
                LoadError::File(error, format!("the address of {}", path.display()))
            })?,
            // Padding in code traps.
            content: vec![
                if mode & 0o111 != 0 { 0xcc } else { 0 };
                usize::try_from(size).unwrap_or(0)
            ],
        });
        Ok(())
    }

    fn command(&self, command: &str) -> Result<(), LoadError> {
        let done = self.tree.command(self.name, command);
        done.map_err(LoadError::Refused)
    }

    fn piece(&mut self, part: Part) -> Option<&mut Piece> {
        self.pieces.iter_mut().find(|piece| piece.part == part)
    }

    fn address(&self, part: Part) -> Option<u64> {
        let piece = self.pieces.iter().find(|piece| piece.part == part)?;
        Some(piece.address)
    }

    /// Where the header is.
    pub(crate) fn header(&self) -> u64 {
        self.address(Part::Data).unwrap_or(0)
    }

    /// Where each part is; one without bytes where the header is, within reach.
    pub(crate) fn bases(&self) -> [u64; PARTS] {
        Part::ALL.map(|part| match part {
            Part::Data => self.header() + self.variables,
            part => self.address(part).unwrap_or_else(|| self.header()),
        })
    }

    /// Puts bytes at an address of the image.
    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        let found = self.pieces.iter_mut().find_map(|piece| {
            let start = usize::try_from(address.checked_sub(piece.address)?).ok()?;
            piece
                .content
                .get_mut(start..start.checked_add(bytes.len())?)
        });
        if let Some(place) = found {
            place.copy_from_slice(bytes);
        }
    }

    /// Puts a string where there is room; returns where.
    pub(crate) fn string(&mut self, string: &[u8]) -> u64 {
        let at = self.header() + self.strings as u64;
        self.put(at, string);
        self.strings += string.len();
        at
    }

    /// Puts what was linked into the files, and what the header says.
    pub(crate) fn fill(
        &mut self,
        object: &Object<'_>,
        layout: &Layout,
        staging: &Staging,
        symbols: &Symbols,
    ) {
        let bases = self.bases();
        for part in Part::ALL {
            self.put(bases[part as usize], staging.part(part));
        }
        let address_of = |symbol: usize| {
            let (part, offset) = layout.symbol(object, symbol)?;
            Some(bases[part as usize] + offset)
        };
        let entry = |name: &str| object.global(name).and_then(address_of);
        let constructors = layout.functions(object, &bases, staging, false);
        let mut destructors = layout.functions(object, &bases, staging, true);
        destructors.reverse();
        let (mut init, mut cleanup) = (entry("init_module"), entry("cleanup_module"));
        let mut at = self.address(Part::Text).unwrap_or(0) + self.callers;
        let mut caller = |functions: Vec<u64>, value: bool, files: &mut Files<'_>| {
            let code = x86_64::calls(&functions, value);
            let own = at;
            files.put(own, &code);
            at += code.len() as u64;
            Some(own)
        };
        if !constructors.is_empty() {
            let functions = constructors.into_iter().chain(init).collect();
            init = caller(functions, init.is_some(), self);
        }
        if !destructors.is_empty() {
            let functions = cleanup.into_iter().chain(destructors).collect();
            cleanup = caller(functions, false, self);
        }
        let head = self.header();
        let exports = object.exports();
        let syms = head + self.variables + layout.extent(Part::Data).size.next_multiple_of(8);
        let deps = syms + exports.len() as u64 * SYMBOL;
        self.strings = (deps - head) as usize + symbols.deps.len() * REF as usize;
        for (at, export) in (syms..).step_by(SYMBOL as usize).zip(&exports) {
            let prefix = if export.gpl { GPLONLY } else { "" };
            let name = self.string(format!("{prefix}{}\0", export.name).as_bytes());
            let value = address_of(export.symbol).unwrap_or(head);
            self.put(at, &value.to_le_bytes());
            self.put(at + 8, &name.to_le_bytes());
        }
        for (at, dep) in (deps..).step_by(REF as usize).zip(&symbols.deps) {
            self.put(at, &dep.to_le_bytes());
        }
        let name = format!("{}\0", self.name);
        self.put(head + HEADER as u64, name.as_bytes());
        // Where a module unwinds: 2.4 kept that there too (on ia64).
        let frames = layout.frames(object).map(|(part, offset)| {
            let start = bases[part as usize] + offset;
            let section = object.section_named(".eh_frame");
            (start, start + section.map_or(0, |section| section.size))
        });
        let header = Header {
            size_of_struct: HEADER as u64,
            name: head + HEADER as u64,
            size: self
                .piece(Part::Data)
                .map_or(0, |piece| piece.content.len() as u64),
            nsyms: exports.len() as u32,
            syms,
            ndeps: symbols.deps.len() as u32,
            deps,
            init: init.unwrap_or(0),
            cleanup: cleanup.unwrap_or(0),
            archdata_start: frames.map_or(0, |(start, _)| start),
            archdata_end: frames.map_or(0, |(_, end)| end),
            ..Header::default()
        };
        self.put(head, &header.to_bytes());
    }

    /// Writes the files and starts the module.
    pub(crate) fn start(&mut self, autoclean: bool) -> Result<(), LoadError> {
        if autoclean {
            let head = self.header();
            self.put(head + image::offset::FLAGS, &AUTOCLEAN.to_le_bytes());
        }
        for piece in &self.pieces {
            let path = self.tree.path(self.name, piece.file);
            let file = File::options().write(true).open(&path);
            let written = file.and_then(|mut file| file.write_all(&piece.content));
            written.map_err(|error| LoadError::File(error, path.display().to_string()))?;
        }
        self.command(&format!("init {DATA}"))?;
        self.started = true;
        // What was for init only is not mapped any more.
        for (_, file, _) in FILES
            .iter()
            .filter(|(_, file, _)| file.starts_with("init."))
        {
            let _ = fs::remove_file(self.tree.path(self.name, file));
        }
        Ok(())
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        if self.started {
            return;
        }
        for piece in &self.pieces {
            // Fails when it faulted: then it has to stay.
            let _ = self
                .tree
                .command(self.name, &format!("unmap {}", piece.file));
            let _ = fs::remove_file(self.tree.path(self.name, piece.file));
        }
        if self.claim.made() {
            let _ = fs::remove_dir(self.tree.dir(self.name));
        }
    }
}

/// Bytes that the header's tables and their strings take.
fn tables(object: &Object<'_>, symbols: &Symbols) -> u64 {
    let exports = object.exports();
    let strings = exports
        .iter()
        .map(|export| export.name.len() + GPLONLY.len() + 1);
    let tables = exports.len() as u64 * SYMBOL + symbols.deps.len() as u64 * REF;
    tables + strings.sum::<usize>() as u64
}

/// Bytes of the functions that call constructors and destructors.
fn callers(object: &Object<'_>, layout: &Layout) -> usize {
    let count = |fini: bool| -> usize {
        let arrays = layout.constructors(object, fini);
        arrays
            .iter()
            .map(|(_, _, length)| *length as usize / 8)
            .sum()
    };
    let room = |count: usize| {
        if count == 0 {
            0
        } else {
            x86_64::length(count + 1)
        }
    };
    room(count(false)) + room(count(true))
}

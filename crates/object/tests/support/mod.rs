//! Objects made by the real compilers and assemblers, and changed by hand. Used by the tests of
//! modfs-link too.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const COMPILERS: [&str; 2] = ["gcc", "clang"];

/// A path for a new file, the same in each run.
pub(crate) fn new_file(extension: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(format!("{n}.{extension}"))
}

/// Runs a tool with something on its standard input; panics with what it said if it fails.
pub(crate) fn run(command: &mut Command, input: &str) {
    let tool = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{tool}: {e}; this test needs it (gcc, clang, binutils)"));
    let mut stdin = child.stdin.take().unwrap();
    // A tool that does not read on says why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Compiles a file of `tests/c`; its object's path and bytes.
pub(crate) fn compile(compiler: &str, flags: &[&str], source: &str) -> (PathBuf, Vec<u8>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/c")
        .join(source);
    let object = new_file("o");
    let mut command = Command::new(compiler);
    command
        .args(["-Wall", "-Wextra", "-Werror", "-ffreestanding", "-c"])
        .args(flags)
        .arg("-o")
        .arg(&object)
        .arg(source);
    run(&mut command, "");
    let bytes = std::fs::read(&object).unwrap();
    (object, bytes)
}

/// Builds C given as text, with whatever kind of output the flags say.
pub(crate) fn build(compiler: &str, flags: &[&str], text: &str) -> Vec<u8> {
    let output = new_file("out");
    let mut command = Command::new(compiler);
    command.args(flags).arg("-o").arg(&output);
    run(command.args(["-x", "c", "-"]), text);
    std::fs::read(&output).unwrap()
}

/// Assembles text; the object's path and bytes.
pub(crate) fn assemble(text: &str) -> (PathBuf, Vec<u8>) {
    let object = new_file("o");
    run(Command::new("as").args(["--64", "-o"]).arg(&object), text);
    let bytes = std::fs::read(&object).unwrap();
    (object, bytes)
}

/// A field of a structure of the file: where it is in it, and how many bytes it has.
pub(crate) type Field = (usize, usize);

/// Fields of the ELF header (gABI).
pub(crate) mod header {
    use super::Field;
    pub(crate) const CLASS: Field = (4, 1);
    pub(crate) const DATA: Field = (5, 1);
    pub(crate) const TYPE: Field = (16, 2);
    pub(crate) const MACHINE: Field = (18, 2);
    pub(crate) const SHOFF: Field = (40, 8);
    pub(crate) const SHENTSIZE: Field = (58, 2);
    pub(crate) const SHNUM: Field = (60, 2);
    pub(crate) const SHSTRNDX: Field = (62, 2);
    pub(crate) const ALL: [Field; 8] = [
        CLASS, DATA, TYPE, MACHINE, SHOFF, SHENTSIZE, SHNUM, SHSTRNDX,
    ];
}

/// Fields of a section header.
pub(crate) mod section {
    use super::Field;
    pub(crate) const NAME: Field = (0, 4);
    pub(crate) const TYPE: Field = (4, 4);
    pub(crate) const FLAGS: Field = (8, 8);
    pub(crate) const OFFSET: Field = (24, 8);
    pub(crate) const SIZE: Field = (32, 8);
    pub(crate) const LINK: Field = (40, 4);
    pub(crate) const INFO: Field = (44, 4);
    pub(crate) const ALIGN: Field = (48, 8);
    pub(crate) const ENTSIZE: Field = (56, 8);
    pub(crate) const ALL: [Field; 9] =
        [NAME, TYPE, FLAGS, OFFSET, SIZE, LINK, INFO, ALIGN, ENTSIZE];
}

/// Fields of a symbol.
pub(crate) mod symbol {
    use super::Field;
    pub(crate) const NAME: Field = (0, 4);
    pub(crate) const INFO: Field = (4, 1);
    pub(crate) const SHNDX: Field = (6, 2);
    pub(crate) const VALUE: Field = (8, 8);
    pub(crate) const SIZE: Field = (16, 8);
    pub(crate) const ALL: [Field; 5] = [NAME, INFO, SHNDX, VALUE, SIZE];
}

/// Fields of a relocation.
pub(crate) mod relocation {
    use super::Field;
    pub(crate) const OFFSET: Field = (0, 8);
    pub(crate) const TYPE: Field = (8, 4);
    pub(crate) const SYMBOL: Field = (12, 4);
    pub(crate) const ADDEND: Field = (16, 8);
    pub(crate) const ALL: [Field; 4] = [OFFSET, TYPE, SYMBOL, ADDEND];
}

pub(crate) const SHT_SYMTAB: u64 = 2;
pub(crate) const SHT_RELA: u64 = 4;
pub(crate) const SHT_GROUP: u64 = 17;

/// The bytes of an ELF file, read and changed with no more knowledge than the gABI's tables.
#[derive(Clone)]
pub(crate) struct Elf(pub(crate) Vec<u8>);

impl Elf {
    pub(crate) fn get(&self, base: usize, (offset, width): Field) -> u64 {
        let mut word = [0; 8];
        word[..width].copy_from_slice(&self.0[base + offset..][..width]);
        u64::from_le_bytes(word)
    }

    pub(crate) fn set(&mut self, base: usize, (offset, width): Field, value: u64) {
        self.0[base + offset..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
    }

    /// How many sections there are.
    pub(crate) fn count(&self) -> usize {
        match self.get(0, header::SHNUM) {
            // More than the field can hold.
            0 => self.section_of(0, section::SIZE) as usize,
            count => count as usize,
        }
    }

    /// Where the header of a section is.
    pub(crate) fn section(&self, index: usize) -> usize {
        self.get(0, header::SHOFF) as usize + index * 64
    }

    pub(crate) fn section_of(&self, index: usize, field: Field) -> u64 {
        self.get(self.section(index), field)
    }

    pub(crate) fn section_name(&self, index: usize) -> &str {
        let names = self.section_of(self.get(0, header::SHSTRNDX) as usize, section::OFFSET);
        let start = (names + self.section_of(index, section::NAME)) as usize;
        let end = start + self.0[start..].iter().position(|b| *b == 0).unwrap();
        std::str::from_utf8(&self.0[start..end]).unwrap()
    }

    /// The index of the first section of this name.
    pub(crate) fn named(&self, name: &str) -> usize {
        (0..self.count())
            .find(|index| self.section_name(*index) == name)
            .unwrap_or_else(|| panic!("no section {name}"))
    }

    pub(crate) fn of_type(&self, kind: u64) -> Vec<usize> {
        (0..self.count())
            .filter(|index| self.section_of(*index, section::TYPE) == kind)
            .collect()
    }

    pub(crate) fn bytes_of(&self, index: usize) -> &[u8] {
        let start = self.section_of(index, section::OFFSET) as usize;
        &self.0[start..start + self.section_of(index, section::SIZE) as usize]
    }

    /// Where each entry of a table is.
    pub(crate) fn entries(&self, index: usize) -> Vec<usize> {
        let start = self.section_of(index, section::OFFSET) as usize;
        let size = self.section_of(index, section::SIZE) as usize;
        let step = self.section_of(index, section::ENTSIZE) as usize;
        (start..start + size).step_by(step).collect()
    }

    /// Where each symbol is.
    pub(crate) fn symbols(&self) -> Vec<usize> {
        self.entries(self.of_type(SHT_SYMTAB)[0])
    }

    /// The index of the symbol of this name.
    pub(crate) fn symbol_named(&self, name: &str) -> usize {
        let table = self.of_type(SHT_SYMTAB)[0];
        let strings = self.section_of(table, section::LINK) as usize;
        let strings = self.bytes_of(strings);
        self.symbols()
            .into_iter()
            .position(|at| {
                let rest = &strings[self.get(at, symbol::NAME) as usize..];
                rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0)
            })
            .unwrap_or_else(|| panic!("no symbol {name}"))
    }
}

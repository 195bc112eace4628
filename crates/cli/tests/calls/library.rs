//! The scripts of `programs/calls.c`, made through the library instead of by a process.

use crate::common::{Kernel, told};
use modfs_client::Tree;
use modfs_compat::{Memory, OldCalls, Word};
use modfs_core::Errno;
use std::cell::RefCell;
use std::fmt::Write;
use std::fs;

/// Where its memory begins; what is before is not there.
const BASE: u64 = 0x10000;
const SIZE: usize = 0x40000;
/// Behind it nothing is any more.
const END: u64 = BASE + SIZE as u64;
/// Where what is in it.
const WORDS: u64 = BASE;
const LONG: u64 = BASE + 0x1000;
const RESULT: u64 = BASE + 0x4000;
const BUFFER: u64 = BASE + 0x10000;
const ROOM: u64 = 0x10000;

const HEADER: u64 = 184;
/// Where an image has its name, symbols, strings, dependencies and code.
const LAYOUT: [usize; 5] = [184, 256, 320, 512, 768];

struct Fake(RefCell<Vec<u8>>);

impl Fake {
    fn range(address: u64, length: usize) -> Result<std::ops::Range<usize>, Errno> {
        let start = address.checked_sub(BASE).ok_or(Errno::EFAULT)?;
        let start = usize::try_from(start).map_err(|_| Errno::EFAULT)?;
        let end = start.checked_add(length).filter(|end| *end <= SIZE);
        Ok(start..end.ok_or(Errno::EFAULT)?)
    }
}

impl Memory for Fake {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let range = Fake::range(address, bytes.len())?;
        bytes.copy_from_slice(&self.0.borrow()[range]);
        Ok(())
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let range = Fake::range(address, bytes.len())?;
        self.0.borrow_mut()[range].copy_from_slice(bytes);
        Ok(())
    }
}

/// What plays a script.
struct Player<'a> {
    kernel: &'a Kernel,
    tree: Tree,
    memory: Fake,
    image: Vec<u8>,
    address: u64,
    other: u64,
    layout: [usize; 5],
    strings: usize,
    out: String,
}

/// Plays a script; returns the answers.
pub(super) fn played(kernel: &Kernel, script: &str) -> String {
    let mut player = Player {
        kernel,
        tree: Tree::at(&kernel.tree("")).expect("a tree"),
        memory: Fake(RefCell::new(vec![0; SIZE])),
        image: vec![0; 1 << 16],
        address: 0,
        other: 0,
        layout: LAYOUT,
        strings: 0,
        out: String::new(),
    };
    script.lines().for_each(|line| player.line(line));
    player.out
}

impl Player<'_> {
    fn calls(&self) -> OldCalls<'_> {
        OldCalls {
            tree: &self.tree,
            memory: &self.memory,
            word: Word::Eight,
            said: &|_| (),
        }
    }

    fn say(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{line}");
    }

    fn answer(&mut self, what: &str, result: Result<i64, Errno>) {
        let text = result.map_or_else(|errno| errno.name().to_owned(), |value| value.to_string());
        self.say(&format!("{what}: {text}"));
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let offset = offset as usize;
        self.image[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn word(&mut self, offset: usize, value: u64) {
        self.put(offset as u64, &value.to_le_bytes());
    }

    fn name(&self, word: &str) -> u64 {
        let at = |address: u64, bytes: &[u8]| {
            self.memory.write(address, bytes).expect("room");
            address
        };
        match word {
            "NULL" => 0,
            "BAD" => 1,
            "EMPTY" => at(WORDS, b"\0"),
            "LONG" => at(LONG, &[b'x'; 0x2000]),
            "OPEN" => at(END - 3, b"xxx"),
            "EDGE" => at(END - 5, b"edge\0"),
            name => at(WORDS, &[name.as_bytes(), b"\0"].concat()),
        }
    }

    fn number(&self, word: &str) -> u64 {
        let (base, digits) = match word.strip_prefix('@') {
            Some(digits) => (self.address, digits),
            None => (0, word),
        };
        let value = match (digits.strip_prefix("0x"), digits.strip_prefix('-')) {
            (Some(hex), _) => u64::from_str_radix(hex, 16).expect("a number"),
            (_, Some(digits)) => 0_u64.wrapping_sub(digits.parse().expect("a number")),
            _ => digits.parse().expect("a number"),
        };
        base.wrapping_add(value)
    }

    fn make(&mut self, name: &str, size: u64, result: i32) {
        self.image.fill(0);
        let at = self.address;
        let [named, _, strings, _, code] = self.layout.map(|at| at as u64);
        self.word(0, HEADER);
        self.word(16, at + named);
        self.word(24, size);
        self.word(80, at + code);
        self.word(88, at + code + 16);
        self.put(named, name.as_bytes());
        let [a, b, c, d] = result.to_le_bytes();
        self.put(code, &[0xb8, a, b, c, d, 0xc3]);
        self.put(code + 16, &[0xc3]);
        self.strings = strings as usize;
    }

    fn count(&mut self, offset: usize) -> usize {
        let bytes = &mut self.image[offset..offset + 4];
        let count = u32::from_le_bytes(bytes.try_into().expect("four"));
        bytes.copy_from_slice(&(count + 1).to_le_bytes());
        count as usize
    }

    fn symbol(&mut self, name: &str, value: u64) {
        let [_, syms, ..] = self.layout;
        let entry = syms + self.count(48) * 16;
        self.word(entry, value);
        self.word(entry + 8, self.address + self.strings as u64);
        self.put(self.strings as u64, &[name.as_bytes(), b"\0"].concat());
        self.strings += name.len() + 1;
        self.word(56, self.address + syms as u64);
    }

    fn depend(&mut self, name: &str) {
        let name = self.name(name);
        let asked = self.calls().query_module([name, 5, BUFFER, 32, RESULT]);
        asked.expect("a module");
        let [_, _, _, deps, _] = self.layout;
        let entry = deps + self.count(52) * 24;
        let address = self.stored(BUFFER);
        self.word(entry, address);
        self.word(64, self.address + deps as u64);
    }

    fn stored(&self, address: u64) -> u64 {
        let mut word = [0; 8];
        self.memory.read(address, &mut word).expect("there");
        u64::from_le_bytes(word)
    }

    fn text(&self, address: u64) -> String {
        let text = self.memory.string(address, 4096).expect("a string");
        String::from_utf8(text).expect("UTF-8")
    }

    fn query(&mut self, word: &str, which: u64, size: Option<&str>) {
        let (to, size) = match size {
            Some("-1") => (1, ROOM),
            size => (BUFFER, size.map_or(ROOM, |size| self.number(size))),
        };
        let name = self.name(word);
        let told = self.calls().query_module([name, which, to, size, RESULT]);
        let result = self.stored(RESULT);
        let text = match told {
            Err(Errno::ENOSPC) => format!("ENOSPC {result}"),
            Err(errno) => errno.name().to_owned(),
            Ok(value) if which == 0 => value.to_string(),
            Ok(_) => format!("{result}{}", self.found(which, result)),
        };
        self.say(&format!("query {word} {which}: {text}"));
    }

    fn found(&self, which: u64, count: u64) -> String {
        let mut text = String::new();
        match which {
            5 => {
                let [address, size, flags, uses] =
                    [0, 8, 16, 24].map(|at| self.stored(BUFFER + at));
                let address = if address == self.address {
                    "@0"
                } else {
                    "other"
                };
                let uses = uses as i64;
                let _ = write!(
                    text,
                    " address {address} size {size} flags {flags} usecount {uses}"
                );
            }
            4 => {
                for entry in (0..count.min(8)).map(|number| BUFFER + 16 * number) {
                    let (value, name) = (self.stored(entry), self.stored(entry + 8));
                    let _ = write!(text, " {}", self.text(BUFFER + name));
                    if (self.address..self.address + (1 << 16)).contains(&value) {
                        let _ = write!(text, "@{}", value - self.address);
                    }
                }
            }
            _ => {
                let mut at = BUFFER;
                for _ in 0..count {
                    let name = self.text(at);
                    let _ = write!(text, " {name}");
                    at += name.len() as u64 + 1;
                }
            }
        }
        text
    }

    fn init(&mut self, name: &str, room: usize) {
        let at = END - room as u64;
        self.memory.write(at, &self.image[..room]).expect("room");
        let name = self.name(name);
        let told = self.calls().init_module(name, at);
        self.answer("init", told);
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["create", name, size] => {
                let (name, size) = (self.name(name), self.number(size));
                match self.calls().create_module(name, size) {
                    Ok(address) => {
                        self.other = std::mem::replace(&mut self.address, address as u64);
                        self.say("create: @0");
                    }
                    Err(errno) => self.answer("create", Err(errno)),
                }
            }
            ["other"] => std::mem::swap(&mut self.address, &mut self.other),
            ["layout", name, syms, strings, deps, code] => {
                self.layout =
                    [name, syms, strings, deps, code].map(|word| self.number(word) as usize);
            }
            ["image", name, size, result] => {
                let result = self.number(result) as i32;
                self.make(name, self.number(size), result);
            }
            ["set", offset, value] => {
                self.word(self.number(offset) as usize, self.number(value));
            }
            ["int", offset, value] => {
                let value = self.number(value) as u32;
                self.put(self.number(offset), &value.to_le_bytes());
            }
            ["text", offset, text] => {
                self.put(self.number(offset), &[text.as_bytes(), b"\0"].concat());
            }
            ["code", offset, code] => {
                let byte = |at: usize| u8::from_str_radix(&code[at..at + 2], 16).expect("hex");
                let code: Vec<u8> = (0..code.len()).step_by(2).map(byte).collect();
                self.put(self.number(offset), &code);
            }
            ["symbol", name, value] => self.symbol(name, self.number(value)),
            ["dep", name] => self.depend(name),
            ["init", name] => self.init(name, 1 << 16),
            ["initat", name, room] => self.init(name, self.number(room) as usize),
            ["delete", name] => {
                let name = self.name(name);
                let told = self.calls().delete_module(name);
                self.answer("delete", told);
            }
            ["query", name, which] => self.query(name, self.number(which), None),
            ["query", name, which, size] => self.query(name, self.number(which), Some(size)),
            ["raw", "178", a, b, c, d, e] => {
                let arguments = [a, b, c, d, e].map(|word| self.number(word));
                let told = self.calls().query_module(arguments);
                self.answer("raw", told);
            }
            ["cat", "/proc/modules"] => {
                let text = told(fs::read_to_string(self.kernel.path("k/proc/modules")));
                self.out += &text.expect("the listing");
            }
            _ => panic!("what is {line}?"),
        }
    }
}

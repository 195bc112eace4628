//! The system calls of Linux 2.4 (kernel/module.c): every check in its order, with its errno.
//!
//! A module is made as the RFC says: its directory, its file `module` of mode 0700, truncated to its size
//! and mapped; filled and started; stopped, unmapped and removed.

use crate::memory::Memory;
use modfs_client::{Refused, RemoveError, Tree, check_name};
use modfs_core::{Errno, KERNEL};
use modfs_object::image::{Extent, GPLONLY, HEADER, Header, ImageError};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// The module file.
const FILE: &str = "module";
/// A name, with its NUL, fits one page.
const PAGE: usize = 4096;
/// The length of a name in `struct kernel_sym`, with its NUL.
const KERNEL_SYM_NAME: usize = 60;

/// How wide the program's words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// i386.
    Four,
    /// x86_64.
    Eight,
}

impl Word {
    fn bytes(self) -> usize {
        match self {
            Word::Four => 4,
            Word::Eight => 8,
        }
    }

    fn put(self, into: &mut Vec<u8>, word: u64) {
        into.extend_from_slice(&word.to_le_bytes()[..self.bytes()]);
    }
}

/// Answers the system calls of Linux 2.4 by a tree: what they return, or the errno. Whether the caller
/// may make one, which they ask first, is for whoever calls these.
#[derive(Clone, Copy)]
pub struct OldCalls<'a> {
    /// The modules.
    pub tree: &'a Tree,
    /// The caller's memory, in which arguments that are pointers point.
    pub memory: &'a dyn Memory,
    /// How wide its words are.
    pub word: Word,
    /// Is told why a call was refused, a line at a time: what 2.4 printed to the kernel's log.
    pub said: &'a dyn Fn(&str),
}

impl fmt::Debug for OldCalls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OldCalls");
        shown.field("tree", self.tree).finish_non_exhaustive()
    }
}

fn os(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

impl OldCalls<'_> {
    fn say(&self, call: &str, text: impl fmt::Display) {
        (self.said)(&format!("{call}: {text}"));
    }

    /// `get_mod_name`.
    ///
    /// # Errors
    /// EFAULT. EINVAL: empty, or what no directory can be called. ENAMETOOLONG: no NUL in a page.
    fn name(&self, address: u64) -> Result<String, Errno> {
        let name = self.memory.string(address, PAGE)?;
        if name.is_empty() {
            return Err(Errno::EINVAL);
        }
        // What is no UTF-8 is no directory's name, and so of no module.
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// A module that was created, by whatever means.
    fn find(&self, name: &str) -> Result<(), Errno> {
        let there = check_name(name).is_ok() && name != KERNEL && self.tree.is_mapped(name);
        match there {
            true => Ok(()),
            false => Err(Errno::ENOENT),
        }
    }

    /// `create_module(name, size)`: where it is.
    ///
    /// # Errors
    /// EFAULT, EINVAL, ENAMETOOLONG: the name. EINVAL: no room for the header and the name. EEXIST: there is one. ENOMEM: no room.
    /// EPERM: the host maps no such image.
    pub fn create_module(&self, name: u64, size: u64) -> Result<i64, Errno> {
        const CALL: &str = "create_module";
        let name = self.name(name)?;
        if size < (HEADER + name.len() + 1) as u64 {
            return Err(Errno::EINVAL);
        }
        if name == KERNEL || self.find(&name).is_ok() {
            return Err(Errno::EEXIST);
        }
        if let Err(why) = check_name(&name) {
            self.say(CALL, why);
            return Err(Errno::EINVAL);
        }
        if name.contains(char::REPLACEMENT_CHARACTER) {
            self.say(CALL, "a name that is not UTF-8 can be no directory's");
            return Err(Errno::EINVAL);
        }
        let tree = self.tree;
        let claim = tree.claim(&name).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Errno::EEXIST,
            _ => os(&error),
        })?;
        if tree.is_mapped(&name) {
            return Err(Errno::EEXIST);
        }
        let made = self.reserve(&name, size);
        if made.is_err() {
            let _ = fs::remove_file(tree.path(&name, FILE));
            if claim.made() {
                let _ = fs::remove_dir(tree.dir(&name));
            }
        }
        made
    }

    fn reserve(&self, name: &str, size: u64) -> Result<i64, Errno> {
        let tree = self.tree;
        let path = tree.path(name, FILE);
        // Of an earlier attempt, with another mode.
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o700);
        let file = options.open(&path).map_err(|error| os(&error))?;
        // Too large for the tree is too large for the kernel.
        file.set_len(size).map_err(|_| Errno::ENOMEM)?;
        drop(file);
        self.command("create_module", name, &format!("map {FILE}"))?;
        let address = self.address(name);
        i64::try_from(address).map_err(|_| Errno::ENOMEM)
    }

    fn command(&self, call: &str, name: &str, command: &str) -> Result<(), Errno> {
        let done = self.tree.command(name, command);
        done.map_err(|Refused { errno, reasons }| {
            for reason in reasons {
                self.say(call, format_args!("{name}: {reason}"));
            }
            errno
        })
    }

    /// Where a module's header is; 0: nobody may know, or there is none.
    fn address(&self, name: &str) -> u64 {
        let tree = self.tree;
        let text = tree.read(name, "address").unwrap_or_default();
        let digits = text.strip_prefix("0x").unwrap_or_default();
        u64::from_str_radix(digits, 16).unwrap_or(0)
    }

    /// `init_module(name, image)`.
    ///
    /// # Errors
    /// EFAULT, EINVAL, ENAMETOOLONG: the name. ENOENT: it was not created. EFAULT: the image. EINVAL: what the image says. EEXIST: it
    /// runs, which 2.4 did not notice. Otherwise what init says; EBUSY for a positive value.
    pub fn init_module(&self, name: u64, image: u64) -> Result<i64, Errno> {
        const CALL: &str = "init_module";
        let name = self.name(name)?;
        self.find(&name)?;
        let tree = self.tree;
        match tree.read(&name, "state").as_deref() {
            Ok("uninitialized") => {}
            Ok("initializing" | "exiting" | "deleted" | "faulted") => return Err(Errno::EBUSY),
            _ => return Err(Errno::EEXIST),
        }
        let refused = |error: ImageError| {
            self.say(CALL, format_args!("{name}: {error}"));
            Errno::EINVAL
        };
        // Once: what is checked is what is used.
        let mut size = [0; 8];
        self.memory.read(image, &mut size)?;
        let mut head = vec![0; Header::length(&size).map_err(refused)?];
        self.memory.read(image, &mut head)?;
        head[..8].copy_from_slice(&size);
        let header = Header::read(&head).map_err(refused)?;
        let path = tree.path(&name, FILE);
        let created = fs::metadata(&path).map_err(|error| os(&error))?.len();
        let extent = Extent {
            address: self.address(&name),
            size: created,
        };
        header.check(extent, &[]).map_err(refused)?;
        // As 2.4: the name in the image may itself not be readable, or none.
        let at = image.wrapping_add(header.name.wrapping_sub(extent.address));
        let own = self.name(at)?;
        if own != name {
            return Err(refused(ImageError::Name(own, name.clone())));
        }
        let mut content = head;
        let rest = header.size - header.size_of_struct;
        let from = image
            .checked_add(header.size_of_struct)
            .ok_or(Errno::EFAULT)?;
        content.extend_from_slice(&self.memory.bytes(from, rest)?);
        // What is left of another attempt.
        content.resize(usize::try_from(created).map_err(|_| Errno::ENOMEM)?, 0);
        let written = File::options().write(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(&content));
        written.map_err(
            |error| match (os(&error), tree.read(&name, "state").as_deref()) {
                // It is frozen, since it was started.
                (Errno::EPERM, Ok("running")) => Errno::EEXIST,
                (Errno::EPERM, _) => Errno::EBUSY,
                (errno, _) => errno,
            },
        )?;
        self.command(CALL, &name, &format!("init {FILE}"))?;
        Ok(0)
    }

    /// `delete_module(name)`; of NULL, whatever was loaded on demand and is not used.
    ///
    /// # Errors
    /// EFAULT, EINVAL, ENAMETOOLONG: the name. ENOENT: there is none. EBUSY: it is used.
    pub fn delete_module(&self, name: u64) -> Result<i64, Errno> {
        const CALL: &str = "delete_module";
        if name == 0 {
            self.command(CALL, KERNEL, "autoclean")?;
            return Ok(0);
        }
        let name = self.name(name)?;
        self.find(&name)?;
        match self.tree.remove(&name) {
            Ok(()) => Ok(0),
            Err(RemoveError::NotLoaded(_) | RemoveError::Kernel) => Err(Errno::ENOENT),
            Err(error @ RemoveError::Removed { .. }) => {
                self.say(CALL, error);
                Ok(0)
            }
            Err(error) => {
                self.say(CALL, error);
                Err(Errno::EBUSY)
            }
        }
    }

    /// `query_module(name, which, buffer, size, result)`.
    ///
    /// # Errors
    /// EFAULT, EINVAL, ENAMETOOLONG: the name. ENOENT: there is none. EINVAL: no such question, or not of the kernel. EFAULT: the
    /// buffer, or the result. ENOSPC: the result says how large a buffer has to be.
    pub fn query_module(&self, arguments: [u64; 5]) -> Result<i64, Errno> {
        let [name, which, buffer, size, result] = arguments;
        let name = match name {
            0 => KERNEL.to_owned(),
            name => {
                let name = self.name(name)?;
                self.find(&name)?;
                name
            }
        };
        if which as u32 == 0 {
            return Ok(0);
        }
        let answer = loop {
            let before = self.address(&name);
            let answer = self.answer(&name, which as u32)?;
            // It was put together of several files: all of one module, and not of the next of its name.
            if name == KERNEL || self.address(&name) == before {
                break answer;
            }
            self.find(&name)?;
        };
        let fits = answer.bytes.len() as u64 <= size;
        let value = match fits {
            true => answer.result,
            false => answer.bytes.len() as u64,
        };
        if fits && !answer.bytes.is_empty() {
            self.memory.write(buffer, &answer.bytes)?;
        }
        let mut told = Vec::new();
        self.word.put(&mut told, value);
        self.memory.write(result, &told)?;
        match fits {
            true => Ok(0),
            false => Err(Errno::ENOSPC),
        }
    }

    /// What a question is answered.
    ///
    /// # Errors
    /// EINVAL: no such question, or not of the kernel.
    fn answer(&self, name: &str, which: u32) -> Result<Found, Errno> {
        let is_kernel = name == KERNEL;
        let tree = self.tree;
        let running = is_kernel || self.can_query(name);
        Ok(match which {
            1 => self.names(self.modules()),
            2 | 3 | 5 if is_kernel => return Err(Errno::EINVAL),
            2..=4 if !running => Found::default(),
            2 => self.names(tree.lines(name, "deps")),
            3 => self.names(tree.lines(name, "refs")),
            4 => self.symbols(name),
            5 => self.info(name),
            _ => return Err(Errno::EINVAL),
        })
    }

    /// The modules that were created, the newest first.
    fn modules(&self) -> Vec<String> {
        let tree = self.tree;
        let mut names = tree.modules().unwrap_or_default();
        names.retain(|name| tree.is_mapped(name));
        names
    }

    fn can_query(&self, name: &str) -> bool {
        let state = self.tree.read(name, "state");
        state.is_ok_and(|state| matches!(state.as_str(), "running" | "initializing"))
    }

    fn names(&self, names: Vec<String>) -> Found {
        Found {
            result: names.len() as u64,
            bytes: names
                .iter()
                .flat_map(|name| [name.as_bytes(), b"\0"].concat())
                .collect(),
        }
    }

    /// The exports of a module, or of the kernel.
    fn exports(&self, name: &str) -> Vec<(u64, String)> {
        let line = |line: &String| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.trim_start_matches("0x");
            let name = words.nth(1)?;
            let prefix = match words.next() {
                Some("gpl") => GPLONLY,
                _ => "",
            };
            let address = u64::from_str_radix(address, 16).ok()?;
            Some((address, format!("{prefix}{name}")))
        };
        let lines = self.tree.lines(name, "symbols");
        lines.iter().filter_map(line).collect()
    }

    fn symbols(&self, name: &str) -> Found {
        let exports = self.exports(name);
        let mut at = (exports.len() * 2 * self.word.bytes()) as u64;
        let (mut bytes, mut strings) = (Vec::new(), Vec::new());
        for (value, name) in &exports {
            self.word.put(&mut bytes, *value);
            self.word.put(&mut bytes, at);
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            at += name.len() as u64 + 1;
        }
        bytes.append(&mut strings);
        Found {
            result: exports.len() as u64,
            bytes,
        }
    }

    /// `struct module_info`.
    fn info(&self, name: &str) -> Found {
        let tree = self.tree;
        let number = |file: &str| -> u64 {
            let text = tree.read(name, file).unwrap_or_default();
            text.parse().unwrap_or(0)
        };
        let state = tree.read(name, "state").unwrap_or_default();
        let mut flags = match state.as_str() {
            "running" => 1,
            "deleted" | "exiting" | "faulted" => 2,
            "initializing" => 64,
            _ => 0,
        };
        for (flag, word) in [(4, "autoclean"), (8, "visited"), (16, "used_once")] {
            if tree.lines(name, "flags").iter().any(|line| line == word) {
                flags |= flag;
            }
        }
        let uses = tree.read(name, "usecount").unwrap_or_default();
        let uses: i64 = uses.parse().unwrap_or(0);
        let mut bytes = Vec::new();
        for value in [self.address(name), number("size"), flags, uses as u64] {
            self.word.put(&mut bytes, value);
        }
        Found {
            result: bytes.len() as u64,
            bytes,
        }
    }

    /// `get_kernel_syms(table)`: how many entries there are; of NULL, how many there would be.
    ///
    /// # Errors
    /// None: where the table cannot be written it ends, and so many are told.
    pub fn get_kernel_syms(&self, table: u64) -> i64 {
        let word = self.word.bytes();
        let size = (word + KERNEL_SYM_NAME).next_multiple_of(word);
        let mut written = 0;
        let mut modules = self.modules();
        modules.push(KERNEL.to_owned());
        let mut put = |value: u64, name: &str| {
            let mut entry = Vec::with_capacity(size);
            self.word.put(&mut entry, value);
            let name = name.as_bytes();
            entry.extend_from_slice(&name[..name.len().min(KERNEL_SYM_NAME - 1)]);
            entry.resize(size, 0);
            let at = table.wrapping_add(written as u64 * size as u64);
            if table != 0 {
                self.memory.write(at, &entry)?;
            }
            written += 1;
            Ok::<_, Errno>(())
        };
        for module in modules {
            let (address, shown) = match module == KERNEL {
                true => (0, "#".to_owned()),
                false if table != 0 && !self.can_query(&module) => continue,
                false => (self.address(&module), format!("#{module}")),
            };
            let exports = self.exports(&module);
            let all = std::iter::once((address, shown)).chain(exports);
            for (value, name) in all {
                if put(value, &name).is_err() {
                    return written;
                }
            }
        }
        written
    }
}

/// What a question finds.
#[derive(Default)]
struct Found {
    /// What `*ret` is set to.
    result: u64,
    /// What goes into the buffer.
    bytes: Vec<u8>,
}

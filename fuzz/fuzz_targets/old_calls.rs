//! The calls of 2.4 by a program that has lost its way: any arguments, on memory with any content. The tree
//! is a folder of ordinary files, so that only the calls are tried.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_client::Tree;
use modfs_compat::{Memory, OldCalls, Word};
use modfs_core::Errno;
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

const BASE: u64 = 0x1000;
const SIZE: usize = 0x3000;
const ADDRESS: &str = "0x0000000020000000\n";

struct Fake(RefCell<Vec<u8>>);

impl Fake {
    fn range(address: u64, length: usize) -> Result<std::ops::Range<usize>, Errno> {
        let start = usize::try_from(address.checked_sub(BASE).ok_or(Errno::EFAULT)?);
        let start = start.map_err(|_| Errno::EFAULT)?;
        let end = start.checked_add(length).filter(|end| *end <= SIZE);
        Ok(start..end.ok_or(Errno::EFAULT)?)
    }
}

impl Memory for Fake {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.copy_from_slice(&self.0.borrow()[Fake::range(address, bytes.len())?]);
        Ok(())
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.borrow_mut()[Fake::range(address, bytes.len())?].copy_from_slice(bytes);
        Ok(())
    }
}

/// A tree with the kernel, `a`, which is to be started, and `b`, which runs.
fn tree() -> PathBuf {
    let root = std::env::temp_dir().join(format!("modfs-fuzz-{}", std::process::id()));
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("mkdir");
        fs::write(path, text).expect("write");
    };
    write("kernel/version", "1\n");
    write(
        "kernel/symbols",
        "0x0000000000001000 - printk\n0x2000 0x1 secret gpl\nodd\n\n",
    );
    for (module, state) in [("a", "uninitialized"), ("b", "running")] {
        write(&format!("{module}/state"), state);
        write(&format!("{module}/size"), "1024\n");
        write(&format!("{module}/usecount"), "-1\n");
        write(&format!("{module}/flags"), "autoclean\n");
        write(&format!("{module}/refs"), "c\nd\n");
        write(&format!("{module}/deps"), "");
        write(&format!("{module}/symbols"), "0x10 - f\n");
        write(&format!("{module}/module"), ADDRESS);
        write(&format!("{module}/control"), "");
    }
    root
}

fn word(data: &mut &[u8]) -> u64 {
    let Some((byte, rest)) = data.split_first() else {
        return 0;
    };
    *data = rest;
    // Mostly what is near something.
    match byte >> 5 {
        0 => u64::from(byte & 31),
        1 => BASE + u64::from(byte & 31) * 16,
        2 => BASE + SIZE as u64 - u64::from(byte & 31),
        3 => u64::MAX - u64::from(byte & 31),
        4 => 184 + u64::from(byte & 31),
        5 => BASE + 0x1000 - u64::from(byte & 31),
        _ => BASE + u64::from(byte & 31) * 128,
    }
}

fuzz_target!(|data: &[u8]| {
    thread_local!(static ROOT: PathBuf = tree());
    let mut data = data;
    let mut arguments = [0; 5];
    let which = word(&mut data);
    for argument in &mut arguments {
        *argument = word(&mut data);
    }
    let mut memory = vec![0; SIZE];
    let length = data.len().min(SIZE);
    memory[..length].copy_from_slice(&data[..length]);
    let before = memory.clone();
    let memory = Fake(RefCell::new(memory));
    ROOT.with(|root| {
        let file = root.join("a/module");
        fs::write(&file, format!("{:1019}{ADDRESS}", "\n")).expect("write");
        let tree = Tree::at(root).expect("a tree");
        let calls = OldCalls {
            tree: &tree,
            memory: &memory,
            word: if which & 1 == 0 {
                Word::Eight
            } else {
                Word::Four
            },
            said: &|_| (),
        };
        match which % 4 {
            0 | 1 => {
                let told = calls.query_module(arguments);
                // A refusal but for lack of room, and a question that says nothing, write nothing.
                if matches!(told, Err(Errno::EINVAL | Errno::ENOENT)) {
                    assert_eq!(*memory.0.borrow(), before);
                }
            }
            2 => assert!(calls.get_kernel_syms(arguments[0]) <= 8),
            _ => {
                let _ = calls.init_module(arguments[0], arguments[1]);
                assert_eq!(*memory.0.borrow(), before);
            }
        }
    });
});

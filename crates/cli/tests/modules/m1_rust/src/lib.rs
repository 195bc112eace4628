//! One of the eight modules of the stress test, in Rust: as `stress/node.h`.
#![no_std]

use modfs_module::prelude::*;

module! {
    type: Node,
    license: "Dual MIT/GPL",
}

export! {
    /// The module's own symbol.
    pub fn stress_symbol_1() -> i32 {
        1
    }
}

/// Its device.
struct Digit;

impl Device for Digit {
    type Open = Box<u8>;

    fn open(&self, _: OpenFile) -> Result<Box<u8>> {
        Ok(Box::new(b'1'))
    }

    fn read(&self, digit: &Box<u8>, at: u64, to: &mut [u8]) -> Result<usize> {
        if at != 0 || to.is_empty() {
            return Ok(0);
        }
        to[0] = **digit;
        Ok(1)
    }
}

struct Node {
    _device: Chrdev<Digit>,
}

impl Module for Node {
    fn init() -> Result<Node> {
        Ok(Node {
            _device: Chrdev::register(0, "m1", Digit)?,
        })
    }
}

//! Stubs: for each function the host exports, a place in the arena that jumps to it.
//!
//! Module code reaches only what is within 2 GiB; the host is anywhere. A near call, or a
//! 32-bit address, goes to the stub; a GOT entry holds the function's own address.

use modfs_arena::{Arena, Block, Kind};
use std::io;

/// Bytes of a stub.
const SIZE: usize = 16;

/// The stubs of one group of exports.
#[derive(Debug)]
pub(crate) struct Stubs {
    block: Block,
}

impl Stubs {
    /// Makes a stub for each target.
    pub(crate) fn new(arena: &'static Arena, targets: &[u64]) -> io::Result<Stubs> {
        let mut code = Vec::with_capacity(targets.len() * SIZE);
        for target in targets {
            code.extend_from_slice(&stub(*target));
        }
        let block = arena
            .alloc(Kind::Code, code.len() as u64, SIZE as u64)
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        block.write(0, &code)?;
        Ok(Stubs { block })
    }

    /// Where the stub of a target is.
    pub(crate) fn address(&self, index: usize) -> u64 {
        self.block.address() + (index * SIZE) as u64
    }
}

/// `movabs $target, %r11; jmp *%r11`: r11 is the psABI's scratch register for this.
fn stub(target: u64) -> [u8; SIZE] {
    let mut code = [0xcc; SIZE];
    code[..2].copy_from_slice(&[0x49, 0xbb]);
    code[2..10].copy_from_slice(&target.to_le_bytes());
    code[10..13].copy_from_slice(&[0x41, 0xff, 0xe3]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_its_place() {
        let arena = Arena::get().unwrap();
        let stubs = Stubs::new(arena, &[0x1111, 0x2222]).unwrap();
        assert!(arena.is_code(stubs.address(0)));
        assert_eq!(stubs.address(1) - stubs.address(0), SIZE as u64);
        let jump = stub(0x1122_3344_5566_7788);
        assert_eq!(jump[2..10], 0x1122_3344_5566_7788u64.to_le_bytes());
    }
}

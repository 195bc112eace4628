//! Linked images: whatever the header says, it is refused, or all that it names is within the module.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_object::image::{Header, Image, Piece};

/// Where the files are.
const HEAD: u64 = 0x2000_0000;
const CODE: u64 = 0x1000_0000;

fuzz_target!(|data: &[u8]| {
    let split = data.len() - data.len() / 4;
    let (head, code) = data.split_at(split);
    let pieces = [
        Piece {
            address: HEAD,
            bytes: head,
        },
        Piece {
            address: CODE,
            bytes: code,
        },
    ];
    let inside = |address: u64| {
        let within = |piece: &Piece<'_>| {
            (piece.address..=piece.address + piece.bytes.len() as u64).contains(&address)
        };
        pieces.iter().any(within)
    };
    if let Ok(image) = Image::read(&pieces, "m") {
        let header = image.header;
        assert!(header.size <= head.len() as u64);
        assert_eq!(image.symbols.len(), header.nsyms as usize);
        assert_eq!(image.deps.len(), header.ndeps as usize);
        for address in [header.init, header.cleanup, header.can_unload] {
            assert!(address == 0 || inside(address));
        }
        assert!(image.symbols.iter().all(|(_, value)| inside(*value)));
        // It is what its bytes say, again.
        assert_eq!(Header::read(head), Ok(header));
    }
    if let Ok(header) = Header::read(head) {
        let again = Header::read(&header.to_bytes());
        // A longer one is the same as far as it is known.
        assert!(header.size_of_struct != 184 || again == Ok(header));
    }
});

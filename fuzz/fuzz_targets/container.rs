//! Compressed module files: whatever the bytes are, they are refused or unpacked, in bounded memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_object::{Container, UnpackError, Unpacker};
use std::cell::RefCell;

thread_local! {
    /// Kept from one file to the next, as depmod does: nothing of one may show in another.
    static KEPT: RefCell<Unpacker> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    KEPT.with_borrow_mut(|kept| {
        let again = kept.unpack(data);
        let mut fresh = Unpacker::new();
        let first = fresh.unpack(data);
        // Why it is damaged may be told in other words: a decoder notices it later where there is
        // less room.
        assert_eq!(first.as_ref().ok(), again.as_ref().ok());
        match first {
            Ok(bytes) => {
                assert!(bytes.len() <= 1 << 30);
                assert!(Container::of(data) != Container::Plain || bytes == data);
            }
            Err(error) => {
                assert_ne!(Container::of(data), Container::Plain);
                assert_ne!(error, UnpackError::NoMemory);
                assert!(!error.to_string().is_empty());
            }
        }
    });
});

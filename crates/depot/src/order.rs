//! The order in which kmod's tables list names.
//!
//! What depmod writes is read by people and compared by build systems, so the order is part of
//! the contract: by bucket of Hsieh's "SuperFastHash", and within a bucket by the bytes.

/// Paul Hsieh's hash (http://www.azillionmonkeys.com/qed/hash.html), of bytes taken as signed.
pub(crate) fn hash(name: &[u8]) -> u32 {
    let half = |at: usize| u32::from(u16::from_le_bytes([name[at], name[at + 1]]));
    let signed = |at: usize| name[at] as i8 as u32;
    let mut hash = name.len() as u32;
    let whole = name.len() / 4 * 4;
    for at in (0..whole).step_by(4) {
        hash = hash.wrapping_add(half(at));
        hash = (hash << 16) ^ ((half(at + 2) << 11) ^ hash);
        hash = hash.wrapping_add(hash >> 11);
    }
    match name.len() - whole {
        3 => {
            hash = hash.wrapping_add(half(whole));
            hash ^= hash << 16;
            hash ^= signed(whole + 2) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        2 => {
            hash = hash.wrapping_add(half(whole));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        1 => {
            hash = hash.wrapping_add(signed(whole));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

/// Buckets of the table of modules.
pub(crate) const MODULES: u32 = 512;
/// Buckets of the table of symbols.
pub(crate) const SYMBOLS: u32 = 2048;

/// What to sort names by, to have them in the order of a table of so many buckets.
pub(crate) fn key(name: &[u8], buckets: u32) -> (u32, &[u8]) {
    (hash(name) & (buckets - 1), name)
}

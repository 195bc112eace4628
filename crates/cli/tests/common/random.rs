//! Random choices that can be made again.

/// A generator (splitmix64); the same seed makes the same choices.
pub(crate) struct Random(u64);

impl Random {
    /// From the environment variable, or else from the clock; it is printed, for a second run.
    pub(crate) fn from_setting(name: &str) -> Random {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let clock = clock.map_or(0, |time| {
            u64::from(time.subsec_nanos()) ^ time.as_secs() << 20
        });
        let seed = super::setting(name, clock);
        eprintln!("{name}={seed}");
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

//! The use count of a module.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Set in the count's word once exit has begun: no new use is granted.
const CLOSED: usize = 1 << (usize::BITS - 1);
/// Well below [`CLOSED`], so that a racing increment can never reach it.
const MAX: usize = CLOSED >> 1;

/// The use count of a module together with the flags that a use sets.
///
/// A *use* is anything that keeps the module from being exited: an open device, a call that is
/// under way, a reference that module code took itself. While the gate is closed no use can be
/// taken; it closes only when there is none. The count is one atomic word, so the two
/// cannot race (model-checked in `tests/gate_model.rs`).
///
/// Source: `try_inc_mod_count` and `unload_lock` of Linux 2.4, without the lock.
#[derive(Debug, Default)]
pub struct Gate {
    word: AtomicUsize,
    flags: AtomicU32,
}

/// Flags of a module, with the values of Linux 2.4's `MOD_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// `MOD_AUTOCLEAN`: the sweep may unload it.
    pub const AUTOCLEAN: Flags = Flags(4);
    /// `MOD_VISITED`: used since the last sweep.
    pub const VISITED: Flags = Flags(8);
    /// `MOD_USED_ONCE`: used, or depended upon, at least once.
    pub const USED_ONCE: Flags = Flags(16);
    /// `MOD_JUST_FREED`: its last reference went away in this sweep.
    pub const JUST_FREED: Flags = Flags(32);
    /// All of them.
    pub(crate) const ALL: Flags = Flags(4 | 8 | 16 | 32);

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits, as 2.4 has them in `struct module`.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl Gate {
    /// An open gate without uses or flags.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Takes a use. Fails once [`Gate::close`] has succeeded, until [`Gate::reopen`].
    ///
    /// Each success is given back with one [`Gate::put`].
    #[must_use]
    pub fn try_get(&self) -> bool {
        let got = self.try_hold();
        if got {
            self.set(Flags::VISITED.union(Flags::USED_ONCE));
        }
        got
    }

    /// As [`Gate::try_get`], but no flag tells of it: for who only asks the module something. Each success is
    /// given back with one [`Gate::unhold`].
    #[must_use]
    pub fn try_hold(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 || word >= MAX {
                return false;
            }
            match self.word.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Gives a use back. Returns `false`, and changes nothing, when there was none to give back:
    /// the caller is module code, whose count must not wrap.
    pub fn put(&self) -> bool {
        if self.count() == 0 {
            return false;
        }
        // Before the count drops: whoever then finds it 0 must also see the visit.
        self.set(Flags::VISITED);
        self.unhold()
    }

    /// Closes the gate if there is no use. Returns whether it is now closed by this call.
    #[must_use]
    pub fn close(&self) -> bool {
        self.word
            .compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Opens the gate again, without uses; for a module that is initialised anew.
    pub fn reopen(&self) {
        self.word.store(0, Ordering::Release);
    }

    /// Closes the gate whatever uses there are; those there are can still be given back.
    pub fn shut(&self) {
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Whether no new use is granted.
    pub fn is_closed(&self) -> bool {
        self.word.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Counts the module's own init as a use, without the flags that a use sets.
    pub(crate) fn hold(&self) {
        self.word.fetch_add(1, Ordering::Acquire);
    }

    /// Ends what [`Gate::try_hold`] began. A module that gave back more than it took is at 0
    /// now.
    pub fn unhold(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !CLOSED != 0 {
            match self.word.compare_exchange_weak(
                word,
                word - 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// How many uses there are. Whoever finds 0 sees all that happened under the uses that were
    /// given back, their visit among it.
    pub fn count(&self) -> usize {
        self.word.load(Ordering::Acquire) & !CLOSED
    }

    /// The flags as they are now.
    pub fn flags(&self) -> Flags {
        Flags(self.flags.load(Ordering::Relaxed))
    }

    /// Sets flags.
    pub fn set(&self, flags: Flags) {
        // A plain load first: taking a use must not bounce this line once the flags are set.
        if !self.flags().contains(flags) {
            self.flags.fetch_or(flags.0, Ordering::Relaxed);
        }
    }

    /// Clears flags.
    pub fn clear(&self, flags: Flags) {
        self.flags.fetch_and(!flags.0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn closes_only_unused_and_stays_closed() {
        let gate = Gate::new();
        assert!(gate.try_get());
        assert!(!gate.close());
        assert!(gate.put());
        assert!(gate.close());
        assert!(!gate.try_get());
        assert!(!gate.close());
        assert!(!gate.put());
        assert_eq!(gate.count(), 0);
        gate.reopen();
        assert!(gate.try_get());
        assert_eq!(gate.count(), 1);
    }

    #[test]
    fn flags_of_a_use() {
        let gate = Gate::new();
        assert!(!gate.flags().contains(Flags::USED_ONCE));
        assert!(gate.try_get());
        gate.clear(Flags::VISITED);
        assert!(gate.put());
        assert!(
            gate.flags()
                .contains(Flags::VISITED.union(Flags::USED_ONCE))
        );
    }
}

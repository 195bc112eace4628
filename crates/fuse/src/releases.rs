//! What was closed before a command is released before the command runs.
//!
//! The kernel sends a release and does not wait for it, so `cat k/dev/echo; rmmod echo` would
//! find the device open now and then. Requests arrive in the order in which they were made: a
//! command that comes after a release waits for it.

use crate::lock;
use modfs_tree::Caller;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A release that takes longer than this, as one whose module hangs, is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often one that waits looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct State {
    next: u64,
    /// When each began.
    pending: BTreeMap<u64, Instant>,
}

/// The releases that are under way.
#[derive(Default)]
pub(crate) struct Releases {
    state: Mutex<State>,
    done: Condvar,
}

/// A release that is under way, until this is dropped.
pub(crate) struct Release(Arc<Releases>, u64);

impl Drop for Release {
    fn drop(&mut self) {
        lock(&self.0.state).pending.remove(&self.1);
        self.0.done.notify_all();
    }
}

impl Releases {
    /// Notes that a release has begun.
    pub(crate) fn begin(self: &Arc<Releases>) -> Release {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        state.pending.insert(number, Instant::now());
        Release(Arc::clone(self), number)
    }

    /// All that have begun by now are before the number.
    pub(crate) fn mark(&self) -> u64 {
        lock(&self.state).next
    }

    /// Waits for those before the mark to end; for none longer than patience since it began, so
    /// that one which hangs costs it once.
    pub(crate) fn wait(&self, mark: u64, caller: &Caller) {
        let mut state = lock(&self.state);
        while !caller.is_cancelled() {
            let mut before = state.pending.range(..mark);
            if !before.any(|(_, began)| began.elapsed() < PATIENCE) {
                return;
            }
            let woken = self.done.wait_timeout(state, TICK);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_what_was_before() {
        let releases = Arc::new(Releases::default());
        let caller = Caller::new(0, 0);
        let before = releases.begin();
        let mark = releases.mark();
        let _after = releases.begin();
        let ended = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(60));
            *lock(&seen) = true;
            drop(before);
        });
        releases.wait(mark, &caller);
        assert!(*lock(&ended));
        thread.join().expect("it does not panic");
    }

    #[test]
    fn one_that_hangs_is_waited_for_once() {
        let releases = Arc::new(Releases::default());
        let caller = Caller::new(0, 0);
        let _hangs = releases.begin();
        releases.wait(releases.mark(), &caller);
        let state = lock(&releases.state);
        let began = state.pending.values().next().copied();
        drop(state);
        assert!(began.is_some_and(|began| began.elapsed() >= PATIENCE));
        // It has had its time: this returns at once, or the test would not end.
        (0..1000).for_each(|_| releases.wait(releases.mark(), &caller));
    }
}

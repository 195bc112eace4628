//! What was closed before a command is released before the command runs.
//!
//! The kernel sends a release and does not wait for it, so `cat k/dev/echo; rmmod echo` would
//! find the device open now and then. Requests arrive in the order in which they were made: a
//! command that comes after a release waits for it.

use crate::lock;
use modfs_tree::Caller;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A release that takes longer than this, as one whose module hangs, is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often one that waits looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct State {
    next: u64,
    pending: BTreeSet<u64>,
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
        state.pending.insert(number);
        Release(Arc::clone(self), number)
    }

    /// All that have begun by now are before the number.
    pub(crate) fn mark(&self) -> u64 {
        lock(&self.state).next
    }

    /// Waits for those before the mark to end, or for patience to.
    pub(crate) fn wait(&self, mark: u64, caller: &Caller) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock(&self.state);
        while state.pending.first().is_some_and(|first| *first < mark)
            && Instant::now() < deadline
            && !caller.is_cancelled()
        {
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
}

//! Opens of a device that are under way: taking its registration back waits for them, since what
//! it was registered with may be gone thereafter.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Who is in an open, once for each.
    inside: Vec<ThreadId>,
}

/// Of one registration.
#[derive(Debug, Default)]
pub(crate) struct Opens {
    state: Mutex<State>,
    left: Condvar,
}

/// An open that is under way.
pub(crate) struct Opening<'a>(&'a Opens);

impl Opens {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless the registration has been taken back.
    pub(crate) fn begin(&self) -> Option<Opening<'_>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.inside.push(thread::current().id());
        Some(Opening(self))
    }

    /// Lets none begin any more, and waits for those of other threads: a device may take its own
    /// registration back while it is opened.
    pub(crate) fn close(&self) {
        let own = thread::current().id();
        let mut state = self.lock();
        state.closed = true;
        while state.inside.iter().any(|thread| *thread != own) {
            state = self
                .left
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let own = thread::current().id();
        let mut state = self.0.lock();
        if let Some(at) = state.inside.iter().position(|thread| *thread == own) {
            state.inside.swap_remove(at);
        }
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn closing_waits_for_others_and_not_for_itself() {
        let opens = Opens::default();
        let own = opens.begin().expect("open");
        opens.close();
        assert!(opens.begin().is_none());
        drop(own);

        let opens = Opens::default();
        let opening = opens.begin().expect("open");
        thread::scope(|scope| {
            let closing = scope.spawn(|| opens.close());
            thread::sleep(Duration::from_millis(50));
            assert!(!closing.is_finished());
            drop(opening);
        });
    }
}

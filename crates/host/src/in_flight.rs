//! Calls in flight into what a module registered: taking the registration back waits for them,
//! since what it was registered with may be gone thereafter.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How often one that waits asks whether it is to go on.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Who is in a call, once for each.
    inside: Vec<ThreadId>,
}

/// Of one registration.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    left: Condvar,
}

/// A call in flight, until this is dropped.
pub(crate) struct Entered<'a>(&'a InFlight);

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless the registration has been taken back.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.inside.push(thread::current().id());
        Some(Entered(self))
    }

    /// Lets none begin any more, and waits for those of other threads: a module may take a
    /// registration back while it is called for it.
    pub(crate) fn close(&self) {
        self.close_unless(|| false);
    }

    /// As [`InFlight::close`], but no longer than until `given_up`, which is asked again and again;
    /// `false`: there are some still.
    pub(crate) fn close_unless(&self, given_up: impl Fn() -> bool) -> bool {
        let own = thread::current().id();
        let mut state = self.lock();
        state.closed = true;
        while state.inside.iter().any(|thread| *thread != own) {
            if given_up() {
                return false;
            }
            let woken = self.left.wait_timeout(state, TICK);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Entered<'_> {
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

    #[test]
    fn closing_waits_for_others_and_not_for_itself() {
        let calls = InFlight::default();
        let own = calls.enter().expect("a call");
        calls.close();
        assert!(calls.enter().is_none());
        drop(own);

        let calls = InFlight::default();
        let call = calls.enter().expect("a call");
        thread::scope(|scope| {
            let closing = scope.spawn(|| calls.close());
            thread::sleep(Duration::from_millis(50));
            assert!(!closing.is_finished());
            drop(call);
        });
    }
}

//! Calls that are answered later, and the watch over those who wait for them.
//!
//! A reply is in a [`Slot`] that whoever answers first empties: the thread that did the work, or
//! the monitor, when the caller was interrupted or its time is up. The work is never stopped;
//! it is told ([`Caller::cancelled`]) that nobody waits.

use crate::handles::How;
use crate::{lock, task};
use fuser::{ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite};
use modfs_core::Errno;
use modfs_tree::Caller;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How often the monitor looks at those who wait, and how old a call must be for it to look.
const TICK: Duration = Duration::from_millis(50);

/// An errno for the kernel.
pub(crate) fn errno(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.raw())
}

/// A reply that can be an error.
pub(crate) trait Reply: Send + 'static {
    fn refuse(self, errno: Errno);
}

macro_rules! replies {
    ($($reply:ty)*) => { $(
        impl Reply for $reply {
            fn refuse(self, error: Errno) {
                self.error(errno(error));
            }
        }
    )* };
}

replies! { ReplyAttr ReplyCreate ReplyData ReplyEmpty ReplyEntry ReplyOpen ReplyWrite }

/// Runs what a node does. A panic there is its caller's EIO, not the end of the mount.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Errno::EIO))
}

struct Slot<R>(Mutex<Option<R>>);

impl<R> Slot<R> {
    fn take(&self) -> Option<R> {
        lock(&self.0).take()
    }
}

/// A slot, whatever the kind of reply in it.
trait Pending: Send + Sync {
    fn is_open(&self) -> bool;
    fn refuse(&self, errno: Errno);
}

impl<R: Reply> Pending for Slot<R> {
    fn is_open(&self) -> bool {
        lock(&self.0).is_some()
    }

    fn refuse(&self, errno: Errno) {
        if let Some(reply) = self.take() {
            reply.refuse(errno);
        }
    }
}

struct Watched {
    slot: Weak<dyn Pending>,
    task: u32,
    since: Instant,
    deadline: Option<Instant>,
    cancelled: Arc<AtomicBool>,
}

impl Watched {
    /// Answers if there is reason to. Returns whether to go on watching.
    fn look(&self, now: Instant) -> bool {
        let Some(slot) = self.slot.upgrade().filter(|slot| slot.is_open()) else {
            return false;
        };
        let errno = if self.deadline.is_some_and(|deadline| now >= deadline) {
            Errno::ETIMEDOUT
        } else if now >= self.since + TICK
            && task::is_interrupted(self.task, self.deadline.is_none())
        {
            Errno::EINTR
        } else {
            return true;
        };
        self.cancelled.store(true, Ordering::Relaxed);
        slot.refuse(errno);
        false
    }
}

#[derive(Default)]
struct Watch {
    stopped: bool,
    watched: Vec<Watched>,
}

/// Makes calls on threads of their own and watches those who wait for them.
pub(crate) struct Monitor {
    limit: Duration,
    watch: Mutex<Watch>,
    changed: Condvar,
}

impl Monitor {
    /// Starts one. `limit` is for the nodes that time out.
    ///
    /// # Errors
    /// Its thread cannot be made.
    pub(crate) fn start(limit: Duration) -> io::Result<Arc<Monitor>> {
        let monitor = Arc::new(Monitor {
            limit,
            watch: Mutex::default(),
            changed: Condvar::new(),
        });
        let running = Arc::clone(&monitor);
        thread::Builder::new()
            .name("modfs-monitor".into())
            .spawn(move || running.run())?;
        Ok(monitor)
    }

    /// Ends it. Who still waits is answered by the end of the mount.
    pub(crate) fn stop(&self) {
        let mut watch = lock(&self.watch);
        watch.stopped = true;
        for watched in watch.watched.drain(..) {
            watched.cancelled.store(true, Ordering::Relaxed);
        }
        self.changed.notify_one();
    }

    fn run(&self) {
        let mut watch = lock(&self.watch);
        while !watch.stopped {
            watch = if watch.watched.is_empty() {
                let woken = self.changed.wait(watch);
                woken.unwrap_or_else(PoisonError::into_inner)
            } else {
                let woken = self.changed.wait_timeout(watch, TICK);
                woken.unwrap_or_else(PoisonError::into_inner).0
            };
            let now = Instant::now();
            watch.watched.retain(|watched| watched.look(now));
        }
    }

    fn watch(&self, watched: Watched) {
        let mut watch = lock(&self.watch);
        if watch.stopped {
            watched.cancelled.store(true, Ordering::Relaxed);
            return;
        }
        watch.watched.push(watched);
        // One that waits for a tick need not be told.
        if watch.watched.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// Does `work` on a thread of its own and gives what it made to `answer`; if the call was
    /// answered meanwhile, what it made is dropped there.
    pub(crate) fn defer<R: Reply, T>(
        &self,
        task: u32,
        how: How,
        caller: Caller,
        reply: R,
        work: impl FnOnce(&Caller) -> Result<T, Errno> + Send + 'static,
        answer: impl FnOnce(R, T) + Send + 'static,
    ) {
        let since = Instant::now();
        let slot = Arc::new(Slot(Mutex::new(Some(reply))));
        let pending: Arc<dyn Pending> = Arc::<Slot<R>>::clone(&slot);
        let watched = Watched {
            slot: Arc::downgrade(&pending),
            task,
            since,
            deadline: since.checked_add(self.limit).filter(|_| how.times_out),
            cancelled: Arc::clone(&caller.cancelled),
        };
        let spawned = thread::Builder::new()
            .name("modfs-call".into())
            .spawn(move || {
                let outcome = guarded(|| work(&caller));
                match (slot.take(), outcome) {
                    (Some(reply), Ok(made)) => answer(reply, made),
                    (Some(reply), Err(errno)) => reply.refuse(errno),
                    (None, _) => {}
                }
            });
        match spawned {
            Ok(_) => self.watch(watched),
            Err(_) => pending.refuse(Errno::EAGAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Told(Sender<Result<u32, Errno>>);

    impl Reply for Told {
        fn refuse(self, errno: Errno) {
            let _ = self.0.send(Err(errno));
        }
    }

    const HOW: How = How {
        blocks: true,
        times_out: true,
    };

    fn defer(
        monitor: &Monitor,
        task: u32,
        work: impl FnOnce(&Caller) -> Result<u32, Errno> + Send + 'static,
    ) -> (Caller, Receiver<Result<u32, Errno>>) {
        let (sender, receiver) = channel();
        let caller = Caller::new(0, 0);
        monitor.defer(
            task,
            HOW,
            caller.clone(),
            Told(sender),
            work,
            |told, made| {
                let _ = told.0.send(Ok(made));
            },
        );
        (caller, receiver)
    }

    #[test]
    fn answers_once() {
        let monitor = Monitor::start(Duration::from_millis(20)).expect("start");
        let (_, told) = defer(&monitor, 0, |_| Ok(7));
        assert_eq!(told.recv(), Ok(Ok(7)));
        let (_, told) = defer(&monitor, 0, |_| Err(Errno::ENXIO));
        assert_eq!(told.recv(), Ok(Err(Errno::ENXIO)));
        let (caller, told) = defer(&monitor, 0, |caller| {
            while !caller.is_cancelled() {
                thread::yield_now();
            }
            Ok(7)
        });
        assert_eq!(told.recv(), Ok(Err(Errno::ETIMEDOUT)));
        assert!(caller.is_cancelled());
        assert!(told.recv().is_err(), "a second answer");
        monitor.stop();
    }

    #[test]
    fn a_panic_is_eio() {
        let monitor = Monitor::start(Duration::from_secs(60)).expect("start");
        let (_, told) = defer(&monitor, 0, |_| panic!("meant to"));
        assert_eq!(told.recv(), Ok(Err(Errno::EIO)));
        monitor.stop();
    }

    #[test]
    fn stopping_tells_the_work() {
        let monitor = Monitor::start(Duration::from_secs(60)).expect("start");
        let (caller, told) = defer(&monitor, 0, |caller| {
            while !caller.is_cancelled() {
                thread::yield_now();
            }
            Ok(1)
        });
        monitor.stop();
        assert_eq!(told.recv(), Ok(Ok(1)));
        assert!(caller.is_cancelled());
    }
}

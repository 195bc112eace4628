//! The use count under every interleaving of a few threads, with what the memory orders used
//! allow (loom). Empty unless built with
//! `RUSTFLAGS="--cfg loom" cargo test -p modfs-core --test gate_model --release`.

#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use modfs_core::{Flags, Gate};

/// A gate, and what a module keeps: touched under uses, and by whoever closed the gate. loom
/// fails the model if two of these accesses are not ordered.
struct Guarded {
    gate: Gate,
    data: UnsafeCell<usize>,
}

impl Guarded {
    fn new() -> Arc<Guarded> {
        Arc::new(Guarded {
            gate: Gate::new(),
            data: UnsafeCell::new(0),
        })
    }

    fn read(&self) -> usize {
        // SAFETY: whether another thread writes at the same time is what the model finds out;
        // loom stops it then, before the access.
        self.data.with(|data| unsafe { *data })
    }

    fn write(&self, value: usize) {
        // SAFETY: as in `read`.
        self.data.with_mut(|data| unsafe { *data = value });
    }
}

#[test]
fn of_a_getter_that_keeps_its_use_and_a_closer_only_one_succeeds() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let getter = {
            let gate = gate.clone();
            thread::spawn(move || gate.try_get())
        };
        let closed = gate.close();
        let got = getter.join().unwrap();
        assert!(got != closed, "got: {got}, closed: {closed}");
        assert_eq!(gate.count(), usize::from(got));
        assert_eq!(gate.is_closed(), closed);
    });
}

#[test]
fn two_getters_and_a_closer_never_meet_inside() {
    let mut model = loom::model::Builder::new();
    // Without a bound it holds as well, but takes some minutes.
    model.preemption_bound = Some(3);
    model.check(|| {
        let module = Guarded::new();
        let getters = [(); 2].map(|()| {
            let module = module.clone();
            thread::spawn(move || {
                let got = module.gate.try_get();
                if got {
                    assert!(module.read() == 0, "used after it was torn down");
                    assert!(module.gate.put());
                }
                got
            })
        });
        let closed = module.gate.close();
        if closed {
            module.write(1);
        }
        let got = getters.map(|getter| getter.join().unwrap());
        assert!(closed || got.contains(&true), "nobody was in the way");
        assert_eq!(module.gate.count(), 0);
        assert_eq!(module.gate.is_closed(), closed);
    });
}

#[test]
fn two_closers_never_both_close() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let other = {
            let gate = gate.clone();
            thread::spawn(move || gate.close())
        };
        let here = gate.close();
        assert!(here != other.join().unwrap());
        assert!(gate.is_closed());
    });
}

#[test]
fn closing_sees_all_that_was_done_under_a_use() {
    loom::model(|| {
        let module = Guarded::new();
        assert!(module.gate.try_get());
        let user = {
            let module = module.clone();
            thread::spawn(move || {
                module.write(7);
                assert!(module.gate.put());
            })
        };
        if module.gate.close() {
            assert_eq!(module.read(), 7);
            assert!(!module.gate.try_get());
        }
        user.join().unwrap();
    });
}

#[test]
fn a_use_after_reopening_sees_all_that_was_done_before() {
    loom::model(|| {
        let module = Guarded::new();
        assert!(module.gate.close());
        let user = {
            let module = module.clone();
            thread::spawn(move || {
                if module.gate.try_get() {
                    assert_eq!(module.read(), 9);
                    assert!(module.gate.put());
                }
            })
        };
        module.write(9);
        module.gate.reopen();
        user.join().unwrap();
        assert_eq!(module.gate.count(), 0);
    });
}

#[test]
fn uses_are_given_back_after_shutting_each_once() {
    loom::model(|| {
        let module = Guarded::new();
        assert!(module.gate.try_get());
        let user = {
            let module = module.clone();
            thread::spawn(move || {
                module.write(3);
                assert!(module.gate.put());
            })
        };
        let late = {
            let module = module.clone();
            thread::spawn(move || module.gate.try_get())
        };
        module.gate.shut();
        assert!(!module.gate.try_get());
        if module.gate.count() == 0 {
            assert_eq!(module.read(), 3);
        }
        user.join().unwrap();
        let late = late.join().unwrap();
        assert!(module.gate.is_closed());
        assert_eq!(module.gate.count(), usize::from(late));
        assert_eq!(module.gate.put(), late);
        assert!(!module.gate.put(), "given back more often than taken");
        assert_eq!(module.gate.count(), 0);
    });
}

#[test]
fn one_use_given_back_twice_at_once_counts_once() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        assert!(gate.try_get());
        let backs = Arc::new(AtomicUsize::new(0));
        let other = {
            let (gate, backs) = (gate.clone(), backs.clone());
            thread::spawn(move || {
                if gate.put() {
                    backs.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        if gate.put() {
            backs.fetch_add(1, Ordering::Relaxed);
        }
        other.join().unwrap();
        assert_eq!(backs.load(Ordering::Relaxed), 1);
        assert_eq!(gate.count(), 0);
        assert!(!gate.is_closed());
    });
}

#[test]
fn whoever_finds_the_last_use_gone_sees_its_visit() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        assert!(gate.try_get());
        gate.clear(Flags::VISITED);
        let user = {
            let gate = gate.clone();
            thread::spawn(move || assert!(gate.put()))
        };
        if gate.count() == 0 {
            assert!(gate.flags().contains(Flags::VISITED));
        }
        user.join().unwrap();
        assert!(gate.flags().contains(Flags::VISITED));
    });
}

//! Who inserts what, when several threads do.

use crate::carry::{Failure, Target};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The modules that are inserted together: one thread inserts each, the others wait for it.
///
/// No thread waits while others wait for it: it does so between its own steps only. Who waits is
/// not counted among those that insert, so that a module that takes its time does not keep the
/// processors from those that do not need it.
#[derive(Debug)]
pub struct Board {
    modules: Mutex<Modules>,
    /// Notified when a module is over.
    over: Condvar,
    /// So many are inserted at once, at most.
    at_once: NonZeroUsize,
}

#[derive(Debug, Default)]
struct Modules {
    /// `None`: somebody is about it.
    outcomes: HashMap<String, Option<Result<(), Failure>>>,
    /// How many somebody is about.
    turns: usize,
    /// What has been inserted, in order.
    inserted: Vec<String>,
    /// What has to stay, since a plan that needs it was carried out.
    wanted: HashSet<String>,
}

/// The right to insert a module, and the duty.
pub(crate) struct Turn<'a> {
    board: &'a Board,
    module: String,
    outcome: Result<(), Failure>,
}

impl Turn<'_> {
    /// Tells the others how it ended.
    pub(crate) fn ends(mut self, outcome: &Result<(), Failure>) {
        self.outcome.clone_from(outcome);
    }

    /// Notes that it was inserted, and not only found.
    pub(crate) fn inserted(&self) {
        self.board.lock().inserted.push(self.module.clone());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Ok(()));
        let module = std::mem::take(&mut self.module);
        let mut modules = self.board.lock();
        modules.outcomes.insert(module, Some(outcome));
        modules.turns -= 1;
        drop(modules);
        self.board.over.notify_all();
    }
}

impl Board {
    /// A board for so many insertions at once.
    pub fn new(at_once: NonZeroUsize) -> Board {
        Board {
            modules: Mutex::default(),
            over: Condvar::new(),
            at_once,
        }
    }

    /// How many threads are to work with it: some wait while others insert.
    pub fn threads(&self) -> NonZeroUsize {
        const EACH: NonZeroUsize = NonZeroUsize::new(4).expect("not 0");
        match self.at_once.get() {
            1 => NonZeroUsize::MIN,
            _ => self.at_once.saturating_mul(EACH),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Modules> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody is about a module, and not too many are about others; then gives the turn
    /// to whoever is the first, and to the others how it ended.
    pub(crate) fn turn(&self, module: &str) -> Result<Turn<'_>, Result<(), Failure>> {
        let mut modules = self.lock();
        loop {
            match modules.outcomes.get(module) {
                None if modules.turns < self.at_once.get() => break,
                Some(Some(outcome)) => return Err(outcome.clone()),
                None | Some(None) => {
                    let waited = self.over.wait(modules);
                    modules = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        modules.turns += 1;
        modules.outcomes.insert(module.to_owned(), None);
        Ok(Turn {
            board: self,
            module: module.to_owned(),
            // Of somebody who panicked.
            outcome: Err(format!("inserting {module} was given up").into()),
        })
    }

    /// Notes the modules of a plan that was carried out.
    pub(crate) fn wants<'a>(&self, modules: impl Iterator<Item = &'a str>) {
        self.lock().wanted.extend(modules.map(str::to_owned));
    }

    /// Lets everything be tried again, such as what found no device before there was one.
    pub fn again(&self) {
        self.lock().outcomes.clear();
    }

    /// Removes what was inserted only for plans that failed. To be called when all of them are
    /// over: what one has inserted another may be waiting for.
    pub fn undo(&self, target: &dyn Target) {
        let modules = std::mem::take(&mut *self.lock());
        let unwanted = modules.inserted.iter().rev();
        for module in unwanted.filter(|module| !modules.wanted.contains(*module)) {
            // Somebody may use it already; then it stays.
            let _ = target.remove(module);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carry::{Carrier, Inserted};
    use crate::config::Config;
    use crate::probe::{Action, Reason, Step};
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    /// Takes its time over each module; refuses `bad`, and what is inserted twice.
    #[derive(Default)]
    struct Slow {
        loaded: Mutex<Vec<String>>,
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    impl Target for Slow {
        fn is_loaded(&self, module: &str) -> bool {
            self.loaded.lock().unwrap().iter().any(|one| one == module)
        }

        fn insert(
            &self,
            _: &Path,
            module: &str,
            _: &[String],
            _: bool,
        ) -> Result<Inserted, Failure> {
            let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            if module == "bad" || self.is_loaded(module) {
                return Err(format!("{module} is refused").into());
            }
            self.loaded.lock().unwrap().push(module.into());
            Ok(Inserted::Now)
        }

        fn remove(&self, module: &str) -> Result<(), Failure> {
            self.loaded.lock().unwrap().retain(|one| one != module);
            Ok(())
        }
    }

    fn plan(modules: &[&str]) -> Vec<Step> {
        let step = |module: &&str| Step {
            module: (*module).into(),
            action: Action::Insert(format!("/{module}.ko").into()),
            before: Vec::new(),
            after: Vec::new(),
            options: String::new(),
            required: true,
            reason: Reason::Asked,
        };
        modules.iter().map(step).collect()
    }

    #[test]
    fn each_is_inserted_once_and_after_what_it_needs() {
        let config = Config::default();
        let carrier = Carrier {
            config: &config,
            autoclean: false,
            first_time: false,
            environment: Vec::new(),
        };
        let two = NonZeroUsize::new(2).expect("not 0");
        let (target, board) = (Slow::default(), Board::new(two));
        let names: [&[&str]; 5] = [
            &["base", "a"],
            &["base", "b"],
            &["own", "bad", "c"],
            &["base", "own", "d"],
            &["alone", "bad"],
        ];
        let outcomes: Vec<Result<(), Failure>> = thread::scope(|scope| {
            let one = |names| {
                let (carrier, target, board) = (&carrier, &target, &board);
                scope.spawn(move || carrier.insert_with(board, &plan(names), target, |_| {}))
            };
            let threads: Vec<_> = names.into_iter().map(one).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let refused = || Err("bad is refused".into());
        assert_eq!(outcomes, [Ok(()), Ok(()), refused(), Ok(()), refused()]);
        // Who waits for another's module does not count.
        assert_eq!(target.most.load(Ordering::Relaxed), 2);
        let loaded = |target: &Slow| {
            let mut loaded = target.loaded.lock().unwrap().clone();
            let at = |name: &str| loaded.iter().position(|one| one == name);
            assert!(at("base") < at("a") && at("base") < at("b") && at("own") < at("d"));
            loaded.sort();
            loaded
        };
        assert_eq!(loaded(&target), ["a", "alone", "b", "base", "d", "own"]);
        // They are not tried again, unless that is wanted.
        assert!(board.turn("bad").is_err_and(|outcome| outcome.is_err()));
        board.again();
        assert!(board.turn("bad").is_ok());
        // What only failures wanted goes.
        board.undo(&target);
        assert_eq!(loaded(&target), ["a", "b", "base", "d", "own"]);
    }
}

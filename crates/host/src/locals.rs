//! Thread-local variables of modules.
//!
//! The host keeps them, so that they can go with their module: those of all threads when it
//! exits, those of a thread when that ends.

use crate::call::Owner;
use crate::host::Shared;
use modfs_core::Id;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// A thread's value of a key.
#[derive(Debug)]
struct Local {
    value: u64,
    /// The module's function that drops it.
    free: u64,
}

/// By the number of the module, and the thread.
type Table = HashMap<(u64, ThreadId), (Arc<Owner>, HashMap<u64, Local>)>;

/// How often a module's values are dropped that dropping others has made (POSIX:
/// PTHREAD_DESTRUCTOR_ITERATIONS).
const ROUNDS: usize = 4;

/// All values there are.
#[derive(Debug, Default)]
pub(crate) struct Locals(Mutex<Table>);

/// The hosts whose modules have values of this thread; dropped when it ends.
struct Ending(RefCell<Vec<Weak<Shared>>>);

thread_local! {
    static ENDING: Ending = const { Ending(RefCell::new(Vec::new())) };
}

impl Drop for Ending {
    fn drop(&mut self) {
        for host in self.0.take().iter().filter_map(Weak::upgrade) {
            host.locals.drop_thread(&host, thread::current().id());
        }
    }
}

impl Shared {
    /// The module of a number; most often it is the one whose call is under way.
    pub(crate) fn owner(&self, current: &Arc<Owner>, id: u64) -> Option<Arc<Owner>> {
        if current.id.get() == id {
            return Some(current.clone());
        }
        let modules = self.modules();
        let mut all = modules.iter();
        let (_, module) = all.find(|(other, _)| other.get() == id)?;
        Some(module.payload()?.owner.clone())
    }
}

impl Locals {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This thread's value of a module's key.
    pub(crate) fn get(&self, module: u64, key: u64) -> Option<u64> {
        let table = self.lock();
        let (_, values) = table.get(&(module, thread::current().id()))?;
        Some(values.get(&key)?.value)
    }

    /// Keeps this thread's value of a module's key. Returns the one there is, when making this
    /// one has made another.
    pub(crate) fn put(
        &self,
        host: &Shared,
        owner: &Arc<Owner>,
        key: u64,
        value: u64,
        free: u64,
    ) -> Option<u64> {
        let mut table = self.lock();
        let (_, values) = table
            .entry((owner.id.get(), thread::current().id()))
            .or_insert_with(|| (owner.clone(), HashMap::new()));
        if let Some(there) = values.get(&key) {
            return Some(there.value);
        }
        values.insert(key, Local { value, free });
        drop(table);
        // Without it, in a thread that ends at this moment, the value goes with the module.
        let _ = ENDING.try_with(|ending| {
            let mut hosts = ending.0.borrow_mut();
            if !hosts.iter().any(|known| Weak::ptr_eq(known, &host.me)) {
                hosts.push(host.me.clone());
            }
        });
        None
    }

    fn drop_thread(&self, host: &Shared, thread: ThreadId) {
        let owners: Vec<Arc<Owner>> = {
            let table = self.lock();
            let of_thread = table.iter().filter(|((_, t), _)| *t == thread);
            of_thread.map(|(_, (owner, _))| owner.clone()).collect()
        };
        for owner in owners {
            // A module that is going away drops them itself.
            let Some(_pin) = owner.pin() else { continue };
            let values = self.lock().remove(&(owner.id.get(), thread));
            free(
                host,
                &owner,
                values
                    .into_iter()
                    .flat_map(|(_, values)| values.into_values()),
            );
        }
    }

    /// Drops all values of a module that is going away.
    pub(crate) fn drop_module(&self, host: &Shared, owner: &Arc<Owner>) {
        // Dropping one may make another. What is there after the last round is forgotten.
        for _ in 0..ROUNDS {
            let gone = self.take_module(owner.id);
            if gone.is_empty() {
                return;
            }
            free(host, owner, gone.into_iter());
        }
        self.take_module(owner.id);
    }

    fn take_module(&self, id: Id) -> Vec<Local> {
        let mut gone = Vec::new();
        self.lock().retain(|(of, _), (_, values)| {
            let keep = *of != id.get();
            if !keep {
                gone.extend(values.drain().map(|(_, local)| local));
            }
            keep
        });
        gone
    }
}

fn free(host: &Shared, owner: &Arc<Owner>, values: impl Iterator<Item = Local>) {
    for local in values {
        if !owner.is_dead() {
            // A failure is in the log; the others are dropped all the same.
            // SAFETY: the module's function, with what it made; the module is mapped: it is
            // pinned, or exiting.
            let _ = unsafe { host.call(owner, local.free, [local.value, 0, 0, 0, 0]) };
        }
    }
}

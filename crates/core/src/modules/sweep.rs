//! The sweep over modules that were loaded on demand.

use super::{Id, Modules};
use crate::{Flags, State};
use alloc::vec::Vec;

/// A sweep over the modules that were loaded on demand; see [`Modules::next_stale`].
#[derive(Debug, Default)]
pub struct Sweep {
    /// Still to be looked at in this round, the newest last.
    queue: Vec<Id>,
    /// Were visited before this sweep, which lets them be.
    spared: Vec<Id>,
    /// Are not to go.
    kept: Vec<Id>,
    started: bool,
    changed: bool,
}

impl Sweep {
    /// Lets a module be, whatever its count.
    pub fn keep(&mut self, id: Id) {
        self.kept.push(id);
    }
}

impl<P> Modules<P> {
    /// Continues a sweep of the modules that were loaded on demand (Linux 2.4
    /// `delete_module(NULL)`): returns the next one to exit, on which [`Modules::begin_exit`]
    /// has been done; the caller runs its cleanup, then [`Modules::finish_exit`] and
    /// [`Modules::unmap`]. `None` ends the sweep.
    ///
    /// A module that was never used stays; one used since the last sweep survives this one; a
    /// dependency that this sweep released goes at once.
    pub fn next_stale(&mut self, sweep: &mut Sweep) -> Option<Id> {
        loop {
            while let Some(id) = sweep.queue.pop() {
                let Some(module) = self.get(id) else { continue };
                if module.state != State::Running
                    || sweep.kept.contains(&id)
                    || !module.refs.is_empty()
                    || module.gate.count() > 0
                {
                    continue;
                }
                // Only now that the count was 0: the last use's visit is among them.
                let flags = module.gate.flags();
                if !flags.contains(Flags::AUTOCLEAN.union(Flags::USED_ONCE)) {
                    continue;
                }
                let freed = flags.contains(Flags::JUST_FREED);
                if flags.contains(Flags::VISITED) && !freed {
                    module.gate.clear(Flags::VISITED);
                    sweep.spared.push(id);
                    continue;
                }
                // In a further round 2.4 took these too, whenever anything else had gone.
                if sweep.spared.contains(&id) && !freed {
                    continue;
                }
                if self.begin_exit(id).is_ok() {
                    sweep.changed = true;
                    return Some(id);
                }
            }
            if sweep.started && !sweep.changed {
                for (_, module) in &self.list {
                    module.gate.clear(Flags::JUST_FREED);
                }
                return None;
            }
            sweep.started = true;
            sweep.changed = false;
            sweep.queue = self.list.iter().map(|(id, _)| *id).collect();
        }
    }
}

//! Long random sequences of commands, uses and symbol changes, against a small model of its own.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use modfs_core::{Command, Errno, Flags, Gate, Id, InitArgs, Owner, State, Sweep, Unresolved};
use std::collections::BTreeMap;
use std::sync::Arc;

mod support;
use support::*;

const MODULES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const SYMBOLS: [&str; 10] = ["k0", "k1", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
const KERNEL_SYMBOLS: [&str; 2] = ["k0", "k1"];

/// xorshift64*: good enough, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn some_of(&mut self, all: &[&'static str], percent: usize) -> Vec<&'static str> {
        let mut list = Vec::new();
        for name in all {
            if self.chance(percent) {
                list.push(*name);
            }
        }
        list
    }
}

/// What a module may be doing; finer than [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Mapping,
    Mapped,
    Initializing,
    Running,
    Exiting,
    Deleted,
    Faulted,
    /// Init failed, calls into the image have not returned when last looked.
    Draining,
    /// Init failed and the image is gone.
    Bare,
    Relinking,
}

impl Phase {
    fn state(self) -> State {
        match self {
            Phase::Initializing => State::Initializing,
            Phase::Running => State::Running,
            Phase::Exiting => State::Exiting,
            Phase::Deleted => State::Deleted,
            Phase::Faulted => State::Faulted,
            _ => State::Uninitialized,
        }
    }
}

#[derive(Debug)]
struct Modeled {
    name: &'static str,
    id: Id,
    phase: Phase,
    uses: usize,
    open: bool,
    autoclean: bool,
    visited: bool,
    used_once: bool,
    /// Whom it uses, in order; who uses whom follows.
    deps: Vec<&'static str>,
    /// A number for each link, so that references have an order.
    linked: usize,
    /// Symbols added by hand that it uses.
    borrows: Vec<&'static str>,
    gate: Arc<Gate>,
}

/// The same list as a plain table, without any index into itself.
#[derive(Default)]
struct Model {
    /// Oldest first.
    modules: Vec<Modeled>,
    /// Name to owner (`None`: the kernel) and whether it was added by hand.
    symbols: BTreeMap<&'static str, (Option<&'static str>, bool)>,
    links: usize,
}

impl Model {
    fn at(&self, name: &str) -> Option<usize> {
        self.modules.iter().position(|m| m.name == name)
    }

    fn phase(&self, name: &str) -> Option<Phase> {
        self.at(name).map(|at| self.modules[at].phase)
    }

    fn users(&self, name: &str) -> Vec<&'static str> {
        let mut users: Vec<_> = self
            .modules
            .iter()
            .filter(|m| m.deps.contains(&name))
            .map(|m| (m.linked, m.name))
            .collect();
        users.sort_unstable();
        users.into_iter().rev().map(|(_, name)| name).collect()
    }

    fn usable(&self, symbol: &str) -> bool {
        match self.symbols.get(symbol) {
            None => false,
            Some((None, _)) => true,
            Some((Some(owner), _)) => self.phase(owner) == Some(Phase::Running),
        }
    }

    fn release(&mut self, at: usize) {
        let name = self.modules[at].name;
        self.modules[at].deps.clear();
        self.modules[at].borrows.clear();
        self.symbols.retain(|_, (owner, _)| *owner != Some(name));
    }

    /// A failed init's image goes as soon as a command finds it unused.
    fn settle(&mut self, at: usize) {
        if self.modules[at].phase == Phase::Draining && self.modules[at].uses == 0 {
            self.modules[at].phase = Phase::Bare;
            self.release(at);
        }
    }

    /// What init and unmap (not exit) are answered before anything else.
    fn refused(&self, name: &str, init: bool) -> Option<Errno> {
        let Some(at) = self.at(name) else {
            return Some(Errno::ENOENT);
        };
        match self.modules[at].phase {
            Phase::Mapped | Phase::Bare => None,
            Phase::Draining if self.modules[at].uses == 0 => None,
            Phase::Deleted if !init => None,
            Phase::Deleted => Some(Errno::EINVAL),
            Phase::Running if init => Some(Errno::EEXIST),
            _ => Some(Errno::EBUSY),
        }
    }

    fn exit_refused(&self, name: &str) -> Option<Errno> {
        let Some(at) = self.at(name) else {
            return Some(Errno::ENOENT);
        };
        match self.modules[at].phase {
            Phase::Running if self.users(name).is_empty() && self.modules[at].uses == 0 => None,
            Phase::Running | Phase::Initializing | Phase::Exiting | Phase::Faulted => {
                Some(Errno::EBUSY)
            }
            _ => Some(Errno::EINVAL),
        }
    }

    /// Linux 2.4's loop, except that a visited module survives the whole sweep.
    fn sweep(&mut self) -> Vec<&'static str> {
        let mut gone = Vec::new();
        let mut spared: Vec<&str> = Vec::new();
        let mut just_freed: Vec<&str> = Vec::new();
        loop {
            let mut changed = false;
            let round: Vec<_> = self.modules.iter().rev().map(|m| m.name).collect();
            for name in round {
                let Some(at) = self.at(name) else { continue };
                let users = self.users(name);
                let module = &mut self.modules[at];
                if module.phase != Phase::Running
                    || !users.is_empty()
                    || !module.autoclean
                    || !module.used_once
                    || module.uses > 0
                {
                    continue;
                }
                let freed = just_freed.contains(&name);
                if module.visited && !freed {
                    module.visited = false;
                    spared.push(name);
                } else if freed || !spared.contains(&name) {
                    let deps = module.deps.clone();
                    self.release(at);
                    self.modules.remove(at);
                    for dep in deps {
                        if self.users(dep).is_empty() {
                            just_freed.push(dep);
                        }
                    }
                    gone.push(name);
                    changed = true;
                }
            }
            if !changed {
                return gone;
            }
        }
    }
}

struct Run {
    random: Random,
    list: List,
    model: Model,
    /// Gates of modules that are gone: closed for ever.
    ghosts: Vec<Arc<Gate>>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut run = Run {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            list: List::new(),
            model: Model::default(),
            ghosts: Vec::new(),
        };
        run.list.export(&exports(&KERNEL_SYMBOLS)).unwrap();
        for name in KERNEL_SYMBOLS {
            run.model.symbols.insert(name, (None, false));
        }
        run
    }

    fn step(&mut self) {
        let name = MODULES[self.random.below(MODULES.len())];
        match self.random.below(100) {
            0..15 => self.begin_map(name),
            15..35 => self.begin_init(name),
            35..52 => self.go_on(name),
            52..62 => self.begin_exit(name),
            62..70 => self.unmap(name),
            70..78 => self.get(name),
            78..88 => self.put(name),
            88..92 => self.add_symbol(name),
            92..95 => self.del_symbol(name),
            95..96 => self.fault(name),
            _ => self.sweep(),
        }
        self.compare();
    }

    fn begin_map(&mut self, name: &'static str) {
        let result = errno(begin_map(&mut self.list, name));
        if self.model.at(name).is_some() {
            assert_eq!(result, Err(Errno::EEXIST));
            return;
        }
        let id = result.unwrap();
        self.model.modules.push(Modeled {
            name,
            id,
            phase: Phase::Mapping,
            uses: 0,
            open: false,
            autoclean: false,
            visited: false,
            used_once: false,
            deps: Vec::new(),
            linked: 0,
            borrows: Vec::new(),
            gate: self.list.get(id).unwrap().gate().clone(),
        });
        if self.random.chance(70) {
            self.go_on(name);
        }
    }

    /// Whatever has begun with this module is finished, one way or another.
    fn go_on(&mut self, name: &'static str) {
        let Some(at) = self.model.at(name) else {
            return;
        };
        match self.model.modules[at].phase {
            Phase::Mapping | Phase::Relinking => self.finish_map(at),
            Phase::Initializing => self.finish_init(at),
            Phase::Exiting => {
                self.list.finish_exit(self.model.modules[at].id, false);
                self.model.modules[at].phase = Phase::Deleted;
                self.model.release(at);
            }
            _ => {}
        }
    }

    fn finish_map(&mut self, at: usize) {
        let (id, name, phase) = {
            let m = &self.model.modules[at];
            (m.id, m.name, m.phase)
        };
        // Also such as do not resolve; they must be passed over.
        let imports = self.random.some_of(&SYMBOLS, 25);
        self.list.depend(id, imports.iter().copied());
        self.model.links += 1;
        self.model.modules[at].linked = self.model.links;
        for symbol in imports {
            if !self.model.usable(symbol) {
                continue;
            }
            let (owner, added) = self.model.symbols[symbol];
            if added {
                self.model.modules[at].borrows.push(symbol);
            }
            if let Some(owner) = owner {
                let dep = self.model.at(owner).unwrap();
                self.model.modules[dep].used_once = true;
                if !self.model.modules[at].deps.contains(&owner) {
                    self.model.modules[at].deps.push(owner);
                }
            }
        }
        self.compare();
        let exported = self.random.some_of(&SYMBOLS[2..], 12);
        let fails = self.random.chance(15);
        let clash = exported.iter().any(|s| self.model.symbols.contains_key(s));
        if !fails {
            let result = errno(self.list.finish_map(id, &exports(&exported), 1));
            assert_eq!(result, if clash { Err(Errno::EEXIST) } else { Ok(()) });
        }
        if !fails && !clash {
            self.model.modules[at].phase = Phase::Mapped;
            for symbol in exported {
                self.model.symbols.insert(symbol, (Some(name), false));
            }
            return;
        }
        self.list.abort_map(id);
        self.model.release(at);
        if phase == Phase::Relinking {
            self.model.modules[at].phase = Phase::Bare;
        } else {
            self.bury(at);
        }
    }

    fn begin_init(&mut self, name: &'static str) {
        let result = errno(self.list.begin_relink(name, FILE));
        if let Some(why) = self.model.refused(name, true) {
            assert_eq!(result, Err(why));
            return;
        }
        let at = self.model.at(name).unwrap();
        let (id, again) = result.unwrap();
        assert_eq!(id, self.model.modules[at].id);
        self.model.settle(at);
        assert_eq!(again, self.model.modules[at].phase == Phase::Bare);
        if again {
            self.model.modules[at].phase = Phase::Relinking;
            return;
        }
        let autoclean = self.random.chance(70);
        let args = InitArgs {
            autoclean,
            ..InitArgs::default()
        };
        self.list.begin_init(id, &args).unwrap();
        let module = &mut self.model.modules[at];
        module.phase = Phase::Initializing;
        module.open = true;
        // Its own.
        module.uses = 1;
        module.autoclean = autoclean;
        module.visited = false;
        module.used_once = false;
        if self.random.chance(60) {
            self.go_on(name);
        }
    }

    fn finish_init(&mut self, at: usize) {
        let module = &mut self.model.modules[at];
        // A module may have given back even what was not its own.
        module.uses = module.uses.saturating_sub(1);
        if self.random.chance(70) {
            self.list.finish_init(module.id);
            module.phase = Phase::Running;
            return;
        }
        module.open = false;
        module.phase = Phase::Draining;
        let free = module.uses == 0;
        assert_eq!(self.list.fail_init(module.id), free);
        self.model.settle(at);
    }

    fn begin_exit(&mut self, name: &'static str) {
        let admitted = self.list.admit(name, FILE, Command::Exit);
        let result = admitted.and_then(|id| self.list.begin_exit(id));
        let refused = self.model.exit_refused(name);
        assert_eq!(errno(result), refused.map_or(Ok(()), Err));
        if refused.is_some() {
            return;
        }
        let at = self.model.at(name).unwrap();
        self.model.modules[at].phase = Phase::Exiting;
        self.model.modules[at].open = false;
        if self.random.chance(60) {
            self.go_on(name);
        }
    }

    fn unmap(&mut self, name: &'static str) {
        let result = errno(self.list.unmap(name, FILE));
        if let Some(why) = self.model.refused(name, false) {
            assert_eq!(result, Err(why));
            return;
        }
        result.unwrap();
        let at = self.model.at(name).unwrap();
        self.model.release(at);
        self.bury(at);
    }

    fn bury(&mut self, at: usize) {
        let gate = self.model.modules.remove(at).gate;
        if self.ghosts.len() < 20 {
            self.ghosts.push(gate);
        }
    }

    fn get(&mut self, name: &'static str) {
        let Some(at) = self.model.at(name) else {
            return;
        };
        let module = &mut self.model.modules[at];
        assert_eq!(module.gate.try_get(), module.open);
        if module.open {
            module.uses += 1;
            module.visited = true;
            module.used_once = true;
        }
    }

    fn put(&mut self, name: &'static str) {
        let Some(at) = self.model.at(name) else {
            return;
        };
        let module = &mut self.model.modules[at];
        assert_eq!(module.gate.put(), module.uses > 0);
        if module.uses > 0 {
            module.uses -= 1;
            module.visited = true;
        }
    }

    fn owner(&mut self, name: &'static str) -> Option<(Owner, Option<&'static str>)> {
        if self.random.chance(30) {
            return Some((Owner::Kernel, None));
        }
        let at = self.model.at(name)?;
        Some((Owner::Module(self.model.modules[at].id), Some(name)))
    }

    fn add_symbol(&mut self, name: &'static str) {
        let symbol = SYMBOLS[self.random.below(SYMBOLS.len())];
        let Some((owner, who)) = self.owner(name) else {
            return;
        };
        let result = errno(self.list.add_symbol(owner, export(symbol)));
        if self.model.symbols.contains_key(symbol) {
            assert_eq!(result, Err(Errno::EEXIST));
        } else {
            assert_eq!(result, Ok(()));
            self.model.symbols.insert(symbol, (who, true));
        }
    }

    fn del_symbol(&mut self, name: &'static str) {
        let symbol = SYMBOLS[self.random.below(SYMBOLS.len())];
        let Some((owner, who)) = self.owner(name) else {
            return;
        };
        let mut modules = self.model.modules.iter();
        let expected = match self.model.symbols.get(symbol) {
            Some((holder, _)) if *holder != who => Err(Errno::ENOENT),
            None => Err(Errno::ENOENT),
            Some((_, false)) => Err(Errno::EPERM),
            Some(_) if modules.any(|m| m.borrows.contains(&symbol)) => Err(Errno::EBUSY),
            Some(_) => Ok(()),
        };
        assert_eq!(errno(self.list.del_symbol(owner, symbol)), expected);
        if expected.is_ok() {
            self.model.symbols.remove(symbol);
        }
    }

    fn fault(&mut self, name: &'static str) {
        let Some(at) = self.model.at(name) else {
            return;
        };
        let module = &mut self.model.modules[at];
        let initializing = module.phase == Phase::Initializing;
        if !initializing && !matches!(module.phase, Phase::Running | Phase::Exiting) {
            return;
        }
        self.list.fault(module.id);
        module.phase = Phase::Faulted;
        module.open = false;
        if initializing {
            module.uses = module.uses.saturating_sub(1);
        }
    }

    fn sweep(&mut self) {
        // A list of faulted modules is no longer interesting.
        if self.faulted() > 2 {
            *self = Run::new(self.random.0);
            return;
        }
        let expected = self.model.sweep();
        let mut gone = Vec::new();
        let mut sweep = Sweep::default();
        while let Some(id) = self.list.next_stale(&mut sweep) {
            let name = self.list.get(id).unwrap().name().clone();
            self.list.finish_exit(id, true);
            self.list.unmap(&name, FILE).unwrap();
            gone.push(name.to_string());
        }
        assert_eq!(gone, expected);
    }

    fn faulted(&self) -> usize {
        let modules = self.model.modules.iter();
        modules.filter(|m| m.phase == Phase::Faulted).count()
    }

    fn compare(&self) {
        let order: Vec<_> = self.list.iter().map(|(id, _)| id).collect();
        let expected: Vec<_> = self.model.modules.iter().rev().map(|m| m.id).collect();
        assert_eq!(order, expected);
        for module in &self.model.modules {
            self.compare_module(module);
        }
        for symbol in SYMBOLS {
            let found = self.list.resolve(symbol, true);
            let Some((owner, _)) = self.model.symbols.get(symbol) else {
                assert_eq!(found, Err(Unresolved::Missing), "{symbol}");
                continue;
            };
            let owner = owner.map_or(Owner::Kernel, |name| {
                Owner::Module(self.list.find(name).expect("an owner that is in the list"))
            });
            if self.model.usable(symbol) {
                assert_eq!(found.map(|r| r.owner), Ok(owner), "{symbol}");
            } else {
                assert_eq!(found, Err(Unresolved::NotRunning(owner)), "{symbol}");
            }
        }
        let exported = |who: Option<&str>| -> Vec<String> {
            let mine = self.model.symbols.iter().filter(|(_, (o, _))| *o == who);
            mine.map(|(name, _)| name.to_string()).collect()
        };
        assert_eq!(support::exported(&self.list, Owner::Kernel), exported(None));
        for module in &self.model.modules {
            assert_eq!(
                support::exported(&self.list, Owner::Module(module.id)),
                exported(Some(module.name))
            );
        }
        for ghost in &self.ghosts {
            assert!(!ghost.try_get() && ghost.count() == 0);
        }
    }

    fn compare_module(&self, module: &Modeled) {
        let name = module.name;
        assert_eq!(self.list.find(name), Some(module.id));
        assert_eq!(state(&self.list, module.id), Some(module.phase.state()));
        assert_eq!(
            module.gate.count(),
            module.uses,
            "{name}: {:?}",
            module.phase
        );
        assert_eq!(module.gate.is_closed(), !module.open, "{name}");
        let Some(status) = self.list.status(module.id) else {
            assert_eq!(module.phase, Phase::Mapping);
            return;
        };
        assert_ne!(module.phase, Phase::Mapping);
        assert_eq!(status.state, module.phase.state());
        assert_eq!(status.usecount, module.uses as i64);
        assert_eq!(status.deps, module.deps, "deps of {name}");
        assert_eq!(status.refs, self.model.users(name), "refs of {name}");
        for (flag, expected) in [
            (Flags::AUTOCLEAN, module.autoclean),
            (Flags::VISITED, module.visited),
            (Flags::USED_ONCE, module.used_once),
            (Flags::JUST_FREED, false),
        ] {
            assert_eq!(status.flags.contains(flag), expected, "{name}: {flag:?}");
        }
    }
}

#[test]
fn long_random_histories_agree_with_the_model() {
    let mut reached: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 1..=40 {
        let mut run = Run::new(seed);
        for step in 0..2000 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.step()));
            if let Err(panic) = result {
                eprintln!("seed {seed}, step {step}");
                std::panic::resume_unwind(panic);
            }
            for module in &run.model.modules {
                *reached.entry(format!("{:?}", module.phase)).or_default() += 1;
                if !module.deps.is_empty() {
                    *reached.entry("with dependencies".into()).or_default() += 1;
                }
                if !module.borrows.is_empty() {
                    *reached.entry("with added symbols".into()).or_default() += 1;
                }
            }
        }
    }
    // A history in which something never happens shows nothing of it.
    for (what, times) in &reached {
        assert!(*times > 500, "{what}: only {times} times in {reached:?}");
    }
    assert_eq!(reached.len(), 12, "{reached:?}");
}

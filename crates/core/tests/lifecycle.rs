//! The life of modules: what each command does in each state, use counts, references, failed
//! inits, faults.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use modfs_core::{
    Command, Errno, Flags, Id, InitArgs, KERNEL, NAME_MAX, NewModule, Owner, State, TABLE,
    Unresolved, verdict,
};
use std::sync::Arc;

mod support;
use support::*;

/// A list with module `m` driven into a state, from the first command on.
fn list_in(state: Option<State>) -> (List, Option<Id>) {
    let mut list = List::new();
    let Some(wanted) = state else {
        return (list, None);
    };
    let id = map(&mut list, "m", &["f"], &[]).unwrap();
    let args = InitArgs::default();
    match wanted {
        State::Uninitialized => {}
        State::Initializing => list.begin_init(id, &args).unwrap(),
        State::Running => init(&mut list, id),
        State::Exiting => {
            init(&mut list, id);
            list.begin_exit(id).unwrap();
        }
        State::Deleted => {
            init(&mut list, id);
            exit(&mut list, id).unwrap();
        }
        State::Faulted => {
            init(&mut list, id);
            list.fault(id);
        }
    }
    assert_eq!(support::state(&list, id), state);
    (list, Some(id))
}

fn states() -> impl Iterator<Item = Option<State>> {
    [None].into_iter().chain(State::ALL.map(Some))
}

#[test]
fn every_command_in_every_state_does_what_the_table_says() {
    for (row, state) in TABLE.iter().zip(states()) {
        for (cell, command) in row.iter().zip(Command::ALL) {
            let (mut list, _) = list_in(state);
            let before = seen(&list);
            let result = errno(apply(&mut list, "m", command));
            assert_eq!(result, *cell, "{command} when {state:?}");
            assert_eq!(verdict(state, command), *cell);
            if cell.is_err() {
                assert_eq!(seen(&list), before, "{command} when {state:?} was refused");
            } else {
                assert_ne!(seen(&list), before, "{command} when {state:?} did nothing");
            }
        }
    }
}

#[test]
fn admitting_says_the_same_as_the_table_and_changes_nothing() {
    for (row, state) in TABLE.iter().zip(states()) {
        for (cell, command) in row.iter().zip(Command::ALL) {
            let (list, id) = list_in(state);
            let before = seen(&list);
            let admitted = errno(list.admit("m", FILE, command));
            match id {
                Some(id) => assert_eq!(admitted, cell.map(|()| id), "{command} when {state:?}"),
                // What is not there cannot be admitted, not even to be mapped.
                None => assert_eq!(admitted, Err(Errno::ENOENT)),
            }
            assert_eq!(seen(&list), before);
        }
    }
}

#[test]
fn a_command_reaches_the_state_it_names() {
    for (from, command, to) in [
        (None, Command::Map, Some(State::Uninitialized)),
        (
            Some(State::Uninitialized),
            Command::Init,
            Some(State::Initializing),
        ),
        (Some(State::Running), Command::Exit, Some(State::Exiting)),
        (Some(State::Uninitialized), Command::Unmap, None),
        (Some(State::Deleted), Command::Unmap, None),
    ] {
        let (mut list, _) = list_in(from);
        apply(&mut list, "m", command).unwrap();
        let now = list.find("m").and_then(|id| state(&list, id));
        assert_eq!(now, to, "{command} when {from:?}");
    }
}

#[test]
fn another_file_of_the_module_is_not_mapped() {
    for state in State::ALL {
        let (mut list, _) = list_in(Some(state));
        for command in Command::ALL {
            assert_eq!(
                errno(list.admit("m", "other.ko", command)),
                Err(Errno::ENOENT)
            );
        }
        assert_eq!(errno(list.unmap("m", "other.ko")), Err(Errno::ENOENT));
        assert_eq!(
            errno(list.begin_relink("m", "other.ko")),
            Err(Errno::ENOENT)
        );
        // But a module has one image: a second file cannot be mapped beside it.
        let second = NewModule {
            name: "m",
            file: "other.ko",
        };
        assert_eq!(errno(list.begin_map(&second)), Err(Errno::EEXIST));
    }
}

#[test]
fn names_that_no_module_can_have() {
    let mut list = List::new();
    let longest = "n".repeat(NAME_MAX);
    let too_long = "n".repeat(NAME_MAX + 1);
    for (name, why) in [
        ("", Errno::EINVAL),
        (&too_long, Errno::ENAMETOOLONG),
        (KERNEL, Errno::EEXIST),
    ] {
        assert_eq!(errno(begin_map(&mut list, name)), Err(why), "{name:?}");
    }
    assert_eq!(list.iter().count(), 0);
    for name in [&longest, "with space", "\u{1}", "kernel2"] {
        begin_map(&mut list, name).unwrap();
    }
}

#[test]
fn while_a_module_is_linked_every_command_is_refused() {
    let mut list = List::new();
    let id = begin_map(&mut list, "m").unwrap();
    for command in [Command::Unmap, Command::Init] {
        assert_eq!(errno(list.admit("m", FILE, command)), Err(Errno::EBUSY));
        assert_eq!(errno(apply(&mut list, "m", command)), Err(Errno::EBUSY));
    }
    assert_eq!(
        errno(list.begin_init(id, &InitArgs::default())),
        Err(Errno::EBUSY)
    );
    assert_eq!(
        errno(apply(&mut list, "m", Command::Exit)),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        errno(apply(&mut list, "m", Command::Map)),
        Err(Errno::EEXIST)
    );
    assert_eq!(list.find("m"), Some(id));
    assert_eq!(list.status(id), None, "it is not mapped yet");
    assert!(list.get(id).unwrap().payload().is_none());
    list.abort_map(id);
    assert_eq!(list.find("m"), None);
    let again = begin_map(&mut list, "m").unwrap();
    assert_ne!(again, id, "ids are never used again");
}

#[test]
fn modules_are_listed_newest_first() {
    let mut list = List::new();
    for name in ["a", "b", "c"] {
        map(&mut list, name, &[], &[]).unwrap();
    }
    list.unmap("b", FILE).unwrap();
    map(&mut list, "b", &[], &[]).unwrap();
    let names: Vec<_> = list.iter().map(|(_, m)| m.name().to_string()).collect();
    assert_eq!(names, ["b", "c", "a"]);
}

#[test]
fn unmap_gives_the_image_back() {
    let mut list = List::new();
    map(&mut list, "m", &[], &[]).unwrap();
    assert_eq!(list.unmap("m", FILE), Ok(Some(1)));
    assert_eq!(errno(list.unmap("m", FILE)), Err(Errno::ENOENT));
}

// Use counts.

#[test]
fn uses_are_counted_and_hold_off_exit() {
    let mut list = List::new();
    let id = run(&mut list, "m", &[], &[]);
    for n in 1..=3 {
        assert!(try_get(&list, id));
        assert_eq!(list.status(id).unwrap().usecount, n);
    }
    for n in (0..3).rev() {
        let before = seen(&list);
        assert_eq!(errno(list.begin_exit(id)), Err(Errno::EBUSY));
        assert_eq!(seen(&list), before);
        assert!(put(&list, id));
        assert_eq!(list.status(id).unwrap().usecount, n);
    }
    assert!(!put(&list, id), "the count went below 0");
    assert_eq!(list.status(id).unwrap().usecount, 0);
    exit(&mut list, id).unwrap();
}

#[test]
fn giving_back_what_was_not_taken_leaves_no_trace() {
    let mut list = List::new();
    let id = run_on_demand(&mut list, "m", &[], &[]);
    let before = list.status(id).unwrap().flags;
    assert!(!put(&list, id));
    assert_eq!(list.status(id).unwrap().flags, before);
}

#[test]
fn the_refusal_of_exit_says_how_often_the_module_is_used() {
    let mut list = List::new();
    let id = run(&mut list, "m", &[], &[]);
    assert!(try_get(&list, id));
    let once = list.begin_exit(id).unwrap_err();
    assert!(once.reasons[0].contains("m is in use once"), "{once}");
    assert!(try_get(&list, id));
    let twice = list.begin_exit(id).unwrap_err();
    assert!(twice.reasons[0].contains("m is in use 2 times"), "{twice}");
}

#[test]
fn a_use_can_be_taken_exactly_while_the_module_is_initializing_or_running() {
    for state in State::ALL {
        let (list, id) = list_in(Some(state));
        let open = matches!(state, State::Initializing | State::Running);
        assert_eq!(try_get(&list, id.unwrap()), open, "{state}");
    }
}

#[test]
fn no_use_can_be_taken_once_exit_has_begun_nor_ever_after() {
    let mut list = List::new();
    let id = run(&mut list, "m", &[], &[]);
    let gate = list.get(id).unwrap().gate().clone();
    list.begin_exit(id).unwrap();
    assert!(!gate.try_get());
    list.finish_exit(id, false);
    assert!(!gate.try_get());
    list.unmap("m", FILE).unwrap();
    assert!(!gate.try_get());
    run(&mut list, "m", &[], &[]);
    assert!(!gate.try_get(), "a gate opened for another module");
    assert_eq!(gate.count(), 0);
}

#[test]
fn init_counts_as_one_use_without_being_one() {
    let mut list = List::new();
    let id = map(&mut list, "m", &[], &[]).unwrap();
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert_eq!(list.status(id).unwrap().usecount, 1);
    assert!(!has(&list, id, Flags::USED_ONCE));
    // What init takes itself, it keeps.
    assert!(try_get(&list, id));
    list.finish_init(id);
    assert_eq!(list.status(id).unwrap().usecount, 1);
    assert!(has(&list, id, Flags::USED_ONCE));
}

#[test]
fn an_init_that_gives_back_its_own_use_leaves_the_count_at_0() {
    let mut list = List::new();
    let id = map(&mut list, "m", &[], &[]).unwrap();
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(put(&list, id));
    list.finish_init(id);
    assert_eq!(list.status(id).unwrap().usecount, 0);
    exit(&mut list, id).unwrap();
}

// References.

#[test]
fn references_are_shown_latest_first_and_each_user_once() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a", "b"], &[]);
    let first = map(&mut list, "first", &[], &["a", "b", "a"]).unwrap();
    let second = map(&mut list, "second", &[], &["b"]).unwrap();
    assert_eq!(refs(&list, lib), ["second", "first"]);
    assert_eq!(deps(&list, first), ["lib"]);
    assert_eq!(deps(&list, second), ["lib"]);
    assert!(has(&list, lib, Flags::USED_ONCE));
    assert!(!has(&list, lib, Flags::VISITED), "a reference is no use");
    list.unmap("first", FILE).unwrap();
    assert_eq!(refs(&list, lib), ["second"]);
}

#[test]
fn dependencies_are_in_the_order_of_first_use() {
    let mut list = List::new();
    run(&mut list, "a", &["a1", "a2"], &[]);
    run(&mut list, "b", &["b1"], &[]);
    let user = map(&mut list, "user", &[], &["b1", "a1", "a2"]).unwrap();
    assert_eq!(deps(&list, user), ["b", "a"]);
}

#[test]
fn exit_of_a_module_in_use_names_each_user_and_changes_nothing() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    map(&mut list, "first", &[], &["a"]).unwrap();
    run(&mut list, "second", &[], &["a"]);
    assert!(try_get(&list, lib));
    let before = seen(&list);
    let refusal = list.begin_exit(lib).unwrap_err();
    assert_eq!(refusal.errno, Errno::EBUSY);
    assert_eq!(refusal.reasons.len(), 3, "{refusal}");
    assert_eq!(refusal.reasons[0], "lib is used by second");
    assert_eq!(refusal.reasons[1], "lib is used by first");
    assert!(refusal.reasons[2].contains("in use once"), "{refusal}");
    assert_eq!(seen(&list), before);
    assert!(try_get(&list, lib), "the gate was closed all the same");
}

#[test]
fn a_mapped_user_that_never_ran_is_a_user() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    map(&mut list, "user", &[], &["a"]).unwrap();
    assert_eq!(errno(exit(&mut list, lib)), Err(Errno::EBUSY));
    list.unmap("user", FILE).unwrap();
    exit(&mut list, lib).unwrap();
}

#[test]
fn a_user_that_cannot_be_linked_gives_its_references_back() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let user = begin_map(&mut list, "user").unwrap();
    list.depend(user, ["a"].into_iter());
    assert_eq!(refs(&list, lib), ["user"]);
    list.abort_map(user);
    assert!(refs(&list, lib).is_empty());
    assert!(list.get(user).is_none());
}

#[test]
fn exit_gives_references_back_before_unmap() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let user = run(&mut list, "user", &["b"], &["a"]);
    list.begin_exit(user).unwrap();
    assert_eq!(refs(&list, lib), ["user"], "its cleanup may still use lib");
    assert_eq!(errno(list.begin_exit(lib)), Err(Errno::EBUSY));
    list.finish_exit(user, false);
    assert!(refs(&list, lib).is_empty());
    assert!(deps(&list, user).is_empty());
    exit(&mut list, lib).unwrap();
    assert_eq!(state(&list, user), Some(State::Deleted));
}

#[test]
fn a_chain_goes_in_one_order_only() {
    let mut list = List::new();
    let a = run(&mut list, "a", &["a"], &[]);
    let b = run(&mut list, "b", &["b"], &["a"]);
    let c = run(&mut list, "c", &[], &["b", "a"]);
    assert_eq!(errno(exit(&mut list, a)), Err(Errno::EBUSY));
    assert_eq!(errno(exit(&mut list, b)), Err(Errno::EBUSY));
    for id in [c, b, a] {
        exit(&mut list, id).unwrap();
    }
}

#[test]
fn a_symbol_of_a_module_that_does_not_run_makes_no_dependency() {
    for dead in [State::Uninitialized, State::Exiting, State::Faulted] {
        let (mut list, id) = list_in(Some(dead));
        let user = begin_map(&mut list, "user").unwrap();
        list.depend(user, ["f", "nobody's"].into_iter());
        list.finish_map(user, &[], 1).unwrap();
        assert!(deps(&list, user).is_empty(), "{dead}");
        assert!(refs(&list, id.unwrap()).is_empty(), "{dead}");
        assert!(!has(&list, id.unwrap(), Flags::USED_ONCE));
    }
}

#[test]
fn a_module_does_not_depend_on_itself() {
    let mut list = List::new();
    let id = begin_map(&mut list, "m").unwrap();
    list.finish_map(id, &exports(&["f"]), 1).unwrap();
    list.depend(id, ["f"].into_iter());
    assert!(deps(&list, id).is_empty());
    init(&mut list, id);
    exit(&mut list, id).unwrap();
}

// Init that fails.

#[test]
fn what_init_returns_is_the_errno() {
    assert_eq!(Errno::from_init(0), None);
    assert_eq!(Errno::from_init(-16), Some(Errno::EBUSY));
    assert_eq!(Errno::from_init(-12), Some(Errno::ENOMEM));
    assert_eq!(Errno::from_init(1), Some(Errno::EBUSY), "positive: a bug");
}

#[test]
fn a_failed_init_takes_back_references_and_exports() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let user = map(&mut list, "user", &["b"], &["a"]).unwrap();
    list.get_mut(user).unwrap().set_extent(0x2000, 4096);
    list.begin_init(user, &InitArgs::default()).unwrap();
    assert_eq!(
        list.resolve("b", true),
        Err(Unresolved::NotRunning(Owner::Module(user)))
    );
    assert!(list.fail_init(user), "the image may be freed");
    assert_eq!(state(&list, user), Some(State::Uninitialized));
    assert!(refs(&list, lib).is_empty());
    assert!(deps(&list, user).is_empty());
    assert!(missing(&list, "b"));
    let status = list.status(user).unwrap();
    assert_eq!((status.address, status.size, status.usecount), (0, 0, 0));
    exit(&mut list, lib).unwrap();
    // Someone else may export the name now, and the module can be taken away.
    run(&mut list, "other", &["b"], &[]);
    list.unmap("user", FILE).unwrap();
}

#[test]
fn after_a_failed_init_the_module_is_linked_anew() {
    let mut list = List::new();
    run(&mut list, "lib", &["a"], &[]);
    let id = map(&mut list, "m", &["b"], &["a"]).unwrap();
    assert_eq!(list.begin_relink("m", FILE), Ok((id, false)));
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(list.fail_init(id));
    assert_eq!(
        errno(list.begin_init(id, &InitArgs::default())),
        Err(Errno::EBUSY),
        "it has no image to run"
    );
    assert_eq!(list.begin_relink("m", FILE), Ok((id, true)));
    for command in [Command::Init, Command::Unmap] {
        assert_eq!(errno(list.admit("m", FILE, command)), Err(Errno::EBUSY));
    }
    assert!(list.status(id).is_some(), "it stays mapped meanwhile");
    link(&mut list, id, &["b"], &["a"]).unwrap();
    assert_eq!(list.get(id).unwrap().payload(), Some(&2));
    init(&mut list, id);
    assert_eq!(deps(&list, id), ["lib"]);
    assert!(list.resolve("b", true).is_ok());
    assert!(try_get(&list, id));
}

#[test]
fn a_link_anew_that_fails_leaves_the_module_as_it_was() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let id = map(&mut list, "m", &["b"], &["a"]).unwrap();
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(list.fail_init(id));
    let before = seen(&list);
    // Its name has been taken meanwhile.
    let other = run(&mut list, "other", &["b"], &[]);
    assert_eq!(list.begin_relink("m", FILE), Ok((id, true)));
    assert_eq!(
        errno(link(&mut list, id, &["b"], &["a"])),
        Err(Errno::EEXIST)
    );
    assert!(refs(&list, lib).is_empty());
    exit(&mut list, other).unwrap();
    list.unmap("other", FILE).unwrap();
    assert_eq!(seen(&list), before);
    assert_eq!(list.begin_relink("m", FILE), Ok((id, true)), "try again");
    link(&mut list, id, &["b"], &["a"]).unwrap();
    init(&mut list, id);
}

#[test]
fn an_image_in_use_when_init_fails_is_kept_until_it_is_not() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let id = map(&mut list, "m", &["b"], &["a"]).unwrap();
    list.get_mut(id).unwrap().set_extent(0x2000, 4096);
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(try_get(&list, id));
    assert!(try_get(&list, id));
    assert!(!list.fail_init(id), "a call into it has not returned");
    for left in [2, 1] {
        assert_eq!(state(&list, id), Some(State::Uninitialized));
        let status = list.status(id).unwrap();
        assert_eq!((status.address, status.usecount), (0x2000, left));
        assert!(!try_get(&list, id), "no further call");
        let before = seen(&list);
        for command in [Command::Init, Command::Unmap] {
            let refusal = apply(&mut list, "m", command).unwrap_err();
            assert_eq!(refusal.errno, Errno::EBUSY);
            assert!(
                refusal.reasons[0].contains(&format!("used {left} times")),
                "{refusal}"
            );
        }
        assert_eq!(seen(&list), before);
        assert_eq!(refs(&list, lib), ["m"], "the call may still use lib");
        assert!(put(&list, id));
    }
    assert_eq!(list.begin_relink("m", FILE), Ok((id, true)));
    assert!(refs(&list, lib).is_empty());
    assert_eq!(list.status(id).unwrap().address, 0);
}

#[test]
fn an_image_that_drained_can_be_unmapped() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let id = map(&mut list, "m", &["b"], &["a"]).unwrap();
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(try_get(&list, id));
    assert!(!list.fail_init(id));
    assert!(put(&list, id));
    assert_eq!(list.unmap("m", FILE), Ok(Some(1)));
    assert!(refs(&list, lib).is_empty());
    assert!(missing(&list, "b"));
}

#[test]
fn a_second_init_knows_nothing_of_the_uses_during_the_first() {
    let mut list = List::new();
    let id = map(&mut list, "m", &[], &[]).unwrap();
    let args = InitArgs {
        autoclean: true,
        ..InitArgs::default()
    };
    list.begin_init(id, &args).unwrap();
    assert!(try_get(&list, id));
    assert!(put(&list, id));
    assert!(list.fail_init(id));
    assert_eq!(list.begin_relink("m", FILE), Ok((id, true)));
    link(&mut list, id, &[], &[]).unwrap();
    init(&mut list, id);
    assert_eq!(list.status(id).unwrap().flags, Flags::default());
}

// Faults.

#[test]
fn a_faulted_module_stays_with_all_that_holds_on_to_it() {
    let mut list = List::new();
    let lib = run(&mut list, "lib", &["a"], &[]);
    let id = run(&mut list, "m", &["b"], &["a"]);
    let user = run(&mut list, "user", &[], &["b"]);
    assert!(try_get(&list, id));
    list.fault(id);
    assert_eq!(state(&list, id), Some(State::Faulted));
    assert!(!try_get(&list, id));
    assert_eq!(
        list.resolve("b", true),
        Err(Unresolved::NotRunning(Owner::Module(id)))
    );
    assert!(put(&list, id), "a use that there was can be given back");
    assert!(!put(&list, id));
    exit(&mut list, user).unwrap();
    assert!(refs(&list, id).is_empty());
    for command in [Command::Exit, Command::Unmap, Command::Init] {
        let refusal = apply(&mut list, "m", command).unwrap_err();
        assert_eq!(refusal.errno, Errno::EBUSY);
        assert!(refusal.reasons[0].contains("faulted"), "{refusal}");
    }
    assert_eq!(errno(exit(&mut list, lib)), Err(Errno::EBUSY));
    // Its names stay taken: its memory may still be called.
    assert_eq!(errno(map(&mut list, "n", &["b"], &[])), Err(Errno::EEXIST));
}

#[test]
fn a_fault_in_init_or_cleanup_leaves_no_count_behind() {
    for begun in [State::Initializing, State::Exiting] {
        let (mut list, id) = list_in(Some(begun));
        let id = id.unwrap();
        list.fault(id);
        assert_eq!(state(&list, id), Some(State::Faulted), "{begun}");
        assert_eq!(list.status(id).unwrap().usecount, 0, "{begun}");
        assert!(!try_get(&list, id));
        let before = seen(&list);
        list.fault(id);
        assert_eq!(seen(&list), before, "a second fault changes nothing");
    }
}

#[test]
fn ids_that_are_gone_are_answered_not_followed() {
    let mut list = List::new();
    let id = run(&mut list, "m", &[], &[]);
    exit(&mut list, id).unwrap();
    list.unmap("m", FILE).unwrap();
    let before = seen(&list);
    assert_eq!(
        errno(list.begin_init(id, &InitArgs::default())),
        Err(Errno::ENOENT)
    );
    assert_eq!(errno(list.begin_exit(id)), Err(Errno::ENOENT));
    assert!(!list.fail_init(id));
    list.finish_init(id);
    list.finish_exit(id, true);
    list.fault(id);
    list.abort_map(id);
    list.depend(id, ["f"].into_iter());
    assert_eq!(list.status(id), None);
    assert_eq!(seen(&list), before);
}

#[test]
fn the_gate_outlives_the_module() {
    let mut list = List::new();
    let id = run(&mut list, "m", &[], &[]);
    let gate = list.get(id).unwrap().gate().clone();
    exit(&mut list, id).unwrap();
    list.unmap("m", FILE).unwrap();
    assert_eq!(Arc::strong_count(&gate), 1);
    assert!(gate.is_closed());
}

/// A wrong parameter is found only once nobody else can start the module.
#[test]
fn a_cancelled_init_leaves_everything_as_it_was() {
    let (mut list, id) = list_in(Some(State::Uninitialized));
    let id = id.unwrap();
    let before = list.status(id);
    list.begin_init(id, &InitArgs::default()).unwrap();
    list.cancel_init(id);
    assert_eq!(list.status(id), before);
    assert!(!list.get(id).unwrap().gate().try_get());
    init(&mut list, id);
    assert_eq!(support::state(&list, id), Some(State::Running));
}

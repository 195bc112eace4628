//! The sweep over modules that were loaded on demand (Linux 2.4 `delete_module(NULL)`).

#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use modfs_core::{Flags, Id, InitArgs, State, Sweep};

mod support;
use support::*;

/// One whole sweep; the names of the modules in the order they went.
fn sweep(list: &mut List) -> Vec<String> {
    let mut gone = Vec::new();
    let mut sweep = Sweep::default();
    while let Some(id) = list.next_stale(&mut sweep) {
        assert_eq!(state(list, id), Some(State::Exiting), "exit has begun");
        let name = list.get(id).unwrap().name().to_string();
        list.finish_exit(id, true);
        list.unmap(&name, FILE).unwrap();
        gone.push(name);
    }
    for (id, _) in list.iter() {
        assert!(!has(list, id, Flags::JUST_FREED), "only within a sweep");
    }
    gone
}

fn use_once(list: &List, id: Id) {
    assert!(try_get(list, id));
    assert!(put(list, id));
}

#[test]
fn one_that_was_never_used_stays_for_ever() {
    let mut list = List::new();
    run_on_demand(&mut list, "m", &[], &[]);
    for _ in 0..3 {
        assert!(sweep(&mut list).is_empty());
    }
}

#[test]
fn one_used_since_the_last_sweep_survives_one() {
    let mut list = List::new();
    let id = run_on_demand(&mut list, "m", &[], &[]);
    use_once(&list, id);
    assert!(sweep(&mut list).is_empty());
    use_once(&list, id);
    assert!(sweep(&mut list).is_empty(), "used again");
    assert_eq!(sweep(&mut list), ["m"]);
}

#[test]
fn one_used_since_the_last_sweep_survives_it_even_when_others_go() {
    let mut list = List::new();
    let stale = run_on_demand(&mut list, "stale", &[], &[]);
    let visited = run_on_demand(&mut list, "visited", &[], &[]);
    use_once(&list, stale);
    assert!(sweep(&mut list).is_empty());
    use_once(&list, visited);
    assert_eq!(sweep(&mut list), ["stale"]);
    assert_eq!(sweep(&mut list), ["visited"]);
}

#[test]
fn one_not_loaded_on_demand_never_goes() {
    let mut list = List::new();
    let id = run(&mut list, "m", &[], &[]);
    use_once(&list, id);
    for _ in 0..3 {
        assert!(sweep(&mut list).is_empty());
    }
}

#[test]
fn one_in_use_stays() {
    let mut list = List::new();
    let id = run_on_demand(&mut list, "m", &[], &[]);
    assert!(try_get(&list, id));
    for _ in 0..3 {
        assert!(sweep(&mut list).is_empty());
    }
    assert!(put(&list, id));
    assert!(sweep(&mut list).is_empty(), "used until just now");
    assert_eq!(sweep(&mut list), ["m"]);
}

#[test]
fn a_dependency_goes_in_the_sweep_that_releases_it() {
    let mut list = List::new();
    let lib = run_on_demand(&mut list, "lib", &["a"], &[]);
    let user = run_on_demand(&mut list, "user", &[], &["a"]);
    use_once(&list, user);
    assert!(sweep(&mut list).is_empty());
    use_once(&list, lib);
    assert_eq!(
        sweep(&mut list),
        ["user", "lib"],
        "although lib was used since the last sweep"
    );
}

#[test]
fn a_chain_of_dependencies_goes_in_one_sweep() {
    let mut list = List::new();
    run_on_demand(&mut list, "a", &["a"], &[]);
    run_on_demand(&mut list, "b", &["b"], &["a"]);
    let c = run_on_demand(&mut list, "c", &[], &["b"]);
    use_once(&list, c);
    assert!(sweep(&mut list).is_empty());
    assert_eq!(sweep(&mut list), ["c", "b", "a"]);
}

#[test]
fn a_dependency_newer_than_its_user_goes_in_the_same_sweep() {
    let mut list = List::new();
    // Mapped first, linked against the newer one after a failed init.
    let user = map(&mut list, "user", &[], &[]).unwrap();
    list.begin_init(user, &Default::default()).unwrap();
    assert!(list.fail_init(user));
    run_on_demand(&mut list, "lib", &["a"], &[]);
    list.begin_relink("user", FILE).unwrap();
    link(&mut list, user, &[], &["a"]).unwrap();
    let args = InitArgs {
        autoclean: true,
        ..Default::default()
    };
    list.begin_init(user, &args).unwrap();
    list.finish_init(user);
    use_once(&list, user);
    assert!(sweep(&mut list).is_empty());
    assert_eq!(sweep(&mut list), ["user", "lib"]);
}

#[test]
fn a_dependency_that_others_still_use_stays() {
    let mut list = List::new();
    let lib = run_on_demand(&mut list, "lib", &["a"], &[]);
    let going = run_on_demand(&mut list, "going", &[], &["a"]);
    run(&mut list, "staying", &[], &["a"]);
    use_once(&list, going);
    assert!(sweep(&mut list).is_empty());
    assert_eq!(sweep(&mut list), ["going"]);
    assert_eq!(refs(&list, lib), ["staying"]);
    assert!(sweep(&mut list).is_empty());
}

#[test]
fn a_dependency_not_loaded_on_demand_stays() {
    let mut list = List::new();
    run(&mut list, "lib", &["a"], &[]);
    let user = run_on_demand(&mut list, "user", &[], &["a"]);
    use_once(&list, user);
    assert!(sweep(&mut list).is_empty());
    assert_eq!(sweep(&mut list), ["user"]);
    assert!(sweep(&mut list).is_empty());
}

#[test]
fn a_dependency_released_by_hand_goes_with_the_next_sweep() {
    let mut list = List::new();
    run_on_demand(&mut list, "lib", &["a"], &[]);
    let user = run(&mut list, "user", &[], &["a"]);
    exit(&mut list, user).unwrap();
    assert_eq!(sweep(&mut list), ["lib"], "depended upon: used once");
}

#[test]
fn only_running_modules_are_swept() {
    let mut list = List::new();
    for name in ["uninitialized", "exiting", "faulted"] {
        let id = run_on_demand(&mut list, name, &[], &[]);
        use_once(&list, id);
        list.get(id).unwrap().gate().clear(Flags::VISITED);
        match name {
            "exiting" => list.begin_exit(id).unwrap(),
            "faulted" => list.fault(id),
            _ => {
                exit(&mut list, id).unwrap();
                list.unmap(name, FILE).unwrap();
                map(&mut list, name, &[], &[]).unwrap();
            }
        }
    }
    assert!(sweep(&mut list).is_empty());
}

#[test]
fn a_cleanup_during_the_sweep_may_change_the_list() {
    let mut list = List::new();
    for name in ["a", "b", "c"] {
        let id = run_on_demand(&mut list, name, &[], &[]);
        use_once(&list, id);
    }
    assert!(sweep(&mut list).is_empty());
    let mut sweep = Sweep::default();
    let first = list.next_stale(&mut sweep).unwrap();
    assert_eq!(list.find("c"), Some(first), "the newest first");
    // While c's cleanup runs: b goes by hand, a is used, d comes and is used.
    let b = list.find("b").unwrap();
    exit(&mut list, b).unwrap();
    list.unmap("b", FILE).unwrap();
    let a = list.find("a").unwrap();
    assert!(try_get(&list, a));
    let d = run_on_demand(&mut list, "d", &[], &[]);
    use_once(&list, d);
    list.finish_exit(first, true);
    list.unmap("c", FILE).unwrap();
    assert_eq!(list.next_stale(&mut sweep), None);
    assert_eq!(state(&list, a), Some(State::Running));
    assert_eq!(state(&list, d), Some(State::Running));
}

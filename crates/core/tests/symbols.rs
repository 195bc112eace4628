//! The symbol table: who exports what, and who may use it.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use modfs_core::{
    Errno, Export, InitArgs, Modules, NewModule, Owner, Resolved, State, SymbolLine, Unresolved,
};

mod support;
use support::*;

#[test]
fn a_module_s_symbols_can_be_used_exactly_while_it_runs() {
    let mut list = List::new();
    let id = begin_map(&mut list, "m").unwrap();
    assert!(missing(&list, "f"));
    list.finish_map(id, &exports(&["f"]), 1).unwrap();
    let not_running = Err(Unresolved::NotRunning(Owner::Module(id)));
    assert_eq!(list.resolve("f", true), not_running, "uninitialized");
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert_eq!(list.resolve("f", true), not_running, "initializing");
    list.finish_init(id);
    assert!(list.resolve("f", true).is_ok(), "running");
    list.begin_exit(id).unwrap();
    assert_eq!(list.resolve("f", true), not_running, "exiting");
    list.finish_exit(id, false);
    assert!(missing(&list, "f"), "deleted");
}

#[test]
fn resolving_tells_address_crc_and_owner() {
    let mut list = List::new();
    let id = begin_map(&mut list, "m").unwrap();
    let export = Export {
        name: "f".into(),
        address: 0x1234,
        near: 0x5678,
        crc: Some(0xdead_beef),
        gpl: true,
    };
    list.finish_map(id, &[export], 1).unwrap();
    init(&mut list, id);
    let resolved = Resolved {
        address: 0x1234,
        near: 0x5678,
        crc: Some(0xdead_beef),
        owner: Owner::Module(id),
        by_hand: false,
    };
    assert_eq!(list.resolve("f", true), Ok(resolved));
    assert_eq!(
        list.resolve("f", false),
        Err(Unresolved::GplOnly(Owner::Module(id)))
    );
    // Shown is what modules can reach.
    let line = SymbolLine {
        name: "f".into(),
        address: 0x5678,
        crc: Some(0xdead_beef),
        gpl: true,
    };
    assert_eq!(list.exports(Owner::Module(id)), [line]);
}

#[test]
fn that_a_module_does_not_run_is_told_before_its_licence() {
    let mut list = List::new();
    let id = begin_map(&mut list, "m").unwrap();
    let mut only = export("f");
    only.gpl = true;
    list.finish_map(id, &[only], 1).unwrap();
    let owner = Owner::Module(id);
    assert_eq!(list.resolve("f", false), Err(Unresolved::NotRunning(owner)));
}

#[test]
fn the_kernel_s_symbols_can_always_be_used_and_make_no_dependency() {
    let mut list = List::new();
    let mut only = export("k_gpl");
    only.gpl = true;
    list.export(&[export("k"), only]).unwrap();
    let kernel = Owner::Kernel;
    assert_eq!(list.resolve("k", false).unwrap().owner, kernel);
    assert_eq!(list.resolve("k_gpl", true).unwrap().owner, kernel);
    assert_eq!(
        list.resolve("k_gpl", false),
        Err(Unresolved::GplOnly(kernel))
    );
    let id = run(&mut list, "m", &[], &["k", "k_gpl"]);
    assert!(deps(&list, id).is_empty());
    assert_eq!(list.owner_name(kernel), "kernel");
    assert_eq!(list.owner_name(Owner::Module(id)), "m");
}

#[test]
fn exports_are_listed_by_name() {
    let mut list = List::new();
    list.export(&exports(&["z", "a", "m"])).unwrap();
    let id = run(&mut list, "m", &["y", "b"], &[]);
    assert_eq!(exported(&list, Owner::Kernel), ["a", "m", "z"]);
    assert_eq!(exported(&list, Owner::Module(id)), ["b", "y"]);
}

#[test]
fn a_clash_adds_nothing_and_names_each_holder() {
    let mut list = List::new();
    list.export(&exports(&["k"])).unwrap();
    let other = run(&mut list, "other", &["o"], &[]);
    let id = begin_map(&mut list, "m").unwrap();
    let refusal = list
        .finish_map(id, &exports(&["new", "o", "late", "k"]), 1)
        .unwrap_err();
    assert_eq!(refusal.errno, Errno::EEXIST);
    assert_eq!(
        refusal.reasons,
        [
            "exports o, which other exports already",
            "exports k, which kernel exports already"
        ]
    );
    for name in ["new", "late"] {
        assert!(missing(&list, name), "{name} was added");
    }
    assert_eq!(
        list.resolve("o", true).unwrap().owner,
        Owner::Module(other),
        "the holder lost its own"
    );
    assert!(list.exports(Owner::Module(id)).is_empty());
    list.abort_map(id);
    assert_eq!(list.find("m"), None);
    assert!(list.resolve("o", true).is_ok() && list.resolve("k", true).is_ok());
}

#[test]
fn a_clash_within_one_list_adds_nothing() {
    let mut list = List::new();
    let id = begin_map(&mut list, "m").unwrap();
    let refusal = list
        .finish_map(id, &exports(&["f", "g", "f"]), 1)
        .unwrap_err();
    assert_eq!(refusal.errno, Errno::EEXIST);
    assert_eq!(
        refusal.reasons,
        ["exports f, which m exports already"],
        "{refusal}"
    );
    assert!(missing(&list, "f") && missing(&list, "g"));
    assert_eq!(
        errno(list.export(&exports(&["k", "k"]))),
        Err(Errno::EEXIST)
    );
    assert!(missing(&list, "k"));
}

#[test]
fn of_two_modules_with_one_export_the_second_waits_for_the_first_to_go() {
    let mut list = List::new();
    let first = map(&mut list, "first", &["f"], &[]).unwrap();
    let refusal = map(&mut list, "second", &["f"], &[]).unwrap_err();
    assert_eq!(refusal.errno, Errno::EEXIST);
    assert_eq!(
        refusal.reasons,
        ["exports f, which first exports already"],
        "even though it does not run yet"
    );
    init(&mut list, first);
    exit(&mut list, first).unwrap();
    let second = run(&mut list, "second", &["f"], &[]);
    assert_eq!(
        list.resolve("f", true).unwrap().owner,
        Owner::Module(second)
    );
    list.unmap("first", FILE).unwrap();
    assert_eq!(
        list.resolve("f", true).unwrap().owner,
        Owner::Module(second),
        "unmapping the first took the second's export"
    );
}

#[test]
fn a_second_export_of_the_kernel_s_is_refused_by_name() {
    let mut list = List::new();
    list.export(&exports(&["k"])).unwrap();
    let refusal = list.export(&exports(&["j", "k"])).unwrap_err();
    assert_eq!(refusal.errno, Errno::EEXIST);
    assert_eq!(refusal.reasons, ["k is exported by kernel already"]);
    assert!(missing(&list, "j"));
}

// Symbols added by hand.

#[test]
fn an_added_symbol_is_exported_like_any_other() {
    let mut list = List::new();
    let id = map(&mut list, "m", &["f"], &[]).unwrap();
    let owner = Owner::Module(id);
    list.add_symbol(owner, export("more")).unwrap();
    assert_eq!(exported(&list, owner), ["f", "more"]);
    assert_eq!(
        list.resolve("more", true),
        Err(Unresolved::NotRunning(owner))
    );
    init(&mut list, id);
    assert!(list.resolve("more", true).is_ok());
    let user = run(&mut list, "user", &[], &["more"]);
    assert_eq!(deps(&list, user), ["m"]);
    exit(&mut list, user).unwrap();
    exit(&mut list, id).unwrap();
    assert!(missing(&list, "more"), "it goes with its owner");
}

#[test]
fn what_cannot_be_added() {
    let mut list = List::new();
    list.export(&exports(&["k"])).unwrap();
    let id = run(&mut list, "m", &["f"], &[]);
    for owner in [Owner::Kernel, Owner::Module(id)] {
        assert_eq!(
            errno(list.add_symbol(owner, export(""))),
            Err(Errno::EINVAL)
        );
        for taken in ["k", "f"] {
            assert_eq!(
                errno(list.add_symbol(owner, export(taken))),
                Err(Errno::EEXIST)
            );
        }
    }
    exit(&mut list, id).unwrap();
    list.unmap("m", FILE).unwrap();
    assert_eq!(
        errno(list.add_symbol(Owner::Module(id), export("late"))),
        Err(Errno::ENOENT)
    );
    assert!(missing(&list, "late"), "nobody's symbol is in the table");
}

#[test]
fn what_was_added_can_be_taken_back_until_it_is_used() {
    let mut list = List::new();
    list.export(&exports(&["k"])).unwrap();
    let id = run(&mut list, "m", &["f"], &[]);
    for owner in [Owner::Kernel, Owner::Module(id)] {
        list.add_symbol(owner, export("more")).unwrap();
        let user = begin_map(&mut list, "user").unwrap();
        list.depend(user, ["more", "more", "k"].into_iter());
        list.finish_map(user, &[], 1).unwrap();
        let refusal = list.del_symbol(owner, "more").unwrap_err();
        assert_eq!(refusal.errno, Errno::EBUSY);
        assert_eq!(refusal.reasons, ["more is used by user"]);
        list.unmap("user", FILE).unwrap();
        list.del_symbol(owner, "more").unwrap();
        assert!(missing(&list, "more"));
        assert_eq!(
            errno(list.del_symbol(owner, "more")),
            Err(Errno::ENOENT),
            "twice"
        );
    }
}

#[test]
fn what_cannot_be_taken_back() {
    let mut list = List::new();
    list.export(&exports(&["k"])).unwrap();
    let id = run(&mut list, "m", &["f"], &[]);
    let module = Owner::Module(id);
    list.add_symbol(module, export("more")).unwrap();
    for (owner, name, why) in [
        (Owner::Kernel, "k", Errno::EPERM),
        (module, "f", Errno::EPERM),
        (module, "k", Errno::ENOENT),
        (Owner::Kernel, "f", Errno::ENOENT),
        (Owner::Kernel, "more", Errno::ENOENT),
        (module, "none", Errno::ENOENT),
    ] {
        assert_eq!(errno(list.del_symbol(owner, name)), Err(why), "{name}");
    }
    assert_eq!(exported(&list, module), ["f", "more"]);
}

#[test]
fn a_symbol_added_to_a_module_without_an_image_still_goes_with_it() {
    let mut list = List::new();
    let id = map(&mut list, "m", &["f"], &[]).unwrap();
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(list.fail_init(id));
    list.add_symbol(Owner::Module(id), export("more")).unwrap();
    assert_eq!(list.begin_relink("m", FILE), Ok((id, true)));
    link(&mut list, id, &["f"], &[]).unwrap();
    init(&mut list, id);
    assert_eq!(exported(&list, Owner::Module(id)), ["f", "more"]);
    exit(&mut list, id).unwrap();
    list.unmap("m", FILE).unwrap();
    assert!(missing(&list, "more"));
    assert!(missing(&list, "f"));
}

#[test]
fn a_failed_init_takes_added_symbols_along() {
    let mut list = List::new();
    let id = map(&mut list, "m", &[], &[]).unwrap();
    list.add_symbol(Owner::Module(id), export("more")).unwrap();
    list.begin_init(id, &InitArgs::default()).unwrap();
    assert!(list.fail_init(id));
    assert!(missing(&list, "more"));
}

#[test]
fn users_of_an_added_symbol_are_those_that_still_have_it() {
    let mut list = List::new();
    list.add_symbol(Owner::Kernel, export("more")).unwrap();
    let user = map(&mut list, "user", &[], &["more"]).unwrap();
    list.begin_init(user, &InitArgs::default()).unwrap();
    assert!(list.fail_init(user));
    list.del_symbol(Owner::Kernel, "more").unwrap();
    list.add_symbol(Owner::Kernel, export("more")).unwrap();
    // Aborting the link anew gives back what it took, no more.
    list.begin_relink("user", FILE).unwrap();
    list.depend(user, ["more"].into_iter());
    list.abort_map(user);
    list.del_symbol(Owner::Kernel, "more").unwrap();
    assert_eq!(state(&list, user), Some(State::Uninitialized));
}

#[test]
fn the_payload_may_be_anything() {
    let mut list: Modules<Box<[u8]>> = Modules::new();
    let new = NewModule {
        name: "m",
        file: FILE,
    };
    let id = list.begin_map(&new).unwrap();
    list.finish_map(id, &[], vec![1, 2].into()).unwrap();
    list.get_mut(id).unwrap().payload_mut().unwrap()[0] = 3;
    assert_eq!(list.unmap("m", FILE).unwrap().as_deref(), Some(&[3, 2][..]));
}

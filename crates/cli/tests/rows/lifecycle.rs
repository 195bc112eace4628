//! States.

use crate::common::{Kernel, eventually};
use modfs_core::Errno;

/// A module's memory is what its file says, and zero beyond, also where another's was.
#[test]
fn row_12_memory_is_clean_and_in_reach() {
    let kernel = Kernel::start(&["dirty"]);
    for name in ["a", "b", "a", "b"] {
        kernel.load(name, "dirty");
        let text = kernel.get(&format!("{name}/module")).expect("read");
        let address = text.lines().last().and_then(|line| line.strip_prefix("0x"));
        let address = u64::from_str_radix(address.expect("an address"), 16).expect("a number");
        assert!(
            address < 1 << 31,
            "{address:#x}: out of a near call's reach"
        );
        assert_eq!(kernel.control(name, "exit\nunmap"), Ok(()));
        std::fs::remove_dir(kernel.tree(name)).expect("rmdir");
    }
    std::fs::create_dir(kernel.tree("empty")).expect("mkdir");
    assert_eq!(kernel.put("empty/module", ""), Ok(()));
    assert_eq!(kernel.control("empty", "map"), Err(Errno::ENOEXEC));
    // Zeroes are a place for a linked image.
    assert_eq!(kernel.put("empty/module", vec![0; 8192]), Ok(()));
    assert_eq!(kernel.control("empty", "map"), Ok(()));
    assert_eq!(kernel.control("empty", "init"), Err(Errno::EINVAL));
}

/// What runs, or is used, cannot be unmapped.
#[test]
fn row_13_unmap_of_what_runs() {
    let kernel = Kernel::start(&["lib", "user", "stuck"]);
    kernel.load("lib", "lib");
    assert_eq!(kernel.control("lib", "unmap"), Err(Errno::EBUSY));
    kernel.load("user", "user");
    assert_eq!(kernel.control("lib", "exit\nunmap"), Err(Errno::EBUSY));
    assert_eq!(kernel.control("lib", "unmap"), Err(Errno::EBUSY));
    assert_eq!(kernel.state("lib"), "running");

    kernel.place("stuck", "stuck");
    assert_eq!(kernel.control("stuck", "map"), Ok(()));
    let _writer = kernel.background("echo init ms=600 > k/modules/stuck/control");
    eventually("init runs", || kernel.state("stuck") == "initializing");
    assert_eq!(kernel.control("stuck", "unmap"), Err(Errno::EBUSY));
    assert_eq!(kernel.control("stuck", "exit"), Err(Errno::EBUSY));
    assert_eq!(kernel.control("stuck", "init"), Err(Errno::EBUSY));
    eventually("init returns", || kernel.state("stuck") == "running");
    assert_eq!(kernel.control("stuck", "exit\nunmap"), Ok(()));
}

/// An init that fails is as if it had not been: no reference, no symbol, and it can be tried
/// again. A second init of what runs is refused.
#[test]
fn row_14_init_fails_whole_or_not_at_all() {
    let kernel = Kernel::start(&["lib", "failing", "leaver"]);
    kernel.load("lib", "lib");
    kernel.place("failing", "failing");
    assert_eq!(kernel.control("failing", "map"), Ok(()));
    assert_eq!(kernel.get("lib/refs"), Ok("failing\n".into()));
    for _ in 0..3 {
        let told = kernel.control("failing", "init result=-5");
        assert_eq!(told, Err(Errno::EIO));
        assert_eq!(kernel.state("failing"), "uninitialized");
        assert_eq!(kernel.get("lib/refs"), Ok(String::new()));
        assert_eq!(kernel.get("failing/deps"), Ok(String::new()));
        assert_eq!(kernel.get("failing/symbols"), Ok(String::new()));
    }
    // With what it needs gone, the next init says so.
    assert_eq!(kernel.control("lib", "exit"), Ok(()));
    assert_eq!(kernel.control("failing", "init"), Err(Errno::ENOENT));
    let said = kernel.said("failing");
    assert!(said.contains("unresolved symbol lib_add"), "{said}");
    assert_eq!(kernel.control("lib", "unmap\nmap\ninit"), Ok(()));
    assert_eq!(kernel.control("failing", "init"), Ok(()));
    assert_eq!(kernel.get("lib/refs"), Ok("failing\n".into()));
    assert_eq!(kernel.control("failing", "init"), Err(Errno::EEXIST));
    assert_eq!(
        kernel.get("lib/refs"),
        Ok("failing\n".into()),
        "counted once"
    );

    // What a failed init has registered is taken back.
    kernel.place("leaver", "leaver");
    assert_eq!(
        kernel.control("leaver", "map\ninit fail=-5"),
        Err(Errno::EIO)
    );
    assert!(!kernel.path("k/dev/leaver").exists());
    assert!(!kernel.path("k/proc/leaver").exists());
    assert_eq!(kernel.control("leaver", "init"), Ok(()));
}

/// An exit that is refused says so and changes nothing; what never ran has none.
#[test]
fn row_15_exit_tells_the_truth() {
    let kernel = Kernel::start(&["lib", "user"]);
    kernel.place("lib", "lib");
    assert_eq!(kernel.control("lib", "exit"), Err(Errno::ENOENT));
    assert_eq!(kernel.control("lib", "map"), Ok(()));
    assert_eq!(kernel.control("lib", "exit"), Err(Errno::EINVAL));
    assert_eq!(kernel.control("lib", "init"), Ok(()));
    kernel.load("user", "user");
    for _ in 0..2 {
        assert_eq!(kernel.control("lib", "exit"), Err(Errno::EBUSY));
        assert_eq!(
            kernel.said("lib"),
            "state: running\nlast: exit module: EBUSY Device or resource busy\n  \
             lib is used by user\n"
        );
    }
    assert_eq!(kernel.control("user", "exit"), Ok(()));
    for name in ["user", "lib"] {
        let _ = kernel.control(name, "exit");
        assert_eq!(
            kernel.control(name, "exit"),
            Err(Errno::EINVAL),
            "{name}: twice"
        );
        assert_eq!(
            kernel.control(name, "init"),
            Err(Errno::EINVAL),
            "{name}: deleted"
        );
        assert_eq!(kernel.state(name), "deleted");
        assert_eq!(kernel.control(name, "unmap"), Ok(()));
    }
    assert_eq!(
        kernel.control("lib", "map\ninit"),
        Ok(()),
        "and again from the start"
    );
}

/// What `delete_module` did: by name in any state, and without one all that is not used.
#[test]
fn row_19_removing_by_name_and_all() {
    let kernel = Kernel::start(&["lib", "user", "hello"]);
    kernel.place("lib", "lib");
    assert_eq!(kernel.control("lib", "map"), Ok(()));
    kernel.sh("rmmod lib").ok();
    kernel.sh("mkdir k/modules/empty && rmmod empty").ok();
    kernel.sh("rmmod lib").fails();
    assert_eq!(kernel.names(), Vec::<String>::new());

    kernel
        .sh("insmod -k ko/lib.ko && insmod -k ko/user.ko && insmod -k ko/hello.ko")
        .ok();
    assert_eq!(
        kernel.get("user/module").unwrap().lines().next(),
        Some("autoclean")
    );
    // Never used: these may be wanted in a moment. `lib` is, by `user`.
    kernel.sh("rmmod -a").ok();
    assert_eq!(kernel.names(), ["hello", "user", "lib"]);
    kernel.sh("rmmod user && rmmod -a").ok();
    assert_eq!(kernel.names(), ["hello"], "lib was used, and is no more");
}

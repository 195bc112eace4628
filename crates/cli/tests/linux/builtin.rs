//! Modules that are part of the kernel.

use crate::root::{builtins, fails, indexed, ok, quiet, three};

#[test]
fn what_is_part_of_the_kernel_is_known_and_needs_no_file() {
    let root = indexed();
    for name in ["built-in", "built_in"] {
        assert_eq!(root.planned(&["-D", name]), "builtin built_in\n");
        assert_eq!(root.planned(&["-R", name]), "built_in\n");
    }
    assert_eq!(root.planned(&["-D", "plain-fs"]), "builtin plain_fs\n");
    assert_eq!(root.planned(&["-D", "fs-builtin"]), "builtin built_in\n");
    assert_eq!(root.planned(&["-R", "fs-builtin"]), "built_in\n");
}

#[test]
fn it_can_neither_go_nor_come_again() {
    let root = indexed();
    for arguments in [&["-r", "built-in"][..], &["-r", "-n", "built-in"]] {
        assert_eq!(
            fails(&root.modprobe(arguments)),
            "modprobe: FATAL: Module built_in is builtin.\n"
        );
    }
    assert_eq!(root.planned(&["-r", "-D", "built-in"]), "rmmod built_in\n");
    assert_eq!(fails(&root.modprobe(&["-q", "-r", "built-in"])), "");
    let said = fails(&root.modprobe(&["--first-time", "-n", "built-in"]));
    assert!(
        said.contains("could not insert 'built_in': Module already in kernel"),
        "{said}"
    );
    // A command may stand for either.
    root.configure("remove built-in /bin/down\ninstall built-in /bin/up\n");
    assert_eq!(
        root.planned(&["-r", "-n", "built-in"]),
        "remove /bin/down\n"
    );
    assert_eq!(
        root.planned(&["--first-time", "-n", "built-in"]),
        "install /bin/up \n"
    );
    assert!(fails(&root.modprobe(&["-r", "-i", "-n", "built-in"])).contains("is builtin"));
}

#[test]
fn a_blacklist_for_what_is_part_of_the_kernel() {
    let root = indexed();
    root.configure("blacklist built-in\n");
    assert_eq!(root.planned(&["-b", "-D", "built-in"]), "");
    assert_eq!(root.planned(&["-D", "built-in"]), "builtin built_in\n");
    // By an alias it is not found, as any other.
    assert_eq!(root.planned(&["-D", "fs-builtin"]), "");
}

#[test]
fn without_its_command_it_is_part_of_the_kernel_again() {
    let root = indexed();
    root.configure("install built-in /bin/up\n");
    assert_eq!(root.planned(&["-D", "built-in"]), "install /bin/up \n");
    assert_eq!(
        root.planned(&["-i", "-D", "built-in"]),
        "builtin built_in\n"
    );
}

#[test]
fn what_it_says_of_itself() {
    let root = indexed();
    let whole = "name:           built_in\nfilename:       (builtin)\n\
                 alias:          fs-builtin\nlicense:        GPL\n\
                 file:           kernel/built-in\nparm:           a:what for (int)\n";
    for name in ["built-in", "built_in", "fs-builtin"] {
        assert_eq!(quiet(&root.modinfo(&[name])), whole, "{name}");
    }
    for (arguments, shown) in [
        (&["-n"][..], "(builtin)\n"),
        (&["-F", "filename"], "(builtin)\n"),
        (&["-F", "name"], "built_in\n"),
        (&["-p"], "a:what for (int)\n"),
        (&["-l"], "GPL\n"),
        (&["-F", "file"], "kernel/built-in\n"),
        (&["-F", "author"], ""),
        (&["-m"], whole),
    ] {
        let output = root.modinfo(&[arguments, &["built-in"]].concat());
        assert_eq!(quiet(&output), shown, "{arguments:?}");
    }
    let shown = quiet(&root.modinfo(&["-0", "built-in"]));
    assert_eq!(
        shown,
        "name:           built_in\0filename:       (builtin)\0alias=fs-builtin\0license=GPL\0\
         file=kernel/built-in\0parm:           a:what for (int)\0"
    );
    let json = quiet(&root.modinfo(&["--json", "built-in"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["name"], "built_in");
    assert!(json[0]["filename"].is_null());
    assert_eq!(json[0]["parameters"][0]["description"], "what for");
}

#[test]
fn without_the_file_of_what_they_say() {
    let root = indexed();
    std::fs::remove_file(root.file("modules.builtin.modinfo")).unwrap();
    let said = fails(&root.modinfo(&["built-in"]));
    assert!(
        said.contains("modules.builtin.modinfo: No such file"),
        "{said}"
    );
    assert_eq!(quiet(&root.modinfo(&["-n", "top"])).lines().count(), 1);
    // depmod tells, and goes on.
    let output = root.depmod(&[]);
    ok(&output);
    assert!(crate::root::said(&output).contains("could not open modules.builtin.modinfo"));
    assert_eq!(root.planned(&["-D", "built-in"]), "builtin built_in\n");
}

#[test]
fn a_file_counts_before_what_is_part_of_the_kernel() {
    let root = three();
    builtins(&root);
    root.module("kernel/built-in.ko", &[], &[], &["license=own"]);
    ok(&root.depmod(&[]));
    assert_eq!(
        root.planned(&["-D", "built-in"]),
        "insmod kernel/built-in.ko \n"
    );
    assert_eq!(root.planned(&["-r", "-n", "built-in"]), "rmmod built_in\n");
    assert_eq!(quiet(&root.modinfo(&["-l", "built-in"])), "own\n");
}

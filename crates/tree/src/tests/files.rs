//! What there is in the tree, and what may be made and removed.

use super::{HELLO, OWNER, World};
use crate::{Attr, Kind, SetAttr};
use modfs_core::{Errno, Kernel};

#[test]
fn root_lists_the_kernel_and_then_the_newest_first() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.mkdir(name).expect("mkdir");
    }
    assert_eq!(world.names(""), ["kernel/", "c/", "b/", "a/"]);
    let attr = world.root.attr().expect("attr");
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o755, OWNER, OWNER));
}

#[test]
fn root_takes_directories_only() {
    let world = World::new();
    assert_eq!(world.create("", "x"), Err(Errno::EPERM));
    assert_eq!(world.unlink("", "kernel"), Err(Errno::EPERM));
    assert_eq!(world.rmdir("kernel"), Err(Errno::EPERM));
    assert_eq!(world.rmdir("x"), Err(Errno::ENOENT));
    assert_eq!(world.mkdir("kernel"), Err(Errno::EEXIST));
    assert_eq!(world.mkdir("x"), Ok(()));
    assert_eq!(world.mkdir("x"), Err(Errno::EEXIST));
}

#[test]
fn names() {
    let world = World::hello();
    for bad in ["", ".", "..", "a/b", "a\nb", "\u{7f}", "\0"] {
        assert_eq!(world.mkdir(bad), Err(Errno::EINVAL), "{bad:?}");
        assert_eq!(world.create("hello", bad), Err(Errno::EINVAL), "{bad:?}");
    }
    assert_eq!(world.mkdir(&"x".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.mkdir(&"x".repeat(255)), Ok(()));
}

#[test]
fn row_03_a_directory_has_its_control_from_the_start() {
    let world = World::new();
    let user = world.as_user(7);
    let dir = user.root.mkdir(&user.caller, "m", 0o751).expect("mkdir");
    let attr = Attr {
        kind: Kind::Dir,
        mode: 0o751,
        uid: 7,
        gid: 7,
        size: 0,
    };
    assert_eq!(dir.attr(), Ok(attr));
    let control = dir.lookup("control").expect("control");
    assert_eq!(
        control.attr(),
        Ok(Attr {
            kind: Kind::File,
            mode: 0o640,
            size: "state: unmapped\n".len() as u64,
            ..attr
        })
    );
    assert!(control.id().is_none() && control.blocks() && control.times_out());
    assert_eq!(world.names("m"), ["control", "state"]);
    assert_eq!(dir.id(), world.node("m").expect("lookup").id());
}

#[test]
fn row_04_rmdir_lets_go_of_everything() {
    let world = World::hello();
    let file = world.node("hello/module").expect("lookup");
    let open = world.open("hello/module", true, true).expect("open");
    let dir = world.node("hello").expect("lookup");
    assert_eq!(world.rmdir("hello"), Ok(()));
    assert_eq!(file.attr(), Err(Errno::ENOENT));
    assert_eq!(open.write(&world.caller, 0, b"x"), Err(Errno::ENOENT));
    assert_eq!(dir.attr(), Err(Errno::ENOENT));
    assert_eq!(dir.lookup("control").err(), Some(Errno::ENOENT));
    let made = dir.create(&world.caller, "x", 0o600);
    assert_eq!(made.err(), Some(Errno::ENOENT));
}

#[test]
fn row_05_reserved_names() {
    let world = World::hello();
    for name in [
        "address",
        "size",
        "usecount",
        "flags",
        "deps",
        "refs",
        "symbols",
        "info",
        "parameters",
    ] {
        assert_eq!(world.create("hello", name), Err(Errno::EPERM), "{name}");
        assert_eq!(world.unlink("hello", name), Err(Errno::ENOENT), "{name}");
    }
    for name in ["control", "state", "module"] {
        assert_eq!(world.create("hello", name), Err(Errno::EEXIST), "{name}");
    }
    assert_eq!(world.unlink("hello", "state"), Err(Errno::EPERM));
    world.control("hello", "map").expect("map");
    assert_eq!(world.create("hello", "deps"), Err(Errno::EEXIST));
    assert_eq!(world.unlink("hello", "deps"), Err(Errno::EPERM));
    let dir = world.node("hello").expect("lookup");
    let nested = dir.mkdir(&world.caller, "x", 0o755);
    assert_eq!(nested.err(), Some(Errno::EPERM));
    assert_eq!(dir.rmdir(&world.caller, "parameters"), Err(Errno::EPERM));
}

#[test]
fn row_08_mapped_file_is_frozen() {
    let world = World::hello();
    let open = world.open("hello/module", false, true).expect("open");
    world.control("hello", "map").expect("map");
    assert_eq!(open.write(&world.caller, 0, b"x"), Err(Errno::EPERM));
    assert_eq!(world.truncate("hello/module", 0), Err(Errno::EPERM));
    assert_eq!(world.unlink("hello", "module"), Err(Errno::EBUSY));
    assert_eq!(world.rmdir("hello"), Err(Errno::EBUSY));
    world.control("hello", "unmap").expect("unmap");
    assert_eq!(open.write(&world.caller, 0, b"x"), Ok(1));
    assert_eq!(world.truncate("hello/module", 0), Ok(()));
    assert_eq!(world.unlink("hello", "module"), Ok(()));
}

#[test]
fn a_failed_map_leaves_the_file_thawed() {
    let world = World::hello();
    world.truncate("hello/module", 0).expect("truncate");
    assert_eq!(world.control("hello", "map"), Err(Errno::ENOEXEC));
    assert_eq!(world.write("hello/module", HELLO), Ok(()));
    world.create("hello", "other").expect("create");
    world.write("hello/other", HELLO).expect("write");
    assert_eq!(
        world.control("hello", "map module\nmap other"),
        Err(Errno::EEXIST)
    );
    assert_eq!(world.write("hello/other", b"x"), Ok(()));
    assert_eq!(world.write("hello/module", b"x"), Err(Errno::EPERM));
    assert_eq!(world.read("hello/other").as_deref(), Ok("unmapped\n"));
    assert_eq!(world.unlink("hello", "other"), Ok(()));
}

#[test]
fn a_module_the_kernel_let_go_of_thaws_its_file() {
    let world = World::hello();
    world.control("hello", "map\ninit -k").expect("init");
    assert_eq!(world.kernel.autoclean(), ["hello"]);
    assert_eq!(world.write("hello/module", b"x"), Ok(()));
    assert_eq!(world.rmdir("hello"), Ok(()));
}

#[test]
fn row_21_a_directory_made_by_hand_is_not_a_module() {
    let world = World::new();
    world.mkdir("m").expect("mkdir");
    assert_eq!(world.read("m/state").as_deref(), Ok("unmapped\n"));
    assert_eq!(world.node("m/usecount").err(), Some(Errno::ENOENT));
    assert_eq!(world.rmdir("m"), Ok(()));
}

#[test]
fn row_23_control_can_be_unlinked_and_then_only_rmdir_is_left() {
    let world = World::hello();
    assert_eq!(world.unlink("hello", "control"), Err(Errno::EBUSY));
    world.unlink("hello", "module").expect("unlink");
    let control = world.open("hello/control", true, true).expect("open");
    assert_eq!(world.unlink("hello", "control"), Ok(()));
    assert_eq!(world.unlink("hello", "control"), Err(Errno::ENOENT));
    assert_eq!(world.create("hello", "module"), Err(Errno::EPERM));
    assert_eq!(control.write(&world.caller, 0, b"map"), Err(Errno::ENOENT));
    assert_eq!(world.names("hello"), ["state"]);
    assert_eq!(world.rmdir("hello"), Ok(()));
}

#[test]
fn status_files() {
    let world = World::hello();
    world.control("hello", "map\ninit debug=3").expect("init");
    world.module("user", b"module\nimport hello\n");
    world.control("user", "map").expect("map");
    let there = [
        "control", "module", "state", "address", "size", "usecount", "flags", "deps", "refs",
    ];
    let more = ["symbols", "info", "parameters/"];
    assert_eq!(world.names("hello"), [&there[..], &more[..]].concat());
    assert_eq!(world.read("hello/state").as_deref(), Ok("running\n"));
    assert_eq!(world.read("hello/usecount").as_deref(), Ok("0\n"));
    assert_eq!(world.read("hello/refs").as_deref(), Ok("user\n"));
    assert_eq!(world.read("user/deps").as_deref(), Ok("hello\n"));
    let info = world.read("hello/info");
    assert_eq!(info.as_deref(), Ok("description=two\\nlines\n"));
    let write = world.write("hello/state", b"x");
    assert_eq!(write, Err(Errno::EPERM));
    assert_eq!(world.names("hello/parameters"), ["debug"]);
    assert_eq!(world.read("hello/parameters/debug").as_deref(), Ok("3\n"));
    world.write("hello/parameters/debug", b"4\n").expect("set");
    assert_eq!(world.read("hello/parameters/debug").as_deref(), Ok("4\n"));
    let secret = world.node("hello/parameters/secret");
    assert_eq!(secret.err(), Some(Errno::ENOENT));
    for path in [
        "hello/state",
        "hello/parameters/debug",
        "kernel",
        "kernel/version",
    ] {
        let ids = [(); 2].map(|()| world.node(path).expect("lookup").id());
        assert_eq!(ids[0], ids[1], "{path}");
        assert!(ids[0].is_some(), "{path}");
    }
}

/// Found with the fuzz targets: a damaged object can call a parameter anything, and a directory
/// that lists what cannot be a name is not listed at all (EIO).
#[test]
fn a_parameter_that_no_file_can_be_named_after_has_none() {
    let world = World::new();
    let object = b"module\nparam a/b 644\nparam .. 644\nparam good 644\nparam \t 644\n";
    world.module("odd", object);
    world.control("odd", "map").expect("map");
    assert_eq!(world.names("odd/parameters"), ["good"]);
}

#[test]
fn symbols_can_be_added_and_taken_back() {
    let world = World::hello();
    world.control("hello", "map").expect("map");
    let path = "hello/symbols";
    world
        .write(path, b"add a 0x10 0xff\nadd b 32\n")
        .expect("add");
    let all = world.read(path).expect("read");
    assert!(all.contains("0x0000000000000010 0x000000ff a\n"), "{all}");
    assert!(all.contains("0x0000000000000020 - b\n"), "{all}");
    let stranger = world.as_user(7);
    assert_eq!(stranger.write(path, b"del a"), Err(Errno::EPERM));
    let hidden = stranger.read(path).expect("read");
    assert!(
        hidden.contains("0x0000000000000000 0x000000ff a\n"),
        "{hidden}"
    );
    assert_eq!(world.write(path, b"del a\ndel hello"), Err(Errno::EPERM));
    assert!(!world.read(path).expect("read").contains(" a\n"));
    for bad in [
        "add",
        "add c",
        "add c x",
        "add c 1 0x100000000",
        "frob",
        "del",
    ] {
        assert_eq!(
            world.write(path, bad.as_bytes()),
            Err(Errno::EINVAL),
            "{bad}"
        );
    }
}

#[test]
fn row_07_attributes_change_only_where_they_can() {
    let world = World::hello();
    let mode = SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    };
    for (path, outcome) in [
        ("hello", Ok(())),
        ("hello/module", Ok(())),
        ("hello/control", Ok(())),
        ("hello/state", Err(Errno::EPERM)),
        ("kernel", Err(Errno::EPERM)),
        ("kernel/control", Err(Errno::EPERM)),
        ("", Err(Errno::EPERM)),
    ] {
        let node = world.node(path).expect("lookup");
        assert_eq!(node.set_attr(&world.caller, mode), outcome, "{path}");
        if outcome.is_ok() {
            let attr = world.node(path).and_then(|node| node.attr());
            assert_eq!(attr.map(|a| a.mode), Ok(0o700), "{path}");
        }
    }
}

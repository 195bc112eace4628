//! Modules that others load into the same kernel.

use super::{HELLO, World};
use modfs_core::Errno;

#[test]
fn a_module_of_others_comes_and_goes_with_its_directory() {
    let world = World::new();
    assert_eq!(world.node("usb").err(), Some(Errno::ENOENT));
    world.kernel.load("usb", true);
    assert_eq!(world.read("usb/state").as_deref(), Ok("running\n"));
    assert_eq!(world.names(""), ["kernel/", "usb/"]);
    assert!(world.names("usb").contains(&"control".to_owned()));
    assert_eq!(world.mkdir("usb"), Err(Errno::EEXIST));
    assert_eq!(world.rmdir("usb"), Err(Errno::EBUSY));
    assert_eq!(world.unlink("usb", "control"), Err(Errno::EBUSY));
    let dir = world.node("usb").expect("lookup");
    world.kernel.unload("usb", true);
    assert_eq!(dir.lookup("state").err(), Some(Errno::ENOENT));
    assert_eq!(world.node("usb").err(), Some(Errno::ENOENT));
    assert_eq!(world.names(""), ["kernel/"]);
    assert_eq!(dir.attr().err(), Some(Errno::ENOENT));
}

#[test]
fn what_the_kernel_did_not_tell_of_is_found_all_the_same() {
    let world = World::new();
    world.kernel.load("quiet", false);
    assert_eq!(world.read("quiet/state").as_deref(), Ok("running\n"));
    world.kernel.unload("quiet", false);
    assert_eq!(world.read("quiet/state"), Err(Errno::ENOENT));
    world.kernel.load("usb", false);
    assert_eq!(world.names(""), ["kernel/", "usb/"]);
    world.kernel.unload("usb", false);
    assert_eq!(world.names(""), ["kernel/"]);
}

#[test]
fn commands_without_a_file() {
    let world = World::new();
    for exit in ["exit", "exit usb"] {
        world.kernel.load("usb", true);
        for (command, errno) in [
            ("init", Errno::EEXIST),
            ("map", Errno::EEXIST),
            ("unmap", Errno::EBUSY),
            ("exit other", Errno::ENOENT),
        ] {
            assert_eq!(world.control("usb", command), Err(errno), "{command}");
        }
        assert!(
            world
                .read("usb/control")
                .expect("read")
                .contains("last: exit other: ENOENT")
        );
        assert_eq!(world.control("usb", exit), Ok(()));
        assert_eq!(world.node("usb").err(), Some(Errno::ENOENT), "{exit}");
    }
}

#[test]
fn a_directory_with_a_file_in_it_stays() {
    let world = World::new();
    world.kernel.load("usb", true);
    world.create("usb", "mine").expect("create");
    // A module of others is never a file's.
    assert_eq!(world.read("usb/mine").as_deref(), Ok("unmapped\n"));
    world.write("usb/mine", HELLO).expect("write");
    assert_eq!(world.control("usb", "map"), Err(Errno::EEXIST));
    assert_eq!(world.control("usb", "exit mine"), Err(Errno::ENOENT));
    assert_eq!(world.control("usb", "exit"), Ok(()));
    assert_eq!(world.read("usb/state").as_deref(), Ok("unmapped\n"));
    assert_eq!(world.control("usb", "map\ninit\nexit\nunmap"), Ok(()));
    assert_eq!(world.rmdir("usb"), Ok(()));
    assert_eq!(world.names(""), ["kernel/"]);
}

#[test]
fn a_directory_made_by_hand_stays() {
    let world = World::hello();
    world.kernel.load("hello", true);
    assert_eq!(world.read("hello/state").as_deref(), Ok("running\n"));
    assert_eq!(world.names(""), ["kernel/", "hello/"]);
    world.kernel.unload("hello", true);
    assert_eq!(world.read("hello/state").as_deref(), Ok("unmapped\n"));
    assert_eq!(world.control("hello", "map\ninit"), Ok(()));
    // Among those of others, nothing changes for it.
    world.kernel.load("usb", true);
    assert_eq!(world.names(""), ["kernel/", "usb/", "hello/"]);
    assert_eq!(
        world.read("hello/module").as_deref(),
        Ok("unused\n0x000000007f000000\n")
    );
}

#[test]
fn a_name_that_no_directory_can_have_gets_none() {
    let world = World::new();
    for name in ["kernel", "a/b", "..", ""] {
        world.kernel.load(name, true);
    }
    assert_eq!(world.names(""), ["kernel/"]);
    assert!(world.names("kernel").contains(&"version".to_owned()));
}

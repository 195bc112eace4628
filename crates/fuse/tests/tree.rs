//! The module tree, mounted and used from a shell.

mod support;

use modfs_fuse::Options;
use support::{World, as_nobody, ran};

const HELLO: &str = "module\\nexport hello\\nparam debug 644\\n";

#[test]
fn a_module_lives() {
    let world = World::new();
    world.module("hello", HELLO);
    assert_eq!(world.ok("cat $M/hello/module"), "unmapped\n");
    world.ok("cd $M/hello && echo map > control && echo init debug=3 > control");
    assert_eq!(
        world.ok("cat $M/hello/module"),
        "unused\n0x000000007f000000\n"
    );
    assert_eq!(world.ok("cat $M/hello/state"), "running\n");
    assert_eq!(world.ok("cat $M/hello/parameters/debug"), "3\n");
    world.ok("echo 4 > $M/hello/parameters/debug");
    assert_eq!(world.ok("cat $M/hello/parameters/debug"), "4\n");
    assert_eq!(
        world.ok("cat $M/hello/control"),
        "state: running\nlast: init module debug=3: ok\n"
    );
    assert!(world.ok("cat $M/hello/symbols").ends_with(" - hello\n"));
    world.ok("printf 'exit\\nunmap\\n' > $M/hello/control && rmdir $M/hello");
    assert_eq!(world.ok("ls $M"), "kernel\n");
}

#[test]
fn errnos_and_reasons_arrive() {
    let world = World::new();
    world.module("user", "module\\nimport lib_add\\n");
    let put = world.put("user/control", "map\\ninit\\n");
    assert!(put.err.contains("No such file or directory"), "{put:?}");
    let told = world.ok("cat $M/user/control");
    assert!(told.ends_with("\n  unresolved symbol lib_add\n"), "{told}");
    let put = world.put("user/control", "frob\\n");
    assert!(put.err.contains("Invalid argument"), "{put:?}");
    let ran = world.run("head -c 70000 /dev/zero | dd bs=70000 iflag=fullblock of=$M/user/control");
    assert!(ran.err.contains("Argument list too long"), "{ran:?}");
}

#[test]
fn row_08_mapped_file_is_frozen() {
    let world = World::new();
    world.module("hello", HELLO);
    world.ok("echo map > $M/hello/control");
    for script in [
        "cp /dev/null $M/hello/module",
        "truncate -s 3 $M/hello/module",
        "printf x | dd of=$M/hello/module conv=notrunc",
    ] {
        let said = world.fails(script);
        assert!(said.contains("not permitted"), "{said}");
    }
    let said = world.fails("rm $M/hello/module");
    assert!(said.contains("busy"), "{said}");
    let said = world.fails("rmdir $M/hello");
    assert!(said.contains("busy"), "{said}");
    world.ok("echo unmap > $M/hello/control && rm -r $M/hello/module && rmdir $M/hello");
}

#[test]
fn a_file_is_written_like_any_other() {
    let world = World::new();
    world.ok("mkdir $M/m && cd $M/m && echo module > a && echo init -19 >> a");
    assert_eq!(world.ok("stat -c %s $M/m/a"), "16\n");
    let put = world.put("m/control", "map\\ninit\\n");
    assert!(put.err.contains("No such device"), "{put:?}");
    world.ok("cd $M/m && echo unmap > control && head -c 3000000 /dev/urandom > a");
    assert_eq!(world.ok("stat -c %s $M/m/a"), "3000000\n");
    world.ok("cd $M/m && truncate -s 5 a && touch a && chmod 600 a");
    assert_eq!(world.ok("stat -c '%s %a' $M/m/a"), "5 600\n");
}

#[test]
fn listing() {
    let world = World::new();
    world.ok("umask 022; mkdir $M/a && mkdir -m 750 $M/b");
    assert_eq!(world.ok("ls -U $M"), "kernel\nb\na\n");
    assert_eq!(world.ok("ls -U $M/a"), "control\nstate\n");
    let modes = world.ok("cd $M; stat -c '%a %F' . a b b/control kernel a/state");
    assert_eq!(
        modes,
        "755 directory\n755 directory\n750 directory\n640 regular file\n\
         555 directory\n444 regular file\n"
    );
    let numbers = world.ok(
        "cd $M; stat -c %i a a | uniq | wc -l; stat -c %i a/control; \
                            stat -c %i a/control",
    );
    let numbers: Vec<_> = numbers.lines().collect();
    assert_eq!(numbers[0].trim(), "1");
    // Though it is a file of its own at each lookup, or cp(1) would not take it for the same.
    assert_eq!(numbers[1], numbers[2]);
    world.ok("cp $M/a/control /dev/stdout | grep state:");
    world.ok(
        "df $M > /dev/null; stat -f $M > /dev/null; ls -lR $M > /dev/null; find $M > /dev/null",
    );
    let mounted = world.ok("grep modfs /proc/self/mountinfo");
    assert!(mounted.contains(" fuse.modfs modfs "), "{mounted}");
}

#[test]
fn what_cannot_be_done() {
    let world = World::new();
    world.ok("mkdir $M/m && echo > $M/m/a");
    for (script, said) in [
        ("echo > $M/x", "denied|permitted|cannot create"),
        ("mkdir $M/m/x", "not permitted"),
        ("ln $M/m/a $M/m/b", "not permitted"),
        ("ln -s a $M/m/b", "not permitted"),
        ("mv $M/m/a $M/m/b", "not permitted"),
        ("mv $M/m $M/n", "not permitted"),
        ("mkfifo $M/m/p", "not permitted"),
        ("rmdir $M/kernel", "not permitted"),
        ("mkdir $M/m", "File exists"),
        ("mkdir $M/$(printf '\\377')", "Invalid argument"),
        ("mkdir \"$M/$(printf 'a\\tb')\"", "Invalid argument"),
        ("ls $M/$(printf '\\377')", "No such file"),
        ("rm $M/m/state", "not permitted"),
        ("rm $M/m/control", "busy"),
        ("chmod 600 $M/m/state", "not permitted"),
        ("fallocate -l 10 $M/m/a", "not supported"),
        ("mkdir $M/$(printf %0256d 0)", "name too long"),
    ] {
        let err = world.fails(script);
        let ok = said.split('|').any(|said| err.contains(said));
        assert!(ok, "{script}: {err}");
    }
}

#[test]
fn row_07_other_users() {
    let options = Options {
        allow_other: true,
        ..Options::default()
    };
    let world = World::with(&options);
    world.module("hello", HELLO);
    world.ok("echo map > $M/hello/control; chmod 644 $M/hello/module; chmod 666 $M/hello/control");
    let nobody = |script| ran(&mut as_nobody(world.command(script)));
    let text = nobody("cat $M/hello/module");
    assert_eq!(text.out, "uninitialized\n", "{text:?}");
    for (script, said) in [
        ("mkdir $M/x", "ermission denied"),
        ("chmod 777 $M/hello", "not permitted"),
        ("echo unmap | dd of=$M/hello/control", "not permitted"),
        (
            "echo request x | dd of=$M/kernel/control",
            "ermission denied",
        ),
        ("rm -f $M/hello/module", "ermission denied"),
    ] {
        let ran = nobody(script);
        assert!(!ran.success && ran.err.contains(said), "{script}: {ran:?}");
    }
    let told = world.ok("cat $M/hello/control");
    assert!(told.ends_with("last: map module: ok\n"), "{told}");
}

#[test]
fn without_allow_other_nobody_else_comes_in() {
    let world = World::new();
    let ran = ran(&mut as_nobody(world.command("ls $M")));
    assert!(ran.err.contains("ermission denied"), "{ran:?}");
}

#[test]
fn row_19_the_kernels_directory() {
    let world = World::new();
    world.module("hello", HELLO);
    world.ok("printf 'map\\ninit -k' > $M/hello/control; echo /x > $M/kernel/modprobe");
    assert_eq!(world.ok("cat $M/kernel/modprobe"), "/x\n");
    world.ok("echo autoclean > $M/kernel/control");
    assert_eq!(world.ok("ls $M"), "kernel\n");
    assert_eq!(world.ok("cat $M/kernel/version"), "double 1\n");
}

//! Programs that die, fork, exec, or send garbage.

use super::{kernel, made};
use crate::common::{Kernel, Random, eventually, program, static_program};
use std::time::Duration;

/// A path that cannot be read holds up who names it, and nobody else.
#[test]
fn a_path_that_takes_its_time() {
    let kernel = kernel(&[]);
    let script = "stuck\nstuck\nstuck\nstuck\nstuck\nstuck\nquery NULL 0\ncat /sys/module/x\n";
    for calls in [program("calls"), static_program("calls")] {
        let said = made(&kernel, &calls, script).ok();
        let stuck = "stuck: 0\n".repeat(6);
        assert_eq!(
            said,
            format!("{stuck}query NULL 0: 0\n/sys/module/x: ENOENT\n")
        );
    }
}

/// What it is run by ends as the program does.
#[test]
fn how_the_program_ends() {
    let kernel = kernel(&[]);
    let run = |command: &str| kernel.sh(&format!("modfs run --tree k/modules -- {command}"));
    assert_eq!(run("true").code, Some(0));
    assert_eq!(run("sh -c 'exit 7'").code, Some(7));
    assert_eq!(run("sh -c 'kill -9 $$'").code, Some(137));
    let missing = run("no-such-program");
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("no-such-program"), "{missing:?}");
    let nested = run("modfs run --tree k/modules -- true");
    assert_eq!(nested.code, Some(1), "{nested:?}");
    assert!(nested.err.contains("busy"), "{nested:?}");
    let no_host =
        kernel.sh("mkdir -p x/kernel; echo > x/kernel/version; modfs run --tree x -- true");
    assert!(
        no_host
            .fails()
            .contains("is not the tree of a `modfs host`")
    );
}

/// Children, also those that go on when the program has ended, and what takes a process's place.
#[test]
fn children_are_followed() {
    let kernel = kernel(&["hello"]);
    std::fs::write(kernel.path("in"), "finit ko/hello.ko 0\n").unwrap();
    std::fs::write(kernel.path("out"), "remove hello 0\n").unwrap();
    let calls = program("calls");
    let calls = calls.display();
    let said = kernel
        .sh(&format!(
            "modfs run --tree k/modules -- sh -c '(sleep 0.2; exec {calls} < in) & exec sh -c \"exit 0\"'; \
             modfs run --tree k/modules -- sh -c 'sh -c \"{calls} < out\"'"
        ))
        .ok();
    assert_eq!(said, "finit: 0\nremove: 0\n");
}

/// It is killed while its module's init waits: nothing hangs, and the module is what it came to be.
#[test]
fn killed_in_a_call() {
    let kernel = kernel(&["sleeper"]);
    std::fs::write(kernel.path("in"), "finit ko/sleeper.ko 0 ms=800\n").unwrap();
    let calls = program("calls");
    let said = kernel.sh(&format!(
        "modfs run --tree k/modules -- timeout -s KILL 0.2 {} < in; echo $?",
        calls.display()
    ));
    assert_eq!(said.out, "137\n", "{said:?}");
    eventually("its init returns", || kernel.state("sleeper") == "running");
    kernel.sh("rmmod --tree k/modules sleeper").ok();
}

/// It is killed at any point, again and again: whatever it was about, the host serves on, and what it left can be
/// removed.
#[test]
fn killed_at_any_point() {
    let kernel = kernel(&["hello", "lib"]);
    let mut random = Random::from_setting("MODFS_KILLED_SEED");
    let script = "create t1 1024\nimage t1 1024 0\nsymbol f @768\ninit t1\nquery t1 4\nsyms\n\
                  cat /proc/modules\nfinit ko/lib.ko 0\nload ko/hello.ko\nstat /sys/module/lib\n\
                  remove lib 0\ndelete hello\ndelete t1\n";
    std::fs::write(kernel.path("in"), script.repeat(50)).unwrap();
    let calls = program("calls");
    for _ in 0..25 {
        let after = Duration::from_micros(500 + random.below(40_000));
        let ran = kernel.sh(&format!(
            "modfs run -q --tree k/modules -- timeout -s KILL {} {} < in > /dev/null",
            after.as_secs_f64(),
            calls.display()
        ));
        assert!(matches!(ran.code, Some(0 | 137)), "{ran:?}");
        // What it was about goes on, and then can be removed.
        eventually("nothing is under way", || {
            let busy = |name: &String| {
                let state = kernel.state(name);
                state == "initializing" || state == "exiting"
            };
            !kernel.names().iter().any(busy)
        });
        for name in kernel.names() {
            kernel
                .sh(&format!("rmmod {name} || ! test -e k/modules/{name}"))
                .ok();
        }
        assert_eq!(kernel.names(), [""; 0]);
    }
    serves(&kernel);
}

/// Any numbers as arguments of any of the calls: an answer each time, and a host that serves on.
#[test]
fn garbage() {
    let kernel = kernel(&["hello"]);
    let mut random = Random::from_setting("MODFS_GARBAGE_SEED");
    let mut script = String::new();
    for _ in 0..400 {
        let number = random.pick(&[174, 175, 176, 177, 178, 313]).to_string();
        let mut word = || match random.below(6) {
            0 => "0".to_owned(),
            1 => "1".to_owned(),
            2 => "0xffffffffffffffff".to_owned(),
            3 => format!("{}", random.below(1 << 20)),
            4 => "0x7fffffffffffffff".to_owned(),
            _ => "@0".to_owned(),
        };
        let words: Vec<String> = (0..5).map(|_| word()).collect();
        script += &format!("raw {number} {}\n", words.join(" "));
    }
    let said = made(&kernel, &program("calls"), &script).ok();
    assert_eq!(said.lines().count(), 400);
    serves(&kernel);
}

fn serves(kernel: &Kernel) {
    kernel
        .sh("insmod --tree k/modules ko/hello.ko && rmmod --tree k/modules hello")
        .ok();
}

/// Many at once, each with a module of its own.
#[test]
fn many_at_once() {
    let kernel = kernel(&["hello"]);
    let mut all = String::new();
    for number in 0..8 {
        let name = format!("m{number}");
        let script = format!(
            "create {name} 1024\nimage {name} 1024 0\ninit {name}\nquery {name} 5\ndelete {name}\n"
        );
        std::fs::write(kernel.path(&name), script.repeat(8)).unwrap();
        all += &format!("{} < {name} & ", program("calls").display());
    }
    std::fs::write(kernel.path("all"), format!("{all} wait")).unwrap();
    let said = kernel.sh("modfs run -q --tree k/modules -- sh all").ok();
    let count = |line: &str| said.lines().filter(|said| *said == line).count();
    assert_eq!((count("init: 0"), count("delete: 0")), (64, 64), "{said}");
    serves(&kernel);
}

//! Several threads do everything at random; what is left must fit together.

use super::{HELLO, World};
use modfs_core::{Errno, Kernel};

const MODULES: [&str; 2] = ["a", "b"];
const FILES: [&str; 2] = ["x", "y"];

/// A small generator, so that a failure can be repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

fn step(world: &World, random: &mut Random) {
    let module = MODULES[random.below(2)];
    let file = FILES[random.below(2)];
    let path = format!("{module}/{file}");
    // Every outcome is allowed; the invariants are tested when all is quiet.
    let _ = match random.below(12) {
        0 => world.mkdir(module),
        1 => world.rmdir(module),
        2 => world.create(module, file),
        3 => world.unlink(module, file),
        4 => world.write(&path, HELLO),
        5 => world.truncate(&path, 3),
        6 | 7 => world.control(module, &format!("map {file}")),
        8 => world.control(module, &format!("init -k {file}")),
        9 => world.control(module, &format!("exit {file}\nunmap {file}")),
        10 => world.control(module, &format!("unmap {file}")),
        _ => world.write("kernel/control", b"autoclean"),
    };
}

fn check(world: &World, seed: u64) {
    for module in MODULES {
        let status = world.kernel.status(module);
        let Ok(dir) = world.node(module) else {
            assert_eq!(status, None, "seed {seed}: mapped without a directory");
            continue;
        };
        if let Some(status) = &status {
            assert!(dir.lookup(&status.file).is_ok(), "seed {seed}: file lost");
            assert_eq!(world.rmdir(module), Err(Errno::EBUSY), "seed {seed}");
        }
        for file in FILES {
            if dir.lookup(file).is_err() {
                continue;
            }
            let mapped = status.as_ref().is_some_and(|s| s.file == file);
            let expected = if mapped { Err(Errno::EPERM) } else { Ok(()) };
            let written = world.write(&format!("{module}/{file}"), HELLO);
            assert_eq!(written, expected, "seed {seed}: {module}/{file}");
        }
        let control = world.read(&format!("{module}/control"));
        let control = control.unwrap_or_default();
        assert!(!control.contains("running:"), "seed {seed}: {control}");
    }
}

#[test]
fn threads_leave_a_consistent_tree() {
    for seed in 1..=60 {
        let world = World::new();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let world = &world;
                scope.spawn(move || {
                    let mut random = Random(seed * 7919 + thread);
                    for _ in 0..400 {
                        step(world, &mut random);
                    }
                });
            }
        });
        check(&world, seed);
    }
}

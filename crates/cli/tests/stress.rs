//! Two shells that do everything at random to the same eight modules.
//!
//! `MODFS_STRESS_SECONDS` says for how long (6), `MODFS_STRESS_SEED` makes a run again.

mod common;

use common::{Kernel, Random, Running, Setup, eventually, setting};
use modfs_core::Errno;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Two of them in Rust: one is used by, and one uses, a module in C.
const MIXED: [&str; 8] = [
    "m0",
    "m1=m1_rust",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6=m6_rust",
    "m7",
];
/// `m4` to `m7` use a symbol of `m0` to `m3`, in that order.
const NAMES: [&str; 8] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"];
const SHELLS: usize = 2;
/// What a shell does between two looks at what became of it all.
const STEPS: usize = 60;
/// Much longer than that takes.
const ROUND: Duration = Duration::from_secs(30);

/// One command; most are refused, as the modules are rarely in the state for it.
fn step(random: &mut Random) -> String {
    let name = random.pick(&NAMES);
    let dir = format!("$M/{name}");
    let command = |text: &str| format!("echo '{text}' > {dir}/control");
    match random.below(22) {
        0 | 1 => format!("mkdir {dir}"),
        2 | 3 => format!("cp $KO/{name}.ko {dir}/module"),
        4 => command("map"),
        5 => command("init"),
        6 => command("map\ninit"),
        7 => command("exit"),
        8 => command("unmap"),
        9 => command("exit\nunmap"),
        10 => format!("rm {dir}/module"),
        11 => format!("rmdir {dir}"),
        12 => "ls -lR $M".to_owned(),
        13 => format!("cat {dir}/*"),
        14 | 15 => format!("insmod $KO/{name}.ko"),
        16 | 17 => format!("rmmod {name}"),
        18 => format!("read x < $K/dev/{name}"),
        19 => format!("(exec 3< $K/dev/{name}; rmmod {name})"),
        20 => "lsmod".to_owned(),
        _ => format!("insmod -k $KO/{name}.ko; rmmod -a"),
    }
}

/// The text of a file of a module's, a word for each line; none when it is not there.
fn words(kernel: &Kernel, name: &str, file: &str) -> Vec<String> {
    match kernel.get(&format!("{name}/{file}")) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(errno) => {
            assert_eq!(errno, Errno::ENOENT, "{name}/{file}");
            Vec::new()
        }
    }
}

/// While nobody does anything: every count and every reference is right. Returns how many
/// modules run.
fn look(kernel: &Kernel) -> usize {
    let mut states = HashMap::new();
    for name in NAMES {
        let state = words(kernel, name, "state").pop().unwrap_or_default();
        // Where a faulted module or one under way would be seen.
        let steady = ["", "unmapped", "uninitialized", "running", "deleted"];
        assert!(steady.contains(&state.as_str()), "{name} is {state}");
        let device = kernel.path("k/dev").join(name).exists();
        assert_eq!(device, state == "running", "{name}, {state}: its device");
        states.insert(name, state);
        // The last of its devices may be let go of after the shell has ended.
        eventually("nobody uses it", || {
            matches!(words(kernel, name, "usecount").join("").as_str(), "" | "0")
        });
    }
    for i in 0..4 {
        let (lib, user) = (NAMES[i], NAMES[i + 4]);
        let refs = words(kernel, lib, "refs");
        let deps = words(kernel, user, "deps");
        let used = deps == [lib];
        assert_eq!(
            refs,
            if used { vec![user.to_owned()] } else { vec![] },
            "{lib}"
        );
        assert!(used || deps.is_empty(), "{user}: {deps:?}");
        let user_state = states[user].as_str();
        if user_state == "running" {
            assert!(
                used && states[lib] == "running",
                "{user} runs without {lib}"
            );
        }
        assert!(
            !used || !matches!(user_state, "" | "unmapped" | "deleted"),
            "{user}"
        );
    }
    states.values().filter(|state| *state == "running").count()
}

#[test]
fn two_shells_do_everything_at_random() {
    two_shells(&NAMES);
}

#[test]
fn two_shells_do_everything_at_random_to_modules_in_rust_too() {
    two_shells(&MIXED);
}

fn two_shells(modules: &[&'static str]) {
    let seconds = setting("MODFS_STRESS_SECONDS", 6);
    let mut random = Random::from_setting("MODFS_STRESS_SEED");
    let mut kernel = Kernel::set_up(Setup {
        modules: modules.to_vec(),
        seconds: seconds + 60,
        ..Setup::default()
    });
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut rounds, mut running) = (0, 0);
    while Instant::now() < end {
        let shells: Vec<Running> = (0..SHELLS)
            .map(|_| {
                let steps: Vec<_> = (0..STEPS).map(|_| step(&mut random)).collect();
                // What is refused is said on standard error, which nobody reads.
                let script = format!("exec > /dev/null 2>&1\n{}\nexit 0", steps.join("\n"));
                kernel.background(&script)
            })
            .collect();
        for shell in shells {
            shell.wait(ROUND).ok();
        }
        kernel.assert_alive();
        running += look(&kernel);
        rounds += 1;
    }
    let log = kernel.log();
    eprintln!("{rounds} rounds of {} commands", SHELLS * STEPS);
    // A test in which all is refused would show nothing.
    assert!(
        running > rounds / 2,
        "{running} modules ran in {rounds} rounds"
    );
    assert!(!log.contains("BUG:"), "{log}");

    // All of it can go: users first.
    for name in NAMES.iter().rev() {
        if kernel.tree(name).exists() {
            kernel.sh(&format!("rmmod {name}")).ok();
        }
    }
    assert_eq!(kernel.names(), Vec::<String>::new());
    assert_eq!(kernel.sh("lsmod").ok().lines().count(), 1);
    assert_eq!(kernel.sh("ls $K/dev").ok(), "");
    assert_eq!(kernel.stop(rustix::process::Signal::TERM).code, Some(0));
}

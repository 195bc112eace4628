//! Programs that make the kernel's module system calls, under `modfs run`: those of 2.4, a test for each row
//! of what they do, and today's.

#[path = "../common/mod.rs"]
mod common;

mod ld;
mod library;
mod listing32;
mod odd;
mod rows;
mod session;
mod today;

use common::{Kernel, Ran, program, static_program};
use std::path::Path;

/// A host that takes images as 2.4's insmod makes them.
fn kernel(modules: &[&'static str]) -> Kernel {
    Kernel::with(modules, &["--allow-wx"])
}

/// Makes the calls of a script, by a program that is linked dynamically, or statically.
fn made(kernel: &Kernel, calls: &Path, script: &str) -> Ran {
    std::fs::write(kernel.path("script"), script).expect("write");
    kernel.sh(&format!(
        "modfs run -q --tree k/modules -- {} < script",
        calls.display()
    ))
}

/// Makes the calls of a script, and compares the answers. It is made three times, each with a host of its
/// own: by a program that is linked dynamically, by one that is static, and through the library.
#[track_caller]
fn answers(script: &str, expected: &str) {
    answers_and_leaves(script, expected, 0);
}

/// The same; so many modules are left.
#[track_caller]
fn answers_and_leaves(script: &str, expected: &str, modules: usize) {
    assert_eq!(
        library::played(&kernel(&[]), script),
        expected,
        "the library"
    );
    for calls in [program("calls"), static_program("calls")] {
        let kernel = kernel(&[]);
        let answers = made(&kernel, &calls, script).ok();
        assert_eq!(answers, expected, "{}", calls.display());
        let left = kernel.sh("lsmod --tree k/modules").ok();
        assert_eq!(left.lines().count(), 1 + modules, "{left}");
    }
}

//! What the tests of the host share: compiling modules, loading them, calling into them.

// Not every test program uses all of it.
#![allow(dead_code)]

pub(crate) mod build;
pub(crate) mod child;
pub(crate) mod device;
pub(crate) mod elf;
pub(crate) mod memory;
pub(crate) mod record;
pub(crate) mod rust;

#[allow(unused_imports)]
pub(crate) use build::{Build, module};

use modfs_arena::Arena;
use modfs_core::{Errno, InitArgs, MapArgs, Refusal, State, Status};
use modfs_host::Host;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A host without modules.
pub(crate) fn host() -> Host {
    // SAFETY: what these tests load they have compiled from their own sources, and no test
    // program installs other handlers of the signals of a fault.
    unsafe { Host::new() }.expect("a host")
}

/// Bytes taken of the arena, which all hosts of a process share: code, rodata, data.
pub(crate) fn arena_used() -> [u64; 4] {
    Arena::get().expect("the arena").used()
}

/// Maps an object that came from [`module`] under a name.
pub(crate) fn map(host: &Host, name: &str, object: &[u8]) -> Result<(), Refusal> {
    host.kernel()
        .map(name, name, Arc::new(object.to_vec()), MapArgs::default())
}

/// Starts a mapped module.
pub(crate) fn init(host: &Host, name: &str, parameters: &[&str]) -> Result<(), Refusal> {
    let args = InitArgs {
        parameters: parameters.iter().map(ToString::to_string).collect(),
        autoclean: false,
    };
    host.kernel().init(name, name, &args)
}

pub(crate) fn exit(host: &Host, name: &str) -> Result<(), Refusal> {
    host.kernel().exit(name, name)
}

pub(crate) fn unmap(host: &Host, name: &str) -> Result<(), Refusal> {
    host.kernel().unmap(name, name)
}

/// Maps and starts a module that must start.
pub(crate) fn load(host: &Host, name: &str, object: &[u8], parameters: &[&str]) {
    host.load(name, object.to_vec(), parameters)
        .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
}

pub(crate) fn unload(host: &Host, name: &str) {
    host.unload(name)
        .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
}

pub(crate) fn status(host: &Host, name: &str) -> Status {
    host.kernel()
        .status(name)
        .unwrap_or_else(|| panic!("{name} is not mapped"))
}

pub(crate) fn state(host: &Host, name: &str) -> State {
    status(host, name).state
}

/// Asserts that something was refused with this errno and a reason that says `text`.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, errno: Errno, text: &str) {
    let refusal = result.expect_err("must be refused");
    assert_eq!(refusal.errno, errno, "{refusal}");
    assert!(
        refusal.to_string().contains(text),
        "{text:?} is not in: {refusal}"
    );
}

/// Whether a line of the log says `text`.
pub(crate) fn logged(host: &Host, text: &str) -> bool {
    host.log().iter().any(|record| record.text.contains(text))
}

pub(crate) fn log_text(host: &Host) -> String {
    host.log().iter().map(|record| record.line()).collect()
}

/// The function `long NAME(long)` that a running module exports.
pub(crate) fn function(host: &Host, name: &str) -> extern "C" fn(i64) -> i64 {
    let address = host
        .symbol(name)
        .unwrap_or_else(|| panic!("nobody exports {name}"));
    let code = ptr::with_exposed_provenance::<()>(address as usize);
    // SAFETY: the tests' modules export under the names they ask for functions of this type
    // only, and do not unload a module while one of its is called.
    unsafe { std::mem::transmute::<*const (), extern "C" fn(i64) -> i64>(code) }
}

/// Calls a function that a running module exports, so that a panic in it is survived.
pub(crate) fn call(host: &Host, name: &str, argument: i64) -> Result<i64, Refusal> {
    // SAFETY: the tests' modules export under the names they ask for functions of one number.
    let called = unsafe { host.call(name, [argument as u64, 0, 0, 0, 0]) };
    called.map(|returned| returned as i64)
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(mut test: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !test() {
        assert!(Instant::now() < deadline, "never");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A generator of numbers that look random, the same in each run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

//! `modules/user` in Rust.
#![no_std]

use modfs_module::prelude::*;

module! {
    type: User,
    license: "Dual MIT/GPL",
    description: "Uses the module lib",
    params: {
        /// First summand
        a: i32 = 1, 0o644;
        /// Second summand
        b: i32 = 1, 0o644;
    },
}

unsafe extern "C-unwind" {
    safe fn lib_add(a: i32, b: i32) -> i32;
}

/// The sum, in words.
fn sum() -> String {
    let (first, second) = (a.get(), b.get());
    format!("user: {first} + {second} = {}", lib_add(first, second))
}

struct User;

impl Module for User {
    fn init() -> Result<User> {
        info!("{}", sum());
        Ok(User)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // The parameters may have been written to in the meantime.
        info!("{}, goodbye", sum());
    }
}

//! The defects of the first modfs, each shown to be gone: one test for each row of the table in
//! the specification's section 8.3 that a user can meet through the mount.
//!
//! Not here: rows 1, 2 and 4 (what happens when memory runs out inside, and leaks on those
//! paths) cannot be caused from outside. Rows 17 to 19 are about the old system calls: here is
//! what the files must do for them.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod files;
mod lifecycle;
mod rights;

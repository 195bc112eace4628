//! From map to unmap: what may be done when, and what becomes of the rest.

#[path = "../common/mod.rs"]
mod common;

mod autoclean;
mod exits;
mod hosts;
mod inits;
mod parameters;
mod symbols;
mod versions;

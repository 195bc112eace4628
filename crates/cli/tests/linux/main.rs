//! The tools that Linux has for its modules, whole: what their users do with them, on real modules
//! made here. Needs gcc, xz, zstd, gzip and openssl, and root where a file of /proc is another one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod root;

mod boot;
mod builtin;
mod cmdline;
mod commands;
mod config;
mod depmod;
mod hostile;
mod hosts;
mod listing;
mod modinfo;
mod modules_conf;
mod names;
mod objects;
mod options;
mod paths;
mod rules;
mod signatures;
mod softdeps;
mod verify;

//! What people configure: modprobe.d and the kernel's command line.

mod cmdline;
mod files;
mod modprobe;

pub use cmdline::parse as parse_command_line;
pub use files::Origin;
pub use modprobe::{Config, Deps, Line, Rule};

//! What people configure: modprobe.d, depmod.d and the kernel's command line.

mod cmdline;
mod depmod;
mod files;
mod modprobe;

pub use cmdline::parse as parse_command_line;
pub use files::Origin;
pub use modprobe::{Config, Deps, Line, Rule};

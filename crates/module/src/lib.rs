//! What module authors use: the C headers, and the string that says which interface they are of.
//!
//! The headers in `include/modfs` are the real ones; those in `include/linux` and `include/asm`
//! only lead there, so that textbook modules compile unchanged. They are carried in the library,
//! so a single installed binary can build modules.

#![forbid(unsafe_code)]

mod headers;

pub use headers::HEADERS;

use std::fs;
use std::io;
use std::path::Path;

/// The version of the interface between host and module: of the layouts in the headers.
pub const ABI: &str = "modfs-1";

/// The vermagic string of modules built with these headers for this machine's architecture.
///
/// A host takes a module only if this is its own string too.
pub const VERMAGIC: &str = vermagic();

const fn vermagic() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return "modfs-1 x86_64";
    #[cfg(target_arch = "aarch64")]
    return "modfs-1 aarch64";
    #[cfg(target_arch = "riscv64")]
    return "modfs-1 riscv64";
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )))]
    return "modfs-1 unknown";
}

/// Writes all headers below `dir`, which is made if it does not exist; `-I dir` finds them.
///
/// # Errors
/// What the file system says; files already written stay.
pub fn write_headers(dir: &Path) -> io::Result<()> {
    for (path, text) in HEADERS {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vermagic_is_of_this_abi_and_architecture() {
        assert_eq!(
            VERMAGIC,
            format!("{ABI} {}", std::env::consts::ARCH),
            "add this architecture to vermagic()"
        );
    }
}

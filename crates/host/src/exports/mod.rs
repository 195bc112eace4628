//! What the host exports to modules: the functions that `include/modfs` declares.
//!
//! They are called by module code, with whatever arguments it gives. A function that takes a
//! lock or allocates does so in a [`HostSection`](crate::call::HostSection), and reads what the
//! module points at before: a fault there is the module's, and is survived.

mod memory;
mod modules;
mod print;
mod registry;
mod rust;
mod strings;
mod variadic;

/// A symbol that the program exports to modules.
#[derive(Clone, Debug)]
pub struct HostExport {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) function: bool,
    pub(crate) gpl: bool,
    pub(crate) crc: Option<u32>,
}

impl HostExport {
    /// A function with C's calling convention; modules call it through a stub within their
    /// reach.
    pub fn function(name: &str, address: *const ()) -> HostExport {
        HostExport {
            name: name.to_owned(),
            address: address.expose_provenance() as u64,
            function: true,
            gpl: false,
            crc: None,
        }
    }

    /// A variable; modules reach it if they are built with -fPIC.
    pub fn variable(name: &str, address: *const ()) -> HostExport {
        HostExport {
            function: false,
            ..HostExport::function(name, address)
        }
    }

    /// Only for modules whose licence is GPL-compatible.
    #[must_use]
    pub fn gpl_only(self) -> HostExport {
        HostExport { gpl: true, ..self }
    }

    /// With the checksum of its declaration.
    #[must_use]
    pub fn with_crc(self, crc: u32) -> HostExport {
        HostExport {
            crc: Some(crc),
            ..self
        }
    }
}

/// A table of exports: each under its own name, or `"name" = function`.
macro_rules! exports {
    ($($name:literal = $function:expr),* $(,)?) => {
        [$($crate::exports::HostExport::function($name, $function as *const ())),*]
    };
}
use exports;

/// The exports that every host has.
pub(crate) fn standard() -> Vec<HostExport> {
    let mut all = Vec::new();
    all.extend(memory::table());
    all.extend(strings::table());
    all.extend(print::table());
    all.extend(modules::table());
    all.extend(registry::table());
    all.extend(rust::table());
    all
}

/// A C string argument.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that stays as it is for as long as it is used.
unsafe fn c_bytes<'a>(text: *const std::ffi::c_char) -> &'a [u8] {
    if text.is_null() {
        return b"(null)";
    }
    // SAFETY: the caller's.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rustc makes calls of; the last is the host's part in one of them (`modfs-build`).
    const OF_RUSTC: [&str; 3] = ["_Unwind_Resume", "rust_eh_personality", "modfs_alloc_error"];

    /// Every function that a header declares `extern`, or the Rust SDK, is exported, and nothing
    /// else is.
    #[test]
    fn exports_are_what_the_headers_declare() {
        let mut declared = std::collections::BTreeSet::new();
        for (path, text) in modfs_module::HEADERS {
            let statements = text.split("\nextern ").skip(1);
            for statement in statements.filter(|_| path.starts_with("modfs/")) {
                let declaration = statement.split(';').next().unwrap_or_default();
                let Some((before, _)) = declaration.split_once('(') else {
                    continue;
                };
                let name = before
                    .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                    .next();
                declared.extend(name.map(str::to_owned));
            }
        }
        // These two a module defines.
        declared.remove("init_module");
        declared.remove("cleanup_module");
        let sdk = include_str!("../../../module/src/sys.rs");
        let functions = sdk.split("pub fn ").skip(1);
        declared.extend(functions.filter_map(|text| Some(text.split_once('(')?.0.to_owned())));
        declared.extend(OF_RUSTC.map(str::to_owned));
        // A compiler calls it for memcmp() == 0.
        declared.insert("bcmp".into());
        let exported = standard().into_iter().map(|export| export.name).collect();
        assert_eq!(declared, exported);
    }
}

//! Checksums: of what a module exports, and of what it imports as that was when it was built.

use crate::{Error, Options};
use modfs_object::Object;
use modfs_symvers::{Carried, Checksums, Exported, Interfaces, SECTION};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The kernel that all modules are built against.
const KERNEL: &str = "kernel";
/// A name of an entry of `__versions` has 56 bytes, and a NUL at its end (Linux, `struct modversion_info`). Longer
/// ones are in sections of their own.
const NAME_MAX: usize = 55;

/// What a module says of its borders, as C; and the exports that have no checksum.
pub(crate) struct Versions {
    pub(crate) source: String,
    pub(crate) unversioned: Vec<String>,
    /// Why no declaration is known.
    pub(crate) unread: Option<String>,
}

/// What there is to build against.
pub(crate) struct Against {
    all: Interfaces,
    /// More than modfs's own host.
    is_further: bool,
}

impl Against {
    pub(crate) fn read(options: &Options) -> Result<Against, Error> {
        let mut all = Interfaces::default();
        let kernel = modfs_symvers::Symtypes::parse(modfs_module::KERNEL_SYMTYPES);
        let kernel = kernel.map_err(|bad| Error::Told(format!("modfs's own symtypes: {bad}")))?;
        all.add(Exported::of_types(KERNEL, kernel));
        for path in &options.symvers {
            all.add(Exported::read(path).map_err(|error| Error::Told(error.to_string()))?);
        }
        Ok(Against {
            all,
            is_further: !options.symvers.is_empty(),
        })
    }
}

impl Versions {
    /// Of a linked object that is not stripped yet.
    pub(crate) fn of(file: &[u8], object: &Object<'_>, against: &Against) -> Versions {
        let mut source = String::new();
        let mut carried = Carried::default();
        let (unversioned, unread) = exports(file, object, &mut source, &mut carried);
        imports(object, against, &mut source, &mut carried);
        section(&carried.to_string(), &mut source);
        Versions {
            source,
            unversioned,
            unread,
        }
    }
}

/// `__crc_NAME` for each export whose declaration is known; returns the others, and why none is known.
fn exports(
    file: &[u8],
    object: &Object<'_>,
    source: &mut String,
    carried: &mut Carried,
) -> (Vec<String>, Option<String>) {
    let exports = object.exports();
    let names: BTreeSet<&str> = exports.iter().map(|export| export.name).collect();
    let read = modfs_symvers::read(file, names.iter().copied());
    let unread = read.as_ref().err().map(ToString::to_string);
    carried.exports = read.unwrap_or_default();
    let mut unversioned = Vec::new();
    let mut sums = Checksums::new(&carried.exports);
    for export in exports.iter().filter(|export| export.crc.is_none()) {
        let name = export.name;
        // In the assembler's text a name is nothing else.
        if !is_plain(name) {
            unversioned.push(name.to_owned());
            continue;
        }
        match sums.of(name) {
            // Writing to a String cannot fail.
            Some(crc) => drop(writeln!(
                source,
                "__asm__(\".globl __crc_{name}\\n.set __crc_{name}, {crc:#010x}\");"
            )),
            None => unversioned.push(name.to_owned()),
        }
    }
    let unread = unread.filter(|_| !unversioned.is_empty());
    (unversioned, unread)
}

/// `__versions`, and `depends`.
fn imports(object: &Object<'_>, against: &Against, source: &mut String, carried: &mut Carried) {
    let all = &against.all;
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut versions, mut long_names, mut long_sums) =
        (String::new(), String::new(), String::new());
    let own = [modfs_link::GOT, "__this_module"];
    for (_, symbol) in object.imports().filter(|(_, s)| !own.contains(&s.name)) {
        let name = symbol.name;
        let Some((version, types)) = all.find(name).filter(|_| is_plain(name)) else {
            continue;
        };
        // Writing to a String cannot fail.
        let _ = match name.len() <= NAME_MAX {
            true => writeln!(versions, "\t{{ {:#010x}, \"{name}\" }},", version.crc),
            false => {
                long_names += &format!("\t\"{name}\\0\"\n");
                writeln!(long_sums, "\t{:#010x},", version.crc)
            }
        };
        let reached = names.entry(&version.module).or_default();
        if types.is_some() {
            reached.push(name);
        }
    }
    if !versions.is_empty() {
        let _ = writeln!(
            source,
            "static const struct {{ unsigned long crc; char name[{}]; }} __modfs_versions[] __used \
             __section(\"__versions\") = {{\n{versions}}};",
            NAME_MAX + 1
        );
    }
    if !long_names.is_empty() {
        let _ = writeln!(
            source,
            "static const unsigned int __modfs_long_sums[] __used __section(\"__version_ext_crcs\") = {{\n\
             {long_sums}}};\nstatic const char __modfs_long_names[] __used \
             __section(\"__version_ext_names\") =\n{long_names};"
        );
    }
    for (module, reached) in &names {
        let types = reached.first().and_then(|name| all.find(name)?.1);
        if let Some(types) = types {
            let types = types.of(reached.iter().copied());
            carried.imports.insert((*module).to_owned(), types);
        }
    }
    // Without further modules to build against nothing is known of those that it needs.
    if against.is_further {
        let modules: Vec<&str> = names.into_keys().filter(|name| *name != KERNEL).collect();
        let _ = writeln!(source, "MODULE_INFO(depends, \"{}\");", modules.join(","));
    }
}

/// Whether a name is one in C and in assembler.
fn is_plain(name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    name.chars().all(part)
}

/// The text as a section that is not loaded.
fn section(text: &str, source: &mut String) {
    if text.is_empty() {
        return;
    }
    let _ = writeln!(
        source,
        "__asm__(\".pushsection {SECTION},\\\"\\\",@progbits\\n\""
    );
    for line in text.lines() {
        let _ = write!(source, "\"\\t.ascii \\\"");
        for byte in line.bytes() {
            let _ = match byte {
                // Once for C, once for the assembler.
                b'"' | b'\\' | 0..=31 | 127.. => write!(source, "\\\\{byte:03o}"),
                byte => write!(source, "{}", char::from(byte)),
            };
        }
        let _ = writeln!(source, "\\\\n\\\"\\n\"");
    }
    let _ = writeln!(source, "\".popsection\");");
}

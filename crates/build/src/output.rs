//! The module that was made: what every one says of itself, its check, and its place.

use crate::cc::Compiler;
use crate::versions::{Against, Versions};
use crate::{Built, Error, Options};
use modfs_link::Layout;
use modfs_object::{EM_X86_64, Object};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A module that is about to be finished.
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a str,
    /// All its code in one object, with what a debugger needs.
    pub(crate) object: &'a Path,
    /// For the linker, besides files.
    pub(crate) flags: Vec<OsString>,
    /// C of what more it says of itself.
    pub(crate) more: String,
    /// Where it goes.
    pub(crate) output: &'a Path,
}

/// Links a module's object with its modinfo and checksums, checks the result, and puts it in its place.
pub(crate) fn finish(
    compiler: &Compiler<'_>,
    options: &Options,
    scratch: &Path,
    parts: Parts<'_>,
) -> Result<Built, Error> {
    let against = Against::read(options)?;
    let file = fs::read(parts.object).map_err(|e| Error::io("cannot read", parts.object, &e))?;
    let object = parse(&file)?;
    let versions = Versions::of(&file, &object, &against);
    let include = scratch.join("include");
    let source = scratch.join("modinfo.c");
    let modinfo = scratch.join("modinfo.o");
    fs::write(
        &source,
        identity(parts.name) + &parts.more + &versions.source,
    )
    .map_err(|e| Error::io("cannot write", &source, &e))?;
    compiler.compile(parts.name, &source, &include, &modinfo)?;
    let mut arguments = parts.flags;
    if !options.debug {
        arguments.push("-Wl,--strip-debug".into());
    }
    arguments.extend([parts.object.into(), modinfo.into()]);

    let parent = match parts.output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // In the output's own directory, or the rename would not be one step; and with the mode of
    // any new file, where a temporary one is otherwise for its owner only.
    let linked = tempfile::Builder::new()
        .prefix(".modfs-")
        .suffix(".ko")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(parent)
        .map_err(|e| Error::io("cannot write to the directory", parent, &e))?;
    compiler.link(&arguments, linked.path())?;
    check(linked.path())?;
    linked
        .persist(parts.output)
        .map_err(|e| Error::io("cannot write", parts.output, &e.error))?;
    Ok(Built {
        module: parts.output.to_owned(),
        unversioned: versions.unversioned,
        unread: versions.unread,
    })
}

/// A directory for what is needed only while it is built, with the headers in it.
pub(crate) fn scratch() -> Result<tempfile::TempDir, Error> {
    let scratch = tempfile::Builder::new()
        .prefix("modfs-build-")
        .tempdir()
        .map_err(|e| Error::io("cannot make a directory in", &std::env::temp_dir(), &e))?;
    let include = scratch.path().join("include");
    crate::write_headers(&include)
        .map_err(|e| Error::io("cannot write the headers to", &include, &e))?;
    Ok(scratch)
}

fn parse(bytes: &[u8]) -> Result<Object<'_>, Error> {
    Object::parse(bytes, EM_X86_64).map_err(|e| match e {
        // The source's doing.
        modfs_object::Error::ThreadLocal(_) | modfs_object::Error::WriteExec(_) => {
            Error::Told(format!("this cannot be a module: {e}"))
        }
        _ => Error::Told(format!(
            "the compiler made no object that can be a module: {e}; \
             leave out flags such as -flto, -shared or -target"
        )),
    })
}

/// Whether the file is something that `map` can take: everything is checked that does not take a
/// kernel's symbols.
fn check(path: &Path) -> Result<(), Error> {
    let bytes = fs::read(path).map_err(|e| Error::io("cannot read", path, &e))?;
    let object = parse(&bytes)?;
    Layout::new(&object, &[]).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Error::Told(format!("this cannot be a module: {}", lines.join("; ")))
    })?;
    if object.global("init_module").is_none() && object.exports().is_empty() {
        return Err(Error::Told(
            "the sources have neither an init (module_init, or int init_module(void)) nor an \
             EXPORT_SYMBOL: such a module could do nothing"
                .into(),
        ));
    }
    Ok(())
}

/// The C source of what every module says of itself, whatever its author wrote.
fn identity(name: &str) -> String {
    format!(
        "#include <modfs/modinfo.h>\n\
         MODULE_INFO(name, \"{name}\");\n\
         MODULE_INFO(vermagic, \"{}\");\n",
        modfs_module::VERMAGIC
    )
}

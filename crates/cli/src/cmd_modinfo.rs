//! `modinfo`: what modules say of themselves.

use crate::report::{Messages, print, print_json};
use crate::version::DirectoryArgs;
use clap::Args;
use modfs_depot::config::Config;
use modfs_depot::probe::{Depot, Via};
use modfs_depot::{Export, ModuleInfo, Reader, extension, module_name};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};

/// Arguments of `modinfo`.
#[derive(Args, Debug)]
pub(crate) struct ModinfoArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Print the authors only
    #[arg(short, long, group = "one")]
    author: bool,
    /// Print the description only
    #[arg(short, long, group = "one")]
    description: bool,
    /// Print the licence only
    #[arg(short, long, group = "one")]
    license: bool,
    /// Print the parameters only
    #[arg(short, long, group = "one")]
    parameters: bool,
    /// Print where the file is only
    #[arg(short = 'n', long, group = "one")]
    filename: bool,
    /// Print this field only, in upper or lower case
    #[arg(short = 'F', long, value_name = "FIELD", group = "one")]
    field: Option<String>,
    /// End each with a NUL instead of a line feed
    #[arg(short = '0', long)]
    null: bool,
    /// Print an array of JSON objects
    #[arg(long, conflicts_with_all = ["one", "null"])]
    json: bool,
    /// The names are those of modules, not of files or aliases
    #[arg(short, long)]
    modname: bool,
    /// The kernel's version [default: of the running one]
    #[arg(short = 'k', long, value_name = "VERSION")]
    set_version: Option<String>,
    /// Take this as the root directory of modules
    #[arg(short, long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// Modules, aliases, or files
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl ModinfoArgs {
    fn only(&self) -> Option<&str> {
        let chosen = [
            (self.author, "author"),
            (self.description, "description"),
            (self.license, "license"),
            (self.parameters, "parm"),
            (self.filename, "filename"),
        ];
        let short = chosen.iter().find(|(given, _)| *given);
        short.map(|(_, field)| *field).or(self.field.as_deref())
    }

    /// Whether one field only is printed, and it is one of these.
    fn is_only(&self, fields: &[&str]) -> bool {
        let is = |only: &str| fields.iter().any(|field| field.eq_ignore_ascii_case(only));
        self.only().is_some_and(is)
    }
}

const MESSAGES: Messages = Messages {
    tool: "modinfo",
    quiet: false,
    verbose: false,
    syslog: false,
};

/// A module that was found: its name, and what it says.
struct Module {
    name: String,
    info: ModuleInfo,
}

pub(crate) fn run(args: &ModinfoArgs) -> Result<(), String> {
    if args.names.is_empty() {
        return Err("modinfo: ERROR: missing module or filename.".into());
    }
    let mut output = Vec::new();
    let mut reports = Vec::new();
    let mut errors = Vec::new();
    let (mut depot, mut reader) = (None, Reader::default());
    for name in &args.names {
        let found = modules(args, name, &mut depot, &mut reader, &mut errors);
        for module in &found {
            warn(args, module);
            match args.json {
                true => reports.push(json(module, &mut reader)),
                false => text(args, module, &mut output),
            }
        }
    }
    match args.json {
        true => print_json(&reports)?,
        false => print(&output),
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors.join("\n")),
    }
}

/// The modules that a name stands for; what is wrong is added to `errors`.
fn modules(
    args: &ModinfoArgs,
    name: &str,
    depot: &mut Option<Depot>,
    reader: &mut Reader,
    errors: &mut Vec<String>,
) -> Vec<Module> {
    let mut error = |why: String| errors.push(format!("modinfo: ERROR: {why}"));
    let mut of_file = |path: &Path| {
        let name = module_name(path.file_name().unwrap_or_default());
        let info = match args.is_only(&["filename"]) {
            // It need not be read for that.
            true => Ok(ModuleInfo::of_nothing(path)),
            false => ModuleInfo::of_file(path, reader),
        };
        match info {
            Ok(info) => Ok(Module { name, info }),
            Err(why) => Err(format!(
                "could not get modinfo from '{name}': {}: {why}",
                path.display()
            )),
        }
    };
    let path = Path::new(name);
    if !args.modname && extension(OsStr::new(name)).is_some() && path.is_file() {
        let path = absolute(path).unwrap_or_else(|_| path.to_owned());
        return of_file(&path).map_err(error).into_iter().collect();
    }
    let depot = match depot {
        Some(depot) => depot,
        None => {
            let (root, version) = (args.basedir.as_deref(), args.set_version.as_deref());
            match args.directory.of(root, None, version) {
                Ok(directory) => {
                    modfs_depot::warn_if_mixed(&directory, &MESSAGES);
                    depot.insert(Depot::new(&directory, Config::default()))
                }
                Err(why) => {
                    error(why);
                    return Vec::new();
                }
            }
        }
    };
    let what = if args.modname {
        "Module name"
    } else {
        "Module"
    };
    let found = match depot.find(name) {
        Ok(answer) => answer.modules,
        Err(why) => {
            error(why.to_string());
            return Vec::new();
        }
    };
    let mut modules = Vec::new();
    for found in found {
        if args.modname && !matches!(found.via, Via::Name | Via::Builtin) {
            continue;
        }
        let path = match &found.via {
            Via::File(path) => Ok(Some(path.clone())),
            _ => depot.path(&found.name),
        };
        let builtin = || depot.is_builtin(&found.name);
        let module = match path {
            Ok(Some(path)) => of_file(&path),
            // An alias of a module that has gone since depmod ran.
            Ok(None) if matches!(builtin(), Ok(false)) => Err(format!(
                "could not get modinfo from '{}': there is no such module",
                found.name
            )),
            Ok(None) => ModuleInfo::of_builtin(&found.name, depot.directory())
                .map(|info| Module {
                    name: found.name.clone(),
                    info,
                })
                .map_err(|e| {
                    format!(
                        "could not get modinfo from '{}', which is part of the kernel: \
                         {}/modules.builtin.modinfo: {e}",
                        found.name,
                        depot.directory().display()
                    )
                }),
            Err(why) => Err(why.to_string()),
        };
        match module {
            Ok(module) => modules.push(module),
            Err(why) => {
                error(why);
                return modules;
            }
        }
    }
    if modules.is_empty() {
        error(format!("{what} {name} not found."));
    }
    modules
}

/// Says what a module's file has that cannot be understood of what is printed; the rest of it is.
fn warn(args: &ModinfoArgs, module: &Module) {
    let all = args.only().is_none();
    let odd = match all || args.is_only(&["parm"]) {
        true => module.info.parameters().1,
        false => Vec::new(),
    };
    for odd in odd {
        let odd = String::from_utf8_lossy(odd);
        eprintln!(
            "modinfo: WARNING: {}: parameter \"{odd}\" lacks a ':' after its name",
            module.name
        );
    }
    if let Some(Err(why)) = &module.info.signer
        && (all || args.is_only(&SIGNED))
    {
        eprintln!("modinfo: WARNING: {}: {why}", module.name);
    }
}

/// The fields of a signature.
const SIGNED: [&str; 5] = ["sig_id", "signer", "sig_key", "sig_hashalgo", "signature"];

/// The fields that are not entries of the modinfo, by name, in kmod's order.
fn appended(module: &Module) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = Vec::new();
    if let Some(id) = &module.info.build_id {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        fields.push(("build-id", hex.into_bytes()));
    }
    if let Some(Ok(signer)) = &module.info.signer {
        fields.push(("sig_id", signer.kind.into()));
        fields.push(("signer", signer.name.clone().into_bytes()));
        fields.push(("sig_key", hex(&signer.key).into_bytes()));
        fields.push(("sig_hashalgo", signer.hash.clone().into_bytes()));
        fields.push(("signature", hex(&signer.bytes).into_bytes()));
    }
    fields
}

/// 20 bytes a line, further lines indented.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    };
    let lines: Vec<String> = bytes.chunks(20).map(line).collect();
    lines.join(":\n\t\t")
}

fn filename(module: &Module) -> &[u8] {
    match &module.info.file {
        Some(path) => path.as_os_str().as_bytes(),
        None => b"(builtin)",
    }
}

/// Adds what is printed of a module.
fn text(args: &ModinfoArgs, module: &Module, output: &mut Vec<u8>) {
    let end = if args.null { b'\0' } else { b'\n' };
    let info = &module.info;
    if let Some(only) = args.only() {
        for value in field(module, only) {
            output.extend(value);
            output.push(end);
        }
        return;
    }
    let labelled = |output: &mut Vec<u8>, tag: &[u8], value: &[u8]| {
        output.extend(tag);
        output.push(b':');
        output.resize(output.len() + 15usize.saturating_sub(tag.len()), b' ');
        output.extend(value);
        output.push(end);
    };
    if info.file.is_none() {
        labelled(output, b"name", module.name.as_bytes());
    }
    labelled(output, b"filename", filename(module));
    let entries = info
        .entries
        .iter()
        .map(|(tag, value)| (&tag[..], &value[..]));
    let appended = appended(module);
    let appended = appended
        .iter()
        .map(|(tag, value)| (tag.as_bytes(), &value[..]));
    for (tag, value) in entries.chain(appended) {
        match args.null {
            _ if tag == b"parm" || tag == b"parmtype" => {}
            // So does kmod, and of these alone.
            true => output.extend([tag, b"=", value, b"\0"].concat()),
            false => labelled(output, tag, value),
        }
    }
    for parameter in info.parameters().0 {
        let value = match (parameter.description, parameter.kind) {
            (None, Some(kind)) => [parameter.name, b":", kind].concat(),
            _ => described(&parameter),
        };
        labelled(output, b"parm", &value);
    }
}

/// A parameter as `-p` prints it.
fn described(parameter: &modfs_depot::Parameter<'_>) -> Vec<u8> {
    let mut text = [parameter.name, b":", parameter.description.unwrap_or(b"")].concat();
    if let Some(kind) = parameter.kind {
        text.extend([b" (", kind, b")"].concat());
    }
    text
}

/// The values of one field.
fn field(module: &Module, name: &str) -> Vec<Vec<u8>> {
    let is = |tag: &str| tag.eq_ignore_ascii_case(name);
    if is("filename") {
        return vec![filename(module).to_vec()];
    }
    if is("parm") {
        return module.info.parameters().0.iter().map(described).collect();
    }
    let mut values: Vec<Vec<u8>> = module.info.values(name).map(<[u8]>::to_vec).collect();
    if is("name") && module.info.file.is_none() {
        values.insert(0, module.name.clone().into_bytes());
    }
    values.extend(
        appended(module)
            .into_iter()
            .filter(|(tag, _)| is(tag))
            .map(|(_, v)| v),
    );
    values
}

#[derive(Serialize)]
struct Json {
    name: String,
    /// `null`: part of the kernel.
    filename: Option<String>,
    fields: BTreeMap<String, Vec<String>>,
    parameters: Vec<JsonParameter>,
    exports: Vec<JsonExport>,
    build_id: Option<String>,
    signature: Option<JsonSignature>,
}

#[derive(Serialize)]
struct JsonParameter {
    name: String,
    r#type: Option<String>,
    description: Option<String>,
}

#[derive(Serialize)]
struct JsonExport {
    name: String,
    crc: Option<String>,
    gpl: bool,
    namespace: Option<String>,
}

#[derive(Serialize)]
struct JsonSignature {
    kind: String,
    signer: String,
    key: String,
    hash: String,
    signature: String,
}

fn json(module: &Module, reader: &mut Reader) -> Json {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let info = &module.info;
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for (tag, value) in &info.entries {
        if tag != b"parm" && tag != b"parmtype" {
            fields.entry(text(tag)).or_default().push(text(value));
        }
    }
    let parameter = |p: &modfs_depot::Parameter<'_>| JsonParameter {
        name: text(p.name),
        r#type: p.kind.map(text),
        description: p.description.map(text),
    };
    let export = |export: Export| JsonExport {
        name: export.name,
        crc: export.crc.map(|crc| format!("0x{crc:08x}")),
        gpl: export.gpl,
        namespace: export.namespace,
    };
    // It was read just now; should it be gone, nothing is known of its exports.
    let exports = info.exports(reader).unwrap_or_default();
    let signature = info.signer.as_ref().and_then(|signer| signer.as_ref().ok());
    Json {
        name: module.name.clone(),
        filename: info.file.as_ref().map(|f| f.to_string_lossy().into_owned()),
        fields,
        parameters: info.parameters().0.iter().map(parameter).collect(),
        exports: exports.into_iter().map(export).collect(),
        build_id: info.build_id.as_deref().map(hex),
        signature: signature.map(|signer| JsonSignature {
            kind: signer.kind.into(),
            signer: signer.name.clone(),
            key: hex(&signer.key),
            hash: signer.hash.clone(),
            signature: hex(&signer.bytes),
        }),
    }
}

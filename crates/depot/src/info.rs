//! What a module says of itself: modinfo.

use crate::reader::{self, ReadError, Reader};
use modfs_object::{BadSignature, ModuleFile, Signer, modinfo, signature};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// What a module says of itself.
#[derive(Clone, Debug)]
pub struct ModuleInfo {
    /// Where it is; `None`: it is part of the kernel.
    pub file: Option<PathBuf>,
    /// Tag and value of each entry, in the file's order.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// The linker's id of the file (`NT_GNU_BUILD_ID`).
    pub build_id: Option<Vec<u8>>,
    /// Who signed it; `None`: nobody.
    pub signer: Option<Result<Signer, BadSignature>>,
}

/// A parameter, put together from its entries `parm` and `parmtype`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What it is for.
    pub description: Option<&'a [u8]>,
    /// Its type.
    pub kind: Option<&'a [u8]>,
}

/// A symbol that a module exports, and on which terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Checksum of its declaration, when the file says.
    pub crc: Option<u32>,
    /// For modules with a GPL-compatible licence only.
    pub gpl: bool,
    /// Only for modules that import this namespace.
    pub namespace: Option<String>,
}

impl ModuleInfo {
    /// What the module exports, read anew; nothing of one that is part of the kernel.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn exports(&self, reader: &mut Reader) -> Result<Vec<Export>, ReadError> {
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let module = ModuleFile::parse(reader.read(file)?)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let export = |terms: &modfs_object::ExportTerms<'_>| Export {
            name: text(terms.name),
            crc: terms.crc,
            gpl: terms.gpl,
            namespace: terms.namespace.map(text),
        };
        Ok(module.export_terms().iter().map(export).collect())
    }

    /// Reads a module file.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn of_file(path: &Path, reader: &mut Reader) -> Result<ModuleInfo, ReadError> {
        let bytes = reader.read(path)?;
        let module = ModuleFile::parse(bytes)?;
        Ok(ModuleInfo {
            file: Some(path.to_owned()),
            entries: owned(module.modinfo()),
            build_id: module.build_id().map(<[u8]>::to_vec),
            signer: signature(bytes).map(|signature| signature.signer()),
        })
    }

    /// A file that is not read: all that is known is where it is.
    pub fn of_nothing(path: &Path) -> ModuleInfo {
        ModuleInfo {
            file: Some(path.to_owned()),
            entries: Vec::new(),
            build_id: None,
            signer: None,
        }
    }

    /// Looks a module up that is part of the kernel, in `modules.builtin.modinfo` of a version
    /// directory.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_builtin(module: &str, directory: &Path) -> io::Result<ModuleInfo> {
        let all = reader::bytes(&directory.join("modules.builtin.modinfo"))?;
        let own = modinfo(&all).filter_map(|(tag, value)| {
            let tag = tag.strip_prefix(module.as_bytes())?.strip_prefix(b".")?;
            Some((tag, value))
        });
        Ok(ModuleInfo {
            file: None,
            entries: owned(own),
            build_id: None,
            signer: None,
        })
    }

    /// The values of a tag; its case does not matter.
    pub fn values<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = |(found, _): &&'a (Vec<u8>, Vec<u8>)| found.eq_ignore_ascii_case(tag.as_bytes());
        self.entries
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_slice())
    }

    /// Its parameters, that which is mentioned last first, as kmod lists them; and the entries that
    /// lack a `:` after the name.
    pub fn parameters(&self) -> (Vec<Parameter<'_>>, Vec<&[u8]>) {
        let (mut list, mut odd) = (Vec::<Parameter<'_>>::new(), Vec::new());
        let mut places = HashMap::new();
        for (tag, value) in &self.entries {
            if tag != b"parm" && tag != b"parmtype" {
                continue;
            }
            let Some(colon) = value.iter().position(|byte| *byte == b':') else {
                odd.push(&value[..]);
                continue;
            };
            let (name, text) = (&value[..colon], &value[colon + 1..]);
            let at = *places.entry(name).or_insert_with(|| {
                list.push(Parameter {
                    name,
                    description: None,
                    kind: None,
                });
                list.len() - 1
            });
            let field = match tag.as_slice() {
                b"parm" => &mut list[at].description,
                _ => &mut list[at].kind,
            };
            *field = Some(text);
        }
        list.reverse();
        (list, odd)
    }
}

fn owned<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(Vec<u8>, Vec<u8>)> {
    entries
        .map(|(tag, value)| (tag.to_vec(), value.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_put_together() {
        let text = b"parm=a:first\0parmtype=b:uint\0parmtype=a:int\0parm=odd\0x=y\0parm=c:x:y";
        let info = ModuleInfo {
            file: None,
            entries: owned(modinfo(text)),
            build_id: None,
            signer: None,
        };
        let (list, odd) = info.parameters();
        let parameter = |name, description, kind| Parameter {
            name,
            description,
            kind,
        };
        assert_eq!(
            list,
            [
                parameter(b"c".as_slice(), Some(b"x:y".as_slice()), None),
                parameter(b"b", None, Some(b"uint")),
                parameter(b"a", Some(b"first"), Some(b"int")),
            ]
        );
        assert_eq!(odd, [b"odd"]);
        assert_eq!(info.values("X").collect::<Vec<_>>(), [b"y"]);
    }
}

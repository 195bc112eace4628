//! What can be seen of a module that the kernel refused.

use crate::{Linux, release};
use modfs_object::ModuleFile;
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs;

/// More names than this help nobody.
const MOST: usize = 16;

pub(crate) fn refused(linux: &Linux, errno: Errno, image: &[u8]) -> Vec<String> {
    let module = match ModuleFile::parse(image) {
        Ok(module) => module,
        Err(error) => return vec![error.to_string()],
    };
    let mut reasons = Vec::new();
    let tag = |wanted: &[u8]| {
        let mut entries = module.modinfo();
        let found = entries.find(|(tag, _)| *tag == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    if errno == Errno::NOEXEC
        && let Some(vermagic) = tag(b"vermagic")
    {
        let running = release();
        let built = vermagic.split(' ').next().unwrap_or_default();
        if built != running {
            reasons.push(format!(
                "it was built for {built}, and this kernel is {running}"
            ));
        }
    }
    if errno == Errno::NOENT {
        let missing = missing(linux, &module);
        let more = missing.len().saturating_sub(MOST);
        for name in missing.iter().take(MOST) {
            reasons.push(format!("symbol {name} is missing"));
        }
        if more > 0 {
            reasons.push(format!("… and {more} more"));
        }
    }
    if matches!(errno, Errno::KEYREJECTED | Errno::PERM) {
        let signed = modfs_object::signature(image).is_some();
        reasons.push(match signed {
            true => "it is signed, but not by a key that this kernel trusts, or altered".into(),
            false => "it is not signed, and this kernel wants signed modules".into(),
        });
    }
    reasons
}

/// The imports that nobody in the kernel exports.
fn missing(linux: &Linux, module: &ModuleFile<'_>) -> Vec<String> {
    let Ok(kallsyms) = fs::read(linux.kallsyms()) else {
        return Vec::new();
    };
    let exported: HashSet<&[u8]> = kallsyms
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let name = line.split(|byte| matches!(byte, b' ' | b'\t')).nth(2)?;
            name.strip_prefix(b"__ksymtab_")
        })
        .collect();
    // Without a table of exports nothing can be said.
    if exported.is_empty() {
        return Vec::new();
    }
    let imports = module.imports().into_iter();
    imports
        .filter(|import| !import.weak && !exported.contains(import.name))
        .map(|import| String::from_utf8_lossy(import.name).into_owned())
        .filter(|name| name != "module_layout")
        .collect()
}

//! What can be seen of a module that the kernel refused.

use crate::exports::Exports;
use crate::{Linux, checksums, vermagic};
use modfs_depot::config::Config;
use modfs_depot::probe::Depot;
use modfs_object::ModuleFile;
use rustix::io::Errno;

/// More lines than this help nobody.
pub(crate) const MOST: usize = 16;

/// What can be seen of a module. Of the log only the lines about the module are kept, if there are
/// any: others may have been loading at the same time.
pub(crate) fn refused(
    linux: &Linux,
    errno: Errno,
    log: &mut Vec<String>,
    image: &[u8],
) -> Vec<String> {
    let module = match ModuleFile::parse(image) {
        Ok(module) => module,
        Err(error) => return vec![error.to_string()],
    };
    let name = module.modinfo().find(|(tag, _)| *tag == b"name");
    if let Some((_, name)) = name {
        let begin = format!("{}:", String::from_utf8_lossy(name));
        if log.iter().any(|line| line.starts_with(&begin)) {
            log.retain(|line| line.starts_with(&begin));
        }
    }
    let mut reasons = Vec::new();
    if errno == Errno::NOEXEC {
        reasons.extend(vermagic::differs(linux, &module));
    }
    if errno == Errno::NOENT {
        let missing = Exports::read(linux).missing(&module);
        reasons = unresolved(linux, &missing, |name| format!("symbol {name} is missing"));
    }
    if errno == Errno::INVAL {
        reasons = checksums::differing(linux, log, &module);
    }
    if matches!(errno, Errno::KEYREJECTED | Errno::PERM) {
        let signed = modfs_object::signature(image).is_some();
        reasons.push(match (signed, linux.lockdown()) {
            (true, _) => {
                "it is signed, but not by a key that this kernel trusts, or altered".into()
            }
            (false, Some(mode)) => format!("{UNSIGNED}: it is locked down ({mode})"),
            (false, None) => UNSIGNED.into(),
        });
    }
    reasons
}

/// Why what has no signature is refused.
pub(crate) const UNSIGNED: &str = "it is not signed, and this kernel wants signed modules";

/// A line for each symbol, `say` of it and who would export it; for too many, how many more.
pub(crate) fn unresolved(
    linux: &Linux,
    missing: &[String],
    say: impl Fn(&str) -> String,
) -> Vec<String> {
    let depot = Depot::new(&linux.directory, Config::default());
    let line = |name: &String| format!("{}{}", say(name), exporters(&depot, name));
    let mut lines: Vec<String> = missing.iter().take(MOST).map(line).collect();
    if missing.len() > MOST {
        lines.push(format!("… and {} more", missing.len() - MOST));
    }
    lines
}

/// Which modules would export a symbol.
fn exporters(depot: &Depot, symbol: &str) -> String {
    let found = depot.find(&format!("symbol:{symbol}"));
    let modules = found.into_iter().flat_map(|answer| answer.modules);
    let names: Vec<String> = modules.map(|module| module.name).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(": load {} first, which exports it", names.join(" or ")),
    }
}

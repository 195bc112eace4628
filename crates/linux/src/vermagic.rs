//! Whether a module was built for the running kernel, as far as its `vermagic` says.

use crate::Linux;
use modfs_depot::{ModuleInfo, Reader};
use modfs_object::ModuleFile;
use std::fs;

/// How many module files are tried for the running kernel's vermagic.
const TRIES: usize = 4;

/// The running kernel's vermagic, as its own modules on disk have it; `None`: there are none.
pub(crate) fn running(linux: &Linux) -> Option<String> {
    let list = fs::read_to_string(linux.directory.join("modules.dep")).ok()?;
    // What others built is elsewhere than in `kernel`.
    let own = list.lines().filter(|line| line.starts_with("kernel/"));
    let mut reader = Reader::default();
    own.take(TRIES).find_map(|line| {
        let (file, _) = line.split_once(':')?;
        let info = ModuleInfo::of_file(&linux.directory.join(file), &mut reader).ok()?;
        let (_, vermagic) = info.entries.iter().find(|(tag, _)| tag == b"vermagic")?;
        let vermagic = String::from_utf8(vermagic.clone()).ok()?;
        let is_ours = vermagic.split(' ').next() == Some(&linux.release);
        is_ours.then_some(vermagic)
    })
}

/// Why a module is not for the running kernel; `None`: it is, or nothing can be said.
pub(crate) fn differs(linux: &Linux, module: &ModuleFile<'_>) -> Option<String> {
    let Some((_, built)) = module.modinfo().find(|(tag, _)| *tag == b"vermagic") else {
        return Some("it does not say for which kernel it was built (vermagic)".into());
    };
    let built = String::from_utf8_lossy(built);
    let has_versions = module.section("__versions").is_some();
    let running = running(linux);
    let same = match &running {
        Some(running) => is_same(&built, running, has_versions),
        // Whether the kernel looks at the symbols' versions instead is not known then.
        None => has_versions || built.split(' ').next() == Some(&linux.release),
    };
    let running = running.as_ref().unwrap_or(&linux.release);
    let (built, running) = (built.trim_end(), running.trim_end());
    (!same).then(|| format!("it was built for {built:?}, and this kernel is {running:?}"))
}

/// Whether the kernel takes them for the same (Linux, `same_magic`): with checksums of symbols on
/// both sides all but the release.
fn is_same(built: &str, running: &str, has_versions: bool) -> bool {
    let looks_at_versions = running.split(' ').any(|word| word == "modversions");
    match has_versions && looks_at_versions {
        true => flags(built) == flags(running),
        false => built == running,
    }
}

/// What follows the first word.
fn flags(vermagic: &str) -> &str {
    vermagic.find(' ').map_or("", |at| &vermagic[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_kernel_compares() {
        let running = "6.12.1-amd64 SMP preempt mod_unload modversions ";
        let other = "6.12.2-amd64 SMP preempt mod_unload modversions ";
        assert!(is_same(running, running, false));
        assert!(is_same(other, running, true));
        assert!(!is_same(other, running, false));
        assert!(!is_same("6.12.1-amd64 SMP mod_unload ", running, true));
        assert!(!is_same("6.12.1-amd64", running, true));
        let plain = "6.1.0 SMP mod_unload ";
        assert!(!is_same("6.1.1 SMP mod_unload ", plain, true));
        assert!(is_same("", "", true));
    }
}

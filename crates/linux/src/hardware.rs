//! What the devices that are there ask for.

use crate::Linux;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// sysfs is not deeper than this; a tree that somebody mounted in its place might be.
const DEEPEST: usize = 64;

impl Linux {
    /// The aliases of all devices that are there, each once: what the kernel gives to user space as
    /// MODALIAS when a device comes (Linux, Documentation/ABI/testing/sysfs-uevent).
    pub fn modaliases(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect(&self.devices, 0, &mut found);
        found
    }
}

/// A device may go while it is looked at: what cannot be read is passed over.
fn collect(directory: &Path, depth: usize, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let (mut has_alias, mut has_event) = (false, false);
    for entry in entries.flatten() {
        // Not where a symbolic link leads: all of it is below in its own right.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEEPEST => {
                collect(&entry.path(), depth + 1, found);
            }
            Ok(kind) if kind.is_file() => {
                has_alias |= entry.file_name() == "modalias";
                has_event |= entry.file_name() == "uevent";
            }
            _ => {}
        }
    }
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let text = match (has_alias, has_event) {
        (true, _) => read("modalias"),
        // Some, such as memory cards, tell it in their events only.
        (false, true) => {
            let event = read("uevent");
            let alias = event
                .lines()
                .find_map(|line| line.strip_prefix("MODALIAS="));
            alias.unwrap_or_default().to_owned()
        }
        (false, false) => String::new(),
    };
    let alias = text.trim();
    if !alias.is_empty() {
        found.insert(alias.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn aliases_of_devices() {
        let sys = tempfile::tempdir().expect("a directory");
        let put = |path: &str, text: &str| {
            let file = sys.path().join(path);
            fs::create_dir_all(file.parent().expect("a parent")).expect("mkdir");
            fs::write(file, text).expect("write");
        };
        put("pci0/0/modalias", "pci:v1d2\n");
        put("pci0/1/modalias", "pci:v1d2\n");
        put("pci0/1/usb/modalias", "usb:v3\n");
        put("pci0/2/modalias", "\n");
        put("pci0/2/driver", "x");
        put("pci0/3/uevent", "DEVTYPE=card\nMODALIAS=mmc:block\n");
        put("pci0/4/uevent", "DRIVER=none\n");
        symlink(sys.path(), sys.path().join("pci0/again")).expect("a link");
        let linux = Linux {
            devices: sys.path().into(),
            ..Linux::default()
        };
        let found: Vec<String> = linux.modaliases().into_iter().collect();
        assert_eq!(found, ["mmc:block", "pci:v1d2", "usb:v3"]);
        let nowhere = Linux {
            devices: "/nonexistent".into(),
            ..Linux::default()
        };
        assert!(nowhere.modaliases().is_empty());
    }
}

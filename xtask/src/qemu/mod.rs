//! The tools on real kernels: Debian's, in QEMU, beside Debian's kmod.

mod built;
pub(crate) use built::headers;
mod guest;
mod table;

use crate::kmod::{Work, depends, make_dir};
use crate::package::static_modfs;
use guest::Guest;
use std::fs;
use std::path::Path;
use table::Printed;

/// What is needed besides, by package.
const NEEDED: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox"),
    ("cpio", "cpio"),
    ("dash", "dash"),
    ("make", "make"),
];

/// A kernel that is started, and what with.
struct Setup {
    /// The kernel, as a meta package.
    kernel: &'static str,
    /// The cases, in order: folders of `tests/linux`.
    folders: &'static [&'static str],
    processors: u8,
    /// MiB.
    memory: u32,
    /// Arguments of QEMU's.
    devices: &'static [&'static str],
}

const SETUPS: [Setup; 3] = [
    Setup {
        kernel: "linux-image-6.12-cloud-amd64",
        folders: &["cloud", "lockdown", "confidential", "enforced"],
        processors: 1,
        memory: 1536,
        devices: &[],
    },
    Setup {
        kernel: "linux-image-cloud-amd64",
        folders: &["old"],
        processors: 1,
        memory: 1536,
        devices: &[],
    },
    Setup {
        kernel: "linux-image-6.12-amd64",
        folders: &["stress", "devices"],
        processors: 2,
        memory: 3072,
        devices: &[
            "virtio-net-pci",
            "e1000",
            "rtl8139",
            "virtio-scsi-pci",
            "virtio-rng-pci",
            "virtio-balloon-pci",
            "virtio-serial-pci",
            "qemu-xhci,id=usb",
            "usb-tablet,bus=usb.0",
            "usb-kbd,bus=usb.0",
            "intel-hda",
            "hda-duplex",
            "i6300esb",
            "sdhci-pci",
        ],
    },
];

/// Runs all cases, or those of a folder, or one.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<(), String> {
    for (program, package) in NEEDED {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|dir| dir.join(program).is_file());
        if !found {
            return Err(format!("{program} is needed: apt install {package}"));
        }
    }
    let work = Work::prepare(root)?;
    let modfs = static_modfs(root)?;
    let mut printed = Printed::default();
    let (mut table, mut failed) = (String::new(), Vec::new());
    let cases = root.join("tests/linux");
    for setup in &SETUPS {
        let chosen = guest::cases(&cases, setup.folders, only)?;
        if chosen.is_empty() {
            continue;
        }
        let package = depends(setup.kernel)?;
        work.fetch(&package)?;
        let version = package.trim_start_matches("linux-image-").to_owned();
        let guest = Guest {
            work: &work,
            setup,
            package: &package,
            version: &version,
        };
        let image = guest.image(root, &modfs, &chosen)?;
        printed = guest.boot(&image)?;
        let folder = work.dir.join("printed");
        make_dir(&folder)?;
        printed.save(&folder)?;
        let (part, wrong) = printed.judge(&cases, &chosen);
        table += &format!("\nLinux {version}:\n\n{part}");
        failed.extend(wrong);
    }
    let file = work.dir.join("printed/table.md");
    fs::write(&file, &table).map_err(|e| format!("{}: {e}", file.display()))?;
    println!(
        "{table}\nwhat each printed is in {}",
        work.dir.join("printed").display()
    );
    match (failed.is_empty(), printed.cases.is_empty()) {
        (true, false) => Ok(()),
        (true, true) => Err(format!("no case is called {}", only.unwrap_or_default())),
        (false, _) => Err(format!("failed: {}", failed.join(", "))),
    }
}

//! Which certificates are trusted.

use clap::Args;
use modfs_trust::{Keyring, Verdict};
use std::path::{Path, PathBuf};

/// Where the certificates come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct KeyringArgs {
    /// Trust the certificates of this file, PEM or DER; can be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Vec<PathBuf>,
    /// Trust the certificates that are built into this kernel, vmlinuz or vmlinux [default: the
    /// one whose modules are meant, unless --cert is given]
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<PathBuf>,
}

impl KeyringArgs {
    pub(crate) fn is_given(&self) -> bool {
        !self.cert.is_empty() || self.kernel.is_some()
    }

    /// The keyring: of what is given, or else of the kernel of this version below a root.
    pub(crate) fn keyring(&self, root: &Path, version: &str) -> Result<Keyring, String> {
        let mut keyring = Keyring::new();
        for file in &self.cert {
            let more = Keyring::from_file(file);
            keyring.add(more.map_err(|e| format!("certificate {}: {e}", file.display()))?);
        }
        if let Some(kernel) = &self.kernel {
            keyring.add(of_kernel(kernel)?);
        }
        if self.is_given() {
            return Ok(keyring);
        }
        let places = [
            root.join(format!("boot/vmlinuz-{version}")),
            root.join(format!("lib/modules/{version}/vmlinuz")),
            root.join(format!("lib/modules/{version}/vmlinux")),
        ];
        match places.iter().find(|place| place.exists()) {
            Some(place) => of_kernel(place),
            None => Err(format!(
                "no certificates: there is no {}; give the kernel's image with --kernel, or a \
                 certificate with --cert",
                places[0].display()
            )),
        }
    }
}

fn of_kernel(path: &Path) -> Result<Keyring, String> {
    let keyring = Keyring::from_kernel(path);
    let keyring = keyring.map_err(|e| format!("kernel {}: {e}", path.display()))?;
    if keyring.skipped() > 0 {
        let (path, number) = (path.display(), keyring.skipped());
        eprintln!("kernel {path}: certificates that cannot be read, and are not trusted: {number}");
    }
    Ok(keyring)
}

/// A verdict for programs, in one word.
pub(crate) fn word(verdict: &Verdict<'_>) -> &'static str {
    match verdict {
        Verdict::Signed(_) => "signed",
        Verdict::Unsigned => "unsigned",
        Verdict::Foreign(_) => "foreign",
        Verdict::Altered(_) => "altered",
        Verdict::Damaged(_) => "damaged",
    }
}

/// A verdict for people.
pub(crate) fn words(verdict: &Verdict<'_>) -> String {
    match verdict {
        Verdict::Signed(signed) => format!(
            "signed by {} ({}, {}, serial {}){}",
            signed.certificate.name(),
            signed.certificate.key(),
            signed.digest,
            signed.certificate.serial(),
            match signed.attributes {
                true => ", with attributes, which Linux does not accept",
                false => "",
            }
        ),
        Verdict::Unsigned => "not signed".into(),
        Verdict::Foreign(signer) => format!("signed by a foreign key ({signer})"),
        Verdict::Altered(certificate) => {
            format!("altered: this is not what {} signed", certificate.name())
        }
        Verdict::Damaged(why) => format!("damaged signature: {why}"),
    }
}

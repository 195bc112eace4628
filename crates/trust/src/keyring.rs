//! The certificates that are trusted.

use crate::{Certificate, kernel};
use cms::signed_data::SignerIdentifier;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use x509_cert::der::pem;

/// Certificates of those whose signatures are accepted.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    skipped: usize,
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file is larger than one of its kind can be.
    #[error("it is too large")]
    TooLarge,
    /// There is no certificate in the file.
    #[error("there is no certificate in it")]
    None,
    /// What should be a certificate is none.
    #[error("a damaged certificate: {0}")]
    Certificate(String),
    /// The kernel's image cannot be unpacked.
    #[error("the kernel in it cannot be unpacked: {0}")]
    Unpack(String),
    /// The kernel has no list of certificates: it was built without one, or this is no kernel.
    #[error("no kernel with a list of certificates")]
    NoList,
}

/// No file of certificates is larger: 16 MiB.
const FILE: u64 = 16 << 20;
/// No kernel is larger: 1 GiB, also when it is unpacked.
const IMAGE: u64 = 1 << 30;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

impl Keyring {
    /// One without certificates.
    pub fn new() -> Keyring {
        Keyring::default()
    }

    /// The certificates of a file, see [`Keyring::from_bytes`].
    ///
    /// # Errors
    /// [`KeyringError`]: it cannot be read, or there are no certificates in it, or a damaged one.
    pub fn from_file(path: &Path) -> Result<Keyring, KeyringError> {
        Keyring::from_bytes(&read(path, FILE)?)
    }

    /// Certificates in PEM or DER, one or several one after the other. What else is in a PEM file
    /// is passed over, such as a private key.
    ///
    /// # Errors
    /// [`KeyringError::None`], [`KeyringError::Certificate`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Keyring, KeyringError> {
        let mut certificates = Vec::new();
        let mut add = |der: &[u8]| {
            let certificate = Certificate::from_der(der).map_err(KeyringError::Certificate);
            certificate.map(|certificate| certificates.push(certificate))
        };
        if bytes.first() == Some(&0x30) {
            let mut rest = bytes;
            while !rest.is_empty() {
                let len = kernel::sequence(rest).filter(|len| *len <= rest.len());
                let cut = || KeyringError::Certificate("it ends too early".into());
                let (one, after) = rest.split_at(len.ok_or_else(cut)?);
                add(one)?;
                rest = after;
            }
        } else {
            let text = String::from_utf8_lossy(bytes);
            let mut rest = &*text;
            while let Some(at) = rest.find(BEGIN) {
                let block = &rest[at..];
                let cut = || KeyringError::Certificate(format!("there is no {END:?}"));
                let end = block.find(END).ok_or_else(cut)? + END.len();
                let decoded = pem::decode_vec(&block.as_bytes()[..end]);
                let (_, der) = decoded.map_err(|e| KeyringError::Certificate(e.to_string()))?;
                add(&der)?;
                rest = &block[end..];
            }
        }
        match certificates.is_empty() {
            true => Err(KeyringError::None),
            false => Ok(Keyring {
                certificates,
                skipped: 0,
            }),
        }
    }

    /// The certificates that are built into a kernel, see [`Keyring::of_kernel`].
    ///
    /// # Errors
    /// [`KeyringError`]: it cannot be read or unpacked, or has no certificates.
    pub fn from_kernel(path: &Path) -> Result<Keyring, KeyringError> {
        Keyring::of_kernel(&read(path, IMAGE)?)
    }

    /// The certificates that are built into a kernel (`system_certificate_list`): of a `vmlinuz` of x86
    /// packed by gzip, xz, zstd or lz4, or of a `vmlinux` of any machine, also packed.
    ///
    /// A running kernel may know more: those of the firmware and of the machine's owner (MOK) are
    /// not in its image.
    ///
    /// # Errors
    /// [`KeyringError::Unpack`]; [`KeyringError::NoList`], also when the only list may be the one of
    /// certificates that are revoked.
    pub fn of_kernel(image: &[u8]) -> Result<Keyring, KeyringError> {
        let image = kernel::unpacked(image).map_err(KeyringError::Unpack)?;
        let list = kernel::certificates(&image).ok_or(KeyringError::NoList)?;
        let mut keyring = Keyring::new();
        for der in list {
            match Certificate::from_der(der) {
                Ok(certificate) => keyring.certificates.push(certificate),
                Err(_) => keyring.skipped += 1,
            }
        }
        Ok(keyring)
    }

    /// Adds the certificates of another one.
    pub fn add(&mut self, other: Keyring) {
        self.certificates.extend(other.certificates);
        self.skipped += other.skipped;
    }

    /// All certificates, in their order.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// How many certificates of a kernel could not be taken apart, and are not in here.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    pub(crate) fn find(&self, id: &SignerIdentifier) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.is(id))
    }
}

/// A regular file of limited size.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, KeyringError> {
    // Looked at before it is opened: not to wait for somebody who writes into a FIFO.
    let kind = std::fs::metadata(path)?;
    if !kind.is_file() {
        let why = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why).into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(KeyringError::TooLarge),
        false => Ok(bytes),
    }
}

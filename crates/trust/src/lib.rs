//! Who signed a module, checked: the signature that is appended to a module file, verified with the
//! certificates of a [`Keyring`].
//!
//! What counts is what Linux checks when it loads a module (kernel/module/signing.c and
//! crypto/asymmetric_keys): the signature covers all that is before it; it is a detached PKCS#7
//! message (RFC 5652) whose signer is found by issuer and serial number, or by the id of the key.
//! RSA (PKCS#1 v1.5) and ECDSA on P-256, P-384 and P-521, with SHA-1, SHA-2 and SHA-3.
//!
//! As in Linux, a certificate's dates and what it says its key is for are not looked at. What is
//! different:
//!
//! * The signer itself has to be in the keyring. Linux also accepts a certificate that comes in the
//!   message and is signed by one of the keyring; `sign-file` puts none in.
//! * Attributes that are signed are checked; Linux refuses a module signature that has them
//!   ([`Signed::attributes`]).
//! * Bytes after the end of the message, and an encoding that is BER but not DER, are
//!   [`Damage`]; Linux does not mind them.

#![forbid(unsafe_code)]

mod algorithm;
mod certificate;
mod kernel;
mod keyring;
mod message;

pub use certificate::Certificate;
pub use keyring::{Keyring, KeyringError};

use modfs_object::SIGNATURE_MAGIC;
use std::fmt;

/// What is known of a module's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'k> {
    /// A key of the keyring signed this module as it is.
    Signed(Signed<'k>),
    /// There is no signature.
    Unsigned,
    /// There is no certificate of the signer in the keyring.
    Foreign(SignerId),
    /// The signer's certificate is in the keyring, but this is not what its key signed: the module, or
    /// the signature, is another one.
    Altered(&'k Certificate),
    /// The signature cannot be checked.
    Damaged(Damage),
}

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'k> {
    /// Whose key made it.
    pub certificate: &'k Certificate,
    /// The digest's name, as OpenSSL calls it.
    pub digest: &'static str,
    /// Whether it covers attributes besides: then it holds, but Linux does not accept it.
    pub attributes: bool,
}

/// How a signature names the signer's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerId {
    /// By who issued it, and its number.
    Issuer {
        /// The issuer's name (RFC 4514).
        issuer: String,
        /// The serial number, in hexadecimal.
        serial: String,
    },
    /// By the id of the subject's key, in hexadecimal.
    Key(String),
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignerId::Issuer { issuer, serial } => write!(f, "{issuer}, serial {serial}"),
            SignerId::Key(id) => write!(f, "key id {id}"),
        }
    }
}

/// Why a signature cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The file has no room for what its end says (in Linux EBADMSG).
    #[error("the file is shorter than the signature that its end tells of")]
    Length,
    /// `PKEY_ID_*` is not that of PKCS#7 (in Linux ENOPKG).
    #[error("a signature of kind {0}, not PKCS#7")]
    Kind(u8),
    /// What has to be zero with PKCS#7 is not (in Linux EBADMSG).
    #[error("its description is not one of PKCS#7")]
    Description,
    /// It is not what RFC 5652 describes.
    #[error("no PKCS#7 message: {0}")]
    Message(String),
    /// The digest is none of those that are supported (in Linux ENOPKG).
    #[error("unsupported digest {0}")]
    Digest(String),
    /// The signature is of a kind that is not supported (in Linux ENOPKG).
    #[error("unsupported signature algorithm {0}")]
    Algorithm(String),
    /// The key is of a kind that is not supported.
    #[error("unsupported key of the certificate: {0}")]
    Key(String),
}

/// Checks the signature of a module, which is not packed.
pub fn verify<'k>(module: &[u8], keyring: &'k Keyring) -> Verdict<'k> {
    let Some(signature) = modfs_object::signature(module) else {
        return match module.ends_with(SIGNATURE_MAGIC) {
            true => Verdict::Damaged(Damage::Length),
            false => Verdict::Unsigned,
        };
    };
    const PKCS7: u8 = 2;
    if signature.id_type != PKCS7 {
        return Verdict::Damaged(Damage::Kind(signature.id_type));
    }
    let zero = signature.algo == 0 && signature.hash == 0 && signature.padding == [0; 3];
    if !zero || !signature.signer.is_empty() || !signature.key_id.is_empty() {
        return Verdict::Damaged(Damage::Description);
    }
    if signature.content.is_empty() {
        return Verdict::Damaged(Damage::Length);
    }
    message::check(signature.bytes, signature.content, keyring).unwrap_or_else(Verdict::Damaged)
}

//! Who signed a module.

use crate::Signature;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cms::cert::x509::der::Decode;
use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::name::Name;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier};

/// Who signed a module, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// What is appended: `PKCS#7`, `X509` or `PGP`.
    pub kind: &'static str,
    /// The name the signer goes by; with PKCS#7 the common name of the certificate's issuer. Empty
    /// when the signature does not say.
    pub name: String,
    /// The key: with PKCS#7 the certificate's serial number, or the id of its subject's key.
    pub key: Vec<u8>,
    /// The digest's name, as OpenSSL calls it; or the dotted number of one that is unknown.
    pub hash: String,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// Why a signature cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// `PKEY_ID_*` is a number without meaning.
    #[error("signature of unknown kind {0}")]
    Kind(u8),
    /// `PKEY_HASH_*` is a number without meaning.
    #[error("signature with unknown digest {0}")]
    Hash(u8),
    /// It is empty.
    #[error("empty signature")]
    Empty,
    /// It is not what RFC 5652 describes.
    #[error("damaged PKCS#7 signature: {0}")]
    Pkcs7(String),
}

impl Signature<'_> {
    /// Takes it apart; whether it holds nobody asks.
    ///
    /// # Errors
    /// Why it cannot be read, see [`BadSignature`].
    pub fn signer(&self) -> Result<Signer, BadSignature> {
        let kind = match self.id_type {
            0 => "PGP",
            1 => "X509",
            2 => return pkcs7(self.bytes),
            other => return Err(BadSignature::Kind(other)),
        };
        if self.bytes.is_empty() {
            return Err(BadSignature::Empty);
        }
        let hash = HASHES.get(usize::from(self.hash));
        Ok(Signer {
            kind,
            name: String::from_utf8_lossy(self.signer).into_owned(),
            key: self.key_id.to_vec(),
            hash: hash.ok_or(BadSignature::Hash(self.hash))?.to_string(),
            bytes: self.bytes.to_vec(),
        })
    }
}

/// `enum pkey_hash_algo` (Linux, crypto/hash_info).
const HASHES: [&str; 8] = [
    "md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224",
];

fn pkcs7(bytes: &[u8]) -> Result<Signer, BadSignature> {
    let damaged = |error: cms::cert::x509::der::Error| BadSignature::Pkcs7(error.to_string());
    let content = ContentInfo::from_der(bytes).map_err(damaged)?.content;
    let signed: SignedData = content.decode_as().map_err(damaged)?;
    let infos = signed.signer_infos.0;
    let info = infos
        .get(0)
        .ok_or_else(|| BadSignature::Pkcs7("nobody signed".into()))?;
    let (name, key) = match &info.sid {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            // A zero in front only says that the number is not negative.
            let serial = id.serial_number.as_bytes();
            let key = match serial {
                [0, rest @ ..] if !rest.is_empty() => rest,
                all => all,
            };
            (common_name(&id.issuer), key.to_vec())
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => (String::new(), id.0.as_bytes().to_vec()),
    };
    Ok(Signer {
        kind: "PKCS#7",
        name,
        key,
        hash: hash_name(info.digest_alg.oid),
        bytes: info.signature.as_bytes().to_vec(),
    })
}

/// `id-at-commonName` (X.520).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

fn common_name(name: &Name) -> String {
    let mut parts = name.0.iter().flat_map(|part| part.0.iter());
    parts
        .rfind(|part| part.oid == COMMON_NAME)
        .map(|part| String::from_utf8_lossy(part.value.value()).into_owned())
        .unwrap_or_default()
}

fn hash_name(oid: ObjectIdentifier) -> String {
    let number = oid.to_string();
    let name = match number.as_str() {
        "1.2.840.113549.2.4" => "md4",
        "1.2.840.113549.2.5" => "md5",
        "1.3.14.3.2.26" => "sha1",
        "1.3.36.3.2.1" => "ripemd160",
        "2.16.840.1.101.3.4.2.4" => "sha224",
        "2.16.840.1.101.3.4.2.1" => "sha256",
        "2.16.840.1.101.3.4.2.2" => "sha384",
        "2.16.840.1.101.3.4.2.3" => "sha512",
        "2.16.840.1.101.3.4.2.8" => "sha3-256",
        "2.16.840.1.101.3.4.2.9" => "sha3-384",
        "2.16.840.1.101.3.4.2.10" => "sha3-512",
        "1.2.156.10197.1.401" => "sm3",
        _ => return number,
    };
    name.to_string()
}

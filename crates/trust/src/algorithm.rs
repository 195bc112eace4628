//! Digests and public keys.

use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::{Decode, Encode};
use cms::cert::x509::spki::SubjectPublicKeyInfoOwned;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha1::{Digest as _, Sha1};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_256, Sha3_384, Sha3_512};

/// What Linux takes in a PKCS#7 message, but for sm3 and streebog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

/// What [`Digest`] there is to do for each digest: `$act` is a macro that gets its type.
macro_rules! each {
    ($digest:expr, $act:ident) => {
        match $digest {
            Digest::Sha1 => $act!(Sha1),
            Digest::Sha224 => $act!(Sha224),
            Digest::Sha256 => $act!(Sha256),
            Digest::Sha384 => $act!(Sha384),
            Digest::Sha512 => $act!(Sha512),
            Digest::Sha3_256 => $act!(Sha3_256),
            Digest::Sha3_384 => $act!(Sha3_384),
            Digest::Sha3_512 => $act!(Sha3_512),
        }
    };
}

impl Digest {
    /// By its number (RFC 3279, RFC 4055, NIST's CSOR).
    pub(crate) fn of(number: ObjectIdentifier) -> Option<Digest> {
        Some(match number.to_string().as_str() {
            "1.3.14.3.2.26" => Digest::Sha1,
            "2.16.840.1.101.3.4.2.4" => Digest::Sha224,
            "2.16.840.1.101.3.4.2.1" => Digest::Sha256,
            "2.16.840.1.101.3.4.2.2" => Digest::Sha384,
            "2.16.840.1.101.3.4.2.3" => Digest::Sha512,
            "2.16.840.1.101.3.4.2.8" => Digest::Sha3_256,
            "2.16.840.1.101.3.4.2.9" => Digest::Sha3_384,
            "2.16.840.1.101.3.4.2.10" => Digest::Sha3_512,
            _ => return None,
        })
    }

    /// As OpenSSL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Digest::Sha1 => "sha1",
            Digest::Sha224 => "sha224",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha512 => "sha512",
            Digest::Sha3_256 => "sha3-256",
            Digest::Sha3_384 => "sha3-384",
            Digest::Sha3_512 => "sha3-512",
        }
    }

    pub(crate) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        macro_rules! hash {
            ($kind:ty) => {
                <$kind>::digest(bytes).to_vec()
            };
        }
        each!(self, hash)
    }

    /// How RSA signs it: PKCS#1 v1.5.
    fn scheme(self) -> Pkcs1v15Sign {
        macro_rules! scheme {
            ($kind:ty) => {
                Pkcs1v15Sign::new::<$kind>()
            };
        }
        each!(self, scheme)
    }
}

/// The name of a digest that is not supported, for people.
pub(crate) fn digest_name(number: ObjectIdentifier) -> String {
    let number = number.to_string();
    match number.as_str() {
        "1.2.840.113549.2.2" => "md2".into(),
        "1.2.840.113549.2.4" => "md4".into(),
        "1.2.840.113549.2.5" => "md5".into(),
        "1.3.36.3.2.1" => "ripemd160".into(),
        "2.16.840.1.101.3.4.2.5" => "sha512-224".into(),
        "2.16.840.1.101.3.4.2.6" => "sha512-256".into(),
        "2.16.840.1.101.3.4.2.7" => "sha3-224".into(),
        "1.2.156.10197.1.401" => "sm3".into(),
        "1.2.643.7.1.1.2.2" => "streebog256".into(),
        "1.2.643.7.1.1.2.3" => "streebog512".into(),
        _ => number,
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa,
    Ecdsa,
}

impl Algorithm {
    /// By its number in a PKCS#7 message; an error is the name of one that is not supported. That an
    /// ECDSA number has a digest in it too does not matter, as in Linux: the message's counts.
    pub(crate) fn of(number: ObjectIdentifier) -> Result<Algorithm, String> {
        let number = number.to_string();
        match number.as_str() {
            "1.2.840.113549.1.1.1" => Ok(Algorithm::Rsa),
            // With SHA-1; SHA-224 to SHA-512; SHA3-256 to SHA3-512.
            "1.2.840.10045.4.1"
            | "1.2.840.10045.4.3.1"
            | "1.2.840.10045.4.3.2"
            | "1.2.840.10045.4.3.3"
            | "1.2.840.10045.4.3.4"
            | "2.16.840.1.101.3.4.3.10"
            | "2.16.840.1.101.3.4.3.11"
            | "2.16.840.1.101.3.4.3.12" => Ok(Algorithm::Ecdsa),
            "1.2.840.113549.1.1.10" => Err("RSA-PSS".into()),
            "1.2.840.10040.4.3" | "2.16.840.1.101.3.4.3.2" => Err("DSA".into()),
            "1.3.101.112" => Err("Ed25519".into()),
            "1.3.101.113" => Err("Ed448".into()),
            "1.2.156.10197.1.501" => Err("SM2".into()),
            "2.16.840.1.101.3.4.3.17" => Err("ML-DSA-44".into()),
            "2.16.840.1.101.3.4.3.18" => Err("ML-DSA-65".into()),
            "2.16.840.1.101.3.4.3.19" => Err("ML-DSA-87".into()),
            _ => Err(number),
        }
    }
}

/// The public key of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(Box<Point>),
    /// None of these; what it is.
    Other(String),
}

/// A point on P-521; p521's key itself can neither be compared nor printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point(p521::EncodedPoint);

/// Does the signature hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Holds,
    Fails,
}

/// Linux takes no smaller modulus.
const RSA_BITS: usize = 512;

impl PublicKey {
    pub(crate) fn of(info: &SubjectPublicKeyInfoOwned) -> PublicKey {
        PublicKey::read(info).unwrap_or_else(PublicKey::Other)
    }

    fn read(info: &SubjectPublicKeyInfoOwned) -> Result<PublicKey, String> {
        let bits = info.subject_public_key.as_bytes();
        let bytes = bits.ok_or("a key that is not whole bytes")?;
        let kind = info.algorithm.oid.to_string();
        match kind.as_str() {
            "1.2.840.113549.1.1.1" => {
                let key = rsa::pkcs1::RsaPublicKey::from_der(bytes);
                let key = key.map_err(|e| format!("damaged RSA key ({e})"))?;
                let modulus = BigUint::from_bytes_be(key.modulus.as_bytes());
                let exponent = BigUint::from_bytes_be(key.public_exponent.as_bytes());
                let bits = modulus.bits();
                if bits < RSA_BITS || modulus.to_bytes_le()[0] & 1 == 0 {
                    return Err(format!("RSA {bits}, which is no key"));
                }
                // It takes 4096 bits at most, and so does Linux.
                let key = RsaPublicKey::new(modulus, exponent);
                Ok(PublicKey::Rsa(
                    key.map_err(|e| format!("RSA {bits} ({e})"))?,
                ))
            }
            "1.2.840.10045.2.1" => {
                let curve = info.algorithm.parameters.as_ref();
                let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
                let curve = curve.ok_or("ECDSA on a curve without a name")?.to_string();
                let damaged = |_| format!("damaged ECDSA key on {curve}");
                Ok(match curve.as_str() {
                    "1.2.840.10045.3.1.7" => PublicKey::P256(
                        p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(damaged)?,
                    ),
                    "1.3.132.0.34" => PublicKey::P384(
                        p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(damaged)?,
                    ),
                    "1.3.132.0.35" => {
                        let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(bytes);
                        let point = key.map_err(damaged)?.to_encoded_point(false);
                        PublicKey::P521(Box::new(Point(point)))
                    }
                    "1.2.156.10197.1.301" => return Err("SM2".into()),
                    _ => return Err(format!("ECDSA on the curve {curve}")),
                })
            }
            _ => Err(match Algorithm::of(info.algorithm.oid) {
                Err(name) => name,
                Ok(_) => kind,
            }),
        }
    }

    /// For people: `RSA 2048`, `ECDSA P-256`.
    pub(crate) fn name(&self) -> String {
        match self {
            PublicKey::Rsa(key) => format!("RSA {}", key.n().bits()),
            PublicKey::P256(_) => "ECDSA P-256".into(),
            PublicKey::P384(_) => "ECDSA P-384".into(),
            PublicKey::P521(_) => "ECDSA P-521".into(),
            PublicKey::Other(name) => name.clone(),
        }
    }

    /// Checks a signature of `hash`, which was made by `digest`. An error is the name of a key that
    /// is not supported.
    pub(crate) fn check(
        &self,
        algorithm: Algorithm,
        digest: Digest,
        hash: &[u8],
        signature: &[u8],
    ) -> Result<Check, String> {
        let holds = match (self, algorithm) {
            (PublicKey::Other(name), _) => return Err(name.clone()),
            (PublicKey::Rsa(key), Algorithm::Rsa) => {
                key.verify(digest.scheme(), hash, signature).is_ok()
            }
            (PublicKey::P256(key), Algorithm::Ecdsa) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&padded(hash, 32), &signature).is_ok()),
            (PublicKey::P384(key), Algorithm::Ecdsa) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&padded(hash, 48), &signature).is_ok()),
            (PublicKey::P521(point), Algorithm::Ecdsa) => {
                let key = p521::ecdsa::VerifyingKey::from_encoded_point(&point.0);
                let signature = p521::ecdsa::Signature::from_der(signature);
                key.and_then(|key| key.verify_prehash(&padded(hash, 66), &signature?))
                    .is_ok()
            }
            // The other kind of signature was not made by this key.
            (PublicKey::Rsa(_), Algorithm::Ecdsa) | (_, Algorithm::Rsa) => false,
        };
        Ok(match holds {
            true => Check::Holds,
            false => Check::Fails,
        })
    }
}

/// A hash with zeros before it, up to the length of the curve's numbers: as a number it is the same
/// (FIPS 186-5, 6.4.2), and one that is much shorter would not be taken.
fn padded(hash: &[u8], len: usize) -> Vec<u8> {
    let mut padded = vec![0; len.saturating_sub(hash.len())];
    padded.extend_from_slice(hash);
    padded
}

/// A structure as DER, to be hashed.
pub(crate) fn der(value: &impl Encode) -> Result<Vec<u8>, String> {
    value.to_der().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cms::cert::x509::der::asn1::{Any, BitString, Null, UintRef};
    use cms::cert::x509::spki::AlgorithmIdentifierOwned;

    fn rsa(modulus: &[u8], exponent: &[u8]) -> PublicKey {
        let key = rsa::pkcs1::RsaPublicKey {
            modulus: UintRef::new(modulus).unwrap(),
            public_exponent: UintRef::new(exponent).unwrap(),
        };
        PublicKey::of(&SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned {
                oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"),
                parameters: Some(Any::from(Null)),
            },
            subject_public_key: BitString::from_bytes(&key.to_der().unwrap()).unwrap(),
        })
    }

    #[test]
    fn odd_rsa_keys() {
        let check = |key: &PublicKey, len: usize| {
            let hash = Digest::Sha256.hash(b"");
            key.check(Algorithm::Rsa, Digest::Sha256, &hash, &vec![0; len])
        };
        for modulus in [&[0][..], &[1], &[0xff; 63], &[0xfe; 256], &[0xff; 513]] {
            for exponent in [&[0][..], &[1], &[1, 0, 1]] {
                let key = rsa(modulus, exponent);
                let checked = check(&key, modulus.len());
                assert!(checked.is_err(), "{} {exponent:?}", key.name());
            }
        }
        for exponent in [&[0][..], &[1], &[2], &[0xff; 9]] {
            assert!(matches!(rsa(&[0xff; 256], exponent), PublicKey::Other(_)));
        }
        let key = rsa(&[0xff; 256], &[1, 0, 1]);
        assert_eq!(key.name(), "RSA 2048");
        for len in [0, 1, 255, 256, 257, 10_000] {
            assert_eq!(check(&key, len), Ok(Check::Fails), "{len}");
        }
    }

    #[test]
    fn odd_ecdsa_signatures() {
        let generator = p384::EncodedPoint::from(p384::AffinePoint::GENERATOR);
        let key = p384::ecdsa::VerifyingKey::from_encoded_point(&generator).unwrap();
        let key = PublicKey::P384(key);
        // Zeros, which some have taken for a signature of everything.
        let zeros = [0x30, 6, 2, 1, 0, 2, 1, 0];
        for signature in [
            &zeros[..],
            &[],
            &[0x30],
            &[0x30, 0x82, 0xff, 0xff],
            &[0; 96],
        ] {
            for digest in [Digest::Sha1, Digest::Sha512] {
                let hash = digest.hash(b"");
                let checked = key.check(Algorithm::Ecdsa, digest, &hash, signature);
                assert_eq!(checked, Ok(Check::Fails));
            }
        }
    }
}

//! The PKCS#7 message of a signature.

use crate::algorithm::{Algorithm, Check, Digest, der, digest_name};
use crate::certificate::signer_id;
use crate::{Damage, Keyring, Signed, Verdict};
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::der::Decode;
use cms::cert::x509::der::asn1::{ObjectIdentifier, OctetStringRef, SetOfVec};
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfo};

/// `id-signedData`, `id-data` (RFC 5652).
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// `id-contentType`, `id-messageDigest`.
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// Each costs a check; a module has one.
const SIGNERS: usize = 16;

/// Checks a message about `content`. Of several signers whose certificates are known, all have to
/// be right, as in Linux.
pub(crate) fn check<'k>(
    message: &[u8],
    content: &[u8],
    keyring: &'k Keyring,
) -> Result<Verdict<'k>, Damage> {
    let broken = |error: cms::cert::x509::der::Error| Damage::Message(error.to_string());
    let wrong = |why: &str| Err(Damage::Message(why.into()));
    let outer = ContentInfo::from_der(message).map_err(broken)?;
    if outer.content_type != SIGNED_DATA {
        return wrong("it is not of signed data");
    }
    let signed: SignedData = outer.content.decode_as().map_err(broken)?;
    if signed.encap_content_info.econtent_type != DATA {
        return wrong("what is signed is not plain data");
    }
    if signed.encap_content_info.econtent.is_some() {
        return wrong("it has a content of its own");
    }
    let signers = signed.signer_infos.0.as_slice();
    if signers.is_empty() {
        return wrong("nobody signed");
    }
    if signers.len() > SIGNERS {
        return wrong("too many signers");
    }
    let (mut good, mut unknown) = (None, None);
    for signer in signers {
        match one(signer, content, keyring)? {
            verdict @ Verdict::Signed(_) => {
                good.get_or_insert(verdict);
            }
            verdict @ Verdict::Foreign(_) => {
                unknown.get_or_insert(verdict);
            }
            other => return Ok(other),
        }
    }
    // One of them was set for each signer.
    Ok(good.or(unknown).unwrap_or(Verdict::Unsigned))
}

fn one<'k>(
    signer: &SignerInfo,
    content: &[u8],
    keyring: &'k Keyring,
) -> Result<Verdict<'k>, Damage> {
    let number = signer.digest_alg.oid;
    let digest = Digest::of(number).ok_or_else(|| Damage::Digest(digest_name(number)))?;
    let algorithm = Algorithm::of(signer.signature_algorithm.oid).map_err(Damage::Algorithm)?;
    let attributes = signer.signed_attrs.as_ref();
    let told = attributes.map(attributed).transpose()?;
    let Some(certificate) = keyring.find(&signer.sid) else {
        return Ok(Verdict::Foreign(signer_id(&signer.sid)));
    };
    let mut hash = digest.hash(content);
    if let (Some(attributes), Some(told)) = (attributes, told) {
        if hash != told {
            return Ok(Verdict::Altered(certificate));
        }
        // Then it is they that are signed, as a SET OF (RFC 5652, 5.4).
        hash = digest.hash(&der(attributes).map_err(Damage::Message)?);
    }
    let signature = signer.signature.as_bytes();
    let key = certificate.public_key();
    let checked = key.check(algorithm, digest, &hash, signature);
    Ok(match checked.map_err(Damage::Key)? {
        Check::Holds => Verdict::Signed(Signed {
            certificate,
            digest: digest.name(),
            attributes: attributes.is_some(),
        }),
        Check::Fails => Verdict::Altered(certificate),
    })
}

/// The content's digest as the attributes tell it; they have to say that it is data.
fn attributed(attributes: &SetOfVec<Attribute>) -> Result<Vec<u8>, Damage> {
    let one = |number: ObjectIdentifier, name: &str| {
        let mut found = attributes.iter().filter(|a| a.oid == number);
        let values = match (found.next(), found.next()) {
            (Some(one), None) => &one.values,
            _ => return Err(Damage::Message(format!("not one attribute {name}"))),
        };
        match values.as_slice() {
            [value] => Ok(value),
            _ => Err(Damage::Message(format!("not one value of {name}"))),
        }
    };
    let broken = |error: cms::cert::x509::der::Error| Damage::Message(error.to_string());
    let content: ObjectIdentifier = one(CONTENT_TYPE, "contentType")?
        .decode_as()
        .map_err(broken)?;
    if content != DATA {
        let why = "the attributes say that what is signed is not plain data";
        return Err(Damage::Message(why.into()));
    }
    let digest = one(MESSAGE_DIGEST, "messageDigest")?;
    let digest: OctetStringRef<'_> = digest.decode_as().map_err(broken)?;
    Ok(digest.as_bytes().to_vec())
}

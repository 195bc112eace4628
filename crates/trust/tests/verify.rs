//! Signatures that openssl makes, whole and not. Needs openssl.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{MAGIC, P256, P384, P521, RSA, Signer, described, module, openssl};
use modfs_trust::{Damage, Keyring, SignerId, Verdict, verify};

const DIGESTS: [&str; 8] = [
    "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512",
];
const CONTENT: &[u8] = b"\x7fELF, and what else is in a module";

#[track_caller]
fn damaged(module: &[u8], keyring: &Keyring) -> Damage {
    match verify(module, keyring) {
        Verdict::Damaged(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_key_with_every_digest() {
    for (key, name) in [
        (RSA, "RSA 2048"),
        (P256, "ECDSA P-256"),
        (P384, "ECDSA P-384"),
        (P521, "ECDSA P-521"),
    ] {
        let signer = Signer::new(key);
        let keyring = signer.keyring();
        // OpenSSL 3.0 has no number for ECDSA with SHA-3.
        let ours = if key == RSA { DIGESTS.len() } else { 5 };
        for digest in &DIGESTS[..ours] {
            for options in ["-noattr -nocerts", "-noattr -keyid", "-nocerts", "-keyid"] {
                let message = signer.message(CONTENT, &format!("{options} -md {digest}"));
                let signed = module(CONTENT, &message);
                let what = format!("{name} {digest} {options}");
                match verify(&signed, &keyring) {
                    Verdict::Signed(signed) => {
                        assert_eq!(signed.certificate.key(), name, "{what}");
                        assert_eq!(signed.certificate.serial(), "1234", "{what}");
                        assert_eq!(signed.certificate.name(), "signer", "{what}");
                        assert_eq!(signed.certificate.subject(), "CN=signer,O=modfs");
                        assert_eq!(signed.digest, *digest, "{what}");
                        assert_eq!(signed.attributes, !options.contains("-noattr"), "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
                for at in [0, CONTENT.len() / 2, CONTENT.len() - 1] {
                    let mut other = signed.clone();
                    other[at] ^= 1;
                    let verdict = verify(&other, &keyring);
                    assert!(
                        matches!(verdict, Verdict::Altered(_)),
                        "{what}: {verdict:?}"
                    );
                }
                assert!(matches!(
                    verify(&signed, &Keyring::new()),
                    Verdict::Foreign(_)
                ));
            }
        }
    }
}

/// Half of them have an `s` in the upper half, which some programs do not take.
#[test]
fn many_signatures_of_one_key() {
    for key in [P256, P384] {
        let signer = Signer::new(key);
        let keyring = signer.keyring();
        for number in 0..20_u8 {
            let signed = signer.sign(&[number; 99], "sha256");
            assert!(matches!(verify(&signed, &keyring), Verdict::Signed(_)));
        }
    }
}

#[test]
fn who_a_foreign_signer_is() {
    let (signer, other) = (Signer::new(P256), Signer::named(RSA, "other", "00FF00"));
    let id = SignerId::Issuer {
        issuer: "CN=signer,O=modfs".into(),
        serial: "1234".into(),
    };
    assert_eq!(id.to_string(), "CN=signer,O=modfs, serial 1234");
    let signed = signer.sign(CONTENT, "sha256");
    assert_eq!(verify(&signed, &other.keyring()), Verdict::Foreign(id));
    let message = signer.message(CONTENT, "-noattr -nocerts -keyid");
    match verify(&module(CONTENT, &message), &other.keyring()) {
        Verdict::Foreign(SignerId::Key(id)) => assert_eq!(id.len(), 40),
        other => panic!("{other:?}"),
    }
    // With both certificates it is signed by its own.
    let mut both = other.keyring();
    both.add(signer.keyring());
    match verify(&signed, &both) {
        Verdict::Signed(signed) => assert_eq!(signed.certificate.name(), "signer"),
        other => panic!("{other:?}"),
    }
    // The certificate that comes with it says nothing.
    let message = signer.message(CONTENT, "-noattr");
    let verdict = module(CONTENT, &message);
    assert!(matches!(
        verify(&verdict, &other.keyring()),
        Verdict::Foreign(_)
    ));
}

/// Another key under the same name and number.
#[test]
fn a_certificate_that_is_not_the_signers() {
    for (key, other) in [
        (P256, P256),
        (RSA, RSA),
        (RSA, P384),
        (P384, RSA),
        (P384, P256),
    ] {
        let signed = Signer::new(key).sign(CONTENT, "sha256");
        let keyring = Signer::new(other).keyring();
        assert_eq!(
            verify(&signed, &keyring),
            Verdict::Altered(&keyring.certificates()[0]),
            "{key} {other}"
        );
    }
}

#[test]
fn every_changed_byte() {
    for key in [RSA, P384] {
        let signer = Signer::new(key);
        let keyring = signer.keyring();
        let signed = signer.sign(CONTENT, "sha256");
        let message = signed.len() - MAGIC.len() - 12 - CONTENT.len();
        let mut foreign = 0;
        for at in 0..signed.len() {
            let mut other = signed.clone();
            other[at] ^= 1;
            let verdict = verify(&other, &keyring);
            let is_signed = matches!(verdict, Verdict::Signed(_));
            match at {
                _ if at < CONTENT.len() => {
                    assert!(matches!(verdict, Verdict::Altered(_)), "{at}: {verdict:?}");
                }
                _ if at >= signed.len() - MAGIC.len() => assert_eq!(verdict, Verdict::Unsigned),
                _ if at >= CONTENT.len() + message => assert!(!is_signed, "{at}: {verdict:?}"),
                // Of the signature itself, which is at its end.
                _ if at >= CONTENT.len() + message - 60 => {
                    assert!(!is_signed, "{at}: {verdict:?}");
                }
                // A version, or the list of digests: as in Linux they are not what counts.
                _ => foreign += usize::from(matches!(verdict, Verdict::Foreign(_))),
            }
        }
        // The issuer's name and the serial number.
        assert!(foreign >= 10, "{foreign}");
    }
}

#[test]
fn cut_and_continued() {
    let signer = Signer::new(P256);
    let keyring = signer.keyring();
    let signed = signer.sign(CONTENT, "sha256");
    for len in 0..signed.len() {
        assert_eq!(verify(&signed[..len], &keyring), Verdict::Unsigned, "{len}");
        // From the front.
        let rest = &signed[signed.len() - len..];
        let verdict = verify(rest, &keyring);
        match len {
            _ if len < MAGIC.len() => assert_eq!(verdict, Verdict::Unsigned),
            _ if len <= signed.len() - CONTENT.len() => {
                assert_eq!(verdict, Verdict::Damaged(Damage::Length), "{len}");
            }
            _ => assert!(matches!(verdict, Verdict::Altered(_)), "{verdict:?}"),
        }
    }
    // Linux does not see a signature there either.
    let junk = [&signed[..], b"junk"].concat();
    assert_eq!(verify(&junk, &keyring), Verdict::Unsigned);
    // Twice: the second one is about the first, and does not fit.
    let twice = [&signed[..], &signed[CONTENT.len()..]].concat();
    assert!(matches!(verify(&twice, &keyring), Verdict::Altered(_)));
    // And when it does: the last one counts.
    let again = signer.sign(&signed, "sha384");
    assert!(matches!(verify(&again, &keyring), Verdict::Signed(_)));
    let message = signer.message(CONTENT, "-noattr -nocerts");
    for junk in [&b"j"[..], &[0; 4], &[0xff; 1000]] {
        let long = module(CONTENT, &[&message, junk].concat());
        assert!(matches!(damaged(&long, &keyring), Damage::Message(_)));
    }
    for cut in 0..message.len() {
        let short = module(CONTENT, &message[..cut]);
        assert!(matches!(damaged(&short, &keyring), Damage::Message(_)));
    }
}

#[test]
fn descriptions_that_do_not_fit() {
    let signer = Signer::new(P256);
    let keyring = signer.keyring();
    let message = signer.message(CONTENT, "-noattr -nocerts");
    let head = [0, 0, 2, 0, 0, 0, 0, 0];
    for len in [
        usize::MAX,
        1 << 31,
        100_000,
        CONTENT.len() + message.len() + 1,
    ] {
        let long = described(CONTENT, &message, head, len);
        assert_eq!(damaged(&long, &keyring), Damage::Length, "{len}");
    }
    // Nothing is left that would be signed.
    let all = described(b"", &message, head, message.len());
    assert_eq!(damaged(&all, &keyring), Damage::Length);
    for kind in [0, 1, 3, 255] {
        let other = described(
            CONTENT,
            &message,
            [0, 0, kind, 0, 0, 0, 0, 0],
            message.len(),
        );
        assert_eq!(damaged(&other, &keyring), Damage::Kind(kind));
    }
    for at in [0, 1, 3, 4, 5, 6, 7] {
        let mut head = head;
        head[at] = 1;
        let other = described(CONTENT, &message, head, message.len());
        assert_eq!(damaged(&other, &keyring), Damage::Description, "{at}");
    }
    for file in [&b""[..], b"junk", &MAGIC[1..]] {
        assert_eq!(verify(file, &keyring), Verdict::Unsigned);
    }
    assert_eq!(damaged(MAGIC, &keyring), Damage::Length);
}

#[test]
fn what_is_not_supported_is_named() {
    let rsa = Signer::new(RSA);
    let keyring = rsa.keyring();
    for digest in ["md5", "ripemd160", "sha512-256", "sha3-224"] {
        let signed = rsa.sign(CONTENT, digest);
        assert_eq!(damaged(&signed, &keyring), Damage::Digest(digest.into()));
    }
    let options = "-noattr -nocerts -keyopt rsa_padding_mode:pss";
    let signed = module(CONTENT, &rsa.message(CONTENT, options));
    assert_eq!(
        damaged(&signed, &keyring),
        Damage::Algorithm("RSA-PSS".into())
    );
    let other = Signer::new("ed25519");
    let why = damaged(&rsa.sign(CONTENT, "sha256"), &other.keyring());
    assert_eq!(why, Damage::Key("Ed25519".into()));
    assert_eq!(other.keyring().certificates()[0].key(), "Ed25519");
    let other = Signer::new("ec -pkeyopt ec_paramgen_curve:secp256k1");
    let signed = other.sign(CONTENT, "sha256");
    let why = damaged(&signed, &other.keyring());
    assert_eq!(why, Damage::Key("ECDSA on the curve 1.3.132.0.10".into()));
    // More than Linux takes.
    let other = Signer::new("rsa:4104");
    let why = damaged(&other.sign(CONTENT, "sha256"), &other.keyring());
    assert!(
        matches!(&why, Damage::Key(key) if key.starts_with("RSA 4104 ")),
        "{why}"
    );
}

#[test]
fn messages_of_another_kind() {
    let signer = Signer::new(P256);
    let keyring = signer.keyring();
    let message = |options: &str| module(CONTENT, &signer.message(CONTENT, options));
    let why = damaged(&message("-noattr -nodetach"), &keyring);
    assert!(why.to_string().contains("a content of its own"), "{why}");
    let typed = "-noattr -econtent_type 1.2.840.113549.1.9.16.1.4";
    let why = damaged(&message(typed), &keyring);
    assert!(why.to_string().contains("not plain data"), "{why}");
    openssl(
        &signer.directory,
        "cms -data_create -in content -outform DER -out message",
    );
    let why = damaged(&module(CONTENT, &signer.read("message")), &keyring);
    assert!(why.to_string().contains("not of signed data"), "{why}");
}

#[test]
fn several_signers() {
    let (one, two) = (Signer::new(P256), Signer::named(RSA, "two", "2"));
    let with = format!(
        "-noattr -nocerts -signer {} -inkey {}",
        two.path("cert.pem").display(),
        two.path("key.pem").display()
    );
    let signed = module(CONTENT, &one.message(CONTENT, &with));
    let mut both = one.keyring();
    both.add(two.keyring());
    for keyring in [&one.keyring(), &two.keyring(), &both] {
        assert!(matches!(verify(&signed, keyring), Verdict::Signed(_)));
    }
    let nobody = Keyring::new();
    assert!(matches!(verify(&signed, &nobody), Verdict::Foreign(_)));
    // One that is known and wrong is enough to refuse it.
    let mut wrong = Signer::named(RSA, "two", "2").keyring();
    wrong.add(one.keyring());
    assert!(matches!(verify(&signed, &wrong), Verdict::Altered(_)));
}

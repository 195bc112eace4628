//! Signatures and certificates: whatever the bytes are, nothing holds that was not signed.
//!
//! The keyring is fixed: an RSA key, P-256, P-384 and P-521. Their private keys are nowhere, so of what
//! is not in the seeds nothing may be called signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modfs_object::signature;
use modfs_trust::{Keyring, Verdict, verify};
use std::sync::LazyLock;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let file = Keyring::from_bytes(include_bytes!("../objects/signers.pem"));
    file.unwrap_or_else(|e| panic!("fuzz/objects/signers.pem: {e}"))
});

/// What was signed, once, by each key.
const CONTENT: &[u8] = b"a module\n";

fuzz_target!(|data: &[u8]| {
    let module = check(data);
    // Most of what is tried is not the end of the file: as the message itself.
    if module == Verdict::Unsigned {
        let len = (data.len() as u32).to_be_bytes();
        let end = [
            &[0, 0, 2, 0, 0, 0, 0, 0][..],
            &len,
            b"~Module signature appended~\n",
        ];
        check(&[CONTENT, data, &end.concat()].concat());
    }
    let _ = Keyring::from_bytes(data).map(|keyring| {
        for certificate in keyring.certificates() {
            assert!(!certificate.serial().is_empty() && !certificate.key().is_empty());
        }
        let _ = verify(data, &keyring);
    });
    let _ = Keyring::of_kernel(data);
});

fn check(module: &[u8]) -> Verdict<'static> {
    let verdict = verify(module, &KEYRING);
    match &verdict {
        Verdict::Signed(signed) => {
            assert!(KEYRING.certificates().contains(signed.certificate));
            assert_eq!(signature(module).map(|s| s.content), Some(CONTENT));
        }
        Verdict::Damaged(why) => assert!(!why.to_string().is_empty()),
        Verdict::Foreign(signer) => assert!(!signer.to_string().is_empty()),
        Verdict::Unsigned | Verdict::Altered(_) => {}
    }
    verdict
}

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
    // A file that is packed is only unpacked; the list is searched only if something can begin one.
    let head = |bytes: &[u8]| matches!(bytes, [0x30, 0x81 | 0x82]);
    if data.windows(2).any(head) {
        search(data);
    }
});

/// Kernels with the list of certificates that the data is, and with many of them.
fn search(data: &[u8]) {
    /// More than what the search keeps in mind.
    const LARGE: usize = 160 << 10;
    // The first byte says how it is put together.
    let (how, data) = match data {
        [0x30, ..] => (0, data),
        [how, rest @ ..] => (*how, rest),
        [] => return,
    };
    let version = match how & 1 {
        0 => "Linux version 6.12.0 (x@y)",
        _ => "Linux version 5.4.0 (x@y)",
    };
    let mut image = [&b"\x7fELF"[..], version.as_bytes()].concat();
    let align = |image: &mut Vec<u8>| image.resize(image.len().next_multiple_of(8), 0);
    align(&mut image);
    // Near each other, or with zeros between them as if there was room for one more.
    let room = match how & 2 {
        0 => 0,
        _ => 4096,
    };
    let mut repeated = image.clone();
    while !data.is_empty() && repeated.len() < LARGE {
        repeated.extend(data);
        repeated.resize(repeated.len() + room, 0);
        // So that they also stand where no symbol can be.
        if how & 4 == 0 {
            align(&mut repeated);
        }
    }
    let first = match data {
        [0x30, 0x81, len, ..] => 3 + usize::from(*len),
        [0x30, 0x82, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    for mut image in [image, repeated] {
        align(&mut image);
        image.extend(data);
        image.resize(image.len() + room, 0);
        align(&mut image);
        let number = |number: usize| match how & 8 {
            0 => (number as u64).to_le_bytes(),
            _ => (number as u64).to_be_bytes(),
        };
        image.extend(number(data.len()));
        // Without the second number it is a list of those that are revoked, or an old one.
        let _ = Keyring::of_kernel(&image);
        image.extend(number(first));
        let _ = Keyring::of_kernel(&image);
    }
}

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

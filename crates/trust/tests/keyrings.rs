//! Where certificates come from: files, and kernels that are put together here. Needs openssl, gzip,
//! xz and zstd.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{P256, P384, RSA, Signer};
use modfs_trust::{Keyring, KeyringError};
use std::io::Write as _;
use std::process::{Command, Stdio};

fn names(keyring: &Keyring) -> Vec<&str> {
    let certificates = keyring.certificates().iter();
    certificates.map(|certificate| certificate.name()).collect()
}

#[test]
fn files_of_certificates() {
    let (a, b) = (Signer::named(P256, "a", "1"), Signer::named(RSA, "b", "2"));
    let of = |name: &str| [a.read(name), b.read(name)].concat();
    for all in [of("cert.pem"), of("cert.der")] {
        assert_eq!(names(&Keyring::from_bytes(&all).unwrap()), ["a", "b"]);
    }
    // As the kernel's build has it: a private key before the certificate; and with words around it.
    let with_key = [
        &b"words\n"[..],
        &a.read("key.pem"),
        b"more\r\n",
        &a.read("cert.pem"),
        b"words",
    ]
    .concat();
    assert_eq!(names(&Keyring::from_bytes(&with_key).unwrap()), ["a"]);
    let lines = String::from_utf8(a.read("cert.pem")).unwrap();
    let lines = lines.replace('\n', "\r\n");
    assert_eq!(
        names(&Keyring::from_bytes(lines.as_bytes()).unwrap()),
        ["a"]
    );
    for name in ["cert.der", "cert.pem"] {
        let file = Keyring::from_file(&a.path(name)).unwrap();
        assert_eq!(file.certificates()[0].key(), "ECDSA P-256");
        assert_eq!(file.certificates()[0].size(), a.read("cert.der").len());
    }
}

#[test]
fn files_without_certificates() {
    let a = Signer::new(P256);
    for none in [&b""[..], b"words", &a.read("key.pem"), &[0xff; 100]] {
        let error = Keyring::from_bytes(none).unwrap_err();
        assert!(matches!(error, KeyringError::None), "{error}");
    }
    for whole in [a.read("cert.der"), a.read("cert.pem")] {
        for len in [5, whole.len() / 2, whole.len() - 20] {
            let error = Keyring::from_bytes(&whole[..len]).unwrap_err();
            assert!(
                matches!(error, KeyringError::Certificate(_) | KeyringError::None),
                "{error}"
            );
        }
    }
    let broken = [&a.read("cert.der")[..], b"0junk"].concat();
    assert!(Keyring::from_bytes(&broken).is_err());
    assert!(Keyring::from_bytes(&[0x30, 0x82, 0xff, 0xff]).is_err());
    let missing = Keyring::from_file(&a.path("none"));
    assert!(matches!(missing, Err(KeyringError::Io(_))), "{missing:?}");
    let directory = Keyring::from_file(a.directory.path());
    assert!(matches!(directory, Err(KeyringError::Io(_))));
}

/// An image with a list of certificates, as certs/system_certificates.S makes it; and with others
/// that are not for modules.
fn image(list: &[&Signer], other: &Signer, numbers: impl Fn(&[u64]) -> Vec<u8>) -> Vec<u8> {
    let mut image = b"\x7fELF".to_vec();
    image.resize(64, 0);
    let other = other.read("cert.der");
    let aligned = |image: &mut Vec<u8>| image.resize(image.len().next_multiple_of(8), 0);
    // As the list of those that are revoked: its length, and nothing else.
    image.extend(&other);
    aligned(&mut image);
    image.extend(numbers(&[other.len() as u64, 7]));
    let list: Vec<Vec<u8>> = list.iter().map(|signer| signer.read("cert.der")).collect();
    aligned(&mut image);
    image.extend(list.concat());
    aligned(&mut image);
    let first = list.first().map_or(0, Vec::len);
    image.extend(numbers(&[list.concat().len() as u64, first as u64]));
    image.extend(&other);
    image.resize(image.len() + 5000, 1);
    image
}

fn little(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

#[test]
fn the_list_of_a_kernel() {
    let (a, b) = (Signer::named(P384, "a", "1"), Signer::named(RSA, "b", "2"));
    let other = Signer::named(P256, "other", "3");
    let of = |image: &[u8]| Keyring::of_kernel(image);
    let plain = image(&[&a, &b], &other, little);
    let keyring = of(&plain).unwrap();
    assert_eq!(names(&keyring), ["a", "b"]);
    assert_eq!(keyring.skipped(), 0);
    assert_eq!(keyring.certificates()[0].key(), "ECDSA P-384");
    assert_eq!(names(&of(&image(&[&b], &other, little)).unwrap()), ["b"]);
    // Of the other byte order, and of 32 bits.
    let big = |n: &[u64]| n.iter().flat_map(|n| n.to_be_bytes()).collect();
    assert_eq!(
        names(&of(&image(&[&a, &b], &other, big)).unwrap()),
        ["a", "b"]
    );
    for order in [u32::to_le_bytes, u32::to_be_bytes] {
        let half = |n: &[u64]| {
            let number = |n: &u64| [order(*n as u32), [0; 4]].concat();
            n.iter().flat_map(number).collect()
        };
        assert_eq!(names(&of(&image(&[&a], &other, half)).unwrap()), ["a"]);
    }
    // What stands there is not the length of the list: it is none.
    let wrong = |n: &[u64]| little(&[n[0] + 8, n[1]]);
    let error = of(&image(&[&a, &b], &other, wrong)).unwrap_err();
    assert!(matches!(error, KeyringError::NoList), "{error}");
    for none in [&b""[..], b"\x7fELF", &[0x30; 4096], &[0; 4096]] {
        assert!(matches!(of(none), Err(KeyringError::NoList)));
    }
    // One certificate of them is one of tomorrow.
    let mut odd = plain.clone();
    let second = b.read("cert.der");
    let at = odd.windows(second.len()).position(|w| w == second).unwrap();
    odd[at + 20] ^= 0x40;
    odd[at + 22] ^= 0x40;
    if let Ok(keyring) = of(&odd) {
        assert_eq!(keyring.certificates().len() + keyring.skipped(), 2);
    }
}

fn packed(tool: &str, options: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new(tool);
    command
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("this test needs {tool}: apt install gzip xz-utils zstd: {e}"));
    let mut to = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || to.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// A bzImage (Linux, Documentation/arch/x86/boot.rst).
fn bz_image(payload: &[u8]) -> Vec<u8> {
    const SECTORS: u8 = 3;
    const OFFSET: u32 = 100;
    let mut file = vec![0; 512 * (usize::from(SECTORS) + 1)];
    file[0x1f1] = SECTORS;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&OFFSET.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    file.resize(file.len() + OFFSET as usize, 0x90);
    file.extend(payload);
    file.extend([0x55; 600]);
    file
}

#[test]
fn kernels_as_they_are_booted() {
    let a = Signer::named(P384, "a", "1");
    let plain = image(&[&a], &Signer::named(P256, "other", "3"), little);
    let size = (plain.len() as u32).to_le_bytes();
    let gzip = packed("gzip", &["-9", "-n"], &plain);
    let mut payloads = vec![gzip.clone(), plain.clone()];
    for (tool, options) in [
        ("xz", &["--check=crc32", "--x86", "--lzma2=dict=32MiB"][..]),
        ("zstd", &["-q", "-19"]),
    ] {
        let packed = packed(tool, options, &plain);
        assert_eq!(names(&Keyring::of_kernel(&packed).unwrap()), ["a"]);
        payloads.push([&packed[..], &size].concat());
    }
    let lz4 = |bytes: &[u8]| {
        let block = lz4_flex::block::compress(bytes);
        [&(block.len() as u32).to_le_bytes()[..], &block].concat()
    };
    let (front, back) = plain.split_at(3000);
    let magic = 0x184c_2102_u32.to_le_bytes();
    payloads.push([&magic[..], &lz4(front), &lz4(back), &size].concat());
    for payload in &payloads {
        let file = bz_image(payload);
        assert_eq!(names(&Keyring::of_kernel(&file).unwrap()), ["a"]);
        // Cut anywhere it is an error, or has what comes before.
        for len in (0..file.len()).step_by(97) {
            let _ = Keyring::of_kernel(&file[..len]);
        }
        let mut broken = payload[..payload.len() / 2].to_vec();
        broken.resize(payload.len(), 0);
        if *payload != plain {
            let error = Keyring::of_kernel(&bz_image(&broken)).unwrap_err();
            assert!(matches!(error, KeyringError::Unpack(_)), "{error}");
        }
    }
    for (magic, name) in [(&b"BZh9"[..], "bzip2"), (&[0x5d, 0, 0, 0], "lzma")] {
        let file = bz_image(&[magic, &[0; 99]].concat());
        let error = Keyring::of_kernel(&file).unwrap_err().to_string();
        assert!(error.ends_with(&format!("packed by {name}")), "{error}");
    }
    assert_eq!(names(&Keyring::of_kernel(&gzip).unwrap()), ["a"]);
}

//! Where certificates come from: files, and kernels that are put together here. Needs openssl, gzip,
//! xz and zstd.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{P256, P384, RSA, Signer};
use modfs_trust::{Keyring, KeyringError};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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

/// An image of a version; each part begins where a symbol can be.
fn kernel(version: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut image = b"\x7fELF%s version %s (x@y) ".to_vec();
    image.extend(version.as_bytes());
    for part in parts {
        image.resize(image.len().next_multiple_of(8), 0);
        image.extend(*part);
    }
    image.resize(image.len() + 5000, 0);
    image
}

fn certificates(signers: &[&Signer]) -> Vec<u8> {
    let certificates = signers.iter().map(|signer| signer.read("cert.der"));
    certificates.collect::<Vec<_>>().concat()
}

/// Certificates, and a list's numbers.
fn list(certificates: &[u8], numbers: &[usize]) -> Vec<u8> {
    let mut list = certificates.to_vec();
    list.resize(list.len().next_multiple_of(8), 0);
    list.extend(numbers.iter().flat_map(|n| (*n as u64).to_le_bytes()));
    list
}

/// certs/system_certificates.S
fn trusted(signers: &[&Signer]) -> Vec<u8> {
    let first = signers[0].read("cert.der").len();
    let all = certificates(signers);
    list(&all, &[all.len(), first])
}

/// certs/revocation_certificates.S, and certs/system_certificates.S before Linux 5.13.
fn with_one_number(signers: &[&Signer]) -> Vec<u8> {
    let all = certificates(signers);
    list(&all, &[all.len()])
}

#[track_caller]
fn assert_no_list(image: &[u8]) {
    let error = Keyring::of_kernel(image).unwrap_err();
    assert!(matches!(error, KeyringError::NoList), "{error}");
}

#[test]
fn what_is_revoked_is_not_trusted() {
    // Of the same size, so that the numbers of one fit the other.
    let (a, b) = (Signer::named(RSA, "a", "1"), Signer::named(RSA, "b", "2"));
    assert_eq!(a.read("cert.der").len(), b.read("cert.der").len());
    let small = Signer::named(P256, "c", "3");
    for version in [
        "Linux version 6.12.0",
        "Linux version 5.13.0-rc1",
        "Linux version 5.13",
        "Linux version 10.0.1",
        // What cannot be read is not old.
        "Linux version 4",
        "Linux version 5-1",
        "Linux version 4.x",
        "Linux version 99999999999.1",
        "Linux version 4.99999999999",
        "Linux version %s",
        "",
        // Nor what is of two versions.
        "Linux version 5.4.0 Linux version 6.12.0",
        "Linux version 6.12.0 Linux version 5.4.0",
    ] {
        for revoked in [&[&b][..], &[&b, &small], &[&small, &b]] {
            assert_no_list(&kernel(version, &[&with_one_number(revoked)]));
        }
    }
    for version in ["Linux version 6.12.0", "Linux version 5.4.0", ""] {
        for (good, revoked) in [
            (&[&a][..], &[&b][..]),
            (&[&a], &[&small, &b]),
            (&[&a], &[&b, &small]),
            (&[&a, &small], &[&b]),
            (&[&a, &small], &[&b, &small]),
        ] {
            let expected: &[&str] = if good.len() == 1 { &["a"] } else { &["a", "c"] };
            let (good, revoked) = (trusted(good), with_one_number(revoked));
            for parts in [[&good[..], &revoked], [&revoked, &good]] {
                let keyring = Keyring::of_kernel(&kernel(version, &parts)).unwrap();
                assert_eq!(names(&keyring), expected);
            }
        }
    }
}

#[test]
fn the_list_of_an_old_kernel() {
    let (a, b) = (Signer::named(P384, "a", "1"), Signer::named(RSA, "b", "2"));
    let both = with_one_number(&[&a, &b]);
    for version in ["5.12.19-generic", "5.4.0", "4.19.0", "3.16"] {
        let version = format!("Linux version %s Linux version {version} (x@y)");
        let keyring = Keyring::of_kernel(&kernel(&version, &[&both])).unwrap();
        assert_eq!(names(&keyring), ["a", "b"]);
        // Which one is meant is not known.
        let (a, b) = (with_one_number(&[&a]), with_one_number(&[&b]));
        assert_no_list(&kernel(&version, &[&a, &b]));
        assert_no_list(&kernel(&version, &[&b, &a]));
        // Its distributor took the list of those that are revoked from a newer one.
        let message = b"\x015blacklist: Loading compiled-in revocation X.509 certificates\n";
        assert_no_list(&kernel(&version, &[message, &both]));
    }
}

#[test]
fn lists_of_any_form() {
    let (a, b) = (Signer::named(P384, "a", "1"), Signer::named(RSA, "b", "2"));
    let of = |list: &[u8]| Keyring::of_kernel(&kernel("Linux version 6.12.0", &[list]));
    let (first, all) = (certificates(&[&a]), certificates(&[&a, &b]));
    // The kernel's own certificate comes with that of its issuer.
    let issued = list(&all, &[all.len(), all.len()]);
    assert_eq!(names(&of(&issued).unwrap()), ["a", "b"]);
    // The second number has to be where a certificate ends.
    assert_no_list(&kernel("", &[&list(&all, &[all.len(), first.len() + 1])]));
    // There is room for one more, also when it is taken (scripts/insert-sys-cert.c).
    let with_room = |certificates: &[u8], used: usize, room: usize| {
        let mut list = certificates.to_vec();
        list.resize(list.len() - used + room, 0);
        list.resize(list.len().next_multiple_of(4), 0);
        list.extend((used as u32).to_le_bytes());
        self::list(&list, &[certificates.len(), first.len()])
    };
    for room in 4096..4104 {
        let list = with_room(&first, 0, room);
        assert_eq!(names(&of(&list).unwrap()), ["a"]);
        let list = with_room(&all, all.len() - first.len(), room);
        assert_eq!(names(&of(&list).unwrap()), ["a", "b"]);
    }
    assert_no_list(&kernel("", &[&with_room(&first, 0, 17 << 10)]));
    // It is not zeros that are between the list and the numbers: they belong to another.
    let numbers = [all.len(), first.len()];
    let other = [&list(&all, &[7; 10])[..], &list(&[], &numbers)].concat();
    assert_no_list(&kernel("", &[&other]));
}

/// What looks like a certificate, and is not.
fn fake() -> [u8; 136] {
    let mut fake = [0; 136];
    fake[..11].copy_from_slice(&[0x30, 0x81, 133, 0x30, 0x81, 130, 0xa0, 3, 2, 1, 2]);
    fake
}

/// Images that are made to take long are searched in a time that is linear in their size, and the list
/// in them is found.
#[test]
fn hostile_images() {
    const PATIENCE: Duration = Duration::from_secs(60);
    const SIZE: usize = 4 << 20;
    let a = Signer::named(P384, "a", "1");
    let fake = fake();
    let repeated = |part: &[u8], size: usize| part.repeat(size / part.len());
    // One certificate behind the other; the same with zeros in which the numbers are searched; heads as
    // near as they can be, of long and of short certificates, with zeros behind.
    let heads = |len: u8| {
        let mut heads = [0; 16];
        heads[..13].copy_from_slice(&[0x30, 0x82, len, 0, 0x30, 0x82, len, 0, 0xa0, 3, 2, 1, 2]);
        heads
    };
    let every = |parts: &[Vec<u8>]| repeated(&parts.concat(), SIZE);
    let images = [
        fake.repeat(9000),
        repeated(&fake, SIZE),
        every(&[fake.repeat(40), vec![0; 16 << 10]]),
        every(&[heads(0xff).repeat(4096), vec![0; 16 << 10]]),
        every(&[heads(1).repeat(4096), vec![0; 16 << 10]]),
        every(&[heads(2).to_vec()]),
        every(&[vec![0x30, 0x82]]),
        every(&[b"Linux version 5.4".to_vec()]),
    ];
    let list = trusted(&[&a]);
    let (done, wait) = mpsc::channel();
    let searching = thread::spawn(move || {
        for hostile in images {
            let version = "Linux version 5.4.0";
            assert_no_list(&kernel(version, &[&hostile]));
            let keyring = Keyring::of_kernel(&kernel(version, &[&hostile, &list]));
            assert_eq!(names(&keyring.unwrap()), ["a"]);
        }
        let _ = done.send(());
    });
    let waited = wait.recv_timeout(PATIENCE);
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "too slow");
    searching.join().unwrap();
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

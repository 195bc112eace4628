//! Signed modules: what modinfo says of a signature, beside what openssl says. Needs openssl.

use crate::common::need;
use crate::root::{Root, indexed, ok, quiet, said};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A key with a certificate, made by openssl, and a module that is signed with it.
struct Signed {
    root: Root,
    plain: Vec<u8>,
}

const MAGIC: &[u8] = b"~Module signature appended~\n";

fn openssl(arguments: &[&str]) -> Vec<u8> {
    need("openssl", "openssl");
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    output.stdout
}

fn upper(bytes: &[u8]) -> Vec<String> {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

impl Signed {
    /// `serial` is in hexadecimal.
    fn new(serial: &str, subject: &str) -> Signed {
        let root = indexed();
        let file = root.module("kernel/signed.ko", &[], &[], &["license=GPL"]);
        quiet(&root.depmod(&[]));
        let (key, cert) = (root.arg("key.pem"), root.arg("cert.pem"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &cert,
            "-days",
            "9",
            "-subj",
            subject,
            "-set_serial",
            &format!("0x{serial}"),
            "-addext",
            "subjectKeyIdentifier=hash",
        ]);
        let plain = fs::read(file).unwrap();
        Signed { root, plain }
    }

    /// A PKCS#7 message about the module.
    fn message(&self, options: &[&str]) -> Vec<u8> {
        let (key, cert) = (self.root.arg("key.pem"), self.root.arg("cert.pem"));
        fs::write(self.root.path("plain"), &self.plain).unwrap();
        let (plain, to) = (self.root.arg("plain"), self.root.arg("message"));
        let fixed = [
            "cms", "-sign", "-binary", "-noattr", "-outform", "DER", "-nocerts", "-signer", &cert,
            "-inkey", &key, "-in", &plain, "-out", &to,
        ];
        openssl(&[&fixed[..], options].concat());
        fs::read(to).unwrap()
    }

    /// Appends a signature: the algorithm, the digest, the kind, and the lengths of the signer's
    /// name and the key's id are of `struct module_signature`.
    fn append(&self, info: [u8; 5], parts: &[&[u8]]) {
        let len = parts.last().map_or(0, |bytes| bytes.len());
        self.append_of(info, parts, len as u32);
    }

    fn append_of(&self, info: [u8; 5], parts: &[&[u8]], len: u32) {
        let end = [&info[..], &[0; 3], &len.to_be_bytes(), MAGIC].concat();
        let all = [&self.plain[..], &parts.concat(), &end].concat();
        fs::write(self.root.file("kernel/signed.ko"), all).unwrap();
    }

    /// Signs it as the kernel's build does; what the last bytes of the message are is returned:
    /// the signature itself.
    fn sign(&self, options: &[&str]) -> Vec<u8> {
        let message = self.message(options);
        self.append([0, 0, 2, 0, 0], &[&message]);
        // RSA of 2048 bits, which is the end of the message.
        message[message.len() - 256..].to_vec()
    }

    fn field(&self, field: &str) -> String {
        let shown = quiet(&self.root.modinfo(&["-F", field, "signed"]));
        shown.replace("\n\t\t", "").trim_end().to_owned()
    }

    /// What openssl says of the certificate.
    fn certificate(&self, option: &str) -> String {
        let cert = self.root.arg("cert.pem");
        let mut arguments = vec!["x509", "-in", &cert, "-noout"];
        arguments.extend(option.split(' '));
        String::from_utf8(openssl(&arguments)).unwrap()
    }

    /// A warning, and the rest of what the module says.
    #[track_caller]
    fn warned(&self, why: &str) {
        let output = self.root.modinfo(&["signed"]);
        let shown = ok(&output);
        assert!(shown.contains("license:        GPL\n"), "{shown}");
        assert!(!shown.contains("sig_"), "{shown}");
        let said = said(&output);
        assert!(said.starts_with("modinfo: WARNING: signed: "), "{said}");
        assert!(said.contains(why), "{why}: {said}");
        // Who asks for something else does not hear of it.
        assert_eq!(quiet(&self.root.modinfo(&["-l", "signed"])), "GPL\n");
        // The module is used all the same: it is Linux that does not take it.
        quiet(&self.root.depmod(&[]));
    }
}

#[test]
fn the_usual_signature() {
    let signed = Signed::new("1234", "/O=modfs/CN=Build time key");
    let bytes = signed.sign(&["-md", "sha256"]);
    assert_eq!(signed.field("sig_id"), "PKCS#7");
    assert_eq!(signed.field("signer"), "Build time key");
    let serial = signed.certificate("-serial");
    assert_eq!(
        signed.field("sig_key").replace(':', ""),
        serial.trim_end().strip_prefix("serial=").unwrap()
    );
    assert_eq!(signed.field("sig_hashalgo"), "sha256");
    assert_eq!(signed.field("signature"), upper(&bytes).join(":"));
    // Twenty bytes a line.
    let shown = quiet(&signed.root.modinfo(&["signed"]));
    let first = upper(&bytes[..20]).join(":");
    assert!(
        shown.contains(&format!("signature:      {first}:\n\t\t")),
        "{shown}"
    );
    let at = |field: &str| {
        shown
            .find(field)
            .unwrap_or_else(|| panic!("{field}: {shown}"))
    };
    let order = [
        "license:",
        "sig_id:",
        "signer:",
        "sig_key:",
        "sig_hashalgo:",
        "signature:",
    ];
    assert!(
        order.windows(2).all(|pair| at(pair[0]) < at(pair[1])),
        "{shown}"
    );
    let json = quiet(&signed.root.modinfo(&["--json", "signed"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["signature"]["signer"], "Build time key");
    assert_eq!(json[0]["signature"]["hash"], "sha256");
}

#[test]
fn any_digest() {
    let signed = Signed::new("01", "/CN=key");
    for digest in [
        "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "md5",
    ] {
        signed.sign(&["-md", digest]);
        assert_eq!(signed.field("sig_hashalgo"), digest);
        assert_eq!(signed.field("sig_key"), "01");
    }
}

#[test]
fn a_signer_told_by_the_id_of_the_key() {
    let signed = Signed::new("0102", "/CN=key");
    let bytes = signed.sign(&["-md", "sha512", "-keyid"]);
    let id = signed.certificate("-ext subjectKeyIdentifier");
    let id = id.lines().last().unwrap().trim();
    assert_eq!(signed.field("sig_key"), id);
    assert_eq!(signed.field("signer"), "");
    assert_eq!(signed.field("sig_hashalgo"), "sha512");
    assert_eq!(signed.field("signature"), upper(&bytes).join(":"));
}

#[test]
fn a_serial_number_whose_first_bit_is_set() {
    for serial in [
        "FF00112233445566778899AABBCCDDEE",
        "80",
        "7F",
        "00AB",
        "8000000000000000",
    ] {
        let signed = Signed::new(serial, "/CN=key");
        signed.sign(&["-md", "sha256"]);
        let told = signed.certificate("-serial");
        assert_eq!(
            signed.field("sig_key").replace(':', ""),
            told.trim_end().strip_prefix("serial=").unwrap(),
            "{serial}"
        );
    }
}

#[test]
fn names_of_signers() {
    for (subject, name) in [
        ("/CN=Dep\u{e9}t \u{2713}", "Dep\u{e9}t \u{2713}"),
        ("/O=only an organisation", ""),
        ("/CN=first/OU=between/CN=second", "second"),
    ] {
        let signed = Signed::new("05", subject);
        signed.sign(&["-md", "sha256"]);
        // OpenSSL takes a subject's bytes for Latin-1 unless it is told.
        let shown = signed.field("signer");
        let latin: String = name.bytes().map(char::from).collect();
        assert!(shown == name || shown == latin, "{subject}: {shown}");
    }
}

#[test]
fn a_signature_with_attributes_and_certificates() {
    let signed = Signed::new("06", "/CN=key");
    let (key, cert) = (signed.root.arg("key.pem"), signed.root.arg("cert.pem"));
    fs::write(signed.root.path("plain"), &signed.plain).unwrap();
    let (plain, to) = (signed.root.arg("plain"), signed.root.arg("message"));
    openssl(&[
        "cms", "-sign", "-binary", "-outform", "DER", "-signer", &cert, "-inkey", &key, "-md",
        "sha384", "-in", &plain, "-out", &to,
    ]);
    signed.append([0, 0, 2, 0, 0], &[&fs::read(to).unwrap()]);
    assert_eq!(signed.field("signer"), "key");
    assert_eq!(signed.field("sig_hashalgo"), "sha384");
}

#[test]
fn a_packed_module_is_signed_inside() {
    let signed = Signed::new("07", "/CN=key");
    let bytes = signed.sign(&["-md", "sha256"]);
    for tool in ["xz", "zstd", "gzip"] {
        let file = signed.root.path("signed.ko");
        fs::copy(signed.root.file("kernel/signed.ko"), &file).unwrap();
        crate::root::pack(tool, &file);
        let packed = ["xz", "zst", "gz"].map(|end| file.with_extension(format!("ko.{end}")));
        let packed = packed.iter().find(|file| file.exists()).unwrap();
        let shown = quiet(&signed.root.modinfo(&["-F", "signature", path(packed)]));
        assert_eq!(
            shown.replace("\n\t\t", "").trim_end(),
            upper(&bytes).join(":"),
            "{tool}"
        );
        fs::remove_file(packed).unwrap();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Of before Linux 4.3.
#[test]
fn the_old_kind_of_signature() {
    let signed = Signed::new("08", "/CN=key");
    for (digest, name) in [(2, "sha1"), (4, "sha256"), (6, "sha512")] {
        signed.append(
            [1, digest, 1, 6, 3],
            &[b"Fedora", &[0xab, 0xcd, 0xef], &[1, 2, 0xff]],
        );
        assert_eq!(signed.field("sig_id"), "X509");
        assert_eq!(signed.field("signer"), "Fedora");
        assert_eq!(signed.field("sig_key"), "AB:CD:EF");
        assert_eq!(signed.field("sig_hashalgo"), name);
        assert_eq!(signed.field("signature"), "01:02:FF");
    }
    signed.append([1, 99, 1, 6, 3], &[b"Fedora", &[0xab, 0xcd, 0xef], &[1, 2]]);
    signed.warned("unknown digest 99");
}

#[test]
fn a_signature_that_is_cut_or_rubbish_is_told_and_the_rest_printed() {
    let signed = Signed::new("09", "/CN=key");
    let message = signed.message(&["-md", "sha256"]);
    for len in [1, 2, 20, message.len() / 2, message.len() - 1] {
        signed.append([0, 0, 2, 0, 0], &[&message[..len]]);
        signed.warned("damaged PKCS#7 signature");
    }
    signed.append([0, 0, 2, 0, 0], &[b"rubbish, and no more than that"]);
    signed.warned("damaged PKCS#7 signature");
    signed.append([0, 0, 2, 0, 0], &[b""]);
    signed.warned("");
    signed.append([0, 0, 7, 0, 0], &[&message]);
    signed.warned("unknown kind 7");
}

/// Every byte of it another one: a signature, or a warning.
#[test]
fn no_signature_is_the_end_of_modinfo() {
    let signed = Signed::new("0a", "/CN=key");
    let message = signed.message(&["-md", "sha256"]);
    let mut files = Vec::new();
    for at in (0..message.len().min(200)).chain((200..message.len()).step_by(40)) {
        for change in [0x01, 0x80, 0xff] {
            let mut other = message.clone();
            other[at] ^= change;
            signed.append([0, 0, 2, 0, 0], &[&other]);
            let file = signed.root.path(&format!("x{at}-{change}.ko"));
            fs::copy(signed.root.file("kernel/signed.ko"), &file).unwrap();
            files.push(file);
        }
    }
    let mut arguments = vec!["-l"];
    arguments.extend(files.iter().map(|file| path(file)));
    let shown = quiet(&signed.root.modinfo(&arguments));
    assert_eq!(shown, "GPL\n".repeat(files.len()));
    arguments[0] = "-0";
    let output = signed.root.modinfo(&arguments);
    ok_bytes(&output);
}

fn ok_bytes(output: &std::process::Output) {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        said(output)
    );
}

#[test]
fn a_signature_longer_than_the_file() {
    let signed = Signed::new("0b", "/CN=key");
    for len in [u32::MAX, 1 << 31, 100_000] {
        signed.append_of([0, 0, 2, 0, 0], &[b"short"], len);
        let output = signed.root.modinfo(&["signed"]);
        let shown = ok(&output);
        assert!(shown.contains("license:        GPL\n"), "{shown}");
        assert!(!shown.contains("sig_id"), "{shown}");
    }
    // The words at the end, and nothing else of it.
    for rest in [&b""[..], &[0; 5], &[0xff; 12]] {
        let all = [&signed.plain, rest, MAGIC].concat();
        fs::write(signed.root.file("kernel/signed.ko"), all).unwrap();
        ok(&signed.root.modinfo(&["signed"]));
    }
    fs::write(signed.root.file("kernel/signed.ko"), MAGIC).unwrap();
    crate::root::fails(&signed.root.modinfo(&["signed"]));
}

#[test]
fn depmod_reads_a_signed_module_as_another() {
    let signed = Signed::new("0c", "/CN=key");
    let before = signed.root.read("modules.dep");
    signed.sign(&["-md", "sha256"]);
    quiet(&signed.root.depmod(&["--rebuild"]));
    assert_eq!(signed.root.read("modules.dep"), before);
}

//! Keys, certificates and signatures, made by openssl.

// Not every test file uses all of it.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

use modfs_trust::Keyring;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Runs openssl in a directory.
#[track_caller]
pub(crate) fn openssl(directory: &TempDir, arguments: &str) {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split(' '))
        .current_dir(directory.path());
    let output = command.output().unwrap_or_else(|e| {
        panic!("this test needs openssl: install the package openssl (apt install openssl): {e}")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

/// A key with a certificate of its own.
pub(crate) struct Signer {
    pub(crate) directory: TempDir,
}

pub(crate) const RSA: &str = "rsa:2048";
pub(crate) const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
pub(crate) const P384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";
pub(crate) const P521: &str = "ec -pkeyopt ec_paramgen_curve:P-521";

impl Signer {
    /// `key` is what `openssl req -newkey` takes.
    pub(crate) fn new(key: &str) -> Signer {
        Signer::named(key, "signer", "1234")
    }

    /// `serial` is in hexadecimal.
    pub(crate) fn named(key: &str, name: &str, serial: &str) -> Signer {
        let directory = tempfile::tempdir().unwrap();
        let subject = format!("-subj /O=modfs/CN={name} -set_serial 0x{serial} -days 9");
        openssl(
            &directory,
            &format!("req -x509 -newkey {key} -nodes -keyout key.pem -out cert.pem {subject}"),
        );
        openssl(&directory, "x509 -in cert.pem -outform DER -out cert.der");
        Signer { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::from_file(&self.path("cert.pem")).unwrap()
    }

    /// A PKCS#7 message about `content`, of `openssl cms` with these options besides.
    pub(crate) fn message(&self, content: &[u8], options: &str) -> Vec<u8> {
        fs::write(self.path("content"), content).unwrap();
        openssl(
            &self.directory,
            &format!(
                "cms -sign -binary -outform DER -signer cert.pem -inkey key.pem -in content \
                 -out message {options}"
            ),
        );
        self.read("message")
    }

    /// A module that is signed as Linux's sign-file does it.
    pub(crate) fn sign(&self, content: &[u8], digest: &str) -> Vec<u8> {
        let options = format!("-noattr -nocerts -md {digest}");
        module(content, &self.message(content, &options))
    }
}

pub(crate) const MAGIC: &[u8] = b"~Module signature appended~\n";

/// A module with a message appended.
pub(crate) fn module(content: &[u8], message: &[u8]) -> Vec<u8> {
    described(content, message, [0, 0, 2, 0, 0, 0, 0, 0], message.len())
}

/// The same with any `struct module_signature`.
pub(crate) fn described(content: &[u8], message: &[u8], head: [u8; 8], len: usize) -> Vec<u8> {
    let len = (len as u32).to_be_bytes();
    [content, message, &head, &len, MAGIC].concat()
}

//! `modfs verify` and `modprobe --require-signed`. Needs openssl.

use crate::common::need;
use crate::root::{MODFS, Root, VERSION, fails, ok, pack, quiet, said, three};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn openssl(root: &Root, arguments: &str) {
    need("openssl", "openssl");
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(root.root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", said(&output));
}

/// Makes `NAME.pem` and `NAME.key` in the root.
fn key(root: &Root, name: &str, kind: &str, serial: &str) {
    openssl(
        root,
        &format!(
            "req -x509 -newkey {kind} -nodes -keyout {name}.key -out {name}.pem -days 9 \
             -subj /CN=key-{name} -set_serial 0x{serial}"
        ),
    );
}

const P384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";
const MAGIC: &[u8] = b"~Module signature appended~\n";

/// Signs a module in its place, as Linux's sign-file does.
fn sign(root: &Root, name: &str, file: &Path) {
    sign_with(root, name, file, "-noattr -nocerts -md sha256");
}

fn sign_with(root: &Root, name: &str, file: &Path, options: &str) {
    openssl(
        root,
        &format!(
            "cms -sign -binary -outform DER -signer {name}.pem -inkey {name}.key -in {} \
             -out message {options}",
            file.display()
        ),
    );
    let message = fs::read(root.path("message")).unwrap();
    let head = [0, 0, 2, 0, 0, 0, 0, 0];
    let len = (message.len() as u32).to_be_bytes();
    let module = fs::read(file).unwrap();
    fs::write(file, [&module[..], &message, &head, &len, MAGIC].concat()).unwrap();
}

fn verify(root: &Root, arguments: &[&str]) -> Output {
    let fixed = ["-b", root.root(), "-k", VERSION];
    root.tool("verify", &[&fixed[..], arguments].concat())
}

/// What is printed, without the path of the version directory; and whether all is well.
fn lines(root: &Root, arguments: &[&str]) -> (Vec<String>, bool) {
    let output = verify(root, arguments);
    let text = root.short(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(said(&output), "");
    let lines = text.lines().map(str::to_owned).collect();
    (lines, output.status.success())
}

/// Two keys, and the modules of [`three`], signed by one of them.
fn signed() -> Root {
    let root = three();
    key(&root, "own", P384, "00C0FFEE");
    key(&root, "other", "rsa:2048", "77");
    for module in FILES {
        sign(&root, "own", &root.file(module));
    }
    quiet(&root.depmod(&[]));
    root
}

const FILES: [&str; 4] = [
    "kernel/base.ko",
    "kernel/sub/mid-dle.ko",
    "kernel/top.ko",
    "kernel/soft.ko",
];

#[test]
fn signed_unsigned_foreign_altered_and_damaged() {
    let root = signed();
    let own = root.arg("own.pem");
    let of = |name: &str| root.file(name).to_str().unwrap().to_owned();
    let good = "signed by key-own (ECDSA P-384, sha256, serial C0FFEE)";
    let files: Vec<String> = FILES.iter().map(|file| of(file)).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (all, well) = lines(&root, &[&["--cert", &own][..], &files].concat());
    let wanted: Vec<String> = FILES.iter().map(|file| format!("{file}: {good}")).collect();
    assert_eq!(all, wanted);
    assert!(well);
    // Of each kind one, packed or not.
    let whole = fs::read(root.file("kernel/base.ko")).unwrap();
    let mut changed = whole.clone();
    changed[0x40] ^= 1;
    root.write("kernel/changed.ko", &changed);
    let plain = root.module("kernel/plain.ko", &[], &[], &[]);
    let foreign = root.module("kernel/foreign.ko", &[], &[], &[]);
    sign(&root, "other", &foreign);
    let end = whole.len() - MAGIC.len();
    let cut = [&whole[..end - 20], &whole[end - 12..]].concat();
    root.write("kernel/cut.ko", &cut);
    let old = root.module("kernel/old.ko", &[], &[], &[]);
    sign_with(&root, "other", &old, "-noattr -nocerts -md md5");
    let attributes = root.module("kernel/attributes.ko", &[], &[], &[]);
    sign_with(&root, "own", &attributes, "-nocerts -keyid -md sha512");
    let verdicts = [
        ("kernel/base.ko", good),
        (
            "kernel/changed.ko",
            "altered: this is not what key-own signed",
        ),
        ("kernel/plain.ko", "not signed"),
        (
            "kernel/foreign.ko",
            "signed by a foreign key (CN=key-other, serial 77)",
        ),
        ("kernel/old.ko", "damaged signature: unsupported digest md5"),
        (
            "kernel/attributes.ko",
            "signed by key-own (ECDSA P-384, sha512, serial C0FFEE), with attributes, which \
             Linux does not accept",
        ),
    ];
    for tool in ["", "xz", "zstd", "gzip"] {
        for (name, verdict) in verdicts {
            let mut file = of(name);
            if !tool.is_empty() {
                let copy = format!("{file}.copy.ko");
                fs::copy(&file, &copy).unwrap();
                pack(tool, Path::new(&copy));
                let end = [("xz", "xz"), ("zstd", "zst"), ("gzip", "gz")];
                let end = end.iter().find(|(name, _)| *name == tool).unwrap().1;
                file = format!("{copy}.{end}");
            }
            let (said, well) = lines(&root, &["--cert", &own, &file]);
            assert_eq!(said, [format!("{}: {verdict}", root.short(&file))]);
            assert_eq!(well, verdict.starts_with("signed by key-own"), "{verdict}");
        }
    }
    let (said, well) = lines(&root, &["--cert", &own, &of("kernel/cut.ko")]);
    assert!(!well && said[0].contains(": damaged signature: no PKCS#7 message: "));
    // With both certificates the foreign one is none.
    let arguments = ["--cert", &own, "--cert", &root.arg("other.pem")];
    let both = lines(
        &root,
        &[&arguments[..], &[foreign.to_str().unwrap()]].concat(),
    );
    let known = "kernel/foreign.ko: signed by key-other (RSA 2048, sha256, serial 77)";
    assert_eq!(both, (vec![known.to_owned()], true));
    assert!(plain.exists());
}

#[test]
fn names_of_modules_and_json() {
    let root = signed();
    let own = root.arg("own.pem");
    let shown = lines(&root, &["--cert", &own, "top", "mid_dle", "usb:x"]);
    let names: Vec<&str> = shown.0.iter().filter_map(|l| l.split(':').next()).collect();
    assert_eq!(
        names,
        ["kernel/top.ko", "kernel/sub/mid-dle.ko", "kernel/top.ko"]
    );
    let plain = root.module("kernel/plain.ko", &[], &[], &[]);
    let plain = plain.to_str().unwrap();
    let output = verify(
        &root,
        &["--json", "--cert", &own, "top", plain, "/nowhere.ko"],
    );
    let why = fails(&output);
    assert_eq!(why, "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["verdict"], "signed");
    assert_eq!(json[0]["subject"], "CN=key-own");
    assert_eq!(json[0]["serial"], "C0FFEE");
    assert_eq!(json[0]["key"], "ECDSA P-384");
    assert_eq!(json[0]["digest"], "sha256");
    assert_eq!(json[1]["verdict"], "unsigned");
    assert_eq!(json[1]["name"], serde_json::Value::Null);
    assert_eq!(json[2]["verdict"], serde_json::Value::Null);
    assert!(json[2]["reason"].as_str().unwrap().contains("No such file"));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let root = signed();
    let own = root.arg("own.pem");
    let output = verify(&root, &["--cert", &own, "nothing", "top", "/nowhere/a.ko"]);
    let why = fails(&output);
    assert!(
        why.contains("nothing: no such file, and no such module"),
        "{why}"
    );
    assert!(
        why.contains("verify: ERROR: /nowhere/a.ko: cannot be read: "),
        "{why}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("top.ko: signed by"));
    // No kernel, no certificate.
    let why = fails(&verify(&root, &["top"]));
    assert!(why.contains(&format!(
        "there is no {}/boot/vmlinuz-{VERSION}",
        root.root()
    )));
    assert!(why.contains("--kernel") && why.contains("--cert"), "{why}");
    let why = fails(&verify(&root, &["--cert", "/nowhere.pem", "top"]));
    assert!(
        why.contains("certificate /nowhere.pem: No such file"),
        "{why}"
    );
    let why = fails(&verify(&root, &["--cert", &root.arg("own.key"), "top"]));
    assert!(why.contains("there is no certificate in it"), "{why}");
    let why = fails(&verify(&root, &["--kernel", &own, "top"]));
    assert!(
        why.contains("no kernel with a list of certificates"),
        "{why}"
    );
    assert!(fails(&verify(&root, &[])).contains("FILE"));
}

/// A vmlinux with the list of certificates in it.
fn kernel(root: &Root, name: &str) -> Vec<u8> {
    openssl(
        root,
        &format!("x509 -in {name}.pem -outform DER -out {name}.der"),
    );
    let certificate = fs::read(root.path(&format!("{name}.der"))).unwrap();
    let mut image = vec![0; 4096];
    image.extend(&certificate);
    image.resize(image.len().next_multiple_of(8), 0);
    let len = (certificate.len() as u64).to_le_bytes();
    image.extend([len, len].concat());
    image
}

#[test]
fn the_kernel_of_the_modules_is_what_is_trusted() {
    let root = signed();
    fs::create_dir_all(root.path("boot")).unwrap();
    fs::write(
        root.path(&format!("boot/vmlinuz-{VERSION}")),
        kernel(&root, "own"),
    )
    .unwrap();
    let (said, well) = lines(&root, &["top"]);
    assert!(well, "{said:?}");
    quiet_ok(&root.modprobe(&["--require-signed", "-D", "top"]));
    fs::write(root.path("other.image"), kernel(&root, "other")).unwrap();
    let (said, well) = lines(&root, &["--kernel", &root.arg("other.image"), "top"]);
    assert!(!well && said[0].contains("signed by a foreign key"));
}

fn quiet_ok(output: &Output) -> String {
    assert_eq!(said(output), "");
    ok(output)
}

#[test]
fn modprobe_takes_only_what_is_signed() {
    let root = signed();
    let own = root.arg("own.pem");
    for ask in ["-D", "-n"] {
        let shown = root.modprobe(&["--require-signed", "--cert", &own, ask, "top"]);
        let shown = root.short(&quiet_ok(&shown));
        assert_eq!(
            shown,
            "insmod kernel/base.ko \ninsmod kernel/soft.ko \ninsmod kernel/sub/mid-dle.ko \n\
             insmod kernel/top.ko \n"
        );
    }
    // One of those that it needs.
    let mut bytes = fs::read(root.file("kernel/base.ko")).unwrap();
    bytes[0x40] ^= 1;
    root.write("kernel/base.ko", &bytes);
    for more in [&["-D"][..], &["-n"], &["--explain"], &["-D", "--json"], &[]] {
        let fixed = ["--require-signed", "--cert", &own];
        let output = root.modprobe(&[&fixed[..], more, &["top"]].concat());
        let why = root.short(&fails(&output));
        assert_eq!(
            why,
            "modprobe: ERROR: could not insert 'base': kernel/base.ko: altered: this is not what \
             key-own signed, and --require-signed was given\n"
        );
        assert!(
            output.stdout.is_empty() || more.contains(&"--json"),
            "{more:?}"
        );
    }
    // Who does not ask for it gets it.
    quiet_ok(&root.modprobe(&["-D", "top"]));
    let why = fails(&root.modprobe(&["--require-signed", "-D", "soft"]));
    assert!(
        why.starts_with("modprobe: FATAL: no certificates: "),
        "{why}"
    );
    let why = fails(&root.modprobe(&["--cert", &own, "-D", "soft"]));
    assert!(why.contains("for --require-signed"), "{why}");
    assert_eq!(
        fails(&root.modprobe(&["-q", "--require-signed", "--cert", &own, "top"])),
        ""
    );
}

/// What a command loads has to be signed too.
#[test]
fn commands_are_told() {
    let root = signed();
    root.configure("install soft echo \"$MODPROBE_OPTIONS\" > $OUT\n");
    let mut command = Command::new(MODFS);
    command.args(["modprobe", "-d", root.root(), "-S", VERSION]);
    command.args(["-C", &root.arg("etc"), "--require-signed"]);
    command.args(["--cert", "own.pem", "soft"]);
    command
        .current_dir(root.root())
        .env("OUT", root.path("out"));
    for name in ["MODFS_TREE", "MODFS_MODULES", "MODPROBE_OPTIONS"] {
        command.env_remove(name);
    }
    quiet_ok(&command.output().unwrap());
    let told = fs::read_to_string(root.path("out")).unwrap();
    let wanted = format!("--require-signed --cert '{}'", root.arg("own.pem"));
    assert!(told.contains(&wanted), "{told}");
}

#[test]
fn the_certificates_themselves() {
    let root = signed();
    let image = kernel(&root, "own");
    fs::write(root.path("image"), image).unwrap();
    let size = fs::metadata(root.path("own.der")).unwrap().len();
    let (image, other) = (root.arg("image"), root.arg("other.pem"));
    let shown = lines(&root, &["--list", "--kernel", &image, "--cert", &other]);
    let first = format!("CN=key-own (ECDSA P-384, serial C0FFEE, {size} bytes)");
    assert!(shown.1);
    assert!(shown.0[0].starts_with("CN=key-other (RSA 2048, serial 77, "));
    assert_eq!(shown.0[1..], [first]);
}

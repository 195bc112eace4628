//! A shell script with nothing but mkdir, cp, echo, cat, rm and rmdir does everything.

mod common;

use common::{Kernel, NOBODY, PATIENCE, Setup, need, need_root, quoted, run};
use std::path::Path;

const MODULES: [&str; 2] = ["lib", "user"];
/// The same in other languages.
const RUST: [&str; 2] = ["lib=lib_rust", "user=user_rust"];
const RUST_LIB: [&str; 2] = ["lib=lib_rust", "user"];
const RUST_USER: [&str; 2] = ["lib", "user=user_rust"];

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/shell")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Runs the script in a shell; `search` goes before its PATH.
fn lifecycle(kernel: &Kernel, shell: &[&str], search: &str) {
    let path = kernel.path("lifecycle.sh");
    std::fs::write(&path, script("lifecycle.sh")).expect("write");
    let shell: Vec<String> = shell.iter().map(|word| quoted(word)).collect();
    let typed = format!(
        "{search} exec {} lifecycle.sh \"$M\" \"$KO\"",
        shell.join(" ")
    );
    let said = run(kernel.shell(&typed), PATIENCE).ok();
    assert_eq!(said, "done\n");
    assert_eq!(kernel.names(), Vec::<String>::new());
    let log = kernel.log();
    assert!(log.contains("user: 40 + 2 = 42\n"), "{log}");
    assert!(log.contains("user: 41 + 2 = 43, goodbye\n"), "{log}");
}

fn with_shell(shell: &[&str]) {
    lifecycle(&Kernel::start(&MODULES), shell, "");
}

#[test]
fn from_dash() {
    need("dash", "dash");
    with_shell(&["dash"]);
}

/// Modules in Rust are used as those in C are, also by each other.
#[test]
fn with_modules_in_rust() {
    for modules in [RUST, RUST_LIB, RUST_USER] {
        lifecycle(&Kernel::start(&modules), &["sh"], "");
    }
}

#[test]
fn from_bash() {
    need("bash", "bash");
    with_shell(&["bash"]);
}

#[test]
fn from_bash_as_posix_sh() {
    need("bash", "bash");
    with_shell(&["bash", "--posix"]);
}

/// With busybox's own mkdir, cp, cat, rm and rmdir, and no others.
#[test]
fn from_busybox() {
    need("busybox", "busybox-static");
    let kernel = Kernel::start(&MODULES);
    kernel
        .sh("mkdir applets && busybox --install -s applets && [ -e applets/cp ]")
        .ok();
    lifecycle(&kernel, &["sh"], "PATH=$PWD/applets;");
}

/// With a mount by fusermount3; the host, the directory and the script are the user's.
#[test]
fn as_an_ordinary_user() {
    need("fusermount3", "fuse3");
    need_root("it becomes an ordinary user");
    let kernel = Kernel::set_up(Setup {
        modules: MODULES.to_vec(),
        user: Some(NOBODY),
        ..Setup::default()
    });
    let owner = kernel.sh("id -u; stat -c %u \"$M\"").ok();
    assert_eq!(owner, format!("{NOBODY}\n{NOBODY}\n"));
    let path = kernel.path("lifecycle.sh");
    std::fs::write(&path, script("lifecycle.sh")).expect("write");
    let said = kernel.sh("exec sh lifecycle.sh \"$M\" \"$KO\"").ok();
    assert_eq!(said, "done\n");
    // Without allow_other nobody else is let in, not even root.
    let root = std::fs::metadata(kernel.tree("kernel"));
    assert_eq!(
        root.err().map(|e| e.kind()),
        Some(std::io::ErrorKind::PermissionDenied)
    );
}

/// Some programs do not read(2): they splice(2) or sendfile(2), which believe in sizes.
#[test]
fn every_file_reads_the_same_however_it_is_read() {
    need("busybox", "busybox-static");
    let kernel = Kernel::start(&["lib", "user", "echo", "visits"]);
    kernel
        .sh("insmod ko/lib.ko && insmod ko/user.ko && insmod ko/echo.ko && insmod ko/visits.ko")
        .ok();
    kernel
        .sh("echo 'who is there?' > k/dev/echo; mkdir k/modules/empty")
        .ok();
    let script = r#"
        die() { echo "$file: $*" >&2; exit 1; }
        find k -type f ! -path k/proc/visits | sort > files
        while read -r file; do
            cat "$file" > one; busybox cat "$file" > two
            cmp one two || die "busybox cat"
            cp "$file" three && cmp one three || die cp
            [ "$(head -n 1 "$file")" = "$(head -n 1 one)" ] || die head
            # The size of a module file is that of its object.
            [ "${file##*/}" = module ] && continue
            [ "$(wc -c < "$file")" = "$(wc -c < one)" ] || die wc
        done < files
        wc -l < files"#;
    let files: usize = kernel.sh(script).ok().trim().parse().expect("a number");
    assert!(files > 40, "{files}");
    assert_eq!(kernel.sh("busybox cat k/dev/echo").ok(), "who is there?\n");
    assert_eq!(kernel.sh("busybox cat k/proc/visits").ok(), "reads: 1\n");
    // Longer than the block that files of unknown size usually pretend to have.
    let long = kernel.sh(
        "i=0; while [ $i -lt 4000 ]; do echo \"line $i\"; i=$((i + 1)); done | head -c 4096 > long
         cat long > k/dev/echo && busybox cat k/dev/echo | cmp - long && cp k/dev/echo copy && cmp copy long",
    );
    long.ok();
    let appended = kernel.sh("{ echo one; echo two; } >> k/dev/echo; cat k/dev/echo");
    assert_eq!(appended.ok(), "one\ntwo\n");
}

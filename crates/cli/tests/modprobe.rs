//! modprobe into a host's tree: what is needed comes with a module, and goes with it.

mod common;

use common::Kernel;

/// A host beside a directory of modules with indexes.
fn kernel() -> Kernel {
    let kernel = Kernel::start(&["lib", "user", "hello"]);
    kernel.sh("modfs depmod --directory ko 2>/dev/null").ok();
    kernel
}

/// `modprobe` with what is in the host's directory.
const MODPROBE: &str = "modfs modprobe --directory $PWD/ko";

#[test]
fn what_a_module_needs_is_loaded_before_it_and_goes_after_it() {
    let kernel = kernel();
    let run = |arguments: &str| kernel.sh(&format!("{MODPROBE} {arguments}"));
    run("user a=40 b=2").ok();
    let listed = kernel.sh("lsmod").ok();
    assert!(
        listed.contains("user") && listed.contains("lib"),
        "{listed}"
    );
    assert!(kernel.sh("modfs log").ok().contains("user: 40 + 2 = 42"));
    // Once more nothing happens, unless that is to be an error.
    run("user").ok();
    let said = run("--first-time user").fails();
    assert!(
        said.contains("could not insert 'user': Module already in kernel"),
        "{said}"
    );
    // Configured beside the modules.
    kernel
        .sh("mkdir ko/modprobe.d; echo deny hello not here > ko/modprobe.d/a.conf")
        .ok();
    let said = run("hello").fails();
    assert!(said.contains("a.conf line 1: not here"), "{said}");
    // In use by `user`.
    let said = run("-r lib").fails();
    assert!(
        said.contains("modprobe: FATAL: ") && said.contains("in use by: user"),
        "{said}"
    );
    assert_eq!(run("-r -v user").ok(), "rmmod user\nrmmod lib\n");
    assert!(!kernel.sh("lsmod").ok().contains("lib"));
    run("-r user").ok();
    let said = run("-r --first-time user").fails();
    assert!(said.contains("Module user is not in kernel."), "{said}");
}

#[test]
fn what_was_loaded_for_a_module_that_fails_goes_again() {
    let kernel = kernel();
    let said = kernel.sh(&format!("{MODPROBE} user a=x")).fails();
    assert!(
        said.contains("could not insert module") && said.contains("user.ko"),
        "{said}"
    );
    assert_eq!(kernel.sh("ls k/modules").ok(), "kernel\n");
    // What was there before stays.
    kernel.sh(&format!("{MODPROBE} lib")).ok();
    kernel.sh(&format!("{MODPROBE} user a=x")).fails();
    assert_eq!(kernel.sh("ls k/modules").ok(), "kernel\nlib\n");
}

#[test]
fn commands_run_in_place_of_modules() {
    let kernel = kernel();
    kernel
        .sh(
            "mkdir c; echo 'install hello echo $MODPROBE_MODULE $CMDLINE_OPTS > ran' > c/a.conf; \
             echo 'remove hello false' >> c/a.conf; echo 'install lib false' >> c/a.conf",
        )
        .ok();
    let modprobe = "modfs modprobe --directory $PWD/ko -C c";
    kernel.sh(&format!("{modprobe} hello x=1")).ok();
    assert_eq!(kernel.sh("cat ran").ok(), "hello x=1\n");
    assert!(!kernel.sh("lsmod").ok().contains("hello"));
    kernel.sh(&format!("{modprobe} -i hello")).ok();
    assert!(kernel.sh("lsmod").ok().contains("hello"));
    let said = kernel.sh(&format!("{modprobe} -r hello")).fails();
    assert!(said.contains("the command for hello failed"), "{said}");
    kernel.sh(&format!("{modprobe} -r -i hello")).ok();
    let said = kernel.sh(&format!("{modprobe} user")).fails();
    assert!(said.contains("the command for lib failed"), "{said}");
    assert_eq!(kernel.sh("ls k/modules").ok(), "kernel\n");
}

#[test]
fn without_a_tree_it_shows_what_it_would_do() {
    let kernel = kernel();
    assert!(
        kernel
            .sh(&format!("unset MODFS_TREE; {MODPROBE} -D user"))
            .ok()
            .contains("lib.ko")
    );
}

/// Of several at once each gets what it asked for, whoever was faster.
#[test]
fn several_at_once_do_not_fail_each_other() {
    let kernel = kernel();
    for _ in 0..10 {
        kernel
            .sh(&format!(
                "{MODPROBE} user & a=$!; {MODPROBE} user & b=$!; {MODPROBE} lib & c=$!; \
                 wait $a && wait $b && wait $c"
            ))
            .ok();
        kernel.sh("rmmod user lib").ok();
    }
}

/// A command that calls modprobe for its own module comes to an end.
#[test]
fn a_command_that_runs_itself_is_stopped() {
    let kernel = kernel();
    kernel
        .sh(&format!(
            "mkdir ko/modprobe.d; echo \"install hello {MODPROBE} hello\" > ko/modprobe.d/a.conf"
        ))
        .ok();
    let said = kernel.sh(&format!("{MODPROBE} hello")).fails();
    assert!(
        said.contains("calls modprobe for itself again: give it -i"),
        "{said}"
    );
}

#[test]
fn what_softdeps_brought_goes_too() {
    let kernel = kernel();
    kernel
        .sh("mkdir ko/modprobe.d; echo softdep user pre: hello > ko/modprobe.d/a.conf")
        .ok();
    kernel.sh(&format!("{MODPROBE} user")).ok();
    assert_eq!(kernel.state("hello"), "running");
    assert_eq!(
        kernel.sh(&format!("{MODPROBE} -r -v user")).ok(),
        "rmmod user\nrmmod lib\nrmmod hello\n"
    );
    let said = kernel.sh(&format!("{MODPROBE} -r nosuch")).fails();
    assert!(said.contains("FATAL: Module nosuch not found.\n"), "{said}");
}

#[test]
fn into_a_tree_goes_only_what_is_signed() {
    let kernel = kernel();
    let sign = "openssl cms -sign -binary -noattr -nocerts -outform DER -md sha256 -signer cert.pem \
                -inkey key.pem -in ko/NAME.ko -out message && \
                printf '\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0' > end && \
                printf \"\\\\$(printf %03o $(($(stat -c %s message) / 256)))\" >> end && \
                printf \"\\\\$(printf %03o $(($(stat -c %s message) % 256)))\" >> end && \
                printf '~Module signature appended~\\n' >> end && \
                cat message end >> ko/NAME.ko";
    common::need("openssl", "openssl");
    kernel
        .sh(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 9 \
             -subj /CN=us 2>/dev/null",
        )
        .ok();
    let load = format!("{MODPROBE} --require-signed --cert cert.pem user a=40 b=2");
    kernel.sh(&sign.replace("NAME", "user")).ok();
    let said = kernel.sh(&load).fails();
    assert!(
        said.contains("could not insert 'lib': ")
            && said.contains("lib.ko: not signed, and --require-signed was given"),
        "{said}"
    );
    assert!(!kernel.sh("lsmod").ok().contains("lib"));
    kernel.sh(&sign.replace("NAME", "lib")).ok();
    kernel.sh(&load).ok();
    assert!(kernel.sh("modfs log").ok().contains("user: 40 + 2 = 42"));
}

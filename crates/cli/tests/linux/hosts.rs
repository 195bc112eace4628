//! modprobe with the tree of a host: what it does of what it shows.

use crate::common::{Kernel, need};
use crate::root::{command, fails};

/// A host beside a directory of modules with indexes.
fn kernel(modules: &[&'static str]) -> Kernel {
    let kernel = Kernel::start(modules);
    kernel
        .sh("modfs depmod --directory ko 2>/dev/null; mkdir c; ln -s modfs bin/modprobe")
        .ok();
    kernel
}

const MODPROBE: &str = "modfs modprobe --directory ko";

#[test]
fn force_is_passed_on() {
    let kernel = kernel(&["hello"]);
    // Of another version.
    let path = kernel.path("ko/hello.ko");
    let mut object = std::fs::read(&path).expect("module");
    let at = object
        .windows(8)
        .position(|w| w == b"modfs-1 ")
        .expect("vermagic");
    object[at + 6] = b'0';
    std::fs::write(&path, object).expect("write");
    for option in ["", "--force-modversion"] {
        let said = kernel.sh(&format!("{MODPROBE} {option} hello")).fails();
        assert!(
            said.contains("built for version \"modfs-0 x86_64\""),
            "{said}"
        );
        assert_eq!(kernel.names(), [""; 0]);
    }
    for option in ["-f", "--force", "--force-vermagic"] {
        kernel.sh(&format!("{MODPROBE} {option} hello")).ok();
        kernel.sh("modfs modprobe --directory ko -r hello").ok();
        assert_eq!(kernel.get("kernel/tainted"), Ok("2\n".into()));
        // To see what would be done is allowed.
        let shown = kernel.sh(&format!("{MODPROBE} {option} -D hello")).ok();
        assert!(shown.contains("hello.ko"), "{shown}");
    }
}

#[test]
fn parameters_with_blanks_and_quotes_reach_the_module() {
    let kernel = kernel(&["hello"]);
    for (given, whom) in [
        ("'whom=all of you'", "all of you"),
        ("'whom=\"all of you\"'", "all of you"),
        ("whom=a,b", "a,b"),
        ("whom=\\$HOME", "$HOME"),
    ] {
        kernel.sh(&format!("{MODPROBE} hello {given}")).ok();
        let is = kernel.get("hello/parameters/whom");
        assert_eq!(is, Ok(format!("{whom}\n")), "{given}");
        kernel.sh(&format!("{MODPROBE} -r hello")).ok();
    }
    // And from the configuration, where the last one counts.
    let modprobe = format!("{MODPROBE} -C c");
    kernel
        .sh("printf 'options hello whom=\"you  two\"\\noptions hello times=2\\n' > c/a.conf")
        .ok();
    kernel.sh(&format!("{modprobe} hello")).ok();
    assert_eq!(kernel.get("hello/parameters/whom"), Ok("you  two\n".into()));
    assert_eq!(kernel.get("hello/parameters/times"), Ok("2\n".into()));
    kernel
        .sh(&format!("{modprobe} -r hello; {modprobe} hello times=1"))
        .ok();
    assert_eq!(kernel.get("hello/parameters/times"), Ok("1\n".into()));
}

#[test]
fn a_command_that_calls_modprobe_for_its_module() {
    let kernel = kernel(&["hello"]);
    kernel
        .sh(
            "echo \"install hello echo before >> ran; MODFS_MODULES=ko modprobe -q -q -i hello \
             \\$CMDLINE_OPTS && echo after \\$MODPROBE_MODULE >> ran\" > c/a.conf; \
             echo \"remove hello MODFS_MODULES=ko modprobe -r -v -i hello >> ran\" >> c/a.conf",
        )
        .ok();
    kernel
        .sh(&format!("{MODPROBE} -q -v -C c hello times=2"))
        .ok();
    assert_eq!(kernel.sh("cat ran").ok(), "before\nafter hello\n");
    assert_eq!(kernel.names(), ["hello"]);
    assert_eq!(kernel.get("hello/parameters/times"), Ok("2\n".into()));
    kernel.sh(&format!("{MODPROBE} -C c -r hello")).ok();
    assert_eq!(kernel.names(), [""; 0]);
    assert!(kernel.sh("cat ran").ok().ends_with("rmmod hello\n"));
}

#[test]
fn what_a_command_is_told() {
    let kernel = kernel(&["hello"]);
    kernel
        .sh("echo 'install hello echo \"$MODPROBE_OPTIONS\" > ran' > \"c/a b.conf\"")
        .ok();
    let told = |arguments: &str| {
        kernel.sh(&format!("{arguments} hello")).ok();
        kernel.sh("cat ran").ok().trim_end().to_owned()
    };
    let place = "c/a b.conf";
    assert_eq!(
        told(&format!("{MODPROBE} -s -q -v -C '{place}'")).replace("insmod", ""),
        format!("-C '{place}' -s -q -v")
    );
    assert_eq!(
        told(&format!("MODPROBE_OPTIONS=\"-C '{place}'\" {MODPROBE} -q")),
        format!("-C '{place}' -C '{place}' -q")
    );
}

#[test]
fn a_command_that_says_no_is_honoured_beside_a_softdep() {
    let kernel = kernel(&["hello", "lib"]);
    kernel
        .sh("printf 'install hello /bin/false\\nsoftdep hello pre: lib\\n' > c/a.conf")
        .ok();
    let said = kernel.sh(&format!("{MODPROBE} -C c hello")).fails();
    assert!(said.contains("the command for hello failed"), "{said}");
    assert!(!kernel.names().contains(&"hello".to_owned()));
    // For a softdep it is no matter.
    kernel
        .sh("printf 'install hello /bin/false\\nsoftdep lib pre: hello\\n' > c/a.conf")
        .ok();
    kernel.sh(&format!("{MODPROBE} -C c lib")).ok();
    assert_eq!(kernel.names(), ["lib"]);
}

#[test]
fn softdeps_are_loaded_in_their_order() {
    let kernel = kernel(&["hello", "lib", "user", "echo"]);
    kernel
        .sh("printf 'softdep user pre: hello nosuch post: echo\\n' > c/a.conf")
        .ok();
    let shown = kernel.sh(&format!("{MODPROBE} -v -C c user")).ok();
    let order: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("insmod ")?.rsplit('/').next())
        .map(|file| file.split('.').next().unwrap())
        .collect();
    assert_eq!(order, ["lib", "hello", "user", "echo"]);
    let mut names = kernel.names();
    names.sort();
    assert_eq!(names, ["echo", "hello", "lib", "user"]);
}

#[test]
fn a_softdep_that_cannot_be_loaded_is_no_matter() {
    let kernel = kernel(&["hello", "lib"]);
    kernel
        .sh(
            "printf 'softdep lib pre: hello\\noptions hello times=many\\n' > c/a.conf; \
             head -c 300 ko/hello.ko > ko/hello.ko.cut",
        )
        .ok();
    kernel.sh(&format!("{MODPROBE} -C c lib")).ok();
    assert_eq!(kernel.names(), ["lib"]);
}

#[test]
fn those_that_hold_a_module_go_before_it() {
    let kernel = kernel(&["lib", "user"]);
    kernel.sh(&format!("{MODPROBE} user")).ok();
    let said = kernel.sh(&format!("{MODPROBE} -r lib")).fails();
    assert!(said.contains("in use by: user"), "{said}");
    let dry = kernel
        .sh(&format!("{MODPROBE} -n -v --remove-holders lib"))
        .ok();
    assert_eq!(dry, "rmmod user\nrmmod lib\n");
    assert_eq!(kernel.names().len(), 2);
    let shown = kernel
        .sh(&format!("{MODPROBE} -v --remove-holders lib"))
        .ok();
    assert_eq!(shown, "rmmod user\nrmmod lib\n");
    assert_eq!(kernel.names(), [""; 0]);
}

#[test]
fn removal_waits_while_a_module_is_in_use() {
    let kernel = kernel(&["echo"]);
    kernel.sh(&format!("{MODPROBE} echo")).ok();
    let said = kernel
        .sh(&format!(
            "exec 3< k/dev/echo; {MODPROBE} -r -w 50 echo 3<&-"
        ))
        .fails();
    assert!(said.contains("Module echo is in use"), "{said}");
    kernel
        .sh(&format!(
            "(exec 3< k/dev/echo; touch held; sleep 0.5) & \
             until [ -e held ]; do sleep 0.01; done; {MODPROBE} -r --wait 15000 echo"
        ))
        .ok();
    assert_eq!(kernel.names(), [""; 0]);
}

#[test]
fn several_modules_at_once() {
    let kernel = kernel(&["hello", "lib", "user"]);
    let said = kernel
        .sh(&format!("{MODPROBE} -a hello nosuch user"))
        .fails();
    assert!(said.contains("WARNING: Module nosuch not found"), "{said}");
    assert_eq!(kernel.names().len(), 3);
    kernel.sh(&format!("{MODPROBE} -r user hello")).ok();
    assert_eq!(kernel.names(), [""; 0]);
}

#[test]
fn first_time() {
    let kernel = kernel(&["hello"]);
    kernel.sh(&format!("{MODPROBE} --first-time hello")).ok();
    let said = kernel.sh(&format!("{MODPROBE} --first-time hello")).fails();
    assert!(said.contains("Module already in kernel"), "{said}");
    let said = kernel
        .sh(&format!("{MODPROBE} -n --first-time hello"))
        .fails();
    assert!(said.contains("Module already in kernel"), "{said}");
    kernel.sh(&format!("{MODPROBE} -r --first-time hello")).ok();
    let said = kernel
        .sh(&format!("{MODPROBE} -r --first-time hello"))
        .fails();
    assert!(said.contains("Module hello is not in kernel."), "{said}");
    kernel.sh(&format!("{MODPROBE} -r hello")).ok();
}

#[test]
fn a_file_outside_of_the_directory_with_what_it_needs() {
    let kernel = kernel(&["lib", "user"]);
    kernel
        .sh("mkdir elsewhere && mv ko/user.ko elsewhere && cp elsewhere/user.ko ko/user.ko")
        .ok();
    kernel
        .sh(&format!("{MODPROBE} ./elsewhere/user.ko a=1 b=2"))
        .ok();
    let log = kernel.log();
    assert!(log.contains("user: 1 + 2 = 3\n"), "{log}");
    let mut names = kernel.names();
    names.sort();
    assert_eq!(names, ["lib", "user"]);
}

#[test]
fn modules_packed_in_any_way() {
    need("xz", "xz-utils");
    need("zstd", "zstd");
    let kernel = kernel(&["lib", "user", "hello"]);
    kernel
        .sh(
            "xz ko/lib.ko && zstd -q --rm ko/user.ko && gzip ko/hello.ko && \
             modfs depmod --directory ko 2>/dev/null",
        )
        .ok();
    kernel.sh(&format!("{MODPROBE} -a user hello")).ok();
    assert_eq!(kernel.names().len(), 3);
}

#[test]
fn a_name_of_its_own_by_modules_conf() {
    let kernel = kernel(&["lib", "hello"]);
    kernel
        .sh(
            "printf 'alias one hello\\noptions one -o greeter times=2\\npre-install one echo pre \
             >> ran\\npost-install hello echo post >> ran\\ninstall other echo $X >> ran\\n\
             define X value\\npre-remove hello echo going >> ran\\n' > m.conf",
        )
        .ok();
    let modprobe = format!("{MODPROBE} --modules-conf m.conf");
    kernel.sh(&format!("{modprobe} one")).ok();
    assert_eq!(kernel.names(), ["greeter"]);
    assert_eq!(kernel.get("greeter/parameters/times"), Ok("2\n".into()));
    assert_eq!(kernel.sh("cat ran").ok(), "pre\npost\n");
    kernel.sh(&format!("{modprobe} other")).ok();
    assert!(kernel.sh("cat ran").ok().ends_with("value\n"));
}

#[test]
fn by_modules_conf_the_first_that_can_be_loaded_is() {
    let kernel = kernel(&["lib", "user", "hello"]);
    kernel
        .sh(
            "printf 'probe any nosuch user hello\\nprobeall all nosuch lib hello\\n\
             options user a=x\\nprobe none no1 no2\\n' > m.conf",
        )
        .ok();
    let modprobe = format!("{MODPROBE} --modules-conf m.conf");
    kernel.sh(&format!("{modprobe} any")).ok();
    assert!(kernel.names().contains(&"hello".to_owned()));
    assert!(!kernel.names().contains(&"user".to_owned()));
    kernel.sh(&format!("{modprobe} all")).ok();
    assert!(kernel.names().contains(&"lib".to_owned()));
    kernel.sh(&format!("{modprobe} none")).fails();
}

#[test]
fn a_tree_that_is_none() {
    let mut modprobe = command("modprobe", &["--tree", "/nonexistent", "-n", "x"]);
    let said = fails(&modprobe.output().unwrap());
    assert!(said.starts_with("modprobe: FATAL: "), "{said}");
}

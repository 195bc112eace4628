//! Commands that stand in for modules, as they are shown; `hosts.rs` runs them.

use crate::root::{fails, indexed, quiet};

#[test]
fn an_install_command_stands_in_for_a_module() {
    let root = indexed();
    root.configure("install mid-dle /bin/run $CMDLINE_OPTS; true\noptions mid_dle a=1\n");
    assert_eq!(
        root.planned(&["-D", "mid_dle", "b=2"]),
        "insmod kernel/base.ko \ninsmod kernel/soft.ko \n\
         install /bin/run $CMDLINE_OPTS; true a=1 b=2\n"
    );
    for option in ["-i", "--ignore-install", "--ignore-remove"] {
        assert!(
            root.planned(&[option, "-D", "mid_dle", "b=2"])
                .ends_with("insmod kernel/sub/mid-dle.ko a=1 b=2\n")
        );
    }
    // For the one that is named only.
    assert!(
        root.planned(&["-i", "-D", "top"])
            .contains("install /bin/run")
    );
}

#[test]
fn the_first_of_several_commands_counts() {
    let root = indexed();
    root.configure("install base one\ninstall base two\ninstall b* three\n");
    assert_eq!(root.planned(&["-D", "base"]), "install one \n");
}

#[test]
fn a_command_for_a_pattern_is_for_the_modules_that_match() {
    let root = indexed();
    root.configure("install *s[eo]* /bin/false\n");
    assert_eq!(root.planned(&["-D", "base"]), "install /bin/false \n");
    assert_eq!(root.planned(&["-D", "pci:v1d1"]), "install /bin/false \n");
    // What is not there stays unknown.
    assert!(fails(&root.modprobe(&["-D", "sesame"])).contains("sesame not found"));
    assert_eq!(root.planned(&["-R", "usb:so"]), "top\n");
    root.configure("install * /bin/false\nremove * /bin/false\n");
    assert!(fails(&root.modprobe(&["-D", "nosuch"])).contains("nosuch not found"));
    assert_eq!(root.planned(&["-R", "usb:v1"]), "top\n");
}

#[test]
fn a_name_with_a_command_needs_no_module() {
    let root = indexed();
    root.configure("install net-up /bin/up\noptions net-up a=1\nalias eth* net-up\n");
    for name in ["net-up", "net_up", "eth0"] {
        assert_eq!(
            root.planned(&["-D", name]),
            "install /bin/up a=1 \n",
            "{name}"
        );
    }
    assert_eq!(root.planned(&["-R", "net-up"]), "net_up\n");
    let shown = quiet(&root.modprobe(&["--explain", "net-up"]));
    assert!(shown.contains("a name with a command in"), "{shown}");
    // With -i there is nothing to be done.
    assert_eq!(root.planned(&["-i", "-D", "net-up"]), "");
}

#[test]
fn a_remove_command_is_shown() {
    let root = indexed();
    root.configure("remove base /bin/down\nremove gone /bin/gone\n");
    assert_eq!(root.planned(&["-r", "-D", "base"]), "remove /bin/down\n");
    assert_eq!(root.planned(&["-r", "-D", "gone"]), "remove /bin/gone\n");
    assert_eq!(root.planned(&["-r", "-i", "-D", "base"]), "rmmod base\n");
    assert_eq!(root.planned(&["-r", "-D", "soft"]), "rmmod soft\n");
    // It is none for loading.
    assert_eq!(root.planned(&["-D", "base"]), "insmod kernel/base.ko \n");
}

#[test]
fn a_dry_run_runs_no_command() {
    let root = indexed();
    let ran = root.arg("ran");
    root.configure(&format!(
        "install base touch {ran}\nremove base touch {ran}\n"
    ));
    for arguments in [
        &["-n", "base"][..],
        &["-D", "base"],
        &["--explain", "base"],
        &["-n", "-v", "top"],
        &["-r", "-n", "base"],
        &["-D", "--json", "base"],
    ] {
        quiet(&root.modprobe(arguments));
        assert!(!root.path("ran").exists(), "{arguments:?}");
    }
}

//! The options of modprobe, without a host.

use crate::common::{need, need_root};
use crate::root::{MODFS, VERSION, command, fails, indexed, ok, quiet};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

const ALL: &str = "insmod kernel/base.ko \ninsmod kernel/soft.ko \n\
                   insmod kernel/sub/mid-dle.ko \ninsmod kernel/top.ko \n";

#[test]
fn several_modules_with_a() {
    let root = indexed();
    assert_eq!(
        root.planned(&["-a", "-D", "top", "base"]),
        format!("{ALL}insmod kernel/base.ko \n")
    );
    // Not parameters.
    let output = root.modprobe(&["-a", "-D", "base", "x=1"]);
    assert!(fails(&output).contains("WARNING: Module x=1 not found"));
}

#[test]
fn one_of_several_that_is_not_there_is_a_warning_and_the_others_go_on() {
    let root = indexed();
    let output = root.modprobe(&["-a", "-D", "no1", "soft", "no2"]);
    let said = fails(&output);
    assert_eq!(
        root.short(&String::from_utf8(output.stdout).unwrap()),
        "insmod kernel/soft.ko \n"
    );
    for name in ["no1", "no2"] {
        assert!(
            said.contains(&format!("modprobe: WARNING: Module {name} not found")),
            "{said}"
        );
    }
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn a_dry_run_needs_no_host_and_no_rights() {
    let root = indexed();
    for option in ["-n", "--dry-run", "--show"] {
        assert_eq!(root.planned(&[option, "-v", "top"]), ALL, "{option}");
    }
}

#[test]
fn quiet_is_silent_about_what_is_not_there() {
    let root = indexed();
    for option in ["-q", "--quiet"] {
        assert_eq!(fails(&root.modprobe(&[option, "-D", "nosuch"])), "");
        assert_eq!(fails(&root.modprobe(&[option, "-R", "nosuch"])), "");
        assert_eq!(fails(&root.modprobe(&[option, "-a", "-D", "x", "y"])), "");
    }
}

#[test]
fn a_value_may_be_written_together_with_its_option() {
    let root = indexed();
    let file = root.conf("own.conf", "options soft e=1\n");
    let (d, s, c) = (
        format!("-d{}", root.root()),
        format!("-S{VERSION}"),
        format!("-C{file}"),
    );
    let shown = quiet(&root.tool("modprobe", &[&d, &s, &c, "-Dv", "soft"]));
    assert_eq!(root.short(&shown), "insmod kernel/soft.ko e=1 \n");
    let (d, c) = (
        format!("--dirname={}", root.root()),
        format!("--config={file}"),
    );
    let s = format!("--set-version={VERSION}");
    let shown = quiet(&root.tool("modprobe", &[&d, &s, &c, "-rDw10", "soft"]));
    assert_eq!(shown, "rmmod soft\n");
}

#[test]
fn options_may_come_after_the_name() {
    let root = indexed();
    assert_eq!(
        root.planned(&["soft", "y=2", "-D", "x=1"]),
        "insmod kernel/soft.ko y=2 x=1\n"
    );
    assert_eq!(
        root.planned(&["-D", "soft", "--", "-q", "--json", "y=2"]),
        "insmod kernel/soft.ko -q --json y=2\n"
    );
    assert_eq!(
        root.planned(&["-D", "--", "soft"]),
        "insmod kernel/soft.ko \n"
    );
}

#[test]
fn an_option_that_there_is_not_is_no_module() {
    let root = indexed();
    for wrong in ["--nosuch", "-Z", "-1"] {
        let said = fails(&root.modprobe(&[wrong, "top"]));
        assert!(
            said.contains("unexpected argument") && said.contains(wrong),
            "{said}"
        );
    }
    assert!(fails(&root.modprobe(&["-w", "soon", "-n", "top"])).contains("soon"));
    assert!(fails(&root.modprobe(&[])).contains("missing parameters. See -h."));
    assert!(fails(&root.modprobe(&["-a"])).contains("missing parameters. See -h."));
    assert!(fails(&root.modprobe(&["-r"])).contains("missing parameters. See -h."));
}

/// A command of the configuration may be given again what the environment says already.
#[test]
fn an_option_may_be_given_twice() {
    let root = indexed();
    assert_eq!(
        root.planned(&["-D", "-D", "-q", "-q", "-v", "-v", "top"]),
        ALL
    );
    let last = quiet(&root.modprobe(&["-S", "0.0", "-S", VERSION, "-R", "top"]));
    assert_eq!(last, "top\n");
}

#[test]
fn every_tool_says_its_version() {
    for tool in [
        "modprobe", "depmod", "modinfo", "lsmod", "insmod", "rmmod", "kmod",
    ] {
        for option in ["-V", "--version"] {
            let shown = quiet(&command(tool, &[option]).output().unwrap());
            assert!(shown.starts_with(&format!("modfs-{tool} ")), "{shown}");
        }
        let help = quiet(&command(tool, &["-h"]).output().unwrap());
        assert!(help.contains("Usage: modfs"), "{help}");
    }
}

#[test]
fn parameters_reach_the_module_as_they_are_given() {
    let root = indexed();
    for (given, printed) in [
        (&["x=1", "y=2"][..], "x=1 y=2"),
        (&["x=a b"], "x=\"a b\""),
        (&["x=\"a b\""], "x=\"a b\""),
        (&["x=a=b c"], "x=\"a=b c\""),
        (&["flag"], "flag"),
        (&["x="], "x="),
        (&["x=a,b,c"], "x=a,b,c"),
        (&["x=$HOME;`id`"], "x=$HOME;`id`"),
        (&["x='q'"], "x='q'"),
    ] {
        assert_eq!(
            root.planned(&[&["-D", "soft"], given].concat()),
            format!("insmod kernel/soft.ko {printed}\n")
        );
    }
    // Of what is needed for it nothing gets them; and they come after what is configured.
    root.configure("options base a=1\noptions top b=2\n");
    let planned = root.planned(&["-D", "top", "b=3"]);
    assert!(
        planned.starts_with("insmod kernel/base.ko a=1 \n"),
        "{planned}"
    );
    assert!(
        planned.ends_with("insmod kernel/top.ko b=2 b=3\n"),
        "{planned}"
    );
}

#[test]
fn removal_is_shown_without_a_host() {
    let root = indexed();
    for arguments in [
        &["-r", "-D", "top"][..],
        &["-r", "-n", "-v", "top"],
        &["--remove-holders", "-D", "top"],
        &["--remove-dependencies", "-D", "top"],
        &["-w", "10", "-r", "-D", "top"],
    ] {
        assert_eq!(root.planned(arguments), "rmmod top\n", "{arguments:?}");
    }
    assert_eq!(
        root.planned(&["-r", "-D", "top", "soft"]),
        "rmmod top\nrmmod soft\n"
    );
    assert!(fails(&root.modprobe(&["-r", "-n", "nosuch"])).contains("Module nosuch not found"));
    assert_eq!(fails(&root.modprobe(&["-r", "-q", "-n", "nosuch"])), "");
}

#[test]
fn milliseconds_are_numbers_of_c() {
    let root = indexed();
    for number in ["10", "0x10", "010", "0"] {
        ok(&root.modprobe(&["-w", number, "-r", "-D", "top"]));
        ok(&root.modprobe(&["--wait", number, "-r", "-D", "top"]));
    }
    for wrong in ["", "09", "0x", "1s", "-1", "99999999999999999999"] {
        let wait = format!("--wait={wrong}");
        fails(&root.modprobe(&[&wait, "-r", "-D", "top"]));
    }
}

#[test]
fn what_would_be_done_as_json() {
    let root = indexed();
    root.configure("options top b=2\nsoftdep top post: built-in\ninstall soft echo \"hi\"\n");
    let text = quiet(&root.modprobe(&["-D", "--json", "top", "c=\"3 4\""]));
    let steps: serde_json::Value = serde_json::from_str(&text).unwrap();
    let told: Vec<[&str; 4]> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            ["module", "action", "reason", "options"].map(|key| step[key].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ["base", "insert", "needed", ""],
            ["soft", "run", "before", ""],
            ["mid_dle", "insert", "needed", ""],
            ["top", "insert", "asked", "b=2 c=\"3 4\""],
            ["built_in", "builtin", "after", ""],
        ]
    );
    assert_eq!(steps[0]["of"], "top");
    assert_eq!(steps[1]["command"], "echo \"hi\"");
    assert_eq!(
        (&steps[1]["required"], &steps[3]["required"]),
        (&false.into(), &true.into())
    );
    let file = root.file("kernel/top.ko");
    assert_eq!(steps[3]["file"].as_str().unwrap(), file.to_str().unwrap());
    // Of several modules one array.
    let text = quiet(&root.modprobe(&["-a", "-D", "--json", "base", "soft"]));
    let steps: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(steps.as_array().unwrap().len(), 2);
    fails(&root.modprobe(&["--json", "top"]));
}

#[test]
fn json_with_a_module_that_is_not_there_is_still_json() {
    let root = indexed();
    let output = root.modprobe(&["-a", "-D", "--json", "nosuch", "base"]);
    assert!(fails(&output).contains("nosuch not found"));
    let steps: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(steps.as_array().unwrap().len(), 1);
}

#[test]
fn why_each_step_is_done() {
    let root = indexed();
    root.configure("alias mine top\noptions top b=2\nsoftdep top post: plain-fs\n");
    let text = quiet(&root.modprobe(&["--explain", "mine", "c=3"]));
    let place = root.path("etc/test.conf");
    for wanted in [
        &*format!("mine is top, by an alias in {} line 1\n", place.display()),
        "because top uses its symbols",
        "because a softdep of mid_dle wants it before",
        "with b=2 c=3\n",
        "because a softdep of top wants it after",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let text = quiet(&root.modprobe(&["--explain", "built-in"]));
    assert!(text.contains("part of the kernel"), "{text}");
}

#[test]
fn options_of_the_environment_come_first() {
    let root = indexed();
    let file = root.conf("other place/x y.conf", "options soft e=1\n");
    let with = |options: &str, arguments: &[&str]| {
        let mut modprobe = command("modprobe", &["-d", root.root(), "-S", VERSION]);
        modprobe.args(arguments);
        root.short(&quiet(
            &modprobe.env("MODPROBE_OPTIONS", options).output().unwrap(),
        ))
    };
    let configured = "insmod kernel/soft.ko e=1 \n";
    for options in [
        format!("-C '{file}' -D"),
        format!("-C \"{file}\"   --show-depends "),
        format!("-D\t-C{}", file.replace(' ', "' '")),
        format!("--config='{file}' -D"),
    ] {
        assert_eq!(with(&options, &["soft"]), configured, "{options}");
    }
    assert_eq!(with("", &["-D", "soft"]), "insmod kernel/soft.ko \n");
    assert_eq!(with("  ", &["-R", "soft"]), "soft\n");
    assert_eq!(with("-a -R", &["soft", "base"]), "soft\nbase\n");
    // Of other tools they are none.
    let mut lsmod = command("modinfo", &["-n", "soft", "-b", root.root()]);
    lsmod.args(["-k", VERSION]);
    quiet(&lsmod.env("MODPROBE_OPTIONS", "--nosuch").output().unwrap());
}

#[test]
fn what_a_file_says_of_its_symbols() {
    let root = indexed();
    // As the kernel's build leaves them: checksums in `__versions` and as `__crc_NAME`.
    let text = "void one(void) {}\n\
        __asm__(\".section __ksymtab,\\\"a\\\"\\n__ksymtab_one: .quad one\\n.previous\");\n\
        __asm__(\".globl __crc_one\\n.set __crc_one, 0x1234abcd\");\n\
        __attribute__((section(\"__versions\"), used)) static const struct \
        { unsigned long crc; char name[56]; } versions[] = \
        {{0xdeadbeef, \"module_layout\"}, {7, \"printk\"}};\n";
    let file = root.compiled("kernel/crc.ko", text);
    let file = file.to_str().unwrap();
    for option in ["--show-modversions", "--dump-modversions"] {
        assert_eq!(
            quiet(&root.modprobe(&[option, file])),
            "0xdeadbeef\tmodule_layout\n0x00000007\tprintk\n"
        );
    }
    assert_eq!(
        quiet(&root.modprobe(&["--show-exports", file])),
        "0x1234abcd\tone\n"
    );
    assert!(fails(&root.modprobe(&["--show-exports"])).contains("missing parameters"));
}

#[test]
fn the_configuration_and_the_indexes_are_shown() {
    let root = indexed();
    root.configure(
        "softdep base pre: soft\nremove b c\ninstall a b\noptions o p=1\nblacklist bl\nalias x y\n\
         weakdep base top\nallow base top soft\ndeny old it is old\n",
    );
    for option in ["-c", "--show-config", "--showconfig"] {
        let shown = root.planned(&[option]);
        for line in [
            "alias x y",
            "blacklist bl",
            "install a b",
            "remove b c",
            "options o p=1",
            "softdep base pre: soft",
            "softdep mid_dle pre: soft",
            "weakdep base top",
            "weakdep top base",
            "allow base top soft",
            "deny old it is old",
            "alias usb:* top",
            "alias devname:soft soft",
            "alias symbol:mid_f mid_dle",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}: {shown}");
        }
        assert!(shown.contains("\n# End of configuration files. Dumping indexes now:\n"));
        // As kmod orders them.
        let place = |line: &str| shown.find(line).unwrap();
        let order = [
            "blacklist bl",
            "install a",
            "remove b",
            "alias x",
            "options o",
            "softdep",
        ];
        assert!(
            order.windows(2).all(|pair| place(pair[0]) < place(pair[1])),
            "{shown}"
        );
    }
}

/// Needs root and unshare, to have another /dev.
#[test]
fn messages_to_the_systems_log() {
    need_root("it mounts a directory over /dev");
    need("unshare", "util-linux");
    let root = indexed();
    root.configure("nonsense\n");
    let dev = root.path("dev");
    std::fs::create_dir(&dev).unwrap();
    let log = UnixDatagram::bind(dev.join("log")).unwrap();
    log.set_nonblocking(true).unwrap();
    let run = |arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        let script = "mount --bind \"$1\" /dev && shift && exec \"$@\"";
        unshare.args(["-m", "sh", "-c", script, "sh"]).arg(&dev);
        unshare.args([MODFS, "modprobe", "-d", root.root(), "-S", VERSION]);
        let etc = root.arg("etc");
        unshare.args(["-C", &etc]).args(arguments);
        unshare
            .env_remove("MODPROBE_OPTIONS")
            .env_remove("MODFS_TREE");
        let output = unshare.output().unwrap();
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(len) = log.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
        }
        (output, lines)
    };
    for option in ["-s", "--syslog"] {
        let (output, lines) = run(&[option, "-D", "nosuch"]);
        assert_eq!(fails(&output), "");
        assert_eq!(lines.len(), 2, "{lines:?}");
        // LOG_DAEMON with LOG_WARNING and LOG_ERR.
        for (line, priority, text) in [
            (
                &lines[0],
                "<28>modprobe[",
                "test.conf line 1: ignoring bad line",
            ),
            (&lines[1], "<27>modprobe[", "FATAL: Module nosuch not found"),
        ] {
            assert!(line.starts_with(priority) && line.contains(text), "{line}");
        }
        let (output, lines) = run(&[option, "-q", "-D", "nosuch"]);
        assert_eq!((fails(&output), lines), (String::new(), Vec::new()));
    }
    // Where nobody listens they are printed.
    drop(log);
    std::fs::remove_file(dev.join("log")).unwrap();
    let output = root.modprobe(&["-s", "-D", "nosuch"]);
    if !std::path::Path::new("/dev/log").exists() {
        assert!(fails(&output).contains("nosuch not found"));
    }
}

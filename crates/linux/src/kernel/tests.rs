//! The kernel behind the tree, over files that look like procfs and sysfs.

use super::LinuxKernel;
use crate::Linux;
use crate::loaded::Loaded;
use modfs_core::{Errno, InitArgs, Kernel, MapArgs, Refusal, State};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

const RELEASE: &str = "6.12.1-test";
const VERMAGIC: &str = "6.12.1-test SMP mod_unload modversions ";
const KALLSYMS: &str = "\
ffffffff81000000 T _printk
ffffffff82000000 r __ksymtab__printk
ffffffffc0001000 T xor_blocks\t[xor]
ffffffffc0002000 r __ksymtab_xor_blocks\t[xor]
";

/// A kernel with the module `xor`, and a folder for all that it shows.
struct World {
    dir: TempDir,
    kernel: LinuxKernel,
}

impl World {
    fn new() -> World {
        let dir = TempDir::new().expect("a folder");
        let at = |path: &str| dir.path().join(path);
        for folder in [
            "proc/sys/kernel",
            "sys/xor/parameters",
            "sys/xor/holders",
            "lib/kernel",
        ] {
            fs::create_dir_all(at(folder)).expect("mkdir");
        }
        let linux = Linux {
            proc: at("proc"),
            modules: at("sys"),
            devices: at("devices"),
            lockdown: at("lockdown"),
            directory: at("lib"),
            release: RELEASE.to_owned(),
            machine: "x86_64".to_owned(),
        };
        let world = World {
            kernel: LinuxKernel::new(linux),
            dir,
        };
        world.put("proc/kallsyms", KALLSYMS);
        world.put("proc/modules", "xor 20480 0 - Live 0xffffffffc0001000\n");
        world.put("sys/xor/initstate", "live\n");
        world.put("sys/xor/refcnt", "0\n");
        world.put("sys/xor/parameters/speed", "7\n");
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("mkdir");
        fs::write(path, content).expect("write");
    }

    fn map(&self, directory: &str, object: &[u8]) -> Result<(), Refusal> {
        let object = Arc::new(object.to_vec());
        self.kernel
            .map(directory, "module", object, MapArgs::default())
    }

    fn refused(&self, directory: &str, object: &[u8]) -> (Errno, String) {
        let refusal = self.map(directory, object).expect_err("it is refused");
        (refusal.errno, refusal.reasons.join("\n"))
    }
}

/// A module that imports a symbol, made by gcc.
fn object(name: &str, vermagic: &str, import: &str, rest: &str) -> Vec<u8> {
    let dir = TempDir::new().expect("a folder");
    let (source, output) = (dir.path().join("m.c"), dir.path().join("m.o"));
    let text = format!(
        "#define S(n) __attribute__((used, section(n)))\n\
         S(\".modinfo\") static const char info[] = \"name={name}\\0vermagic={vermagic}\\0license=GPL\";\n\
         S(\".gnu.linkonce.this_module\") struct {{ char before[24]; char name[56]; }} this = \
         {{ .name = \"{name}\" }};\n\
         int {import}(void);\nint init_module(void) {{ return {import}(); }}\n{rest}\n"
    );
    fs::write(&source, text).expect("write");
    let mut gcc = Command::new("gcc");
    let status = gcc.arg("-c").arg(&source).arg("-o").arg(&output).status();
    assert!(status.expect("gcc is needed").success());
    fs::read(output).expect("read")
}

fn hello() -> Vec<u8> {
    object("hello", VERMAGIC, "_printk", "")
}

fn file(path: &Path) -> String {
    fs::read_to_string(path).expect("read")
}

#[test]
fn what_is_mapped_is_checked_and_kept() {
    let world = World::new();
    let kernel = &world.kernel;
    world
        .map("hello", &object("hello", VERMAGIC, "xor_blocks", ""))
        .expect("map");
    let status = kernel.status("hello").expect("mapped");
    assert_eq!(
        (status.file.as_str(), status.state),
        ("module", State::Uninitialized)
    );
    assert_eq!((status.deps, status.address), (vec!["xor".to_owned()], 0));
    let info = kernel.info("hello");
    assert!(
        info.contains(&("license".to_owned(), "GPL".to_owned())),
        "{info:?}"
    );
    let (errno, reason) = world.refused("hello", &hello());
    assert_eq!(
        (errno, reason.as_str()),
        (Errno::EEXIST, "hello is mapped in hello")
    );
    let exit = kernel.exit("hello", "module").expect_err("it does not run");
    assert_eq!(exit.errno, Errno::EINVAL);
    assert_eq!(
        kernel.unmap("hello", "other").expect_err("another").errno,
        Errno::ENOENT
    );
    kernel.unmap("hello", "module").expect("unmap");
    assert_eq!(kernel.status("hello"), None);
    assert_eq!(
        kernel.unmap("hello", "module").expect_err("gone").errno,
        Errno::ENOENT
    );
}

#[test]
fn what_is_no_module() {
    let world = World::new();
    let mut junk = vec![0x5a_u8; 70 << 10];
    for (i, byte) in junk.iter_mut().enumerate() {
        *byte = ((i * i) >> 3) as u8;
    }
    let whole = hello();
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    for (bad, why) in [
        (&b""[..], "0 bytes"),
        (&junk, "not an ELF object"),
        (&whole[..whole.len() / 2], "outside the file"),
        (&whole[..40], "40 bytes"),
        (&gzip, "gzip"),
    ] {
        let (errno, reason) = world.refused("hello", bad);
        assert_eq!(errno, Errno::ENOEXEC, "{reason}");
        assert!(reason.contains(why), "{reason}");
    }
    // However it is cut or changed, it is refused or taken, and nothing worse.
    for end in (0..whole.len()).step_by(61) {
        let _ = world.map("hello", &whole[..end]);
        let _ = world.kernel.unmap("hello", "module");
        let mut changed = whole.clone();
        changed[end] ^= 0xff;
        let _ = world.map("hello", &changed);
        let _ = world.kernel.unmap("hello", "module");
    }
    let mut executable = whole.clone();
    executable[16] = 2;
    let (errno, reason) = world.refused("hello", &executable);
    assert!(
        errno == Errno::ENOEXEC && reason.contains("type 2"),
        "{reason}"
    );
    let mut arm = whole;
    arm[18] = 183;
    let (errno, reason) = world.refused("hello", &arm);
    assert_eq!(errno, Errno::ENOEXEC);
    assert_eq!(reason, "it was built for aarch64, and this is x86_64");
}

#[test]
fn names() {
    let world = World::new();
    let (errno, reason) = world.refused("other", &hello());
    assert_eq!(errno, Errno::EINVAL);
    assert_eq!(
        reason,
        "the object is the module hello, and the directory is for other"
    );
    let dashed = object("two_words", VERMAGIC, "_printk", "");
    world.map("two-words", &dashed).expect("map");
    assert!(world.kernel.status("two-words").is_some());
    assert_eq!(world.kernel.status("two_words"), None);
    assert_eq!(world.refused("two_words", &dashed).0, Errno::EEXIST);
    // Loaded, it is in the directory where it was mapped.
    world.put(
        "proc/modules",
        "two_words 1 0 - Live 0x0\nxor 1 0 - Live 0x0\n",
    );
    assert_eq!(
        world.kernel.loaded(true),
        Some(vec!["xor".into(), "two-words".into()])
    );
    assert_eq!(
        world.kernel.status("two-words").map(|s| s.state),
        Some(State::Running)
    );
    assert_eq!(world.kernel.status("two_words"), None);
    world.put("sys/vt/uevent", "");
    let (errno, reason) = world.refused("vt", &object("vt", VERMAGIC, "_printk", ""));
    assert_eq!(
        (errno, reason.as_str()),
        (Errno::EEXIST, "vt is part of the kernel")
    );
    assert_eq!(world.refused("xor", &hello()).1, "xor is loaded");
}

#[test]
fn built_for_another_kernel() {
    let world = World::new();
    let other = "6.12.2-test SMP mod_unload modversions ";
    let versions = "S(\"__versions\") char versions[64];";
    // Nothing is known of this kernel but its release.
    assert_eq!(
        world
            .refused("hello", &object("hello", other, "_printk", ""))
            .0,
        Errno::ENOEXEC
    );
    world
        .map("hello", &object("hello", other, "_printk", versions))
        .expect("map");
    world.kernel.unmap("hello", "module").expect("unmap");
    world.put("lib/kernel/a.ko", hello());
    world.put("lib/modules.dep", "extra/b.ko:\nkernel/a.ko:\n");
    let (errno, reason) = world.refused("hello", &object("hello", other, "_printk", ""));
    assert_eq!(errno, Errno::ENOEXEC);
    assert_eq!(
        reason,
        "it was built for \"6.12.2-test SMP mod_unload modversions\", and this kernel is \
         \"6.12.1-test SMP mod_unload modversions\""
    );
    let flags = object("hello", "6.12.1-test SMP ", "_printk", versions);
    assert_eq!(world.refused("hello", &flags).0, Errno::ENOEXEC);
    world
        .map("hello", &object("hello", other, "_printk", versions))
        .expect("map");
}

#[test]
fn symbols_and_signatures_that_are_missing() {
    let world = World::new();
    let (errno, reason) = world.refused("hello", &object("hello", VERMAGIC, "nobody_has", ""));
    assert_eq!(
        (errno, reason.as_str()),
        (Errno::ENOENT, "unresolved symbol nobody_has")
    );
    world.put("lockdown", "none [integrity] confidentiality\n");
    assert_eq!(world.refused("hello", &hello()).0, Errno::EKEYREJECTED);
    world.put("lockdown", "[none] integrity confidentiality\n");
    world.put("sys/module/parameters/sig_enforce", "Y\n");
    assert_eq!(world.refused("hello", &hello()).0, Errno::EKEYREJECTED);
    world.put("sys/module/parameters/sig_enforce", "N\n");
    world.map("hello", &hello()).expect("map");
}

#[test]
fn modules_that_others_loaded() {
    let world = World::new();
    let kernel = &world.kernel;
    world.put(
        "proc/modules",
        "btrfs 1 0 - Loading 0x0\nraid 8 3 btrfs, Live 0x0\nxor 20480 1 btrfs, Live 0xc0001000\n",
    );
    let status = kernel.status("xor").expect("loaded");
    assert_eq!((status.file.as_str(), status.state), ("", State::Running));
    assert_eq!(
        (status.size, status.address, status.usecount),
        (20480, 0xc000_1000, 0)
    );
    assert_eq!(status.refs, ["btrfs"]);
    assert_eq!(kernel.status("raid").map(|s| s.usecount), Some(2));
    let status = kernel.status("btrfs").expect("loading");
    assert_eq!(status.state, State::Initializing);
    assert_eq!(status.deps, ["raid", "xor"]);
    assert_eq!(
        kernel.loaded(true),
        Some(vec!["xor".into(), "raid".into(), "btrfs".into()])
    );
    let init = kernel
        .init("xor", "", &InitArgs::default())
        .expect_err("it runs");
    assert_eq!(
        (init.errno, init.reasons),
        (Errno::EEXIST, vec!["xor is running".to_owned()])
    );
    assert_eq!(
        kernel.exit("btrfs", "").expect_err("loading").errno,
        Errno::EBUSY
    );
    assert_eq!(
        kernel.exit("nosuch", "").expect_err("absent").errno,
        Errno::ENOENT
    );
    let lines = kernel.symbols("xor");
    assert_eq!((lines.len(), lines[0].name.as_str()), (1, "xor_blocks"));
    assert_eq!(kernel.symbols("kernel")[0].name, "_printk");
    assert_eq!(
        kernel
            .add_symbol("xor", lines[0].clone())
            .expect_err("no")
            .errno,
        Errno::EPERM
    );
    assert_eq!(
        kernel
            .del_symbol("xor", "xor_blocks")
            .expect_err("no")
            .errno,
        Errno::EPERM
    );
}

#[test]
fn reasons_why_a_module_stays() {
    let world = World::new();
    world.put("sys/xor/refcnt", "3\n");
    world.put("sys/xor/holders/btrfs/x", "");
    let error = |errno: rustix::io::Errno| std::io::Error::from(errno);
    let log = vec!["a line".to_owned()];
    let stays = world
        .kernel
        .stays("xor", &error(rustix::io::Errno::AGAIN), log);
    assert_eq!(stays.errno, Errno::EBUSY);
    assert_eq!(stays.reasons[0], "xor is used by btrfs");
    assert!(stays.reasons[1].contains("in use 2 times"), "{stays}");
    assert_eq!(stays.reasons[2], "the kernel says: a line");
    world.put("sys/none/refcnt", "0\n");
    let stays = world
        .kernel
        .stays("none", &error(rustix::io::Errno::BUSY), Vec::new());
    assert_eq!(stays.reasons, ["none has no exit: it cannot be unloaded"]);
    let stays = world
        .kernel
        .stays("none", &error(rustix::io::Errno::PERM), Vec::new());
    assert_eq!(stays.errno, Errno::EPERM);
}

#[test]
fn parameters_are_files_of_sysfs() {
    let world = World::new();
    let kernel = &world.kernel;
    let all = kernel.parameters("xor");
    assert_eq!((all.len(), all[0].name.as_str()), (1, "speed"));
    assert_eq!(kernel.parameter("xor", "speed").as_deref(), Ok("7"));
    kernel.set_parameter("xor", "speed", "a text").expect("set");
    assert!(file(&world.at("sys/xor/parameters/speed")).starts_with("a text"));
    for name in ["nosuch", "../refcnt", "..", ""] {
        let refused = kernel.parameter("xor", name).expect_err("no parameter");
        assert_eq!(refused.errno, Errno::ENOENT, "{name}");
        let refused = kernel
            .set_parameter("xor", name, "1")
            .expect_err("no parameter");
        assert_eq!(refused.errno, Errno::ENOENT, "{name}");
    }
    let line = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.into()).collect();
        super::parameters::line(&words)
    };
    assert_eq!(
        line(&["a=1", "b", "c=x y"]).as_deref(),
        Ok("a=1 b c=\"x y\"")
    );
    assert_eq!(line(&["c=x \"y"]).expect_err("no way").errno, Errno::EINVAL);
    assert_eq!(line(&["a b"]).expect_err("no way").errno, Errno::EINVAL);
}

#[test]
fn the_helper_is_the_kernels() {
    let world = World::new();
    let kernel = &world.kernel;
    let refused = kernel.request("x").expect_err("there is none");
    assert!(refused.errno == Errno::ENOENT && refused.reasons[0].contains("no helper"));
    world.put("proc/sys/kernel/modprobe", "/bin/true\n");
    assert_eq!(kernel.helper(), "/bin/true");
    kernel.request("x").expect("it says yes");
    kernel.set_helper("/bin/false").expect("set");
    let refused = kernel.request("x").expect_err("it says no");
    assert_eq!(refused.errno, Errno::ENOENT);
    assert!(
        refused.reasons[0].contains("/bin/false -q -- x"),
        "{refused}"
    );
    let long = "x".repeat(256);
    assert_eq!(
        kernel.set_helper(&long).expect_err("long").errno,
        Errno::ENAMETOOLONG
    );
    assert_eq!(kernel.autoclean(), Vec::<String>::new());
    assert_eq!(kernel.version(), RELEASE);
}

#[test]
fn states_of_modules_that_were_loaded_from_here() {
    let world = World::new();
    world.map("hello", &hello()).expect("map");
    let start = super::staged::Start::begin(&world.kernel.staged, "hello").expect("begin");
    let state = || world.kernel.status("hello").map(|status| status.state);
    assert_eq!(state(), Some(State::Initializing));
    assert_eq!(
        world
            .kernel
            .unmap("hello", "module")
            .expect_err("busy")
            .errno,
        Errno::EBUSY
    );
    drop(start);
    assert_eq!(state(), Some(State::Uninitialized));
    let start = super::staged::Start::begin(&world.kernel.staged, "hello").expect("begin");
    start.succeeded();
    world.put("proc/modules", "hello 1 0 - Live 0x0\n");
    assert_eq!(state(), Some(State::Running));
    assert_eq!(
        Loaded::read(&world.at("proc/modules"))
            .map(|all| all.len())
            .ok(),
        Some(1)
    );
    world.put("proc/modules", "");
    assert_eq!(state(), Some(State::Deleted));
    world.kernel.unmap("hello", "module").expect("unmap");
    assert_eq!(state(), None);
}

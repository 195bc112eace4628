//! Modules that come when they are needed: block devices by their number, file systems by their
//! type, names by modprobe's indexes and by modules.conf.

mod common;

use common::{Kernel, Setup, eventually, need, need_root};
use modfs_core::Errno;
use rustix::process::Signal;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// A host that resolves names itself, in a directory with these modules and their indexes.
fn kernel(modules: &[&'static str], args: &[&str]) -> Kernel {
    let kernel = Kernel::with(modules, &[&["--modules", "ko"], args].concat());
    kernel.sh("modfs depmod --directory ko").ok();
    kernel
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("stat").len()
}

/// The same of the RAM disk in C and of that in Rust.
#[test]
fn opening_a_block_device_loads_its_module() {
    let kernel = kernel(&["rd", "ramdisk"], &[]);
    // A look asks nobody.
    kernel.sh("ls -l k/dev k/dev/b-1-0 k/dev/b-251-0").ok();
    assert_eq!(kernel.names(), [""; 0]);
    for (node, module, name) in [("b-1-0", "rd", "rd"), ("b-251-0", "ramdisk", "ramdisk")] {
        let random = "dd if=/dev/urandom of=r bs=1000 count=300 2>/dev/null";
        let write = format!("dd if=r of=k/dev/{node} bs=700 seek=3");
        kernel.sh(&format!("{random}; {write}")).ok();
        assert_eq!(kernel.state(module), "running");
        kernel
            .sh(&format!("cmp -n 300000 -i 0:2100 r k/dev/{name}"))
            .ok();
        let file = kernel.path("k/dev").join(name);
        assert_eq!(size(&file), 4 << 20);
        let file = File::options()
            .read(true)
            .write(true)
            .open(&file)
            .expect("open");
        // Across the end, at it, and beyond.
        assert_eq!(file.write_at(&[7; 100], (4 << 20) - 10).expect("write"), 10);
        let full = file
            .write_at(&[7; 1], 4 << 20)
            .map_err(|e| e.raw_os_error());
        assert_eq!(full, Err(Some(Errno::ENOSPC.raw())));
        let mut end = [0; 100];
        assert_eq!(file.read_at(&mut end, (4 << 20) - 20).expect("read"), 20);
        assert_eq!((end[9], end[10], end[19]), (0, 7, 7));
        assert_eq!(file.read_at(&mut end, 5 << 20).expect("read"), 0);
        // What is open stays.
        let said = kernel.sh(&format!("rmmod {module}")).fails();
        assert!(said.contains("is in use"), "{said}");
        drop(file);
        kernel.sh(&format!("rmmod {module}")).ok();
        assert!(!kernel.path("k/dev").join(name).exists());
    }
    // No module; a minor that its disk does not have.
    for node in ["b-2-0", "b-1-3"] {
        let said = kernel.sh(&format!("cat k/dev/{node}")).fails();
        assert!(said.contains("No such device or address"), "{said}");
    }
    let log = kernel.log();
    assert!(
        log.contains("block-major-2 not found in directory"),
        "{log}"
    );
}

/// What a sector of several writers is in the end, each of them wrote.
#[test]
fn writers_of_one_sector_do_not_undo_each_other() {
    let kernel = kernel(&["rd"], &[]);
    let path = kernel.path("k/dev/b-1-0");
    drop(File::open(&path).expect("it is there"));
    std::thread::scope(|scope| {
        for byte in 0..4u8 {
            let path = &path;
            scope.spawn(move || {
                let file = File::options().write(true).open(path).expect("open");
                for at in 0..128u64 {
                    let at = at * 4 + u64::from(byte);
                    file.write_all_at(&[byte + 1], at).expect("write");
                }
            });
        }
    });
    let mut sector = [0; 512];
    let file = File::open(&path).expect("open");
    file.read_exact_at(&mut sector, 0).expect("read");
    let wanted: Vec<u8> = (0..512).map(|at| (at % 4) as u8 + 1).collect();
    assert_eq!(sector.as_slice(), wanted);
}

#[test]
fn ordinary_programs_use_a_block_device() {
    need("mkfs.ext4", "e2fsprogs");
    need("mount", "mount");
    need_root("a loop device and a mount");
    assert!(
        Path::new("/dev/loop-control").exists(),
        "this test needs loop devices: run `modprobe loop` as root"
    );
    let kernel = kernel(&["rd"], &[]);
    kernel
        .sh("mkfs.ext4 -q k/dev/b-1-0 && e2fsck -fn k/dev/rd && mkdir mnt")
        .ok();
    kernel
        .sh("mount -o loop k/dev/rd mnt && echo kept > mnt/file && umount mnt")
        .ok();
    let again = "mount -o loop,ro k/dev/rd mnt && cat mnt/file; umount mnt";
    assert_eq!(kernel.sh(again).ok(), "kept\n");
    eventually("nobody has it open", || {
        kernel.sh("rmmod rd").code == Some(0)
    });
}

/// The same of the file system in C and of that in Rust.
#[test]
fn mounting_a_file_system_loads_its_module() {
    let kernel = kernel(&["memfs", "ramfs"], &[]);
    kernel.sh("ls k/fs k/fs/memfs").ok();
    assert_eq!(kernel.names(), [""; 0], "a look asks nobody");
    kernel
        .sh("mkdir -p tree/sub/empty && echo one > tree/a && seq 20000 > tree/sub/b && chmod 640 tree/a")
        .ok();
    for fs in ["memfs", "ramfs"] {
        kernel.sh(&format!("mkdir k/fs/{fs}/x")).ok();
        assert_eq!(kernel.state(fs), "running");
        assert_eq!(kernel.sh(&format!("ls k/fs/{fs}")).ok(), "x\n");
        let at = format!("k/fs/{fs}/x");
        kernel
            .sh(&format!("cp -r tree {at} && diff -r tree {at}/tree"))
            .ok();
        assert_eq!(kernel.sh(&format!("stat -c %a {at}/tree/a")).ok(), "640\n");
        kernel.sh(&format!("echo two >> {at}/tree/a")).ok();
        assert_eq!(kernel.sh(&format!("cat {at}/tree/a")).ok(), "one\ntwo\n");
        kernel
            .sh(&format!(
                "truncate -s 5 {at}/tree/a; truncate -s 7 {at}/tree/a"
            ))
            .ok();
        let bytes = fs::read(kernel.path(&at).join("tree/a")).expect("read");
        assert_eq!(bytes, b"one\nt\0\0");
        for (wrong, why) in [
            (format!("rmdir {at}/tree/sub"), "not empty"),
            (format!("mkdir {at}/tree/sub"), "File exists"),
            (format!("cat {at}/none"), "No such file"),
            (format!("mkdir {at}"), "File exists"),
            (format!("rmmod {fs}"), "is in use"),
            (format!("exec 3< {at}/tree/a; rmdir {at}"), "busy"),
        ] {
            let said = kernel.sh(&wrong).fails();
            assert!(said.contains(why), "{wrong}: {said}");
        }
        kernel
            .sh(&format!("rm -r {at}/tree/sub && ls {at}/tree"))
            .ok();
        // Another of the same type is another.
        kernel
            .sh(&format!("mkdir k/fs/{fs}/y && rmdir k/fs/{fs}/y"))
            .ok();
        kernel.sh(&format!("rmdir {at} && rmmod {fs}")).ok();
    }
    let said = kernel.sh("mkdir k/fs/nonsense/x").fails();
    assert!(said.contains("No such device"), "{said}");
    assert!(
        kernel
            .log()
            .contains("Module nonsense not found in directory")
    );
    kernel.sh("mkdir k/fs/new").fails();
}

#[test]
fn many_use_a_file_system_at_once() {
    let kernel = kernel(&["ramfs", "memfs"], &[]);
    for fs in ["memfs", "ramfs"] {
        kernel.sh(&format!("mkdir k/fs/{fs}/x")).ok();
        let at = kernel.path(&format!("k/fs/{fs}/x"));
        std::thread::scope(|scope| {
            for n in 0..4 {
                let at = at.join(n.to_string());
                scope.spawn(move || {
                    for round in 0..20 {
                        fs::create_dir(&at).expect("mkdir");
                        for file in 0..5 {
                            fs::write(at.join(file.to_string()), vec![n; 9000]).expect("write");
                        }
                        let text = fs::read(at.join("3")).expect("read");
                        assert_eq!(text, vec![n; 9000], "round {round}");
                        fs::remove_dir_all(&at).expect("rm -r");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(&at).expect("ls").count(), 0);
    }
}

/// Mounts that are left do not keep a host from ending, nor its modules in it.
#[test]
fn a_host_ends_with_what_is_mounted() {
    let mut kernel = kernel(&["ramfs"], &[]);
    kernel
        .sh("mkdir k/fs/ramfs/x; echo a > k/fs/ramfs/x/f")
        .ok();
    let ended = kernel.stop(Signal::TERM);
    assert!(!ended.err.contains("ended with modules"), "{ended:#?}");
    assert_eq!(ended.code, Some(0));
}

/// What waits in a file system does not keep others from anything, and is given up.
#[test]
fn a_slow_file_system_keeps_nobody_waiting() {
    let kernel = kernel(&["slowfs", "hello"], &["--init-timeout", "0.5"]);
    let begun = Instant::now();
    let said = kernel
        .sh("mkdir k/fs/slowfs/x & sleep 0.2; ls k k/modules k/fs >&2; wait %1")
        .fails();
    assert!(
        said.contains("timed out") && said.contains("proc"),
        "{said}"
    );
    assert!(begun.elapsed().as_secs_f64() < 1.4);
    // It goes on, and is mounted in the end.
    eventually("it is mounted", || kernel.path("k/fs/slowfs/x").is_dir());
    let said = kernel.sh("cat k/fs/slowfs/x/file").fails();
    assert!(said.contains("timed out"), "{said}");
    kernel.sh("insmod ko/hello.ko").ok();
    // It waits for the look at the file, and may be given up before that.
    eventually("it is unmounted", || {
        let gone = "rmdir k/fs/slowfs/x; [ ! -d k/fs/slowfs/x ]";
        kernel.sh(gone).code == Some(0)
    });
    eventually("it goes", || kernel.sh("rmmod slowfs").code == Some(0));
}

/// The program itself as the helper: `modprobe -s -k -- NAME`, in the environment of 2.4.
#[test]
fn modprobe_is_the_helper() {
    let kernel = Kernel::stopped(Setup {
        modules: vec!["rd", "lib", "user", "asker"],
        args: ["--modules", "ko", "--modprobe", "bin/modprobe"]
            .map(str::to_owned)
            .to_vec(),
        ..Setup::default()
    });
    let mut kernel = kernel;
    kernel
        .sh("ln -s modfs bin/modprobe; modfs depmod --directory ko")
        .ok();
    kernel.boot();
    kernel.sh("dd if=k/dev/b-1-0 of=/dev/null count=1").ok();
    assert_eq!(kernel.names(), ["rd"]);
    kernel.sh("insmod ko/asker.ko name=user").ok();
    let mut names = kernel.names();
    names.sort_unstable();
    assert_eq!(names, ["asker", "lib", "rd", "user"]);
    assert!(kernel.log().contains("asker: user: 0\n"));
    // They are swept when they are not used any more.
    let state = kernel.get("user/module").expect("read");
    assert!(state.starts_with("autoclean\n"), "{state}");
    // By hand too; what fails says why in the log.
    assert_eq!(
        kernel.put("kernel/control", "request nothing"),
        Err(Errno::ENOENT)
    );
}

#[test]
fn names_are_resolved_without_a_program() {
    let kernel = kernel(&["lib", "user", "asker", "hello"], &[]);
    kernel
        .sh("mkdir ko/modprobe.d; printf 'alias greet hello\\noptions hello times=2\\noptions user a=1 b=2\\nblacklist lib\\nalias poor lib\\n' > ko/modprobe.d/a.conf")
        .ok();
    kernel.sh("insmod ko/asker.ko name=user").ok();
    assert!(kernel.log().contains("user: 1 + 2 = 3"), "{}", kernel.log());
    assert_eq!(kernel.get("lib/refs"), Ok("user\n".into()));
    assert_eq!(kernel.put("kernel/control", "request greet"), Ok(()));
    assert_eq!(kernel.get("hello/parameters/times"), Ok("2\n".into()));
    // They are modules like any other.
    kernel
        .sh("rmmod user && rmmod lib hello && [ ! -e k/modules/lib ]")
        .ok();
    assert_eq!(kernel.put("kernel/control", "request poor"), Ok(()));
    assert_eq!(kernel.names(), ["asker"], "blacklisted");
    // One that fails leaves nothing of what it needed.
    kernel
        .sh("echo options user a=many > ko/modprobe.d/b.conf")
        .ok();
    assert_eq!(
        kernel.put("kernel/control", "request user"),
        Err(Errno::ENOENT)
    );
    assert_eq!(kernel.names(), ["asker"]);
    let said = kernel.get("kernel/control").expect("read");
    assert!(
        said.contains("could not insert") && said.contains("user.ko"),
        "{said}"
    );
    // By hand a program is set, and it counts.
    assert_eq!(kernel.put("kernel/modprobe", "/bin/false"), Ok(()));
    assert_eq!(
        kernel.put("kernel/control", "request hello"),
        Err(Errno::ENOENT)
    );
    assert_eq!(kernel.put("kernel/modprobe", "\n"), Ok(()));
    assert_eq!(kernel.put("kernel/control", "request hello"), Ok(()));
}

/// A host can ask for 2.4's configuration: what its modutils knew, and a file.
#[test]
fn a_host_is_configured_by_modules_conf() {
    let text = "alias block-major-77 rd\noptions -k rd kib=64\nalias memfs off\n\
                pre-install rd echo $MODPROBE_MODULE > before\npost-install rd touch after\n\
                alias either off\nprobe either2 none hello\n";
    let mut kernel = Kernel::stopped(Setup {
        modules: vec!["rd", "memfs", "hello"],
        args: ["--modules", "ko", "--modules-conf", "modules.conf"]
            .map(str::to_owned)
            .to_vec(),
        ..Setup::default()
    });
    let place = kernel.path("");
    let text = text
        .replace("> before", &format!("> {}/before", place.display()))
        .replace("touch after", &format!("touch {}/after", place.display()));
    fs::write(kernel.path("modules.conf"), text).expect("write");
    kernel
        .sh("modfs depmod --directory ko 2>/dev/null; rm ko/modules.alias*")
        .ok();
    kernel.boot();
    // The alias of block-major-1 is one that modutils knew.
    kernel.sh("cat k/dev/b-1-0 > disk").ok();
    assert_eq!(size(&kernel.path("disk")), 64 << 10);
    assert_eq!(kernel.sh("cat before").ok(), "rd\n");
    assert!(kernel.path("after").exists());
    let state = kernel.get("rd/module").expect("read");
    assert!(!state.contains("autoclean"), "{state}");
    // Off: no module, and no error of the request; there is no such type, though.
    let said = kernel.sh("mkdir k/fs/memfs/x").fails();
    assert!(said.contains("No such device"), "{said}");
    assert_eq!(kernel.put("kernel/control", "request either"), Ok(()));
    assert_eq!(kernel.put("kernel/control", "request either2"), Ok(()));
    assert_eq!(kernel.state("hello"), "running");
}

/// What a module does wrong is an error of who called it, and no more.
#[test]
fn a_bad_module_harms_only_its_users() {
    let mut kernel = kernel(&["badfs", "hello"], &[]);
    for (typed, why) in [
        ("mkdir k/fs/badfs/refused", "No space left"),
        ("mkdir k/fs/badfs/odd", "Invalid argument"),
        ("mkdir k/fs/badfs/..", "File exists"),
        ("mkdir k/fs/badfs/rootless", "Input/output error"),
        ("stat k/fs/badfs/rootless", "No such file"),
        ("cat k/dev/b-99-1", "No such device or address"),
        ("dd if=ko/hello.ko of=k/dev/bad", "Read-only file system"),
        (
            "dd if=k/dev/bad bs=512 skip=2 count=1",
            "Input/output error",
        ),
    ] {
        let said = kernel.sh(typed).fails();
        assert!(said.contains(why), "{typed}: {said}");
    }
    kernel.sh("mkdir k/fs/badfs/x").ok();
    assert_eq!(kernel.sh("ls k/fs/badfs/x").ok(), "good\n");
    for (typed, why) in [
        ("stat k/fs/badfs/x/huge", "Input/output error"),
        ("cat k/fs/badfs/x/long", "Input/output error"),
        ("cat k/fs/badfs/x/other", "Invalid argument"),
        (
            "dd if=ko/hello.ko of=k/fs/badfs/x/file conv=notrunc",
            "Operation not permitted",
        ),
        ("mkdir k/fs/badfs/x/dir", "File exists"),
        ("rmmod badfs", "is in use"),
    ] {
        let said = kernel.sh(typed).fails();
        assert!(said.contains(why), "{typed}: {said}");
    }
    kernel.sh("rmdir k/fs/badfs/x && rmmod badfs").ok();
    let log = kernel.log();
    for what in ["file system badfs", "block device 99 bad"] {
        assert!(
            log.contains(&format!("badfs: left {what} registered: taken back")),
            "{log}"
        );
    }
    // It faults, is marked, and can still be unmounted.
    kernel.sh("mkdir k/fs/badfs/x").ok();
    let said = kernel.sh("cat k/fs/badfs/x/crash").fails();
    assert!(said.contains("Input/output error"), "{said}");
    assert_eq!(kernel.state("badfs"), "faulted");
    let said = kernel.sh("cat k/dev/bad").fails();
    assert!(
        said.contains("No such device") || said.contains("error"),
        "{said}"
    );
    assert!(kernel.sh("ls k/fs/badfs/x").code != Some(0));
    kernel
        .sh("rmdir k/fs/badfs/x; mkdir k/fs/badfs/y; insmod ko/hello.ko")
        .ok();
    kernel.assert_alive();
}

#[test]
fn a_device_that_faults_in_a_read_is_marked() {
    let mut kernel = kernel(&["badfs"], &[]);
    kernel.sh("insmod ko/badfs.ko").ok();
    let said = kernel.sh("dd if=k/dev/bad bs=512 skip=1 count=1").fails();
    assert!(said.contains("Input/output error"), "{said}");
    assert_eq!(kernel.state("badfs"), "faulted");
    kernel.assert_alive();
}

/// Of several that open a device at once each gets it.
#[test]
fn several_opens_at_once_load_once() {
    let kernel = kernel(&["rd", "user", "lib"], &[]);
    for _ in 0..10 {
        let open = "dd if=k/dev/b-1-0 of=/dev/null count=1 2>/dev/null";
        let ask = "echo request user > k/modules/kernel/control";
        kernel
            .sh(&format!(
                "{open} & a=$!; {open} & b=$!; {ask} & c=$!; {ask} & d=$!; \
                 wait $a && wait $b && wait $c && wait $d"
            ))
            .ok();
        kernel.sh("rmmod rd user lib").ok();
    }
}

/// A module cannot take back what another has registered.
#[test]
fn a_second_disk_of_a_number_leaves_the_first() {
    let kernel = kernel(&["rd", "other=rd"], &[]);
    kernel.sh("insmod ko/rd.ko kib=64").ok();
    kernel.sh("insmod ko/other.ko kib=32").fails();
    kernel.sh("cat k/dev/b-1-0 > disk").ok();
    assert_eq!(size(&kernel.path("disk")), 64 << 10);
}

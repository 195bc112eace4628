//! Today's calls, and what programs see of modules.

use super::{kernel, made};
use crate::common::{NOBODY, program, static_program};

#[test]
fn a_module_comes_and_goes() {
    for calls in [program("calls"), static_program("calls")] {
        let kernel = kernel(&["hello", "lib", "user", "failing"]);
        let script = "\
            cat /proc/modules\nstat /sys/module\nstat /sys/module/lib\n\
            finit ko/user.ko 0\nfinit ko/lib.ko 0\nfinit ko/lib.ko 0\nload ko/user.ko\n\
            cat /proc/modules\ncat /sys/module/lib/refcnt\ncat /sys/module/lib/initstate\n\
            stat /sys/module/lib/holders/user\nremove lib 0x800\nremove user 0x800\nremove lib 0x800\n\
            remove lib 0x800\ncat /proc/modules\n\
            finit ko/lib.ko 0\nfinit ko/failing.ko 0 result=-12\nfinit ko/failing.ko 0 result=x\nfinit ko/failing.ko 8\n\
            finit nosuch 0\nfinit script 0\nload script\nfinit ko/hello.ko 3\nremove hello 0x800\nremove BAD 0\nremove LONG 0\n\
            remove NULL 0\n";
        let said = made(&kernel, &calls, script).ok();
        assert_eq!(
            said,
            "stat: 40755 0\nstat: ENOENT\n\
             finit: ENOENT\nfinit: 0\nfinit: EEXIST\nload: 0\n\
             user 240 0 - Live 0x0000000000000000\nlib 126 1 user, Live 0x0000000000000000\n\
             1\nlive\nstat: 40755 0\nremove: EAGAIN\nremove: 0\nremove: 0\nremove: ENOENT\n\
             finit: 0\nfinit: ENOMEM\nfinit: EINVAL\nfinit: EINVAL\nfinit: EBADF\nfinit: ENOEXEC\n\
             load: ENOEXEC\nfinit: 0\nremove: 0\nremove: EFAULT\nremove: ENOENT\nremove: 0\n"
        );
    }
}

/// Packed modules, as kmod hands them to kernels that unpack them; and what is no packed module.
#[test]
fn packed_modules() {
    let kernel = kernel(&["hello"]);
    kernel.sh("xz -k --check=crc32 ko/hello.ko && gzip -k ko/hello.ko && head -c 100 ko/hello.ko.xz > cut.xz").ok();
    let script = "finit ko/hello.ko.xz 4\nremove hello 0\nfinit ko/hello.ko.gz 4\nremove hello 0\n\
                  finit ko/hello.ko.xz 0\nfinit cut.xz 4\nfinit ko/hello.ko 4\nremove hello 0\n";
    let said = made(&kernel, &program("calls"), script).ok();
    assert_eq!(
        said,
        "finit: 0\nremove: 0\nfinit: 0\nremove: 0\nfinit: ENOEXEC\nfinit: EINVAL\nfinit: 0\n\
         remove: 0\n"
    );
}

/// The supervisor says why, as a kernel's log would.
#[test]
fn reasons_are_told() {
    let kernel = kernel(&["user"]);
    std::fs::write(kernel.path("script"), "finit ko/user.ko 0\n").unwrap();
    let calls = program("calls");
    let ran = kernel.sh(&format!(
        "modfs run --tree k/modules -- {} < script",
        calls.display()
    ));
    assert_eq!(ran.out, "finit: ENOENT\n");
    assert!(
        ran.err
            .contains("modfs run: finit_module: user: unresolved symbol lib_"),
        "{ran:?}"
    );
}

/// What a shell under it sees: directories to list, files to read, parameters to write.
#[test]
fn files_of_sys() {
    let kernel = kernel(&["failing", "lib"]);
    let said = kernel
        .sh("insmod ko/lib.ko && insmod ko/failing.ko result=0 && \
             modfs run --tree k/modules -- sh -c 'cd /; ls /sys/module; ls /sys/module/failing; \
             cat /sys/module/failing/parameters/result; test -d /sys/module/failing && echo there; \
             test -e /sys/module/hello || echo none; readlink /sys/module/failing; \
             head -c 8 /sys/module/../module/failing/initstate'; rmmod failing")
        .ok();
    assert_eq!(
        said,
        "failing\nlib\ncoresize\nholders\ninitsize\ninitstate\nparameters\nrefcnt\ntaint\n0\nthere\n\
         none\nlive\n"
    );
}

/// From within /proc and /sys, and by what is open of them.
#[test]
fn relative_paths() {
    let kernel = kernel(&["hello"]);
    kernel.sh("insmod ko/hello.ko").ok();
    let size = kernel.get("hello/size").unwrap();
    let listed = format!("hello {} 0 - Live 0x0000000000000000\n", size.trim());
    let script = "chdir /proc\ncat modules\ncat ./self/root/proc/modules\nchdir /\ncat proc/modules\n\
                  stat sys/module/hello\nfrom /proc\ncat modules\nfrom /sys\n\
                  cat kernel/../module/hello/initstate\nfrom /sys/module\n\
                  cat hello/initstate\ncat nothing\nchdir /sys/module\nchdir /sys/module/hello\n";
    for calls in [program("calls"), static_program("calls")] {
        let ran = made(&kernel, &calls, script);
        assert_eq!(
            ran.out,
            format!(
                "chdir: 0\n{listed}{listed}chdir: 0\n{listed}stat: 40755 0\n{listed}live\nlive\n\
                 nothing: ENOENT\nchdir: 0\nchdir: ENOENT\n"
            ),
            "{ran:?}"
        );
    }
    let ran = kernel.sh("modfs run --tree k/modules -- sh -c 'cd /sys/module/hello'");
    assert!(
        ran.err
            .contains("modfs run: chdir: /sys/module/hello is the host's, not this machine's"),
        "{ran:?}"
    );
}

/// Another user sees what its own rights let it: it is we who open the files.
#[test]
fn files_for_another_user() {
    let kernel = kernel(&["hello"]);
    kernel.sh("insmod ko/hello.ko").ok();
    let script = format!(
        "stat /sys/module/hello/parameters/times\nuser {NOBODY}\ncat /sys/module/hello/initstate\n\
         write /sys/module/hello/parameters/times 9\nwrite /proc/modules x\ncat /proc/ksyms\n"
    );
    let said = made(&kernel, &program("calls"), &script).ok();
    assert!(
        said.contains("live\nwrite: EACCES\nwrite: EACCES\n"),
        "{said}"
    );
    let line = said.lines().find(|line| line.ends_with(" printk"));
    assert_eq!(line, Some("0000000000000000 printk"));
    assert_eq!(kernel.get("hello/parameters/times"), Ok("1\n".into()));
}

/// A program that nobody may look into opens what it likes; only what is ours it does not see.
#[test]
fn a_program_that_is_not_to_be_looked_into() {
    let kernel = kernel(&[]);
    std::fs::write(kernel.path("text"), "text\n").unwrap();
    let script = format!("undumpable\ncat {}\n", kernel.path("text").display());
    let said = made(&kernel, &program("calls"), &script).ok();
    assert_eq!(said, "text\n");
}

/// The next program of a process is one of today, until it makes an old call itself.
#[test]
fn after_execve() {
    let kernel = kernel(&["hello"]);
    kernel.sh("insmod ko/hello.ko").ok();
    let script = "query NULL 0\ncat /proc/modules\nexec cat /proc/modules\n";
    let said = made(&kernel, &program("calls"), script).ok();
    let size = kernel.get("hello/size").unwrap();
    let size = size.trim();
    assert_eq!(
        said,
        format!(
            "query NULL 0: 0\nhello               {size:>8}   0 (unused)\n\
             hello {size} 0 - Live 0x0000000000000000\n"
        )
    );
}

/// A module comes from a regular file; and where nothing can be said, that changes no answer.
#[test]
fn odd_descriptors() {
    let kernel = kernel(&["user"]);
    let said = made(
        &kernel,
        &program("calls"),
        "pipe\nfinit /dev/zero 0\nfinit ko 0\n",
    )
    .ok();
    assert_eq!(said, "pipe: EINVAL\nfinit: EINVAL\nfinit: EINVAL\n");
    std::fs::write(kernel.path("script"), "finit ko/user.ko 0\n").unwrap();
    let calls = program("calls");
    let said = kernel.sh(&format!(
        "modfs run --tree k/modules -- {} < script 2> /dev/full",
        calls.display()
    ));
    assert_eq!(said.out, "finit: ENOENT\n");
}

//! A root directory with small modules made here. Needs gcc, and to pack them xz, zstd and gzip.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use super::MODFS;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const VERSION: &str = "6.1.0-test";

/// A root directory with modules.
pub(crate) struct Root {
    pub(crate) dir: TempDir,
}

impl Root {
    pub(crate) fn new() -> Root {
        let dir = tempfile::tempdir().unwrap();
        let root = Root { dir };
        for file in [
            "modules.order",
            "modules.builtin",
            "modules.builtin.modinfo",
        ] {
            root.write(file, b"");
        }
        fs::create_dir_all(root.path("etc")).unwrap();
        root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the version directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path("lib/modules").join(VERSION).join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.file(name)).unwrap()).unwrap()
    }

    /// A module at a path, which exports and imports symbols and says things of itself.
    pub(crate) fn module(
        &self,
        path: &str,
        exports: &[&str],
        imports: &[&str],
        info: &[&str],
    ) -> PathBuf {
        let mut text = String::new();
        for name in exports {
            text += &format!(
                "void {name}(void) {{}}\n\
                 __asm__(\".section __ksymtab,\\\"a\\\"\\n__ksymtab_{name}: .quad {name}\\n\
                 .previous\");\n"
            );
        }
        for name in imports {
            text += &format!("extern void {name}(void);\nvoid *use_{name} = (void *){name};\n");
        }
        for (number, line) in info.iter().enumerate() {
            text += &format!(
                "static const char info_{number}[] \
                 __attribute__((section(\".modinfo\"), used)) = \"{line}\";\n"
            );
        }
        self.compiled(path, &text)
    }

    /// A module at a path, of a text in C.
    pub(crate) fn compiled(&self, path: &str, text: &str) -> PathBuf {
        let source = self.path("module.c");
        fs::write(&source, text).unwrap();
        let object = self.file(path);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-c", "-w", "-o"]).arg(&object).arg(&source);
        ok(&gcc.output().expect("this test needs gcc"));
        object
    }

    pub(crate) fn tool(&self, tool: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(MODFS);
        command.arg(tool).args(arguments);
        for name in ["MODFS_TREE", "MODFS_MODULES", "MODPROBE_OPTIONS"] {
            command.env_remove(name);
        }
        command.output().unwrap()
    }

    pub(crate) fn depmod(&self, arguments: &[&str]) -> Output {
        let root = self.dir.path().to_str().unwrap();
        self.tool("depmod", &[&["-b", root, VERSION], arguments].concat())
    }

    pub(crate) fn modprobe(&self, arguments: &[&str]) -> Output {
        let root = self.dir.path().to_str().unwrap();
        let config = self.path("etc");
        let fixed = ["-d", root, "-S", VERSION, "-C", config.to_str().unwrap()];
        self.tool("modprobe", &[&fixed[..], arguments].concat())
    }

    /// What modprobe prints, without the path of the version directory.
    pub(crate) fn planned(&self, arguments: &[&str]) -> String {
        let directory = format!("{}/", self.file("").display());
        ok(&self.modprobe(arguments)).replace(&directory.replace("//", "/"), "")
    }

    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.path("etc/test.conf"), text).unwrap();
    }
}

#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a tool that fails with 1 says.
#[track_caller]
pub(crate) fn fails(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Packs a file; the plain one goes.
pub(crate) fn pack(tool: &str, file: &Path) {
    let mut command = Command::new(tool);
    command.args([OsStr::new("-q"), OsStr::new("-f"), file.as_os_str()]);
    let status = command.status();
    assert!(
        status
            .unwrap_or_else(|e| panic!("this test needs {tool}: {e}"))
            .success()
    );
    // zstd keeps it.
    let _ = fs::remove_file(file);
}

/// base <- middle <- top, each with things to say.
pub(crate) fn three() -> Root {
    let root = Root::new();
    root.module(
        "kernel/base.ko",
        &["base_f", "base_g"],
        &["printk"],
        &["alias=pci:v*d1*"],
    );
    root.module(
        "kernel/sub/mid-dle.ko",
        &["mid_f"],
        &["base_f"],
        &["softdep=pre: soft"],
    );
    root.module(
        "kernel/top.ko",
        &[],
        &["mid_f", "base_g"],
        &["alias=usb:*", "weakdep=base"],
    );
    root.module(
        "kernel/soft.ko",
        &[],
        &[],
        &["alias=devname:soft", "alias=char-major-10-7"],
    );
    root
}

//! A root directory with modules, and the tools run on it. Needs gcc.

// Not every test program uses all of it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const MODFS: &str = env!("CARGO_BIN_EXE_modfs");
pub(crate) const VERSION: &str = "6.1.0-test";

/// A root directory with modules.
pub(crate) struct Root {
    dir: TempDir,
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

    /// The directory itself.
    pub(crate) fn root(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A file of the version directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path("lib/modules").join(VERSION).join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        put(self.file(name), bytes)
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
        self.compiled(path, &text, &[])
    }

    /// A module at a path, of a C text.
    pub(crate) fn compiled(&self, path: &str, text: &str, flags: &[&str]) -> PathBuf {
        let source = self.path("module.c");
        fs::write(&source, text).unwrap();
        let object = self.file(path);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-c", "-w"]).args(flags);
        gcc.arg("-o").arg(&object).arg(&source);
        ok(&gcc.output().expect("this test needs gcc"));
        object
    }

    pub(crate) fn tool(&self, tool: &str, arguments: &[&str]) -> Output {
        command(tool, arguments).output().unwrap()
    }

    pub(crate) fn depmod(&self, arguments: &[&str]) -> Output {
        self.tool(
            "depmod",
            &[&["-b", self.root(), VERSION], arguments].concat(),
        )
    }

    pub(crate) fn modprobe(&self, arguments: &[&str]) -> Output {
        let config = self.arg("etc");
        self.modprobe_with(&[&["-C", &config], arguments].concat())
    }

    /// modprobe without a word of where the configuration is.
    pub(crate) fn modprobe_with(&self, arguments: &[&str]) -> Output {
        let fixed = ["-d", self.root(), "-S", VERSION];
        self.tool("modprobe", &[&fixed[..], arguments].concat())
    }

    pub(crate) fn modinfo(&self, arguments: &[&str]) -> Output {
        let fixed = ["-b", self.root(), "-k", VERSION];
        self.tool("modinfo", &[&fixed[..], arguments].concat())
    }

    /// What modprobe prints, without the path of the version directory.
    pub(crate) fn planned(&self, arguments: &[&str]) -> String {
        self.short(&ok(&self.modprobe(arguments)))
    }

    /// A text without the path of the version directory.
    pub(crate) fn short(&self, text: &str) -> String {
        let directory = format!("{}/", self.file("").display());
        text.replace(&directory.replace("//", "/"), "")
    }

    pub(crate) fn configure(&self, text: &str) {
        self.conf("etc/test.conf", text);
    }

    /// A file of text somewhere below the root.
    pub(crate) fn conf(&self, name: &str, text: &str) -> String {
        put(self.path(name), text.as_bytes());
        self.arg(name)
    }
}

/// The program as a tool, without what the environment may say to it.
pub(crate) fn command(tool: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(MODFS);
    command.arg(tool).args(arguments).env("LC_ALL", "C");
    for name in ["MODFS_TREE", "MODFS_MODULES", "MODPROBE_OPTIONS"] {
        command.env_remove(name);
    }
    command
}

fn put(path: PathBuf, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// What was said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    let said = said(output);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a tool that succeeds without a word of complaint prints.
#[track_caller]
pub(crate) fn quiet(output: &Output) -> String {
    assert_eq!(said(output), "");
    ok(output)
}

/// What a tool that fails with 1 says.
#[track_caller]
pub(crate) fn fails(output: &Output) -> String {
    let said = said(output);
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

/// The same, with what is part of the kernel, and the indexes.
pub(crate) fn indexed() -> Root {
    let root = three();
    builtins(&root);
    ok(&root.depmod(&[]));
    root
}

/// Two modules that are part of the kernel.
pub(crate) fn builtins(root: &Root) {
    root.write(
        "modules.builtin",
        b"kernel/built-in.ko\nkernel/fs/plain-fs.ko\n",
    );
    root.write(
        "modules.builtin.modinfo",
        b"built_in.alias=fs-builtin\0built_in.license=GPL\0built_in.file=kernel/built-in\0\
          built_in.parm=a:what for\0built_in.parmtype=a:int\0plain_fs.license=GPL v2\0",
    );
}

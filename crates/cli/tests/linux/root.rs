//! The tools, run on a root directory with modules.

pub(crate) use crate::common::{MODFS, Root, VERSION, fails, ok, pack, three};

use std::fs;
use std::process::{Command, Output};

impl Root {
    /// The directory itself.
    pub(crate) fn root(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    /// A path as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
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

    /// A text without the path of the version directory.
    pub(crate) fn short(&self, text: &str) -> String {
        let directory = format!("{}/", self.file("").display());
        text.replace(&directory.replace("//", "/"), "")
    }

    /// A file of text somewhere below the root.
    pub(crate) fn conf(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
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

/// What was said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a tool that succeeds without a word of complaint prints.
#[track_caller]
pub(crate) fn quiet(output: &Output) -> String {
    assert_eq!(said(output), "");
    ok(output)
}

/// The modules of `three`, with some that are part of the kernel, and the indexes.
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

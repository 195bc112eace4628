use crate::{Errno, Flags, Refusal, State};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An address in the kernel's memory. 0 means "none".
pub type Address = u64;

/// What the file tree needs of a kernel: map an object, start it, stop it, unmap it, and tell
/// what there is. Finding, checking and ordering modules is done outside.
///
/// A module is named by its directory; `file` is the name of the module file in it that the
/// command is about. Calls may come from several threads at once, also for one module: the
/// kernel's own module list decides, by [`crate::TABLE`].
pub trait Kernel: Send + Sync {
    /// Gives an object a place: links it against the symbols there are and takes a reference on
    /// each module whose symbols it uses. Runs no code of it.
    ///
    /// # Errors
    /// EEXIST: something is mapped already, or an export is taken. ENOEXEC: not an object this
    /// kernel takes. ENOENT: unresolved symbols, each a reason. EINVAL: an interface of another
    /// version. EKEYREJECTED: it is not signed, and has to be. E2BIG, ENOMEM: too large, no room.
    fn map(
        &self,
        module: &str,
        file: &str,
        object: Arc<Vec<u8>>,
        args: MapArgs,
    ) -> Result<(), Refusal>;

    /// Gives a mapped file of a linked image what is to be in its place; it gets there by
    /// [`Kernel::init`].
    ///
    /// # Errors
    /// ENOENT: not mapped. EINVAL: of another length, or no file of an image. EEXIST, EBUSY: it runs.
    fn fill(&self, module: &str, file: &str, content: Arc<Vec<u8>>) -> Result<(), Refusal> {
        let _ = content;
        let text = format!("{file} of {module} is no file of a linked image");
        Err(Refusal::new(Errno::EINVAL, text))
    }

    /// Takes the place away again.
    ///
    /// # Errors
    /// ENOENT: not mapped. EBUSY: it runs, or it faulted.
    fn unmap(&self, module: &str, file: &str) -> Result<(), Refusal>;

    /// Sets the parameters, runs init, and returns when it has returned.
    ///
    /// # Errors
    /// ENOENT: not mapped. EEXIST: runs already. EBUSY: init or exit is under way, or init
    /// returned a positive value. EINVAL: cleaned up already, or a parameter is wrong. EFAULT:
    /// init faulted. Otherwise what init returned.
    fn init(&self, module: &str, file: &str, args: &InitArgs) -> Result<(), Refusal>;

    /// Lets no new use begin, runs the module's cleanup, and returns when it has returned.
    ///
    /// # Errors
    /// ENOENT: not mapped. EINVAL: not running. EBUSY: in use (each user is a reason), init or
    /// exit is under way, or it faulted. Then nothing has changed.
    fn exit(&self, module: &str, file: &str) -> Result<(), Refusal>;

    /// What is known of a mapped module; `None` when nothing of this name is mapped.
    fn status(&self, module: &str) -> Option<Status>;

    /// The modules that are there by whatever means, for a kernel that others load modules into
    /// too; `None`: none has come or gone since the last call, as far as the kernel tells by itself.
    /// `anew`: it is to be looked for in any case.
    fn loaded(&self, anew: bool) -> Option<Vec<String>> {
        let _ = anew;
        None
    }

    /// The symbols a module exports; of the kernel itself for [`crate::KERNEL`].
    fn symbols(&self, module: &str) -> Vec<SymbolLine>;

    /// Adds a symbol to those that `module` exports.
    ///
    /// # Errors
    /// EEXIST: the name is taken. ENOENT: no such module. EINVAL: the name is empty.
    fn add_symbol(&self, module: &str, symbol: SymbolLine) -> Result<(), Refusal>;

    /// Takes back a symbol that was added with [`Kernel::add_symbol`].
    ///
    /// # Errors
    /// ENOENT: the module exports no such symbol. EPERM: it is not one that was added.
    /// EBUSY: some module uses it.
    fn del_symbol(&self, module: &str, name: &str) -> Result<(), Refusal>;

    /// The object's modinfo, as (tag, value) in the object's order.
    fn info(&self, module: &str) -> Vec<(String, String)>;

    /// The parameters of a mapped module.
    fn parameters(&self, module: &str) -> Vec<Parameter>;

    /// The value of a parameter, as text without a newline.
    ///
    /// # Errors
    /// ENOENT: no such module or parameter.
    fn parameter(&self, module: &str, name: &str) -> Result<String, Refusal>;

    /// Sets a parameter of a running module.
    ///
    /// # Errors
    /// ENOENT: no such module or parameter. EPERM: the parameter may not be written. EINVAL,
    /// ERANGE: the value. EBUSY: the module is not running.
    fn set_parameter(&self, module: &str, name: &str, value: &str) -> Result<(), Refusal>;

    /// Asks for a module by name, as the kernel itself would (`request_module`).
    ///
    /// # Errors
    /// ENOENT: no helper is set. ENOMEM: too many requests at once. Otherwise why the helper
    /// could not be run or what it said.
    fn request(&self, name: &str) -> Result<(), Refusal>;

    /// Exits and unmaps every module that was loaded on demand and is no longer used (2.4
    /// `delete_module(NULL)`). Returns their names in the order they went.
    fn autoclean(&self) -> Vec<String>;

    /// The program that [`Kernel::request`] runs; empty for none.
    fn helper(&self) -> String;

    /// Sets the program that [`Kernel::request`] runs.
    ///
    /// # Errors
    /// ENAMETOOLONG: longer than 255 bytes.
    fn set_helper(&self, path: &str) -> Result<(), Refusal>;

    /// The version of the kernel's interface: its vermagic string.
    fn version(&self) -> String;

    /// What has tainted the kernel ([`taint`]).
    fn tainted(&self) -> u32 {
        0
    }

    /// Taints the kernel with more, as a loader outside does ([`taint`]); what has tainted it does so for good.
    ///
    /// # Errors
    /// EPERM: this kernel says by itself what taints it.
    fn taint(&self, bits: u32) -> Result<(), Refusal> {
        let _ = bits;
        Err(Errno::EPERM.into())
    }

    /// The compiler whose Rust modules this kernel takes, as `rustc --version` says it; empty: it takes none.
    fn rustc(&self) -> String {
        String::new()
    }
}

/// How a module file is to be mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapArgs {
    /// The file's permission bits, which say how a linked image is mapped; they mean nothing for a relocatable
    /// object.
    pub mode: u32,
    /// What is not to be looked at.
    pub force: Force,
}

/// Which versions of a module are not to be looked at. What is loaded so taints the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Force {
    /// The checksums of symbols.
    pub modversions: bool,
    /// The version of the kernel.
    pub vermagic: bool,
}

impl Force {
    /// The words for it in a command, and to tools.
    pub const WORDS: [(&str, Force); 3] = [
        (
            "-f",
            Force {
                modversions: true,
                vermagic: true,
            },
        ),
        (
            "--force-modversion",
            Force {
                modversions: true,
                vermagic: false,
            },
        ),
        (
            "--force-vermagic",
            Force {
                modversions: false,
                vermagic: true,
            },
        ),
    ];

    /// The word for it in a command; `None`: nothing is forced.
    pub fn word(self) -> Option<&'static str> {
        let known = Force::WORDS.iter().find(|(_, force)| *force == self);
        known.map(|(word, _)| *word)
    }
}

/// What has tainted a kernel, by bit: as /proc/sys/kernel/tainted, and with the letters of an oops.
pub mod taint {
    /// A module whose licence is not compatible with the GPL: `P`.
    pub const PROPRIETARY: u32 = 1;
    /// A module that was loaded by force: `F`.
    pub const FORCED: u32 = 2;

    /// The letters of some.
    pub fn letters(taints: u32) -> &'static str {
        match (taints & PROPRIETARY != 0, taints & FORCED != 0) {
            (false, false) => "",
            (true, false) => "P",
            (false, true) => "F",
            (true, true) => "PF",
        }
    }
}

/// How a module is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitArgs {
    /// `name=value` or `name`, in the order given; of two for one name the later holds.
    pub parameters: Vec<String>,
    /// Loaded on demand: the autoclean sweep may unload it.
    pub autoclean: bool,
}

/// What is known of a mapped module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The module file that is mapped; empty: it has none, since others loaded the module. Of a linked
    /// image the first.
    pub file: String,
    /// The mapped files of a linked image; none of an object.
    pub pieces: Vec<Piece>,
    /// Where the module is in its life.
    pub state: State,
    /// Start of the image; 0 when it has none at present.
    pub address: Address,
    /// Bytes of the image as it is now (without the init part once that is given back).
    pub size: u64,
    /// How many uses there are, not counting references; -1: a function of the module says whether it is in
    /// use (2.4's `can_unload`).
    pub usecount: i64,
    /// AUTOCLEAN, VISITED, USED_ONCE.
    pub flags: Flags,
    /// Names of the modules whose symbols it uses.
    pub deps: Vec<String>,
    /// Names of the modules that use its symbols, the latest first.
    pub refs: Vec<String>,
}

/// A mapped file of a linked image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name.
    pub file: String,
    /// Where it is.
    pub address: Address,
}

impl Status {
    /// Whether a file is mapped.
    pub fn holds(&self, file: &str) -> bool {
        self.file == file || self.pieces.iter().any(|piece| piece.file == file)
    }

    /// Whether the mapped files can be written still: those of an image can until it is started.
    pub fn is_open(&self) -> bool {
        !self.pieces.is_empty() && self.state == State::Uninitialized
    }

    /// Where a mapped file is.
    pub fn address_of(&self, file: &str) -> Address {
        let piece = self.pieces.iter().find(|piece| piece.file == file);
        piece.map_or(self.address, |piece| piece.address)
    }
}

/// One exported symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolLine {
    /// The symbol's name.
    pub name: String,
    /// Where it is, reachable from a module's code.
    pub address: Address,
    /// Checksum of its declaration, when known.
    pub crc: Option<u32>,
    /// Only for modules whose licence is GPL-compatible.
    pub gpl: bool,
}

/// A parameter of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Permission bits of its file; 0: it has none.
    pub mode: u32,
}

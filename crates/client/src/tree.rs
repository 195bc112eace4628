//! The tree's directories and files.

use modfs_core::{Errno, NAME_MAX};
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A tree of modules.
#[derive(Clone, Debug)]
pub struct Tree(PathBuf);

/// Why there is no tree at a directory.
#[derive(Debug, thiserror::Error)]
#[error("{} is no tree of modules ({source}){}", .directory.display(), .meant.as_ref()
    .map_or(String::new(), |meant| format!("; did you mean {}?", meant.display())))]
pub struct NoTree {
    directory: PathBuf,
    /// The tree that is in it.
    meant: Option<PathBuf>,
    source: io::Error,
}

/// A module's directory, locked (flock(2)): whoever inserts or removes by these tools keeps out until
/// it is dropped. It is local to the machine, as the mount is.
#[derive(Debug)]
pub struct Claim {
    _directory: File,
    /// The directory was not there before.
    pub(crate) made: bool,
}

impl Claim {
    /// Whether the directory was not there before.
    pub fn made(&self) -> bool {
        self.made
    }
}

/// How long to wait for who has a directory locked.
const OTHERS: Duration = Duration::from_secs(5);

/// Why a command to the tree did not do what it should.
#[derive(Debug)]
pub struct Refused {
    /// What the write said.
    pub errno: Errno,
    /// What `control` said, a line each; the errno's text when it said nothing.
    pub reasons: Vec<String>,
}

impl Refused {
    fn io(error: &io::Error) -> Refused {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        Refused {
            errno,
            reasons: vec![errno.text().to_owned()],
        }
    }

    /// All on one line.
    pub fn text(&self) -> String {
        self.reasons.join("; ")
    }
}

impl Tree {
    /// The tree at a directory.
    ///
    /// # Errors
    /// There is none.
    pub fn at(directory: &Path) -> Result<Tree, NoTree> {
        let modules = directory.join("modules");
        match fs::metadata(directory.join("kernel/version")) {
            Ok(_) => Ok(Tree(directory.to_owned())),
            Err(source) => Err(NoTree {
                meant: modules.join("kernel/version").exists().then_some(modules),
                directory: directory.to_owned(),
                source,
            }),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// A file of a module.
    pub fn path(&self, module: &str, file: &str) -> PathBuf {
        self.0.join(module).join(file)
    }

    /// The directory of a module.
    pub fn dir(&self, module: &str) -> PathBuf {
        self.0.join(module)
    }

    /// Makes a module's directory unless it is there, and locks it.
    ///
    /// # Errors
    /// EEXIST: somebody else inserts a module there. Otherwise why it cannot be made.
    pub fn claim(&self, module: &str) -> io::Result<Claim> {
        let deadline = Instant::now() + OTHERS;
        let mut made = false;
        loop {
            match fs::create_dir(self.dir(module)) {
                Ok(()) => made = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            match self.lock(module) {
                Ok(claim) => return Ok(Claim { made, ..claim }),
                // Somebody has removed it since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if self.is_mapped(module) || Instant::now() > deadline => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Locks a module's directory.
    ///
    /// # Errors
    /// ENOENT: there is none. EWOULDBLOCK: somebody else has locked it.
    pub fn lock(&self, module: &str) -> io::Result<Claim> {
        let path = self.dir(module);
        let directory = File::open(&path)?;
        rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        // Another of its name may be there by now.
        if directory.metadata()?.ino() != fs::metadata(&path)?.ino() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Claim {
            _directory: directory,
            made: false,
        })
    }

    /// Writes a command to a module's `control`.
    ///
    /// # Errors
    /// What the write said, with the reasons that reading `control` gives.
    pub fn command(&self, module: &str, command: &str) -> Result<(), Refused> {
        let control = self.path(module, "control");
        let Err(error) = fs::write(&control, command) else {
            return Ok(());
        };
        let mut refused = Refused::io(&error);
        let said = fs::read_to_string(&control).unwrap_or_default();
        let mut lines = said.lines().skip_while(|line| !line.starts_with("last: "));
        let is_ours = lines.next().is_some_and(|last| {
            let outcome = last.rsplit(": ").next().unwrap_or_default();
            outcome.split(' ').next() == Some(refused.errno.name())
        });
        if is_ours {
            let reasons: Vec<String> = lines.map(|line| line.trim_start().to_owned()).collect();
            if !reasons.is_empty() {
                refused.reasons = reasons;
            }
        }
        Err(refused)
    }

    /// The content of a file of a module, without the newline at its end.
    pub fn read(&self, module: &str, file: &str) -> io::Result<String> {
        let mut text = fs::read_to_string(self.path(module, file))?;
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    /// The lines of a file of a module; none when it is not there.
    pub fn lines(&self, module: &str, file: &str) -> Vec<String> {
        let text = self.read(module, file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The names of the modules, the newest first.
    pub fn modules(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != modfs_core::KERNEL {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The module file that is mapped; `None`: the module is not one of a file here.
    pub fn mapped_file(&self, module: &str) -> io::Result<Option<String>> {
        let mut unreadable = None;
        for entry in fs::read_dir(self.dir(module))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if modfs_tree::is_reserved(&name) {
                continue;
            }
            match self.read(module, &name) {
                Ok(state) if state == "unmapped" => {}
                Ok(_) => return Ok(Some(name)),
                // It may be that one.
                Err(_) => unreadable = Some(name),
            }
        }
        Ok(unreadable)
    }

    /// Whether something is mapped in a module's directory.
    pub fn is_mapped(&self, module: &str) -> bool {
        self.read(module, "state")
            .is_ok_and(|state| state != "unmapped")
    }
}

/// Refuses what cannot be the name of a module's directory, and so could lead out of the tree.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if matches!(name, "." | "..") {
        "it is a directory's name for itself or its parent".to_owned()
    } else if name.contains('/') {
        "it has a slash".to_owned()
    } else if name.contains(char::is_control) {
        "it has a control character".to_owned()
    } else if name.len() > NAME_MAX {
        format!("it is longer than {NAME_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(format!("{name:?} cannot be a module's name: {why}"))
}

/// The name of the module that a file holds: the file's, without `.ko`, `.ko.xz` and the like or
/// `.o`, and `-` as `_`.
pub fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let end = modfs_depot::extension(name.as_ref().as_ref()).unwrap_or(".o");
    let stem = name.strip_suffix(end).unwrap_or(&name);
    stem.replace('-', "_")
}

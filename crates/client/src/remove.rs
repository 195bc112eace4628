//! Removing a module: `exit`, `unmap`, its directory.

use crate::{Refused, Tree, check_name};
use modfs_core::Errno;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// How long to wait for the commands that others have given to the same module.
const OTHERS_END: Duration = Duration::from_secs(2);

/// Why a module was not removed, or what went wrong while it was.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is none of this name.
    #[error("Module {0} is not currently loaded")]
    NotLoaded(String),
    /// It is the kernel's own directory.
    #[error("the kernel itself cannot be removed")]
    Kernel,
    /// It is used.
    #[error("Module {module} is in use{}", used_by(.refs, .refused))]
    InUse {
        /// Its name.
        module: String,
        /// The modules that use it.
        refs: Vec<String>,
        /// What the tree said.
        refused: Refused,
    },
    /// It was stopped, but cannot be unmapped.
    #[error("Module {module}: {}", .refused.text())]
    Stays {
        /// Its name.
        module: String,
        /// What the tree said.
        refused: Refused,
    },
    /// It is gone, but its directory is not.
    #[error("could not remove the directory of {0}: {1}")]
    Directory(String, #[source] io::Error),
    /// It is gone, but its cleanup did not end well.
    #[error("Module {module} is removed, but {}", .refused.text())]
    Removed {
        /// Its name.
        module: String,
        /// What the tree said.
        refused: Refused,
    },
}

fn used_by(refs: &[String], refused: &Refused) -> String {
    match refs {
        [] => format!(": {}", refused.text()),
        refs => format!(" by: {}", refs.join(" ")),
    }
}

impl Tree {
    /// Removes a module. One that was inserted but never ran is only unmapped; an empty directory is
    /// removed too.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub fn remove(&self, module: &str) -> Result<(), RemoveError> {
        let not_loaded = || RemoveError::NotLoaded(module.to_owned());
        check_name(module).map_err(|_| not_loaded())?;
        if module == modfs_core::KERNEL {
            return Err(RemoveError::Kernel);
        }
        let state = self.read(module, "state").map_err(|_| not_loaded())?;
        let mut complaint = Ok(());
        if state != "unmapped" {
            // In a tree of Linux's modules one that others loaded has none.
            let file = self.mapped_file(module).map_err(|_| not_loaded())?;
            let file = file.unwrap_or_default();
            // What never ran, or has exited, is only to be unmapped.
            if !matches!(state.as_str(), "uninitialized" | "deleted") {
                complaint = self.exit(module, &file)?;
            }
            if file.is_empty() {
                return complaint;
            }
            // Of a linked image there may be several.
            let mut next = Some(file);
            while let Some(file) = next {
                if let Err(refused) = self.command(module, &format!("unmap {file}")) {
                    return Err(match self.is_mapped(module) {
                        true => RemoveError::Stays {
                            module: module.to_owned(),
                            refused,
                        },
                        false => not_loaded(),
                    });
                }
                next = self.mapped_file(module).unwrap_or(None);
            }
        }
        match self.remove_dir(module) {
            Ok(()) => complaint,
            // Somebody else has removed what we unmapped, or inserted another module meanwhile.
            Err(_) if state != "unmapped" && self.has_gone(module) => complaint,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_loaded()),
            Err(error) => Err(RemoveError::Directory(module.to_owned(), error)),
        }
    }

    /// Stops a module. The inner error: it has stopped all the same.
    fn exit(&self, module: &str, file: &str) -> Result<Result<(), RemoveError>, RemoveError> {
        let Err(refused) = self.command(module, &format!("exit {file}")) else {
            return Ok(Ok(()));
        };
        let deleted = self.read(module, "state").is_ok_and(|now| now == "deleted");
        // A module whose cleanup panicked has exited all the same. For any other reason it was
        // somebody else who made it exit.
        if deleted && refused.errno == Errno::EIO {
            return Ok(Err(RemoveError::Removed {
                module: module.to_owned(),
                refused,
            }));
        }
        if deleted || !self.is_mapped(module) {
            return Err(RemoveError::NotLoaded(module.to_owned()));
        }
        Err(RemoveError::InUse {
            module: module.to_owned(),
            refs: self.lines(module, "refs"),
            refused,
        })
    }

    /// Removes a directory in which nothing is mapped, once no command of others is under way in it.
    fn remove_dir(&self, module: &str) -> io::Result<()> {
        let deadline = Instant::now() + OTHERS_END;
        loop {
            let removed = match self.lock(module) {
                Ok(_claim) => fs::remove_dir(self.dir(module)),
                // Somebody inserts a module there.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Err(io::ErrorKind::ResourceBusy.into())
                }
                Err(error) => Err(error),
            };
            match removed {
                Err(error)
                    if error.kind() == io::ErrorKind::ResourceBusy
                        && !self.is_mapped(module)
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                ended => return ended,
            }
        }
    }

    /// Whether what was unmapped in a directory is no more to be removed from it.
    fn has_gone(&self, module: &str) -> bool {
        !self.dir(module).exists() || self.is_mapped(module)
    }
}

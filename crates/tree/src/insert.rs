//! Inserting a module from within the process, as a writer to the tree would.

use crate::command::Parsed;
use crate::module_dir::ModuleDir;
use crate::{Caller, ModuleTree, Node, OpenMode, run};
use modfs_core::{Command, Errno, Force, InitArgs, Refusal};
use std::sync::Arc;

/// The module file's name in its directory.
const FILE: &str = "module";

impl ModuleTree {
    /// Makes a module's directory with its file, maps it and starts it; or leaves nothing behind. A
    /// directory in which nothing is mapped is taken over.
    ///
    /// # Errors
    /// EEXIST: a module of this name is mapped. EINVAL, ENAMETOOLONG: the name cannot be one.
    /// Otherwise why the module was not written, mapped or started.
    pub fn insert(
        self: &Arc<Self>,
        name: &str,
        object: &[u8],
        args: &InitArgs,
    ) -> Result<(), Refusal> {
        let caller = Caller::new(self.shared().uid, self.shared().gid);
        let made = match self.root().mkdir(&caller, name, 0o755) {
            Ok(_) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        let dir = self.directory(name).ok_or(Errno::ENOENT)?;
        if dir.status().is_some() {
            let text = format!("a module named {name} is there already");
            return Err(Refusal::new(Errno::EEXIST, text));
        }
        let inserted = place(&dir, &caller, object, args);
        if inserted.is_err() && dir.status().is_none() {
            let _ = dir.unlink(&caller, FILE);
            if made {
                let _ = self.remove(name);
            }
        }
        inserted
    }

    /// Stops a module, unmaps it and removes its directory.
    ///
    /// # Errors
    /// ENOENT: there is none. Otherwise why it stays.
    pub fn take_out(self: &Arc<Self>, name: &str) -> Result<(), Refusal> {
        let caller = Caller::new(self.shared().uid, self.shared().gid);
        let dir = self.directory(name).ok_or(Errno::ENOENT)?;
        let file = dir.status().map(|status| status.file);
        let file = file.filter(|file| !file.is_empty());
        let command = |command| run::command(&dir, &caller, parsed(command, file.clone()));
        command(Command::Exit)?;
        if dir.status().is_none() {
            // Others had loaded it; nothing was mapped from here.
            self.follow(true);
            return Ok(());
        }
        // Of a linked image there may be several.
        while let Some(status) = dir.status() {
            let file = Some(status.file);
            run::command(&dir, &caller, parsed(Command::Unmap, file))?;
        }
        Ok(self.remove(name)?)
    }
}

fn place(
    dir: &Arc<ModuleDir>,
    caller: &Caller,
    object: &[u8],
    args: &InitArgs,
) -> Result<(), Refusal> {
    // Of an earlier attempt.
    let _ = dir.unlink(caller, FILE);
    let mode = OpenMode {
        read: false,
        write: true,
        flags: 0,
    };
    let file = dir.create(caller, FILE, 0o600)?.open(caller, mode)?;
    let mut written = 0;
    while written < object.len() {
        written += file.write(caller, written as u64, &object[written..])?;
    }
    drop(file);
    let named = Some(FILE.to_owned());
    run::command(dir, caller, parsed(Command::Map, named.clone()))?;
    let init = Parsed {
        args: args.clone(),
        ..parsed(Command::Init, named.clone())
    };
    run::command(dir, caller, init).inspect_err(|_| {
        // Fails only for a module that faulted, which has to stay.
        let _ = run::command(dir, caller, parsed(Command::Unmap, named));
    })
}

fn parsed(command: Command, file: Option<String>) -> Parsed {
    Parsed {
        command,
        file,
        force: Force::default(),
        args: InitArgs::default(),
    }
}

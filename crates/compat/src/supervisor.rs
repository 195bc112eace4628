//! Running a program, and answering its calls.

use crate::seccomp::{self, Answer, Listener, Notification};
use crate::target::{Process, Target};
use crate::{modern, paths};
use modfs_client::Tree;
use modfs_core::Errno;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, mpsc};
use std::thread;

/// The calls about modules.
const MODULE_CALLS: [i64; 3] = [
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
];

/// Takes what is to be told of a call: why it was refused.
type Said = Box<dyn Fn(&str) + Send + Sync>;

/// Runs programs whose calls about modules are answered by a tree.
pub struct Supervisor {
    tree: Tree,
    host: PathBuf,
    said: Said,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Supervisor");
        shown.field("tree", &self.tree).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// One for the tree of a host. `said` is told why a call was refused, a line at a time.
    ///
    /// # Errors
    /// ENOENT: it is not the tree of a host, which has `sys/module` beside it.
    pub fn new(tree: Tree, said: impl Fn(&str) + Send + Sync + 'static) -> io::Result<Supervisor> {
        let root = std::path::absolute(tree.root())?;
        let host = root.parent().unwrap_or(&root).to_owned();
        if !host.join("sys/module").is_dir() {
            let text = format!("{} is not the tree of a `modfs host`", root.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Supervisor {
            tree,
            host,
            said: Box::new(said),
        })
    }

    /// Runs a program, and all that it starts, until the last of them ends; says how the program ended.
    /// `started` is sent its process id.
    ///
    /// # Errors
    /// It cannot be run. EBUSY: who runs this is run by a supervisor itself.
    pub fn run(self, mut command: Command, started: mpsc::Sender<u32>) -> io::Result<ExitStatus> {
        let (send, receive) = mpsc::channel::<Listener>();
        // The filter is one of the thread that starts the program: so the program has it, and we do not.
        let starter = thread::spawn(move || -> io::Result<Child> {
            let paths = paths::CALLS.iter().map(|(number, _)| *number);
            let calls: Vec<i64> = paths.chain(MODULE_CALLS).collect();
            let listener = seccomp::install(&calls)?;
            // Fails only when nobody waits for it any more.
            let _ = send.send(listener);
            let child = command.spawn()?;
            let _ = started.send(child.id());
            Ok(child)
        });
        if let Ok(listener) = receive.recv() {
            Arc::new(self).serve(Arc::new(listener));
        }
        let child = starter.join();
        let mut child = child.map_err(|_| io::Error::other("the program was not started"))??;
        child.wait()
    }

    fn serve(self: Arc<Self>, listener: Arc<Listener>) {
        loop {
            let call = match listener.receive() {
                Ok(Some(call)) => call,
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.say(&format!("cannot be told of calls any more: {error}"));
                    return;
                }
            };
            self.take(&listener, call);
        }
    }

    /// Answers a call: at once when it is none of ours, or else on a thread of its own, since a module's
    /// init, or a file of the host, may take its time.
    fn take(self: &Arc<Self>, listener: &Arc<Listener>, call: Notification) {
        let target = match Target::of(listener, &call) {
            Ok(target) => target,
            Err(errno) => return listener.answer(&call, Answer::Error(errno)),
        };
        let meant = paths::of_call(&target, &call);
        if meant.is_none() && !MODULE_CALLS.contains(&call.number) {
            return listener.answer(&call, Answer::Continue);
        }
        let (supervisor, on) = (Arc::clone(self), Arc::clone(listener));
        let work = move || match meant {
            Some(meant) => paths::answer(&supervisor, &on, &target, &call, &meant),
            None => {
                let done = target.process(&on, &call);
                let done = done.and_then(|process| supervisor.module_call(&target, process, &call));
                on.answer(&call, done.into());
            }
        };
        let spawned = thread::Builder::new().spawn(work);
        if spawned.is_err() {
            listener.answer(&call, Answer::Error(Errno::EAGAIN));
        }
    }

    fn module_call(
        &self,
        target: &Target,
        process: Process,
        call: &Notification,
    ) -> Result<i32, Errno> {
        // In the place of CAP_SYS_MODULE: the rights are ours, and only for who has them too.
        let own = rustix::process::geteuid().as_raw();
        if process.uid != 0 && process.uid != own {
            return Err(Errno::EPERM);
        }
        match call.number {
            libc::SYS_init_module => modern::init_module(self, target, call),
            libc::SYS_finit_module => modern::finit_module(self, target, process, call),
            _ => modern::delete_module(self, target, call),
        }
    }

    /// Tells why something was refused.
    pub(crate) fn say(&self, text: &str) {
        (self.said)(text);
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The host's own directory.
    pub(crate) fn host(&self) -> &Path {
        &self.host
    }
}

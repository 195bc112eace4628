//! Running a program, and answering its calls.

use crate::calls::{self, ModuleCall, OldOnes};
use crate::paths;
use crate::seccomp::{self, Answer, Listener, Notification};
use crate::target::Target;
use modfs_client::Tree;
use modfs_core::Errno;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// Takes what is to be told of a call: why it was refused.
type Said = Box<dyn Fn(&str) + Send + Sync>;

/// Runs programs whose calls about modules are answered by a tree.
pub struct Supervisor {
    tree: Tree,
    host: PathBuf,
    said: Said,
    old_ones: OldOnes,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Supervisor");
        shown.field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// A call that is owed an answer, also when what does it panics: the program would wait forever.
struct Owed {
    listener: Arc<Listener>,
    call: Notification,
}

impl Owed {
    fn new(listener: &Arc<Listener>, call: Notification) -> Owed {
        Owed {
            listener: Arc::clone(listener),
            call,
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if thread::panicking() {
            let answer = Answer::Error(Errno::EIO);
            self.listener.answer(&self.call, answer);
        }
    }
}

/// Whose turn it is to be told of the next call.
#[derive(Debug, Default)]
struct Turns {
    turn: Mutex<()>,
    /// The threads that wait for it, with the one whose turn it is.
    waiting: AtomicUsize,
}

impl Turns {
    /// More need not wait.
    const MOST: usize = 4;
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
            old_ones: OldOnes::default(),
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
            let listener = calls::with_all(seccomp::install)?;
            // Fails only when nobody waits for it any more.
            let _ = send.send(listener);
            let child = command.spawn()?;
            let _ = started.send(child.id());
            Ok(child)
        });
        if let Ok(listener) = receive.recv() {
            self.serve(&Arc::new(listener));
        }
        let child = starter.join();
        let mut child = child.map_err(|_| io::Error::other("the program was not started"))??;
        child.wait()
    }

    /// Answers all calls until nobody can make any. Each is waited for by one thread of several, and done by
    /// that one, since a program's memory, a file of the host or a module's init may take its time.
    fn serve(&self, listener: &Arc<Listener>) {
        let turns = Turns::default();
        thread::scope(|scope| self.work(scope, listener, &turns));
    }

    fn work<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        listener: &Arc<Listener>,
        turns: &'scope Turns,
    ) {
        turns.waiting.fetch_add(1, Ordering::Relaxed);
        loop {
            let call = {
                let _turn = turns.turn.lock().unwrap_or_else(PoisonError::into_inner);
                listener.receive()
            };
            let call = match call {
                Ok(Some(call)) => call,
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.say(&format!("cannot be told of calls any more: {error}"));
                    return;
                }
            };
            if turns.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
                let listener = Arc::clone(listener);
                let next = move || self.work(scope, &listener, turns);
                // Without another thread this one takes all calls, one after the other.
                let _ = thread::Builder::new().spawn_scoped(scope, next);
            }
            let owed = Owed::new(listener, call);
            // What is wrong has been printed, and the call is answered.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.take(&owed)));
            if turns.waiting.fetch_add(1, Ordering::Relaxed) >= Turns::MOST {
                turns.waiting.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Answers a call.
    fn take(&self, owed: &Owed) {
        let (listener, call) = (&owed.listener, &owed.call);
        let target = Target::of(listener, *call);
        if let Some(which) = ModuleCall::of(call) {
            let done = calls::module_call(self, &target, call, which);
            listener.answer(call, done.into());
        } else if let Some(on) = paths::of_call(&target, call) {
            paths::answer(self, listener, &target, call, &on);
        } else {
            listener.answer(call, Answer::Continue);
        }
    }

    /// Tells why something was refused.
    pub(crate) fn say(&self, text: &str) {
        (self.said)(text);
    }

    /// The processes that live in 2.4.
    pub(crate) fn old_ones(&self) -> &OldOnes {
        &self.old_ones
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The host's own directory.
    pub(crate) fn host(&self) -> &Path {
        &self.host
    }
}

//! Child processes that cannot outlive their time.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);

/// What came of a process.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) command: String,
    /// Its exit status; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed; it must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// What it said on standard error; it must have failed with status 1.
    #[track_caller]
    pub(crate) fn fails(self) -> String {
        assert_eq!(self.code, Some(1), "{self:#?}");
        self.err
    }
}

/// A process that runs, with whatever it starts. Dropping it kills them all.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    command: String,
    out: File,
    err: File,
    /// Already waited for: its id may be another process's.
    ended: bool,
}

impl Running {
    /// Starts it in a process group of its own, without input.
    pub(crate) fn start(mut command: Command) -> Running {
        let file = || tempfile::tempfile().expect("a temporary file");
        let clone = |file: &File| Stdio::from(file.try_clone().expect("dup"));
        let (out, err) = (file(), file());
        command
            .stdin(Stdio::null())
            .stdout(clone(&out))
            .stderr(clone(&err))
            .process_group(0);
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()));
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        Running {
            child,
            command: words.join(" "),
            out,
            err,
            ended: false,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the process alone.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.ended {
            // It may have ended meanwhile; its id is its own until it is waited for.
            let _ = kill_process(self.pid(), signal);
        }
    }

    /// Whether it has ended. It is not yet waited for.
    pub(crate) fn is_over(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.ended || matches!(waitid(WaitId::Pid(self.pid()), options), Ok(Some(_)))
    }

    /// Whether it ends in time.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.is_over() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// Waits for its end, which must come in time.
    #[track_caller]
    pub(crate) fn wait(mut self, limit: Duration) -> Ran {
        let in_time = self.ends_within(limit);
        let ran = self.end();
        assert!(in_time, "still running after {limit:?}: {ran:#?}");
        ran
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> (String, String) {
        (text(&self.out), text(&self.err))
    }

    /// Kills what still runs of it, and waits for it.
    pub(crate) fn end(&mut self) -> Ran {
        if !self.ended {
            // Before it is waited for: until then the group's id is not given away.
            if !self.is_over() {
                self.signal(Signal::KILL);
            }
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
        let status = self.child.wait().expect("wait");
        self.ended = true;
        let (out, err) = self.printed();
        Ran {
            command: self.command.clone(),
            code: status.code(),
            signal: status.signal(),
            out,
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

fn text(file: &File) -> String {
    // With an offset of its own: the position is the child's, who may still write.
    let mut bytes = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match file
            .read_at(&mut bytes[length..], length as u64)
            .expect("read")
        {
            0 => break,
            n => length += n,
        }
        bytes.resize(length + (1 << 16), 0);
    }
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Runs it; it must end in time.
#[track_caller]
pub(crate) fn run(command: Command, limit: Duration) -> Ran {
    Running::start(command).wait(limit)
}

/// A shell that runs a script.
pub(crate) fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("LC_ALL", "C");
    command
}

/// Text as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let deadline = Instant::now() + super::PATIENCE;
    while !test() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(POLL);
    }
}

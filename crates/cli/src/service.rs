//! What `modfs host` and `modfs mount` have in common: they mount, go into the background, and serve
//! until they are told to end.

use clap::Args;
use modfs_fuse::{Mount, Options};
use modfs_tree::Node;
use rustix::process::setsid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How to mount and to serve.
#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    /// Stay in the foreground, where a host also prints its log; end with SIGINT or SIGTERM
    #[arg(long)]
    foreground: bool,
    /// After how many seconds a command whose module code has not returned is answered
    /// ETIMEDOUT; the code goes on
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    init_timeout: f64,
    /// Let other users in, as far as the permission bits do
    #[arg(long)]
    allow_other: bool,
    /// Say "ready" on standard output once it is mounted, then close it
    #[arg(long, hide = true)]
    announce: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if seconds > 0.0 && seconds <= 1e9 {
        Ok(seconds)
    } else {
        Err("not more than 0".into())
    }
}

const READY: &str = "ready\n";

/// A process that is to mount and to serve.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    args: &'a ServiceArgs,
    /// For messages: the command's name.
    tool: &'static str,
    stop: Arc<AtomicBool>,
}

impl ServiceArgs {
    /// Begins. `None`: the service runs in the background and is ready; there is nothing more to do
    /// in this process.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(&self, tool: &'static str) -> Result<Option<Service<'_>>, String> {
        if !self.foreground {
            return background(tool).map(|()| None);
        }
        let failed = |what: &str, e: io::Error| format!("{tool}: {what}: {e}");
        if self.announce {
            setsid().map_err(|e| failed("cannot leave the terminal's session", e.into()))?;
        }
        let stop = catch_signals().map_err(|e| failed("cannot catch signals", e))?;
        Ok(Some(Service {
            args: self,
            tool,
            stop,
        }))
    }

    /// Whether somebody sees what it prints.
    pub(crate) fn has_terminal(&self) -> bool {
        !self.announce
    }
}

impl Service<'_> {
    /// The mount point as an absolute path, also where such a process was killed.
    ///
    /// # Errors
    /// It is no directory, not empty, or `is_up` says that one serves there.
    pub(crate) fn place(
        &self,
        mountpoint: &Path,
        is_up: impl Fn(&Path) -> bool,
    ) -> Result<PathBuf, String> {
        let tool = self.tool;
        let whole = |path: &Path| {
            modfs_fuse::clear_stale(path)?;
            fs::canonicalize(path)
        };
        let at = whole(mountpoint).map_err(|e| format!("{tool}: {}: {e}", mountpoint.display()))?;
        if is_up(&at) {
            let shown = at.display();
            return Err(format!(
                "{tool}: {shown}: a {tool} is running there already"
            ));
        }
        if has_content(&at) {
            return Err(format!(
                "{tool}: {}: the directory is not empty: the mount would hide what is in it",
                at.display()
            ));
        }
        Ok(at)
    }

    /// Mounts.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn mount(&self, root: Arc<dyn Node>, at: &Path) -> Result<Mount, String> {
        let options = Options {
            allow_other: self.args.allow_other,
            init_timeout: Duration::from_secs_f64(self.args.init_timeout),
            ..Options::default()
        };
        modfs_fuse::mount(root, at, &options).map_err(|e| format!("{}: {e}", self.tool))
    }

    /// Says that it is ready, if somebody waits for that, and lets go of the terminal and the
    /// folder.
    ///
    /// # Errors
    /// That cannot be said.
    pub(crate) fn announce(&self) -> Result<(), String> {
        if !self.args.announce {
            return Ok(());
        }
        announce().map_err(|e| format!("{}: cannot say that it is ready: {e}", self.tool))
    }

    /// Waits for a signal, or for the mount to go.
    pub(crate) fn wait(&self, mount: &Mount) {
        while !self.stop.load(Ordering::Relaxed) && !mount.is_over() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether there is something in a directory; of one that cannot be read, mounting will tell.
fn has_content(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

/// Starts this program again in a session of its own, and waits until it is ready.
fn background(tool: &str) -> Result<(), String> {
    let failed = |what: &str, e: io::Error| format!("{tool}: {what}: {e}");
    let program = std::env::current_exe().map_err(|e| failed("cannot find this program", e))?;
    let mut command = Command::new(program);
    // Behind the command's name: there may be a `--` further on.
    command
        .args(std::env::args_os().skip(1).take(1))
        .args(["--foreground", "--announce"])
        .args(std::env::args_os().skip(2))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|e| failed("cannot start in the background", e))?;
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        let _ = out.read_to_string(&mut said);
    }
    if said == READY {
        return Ok(());
    }
    // It has said why on standard error.
    let code = child.wait().ok().and_then(|status| status.code());
    std::process::exit(code.unwrap_or(1))
}

/// Says that it is ready, and lets go of the terminal and the folder.
fn announce() -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(READY.as_bytes())?;
    out.flush()?;
    let null = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    // Not to keep a folder from being unmounted.
    std::env::set_current_dir("/")?;
    Ok(())
}

/// What SIGINT, SIGTERM and SIGHUP set.
fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The second ends it at once: a module's cleanup may never return.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

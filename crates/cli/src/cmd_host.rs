//! `modfs host`: the reference kernel, mounted.

use clap::Args;
use modfs_fuse::{Mount, Options};
use modfs_host::{Host, Level, ReferenceKernel};
use rustix::process::{getgid, getuid, setsid};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Arguments of `modfs host`.
#[derive(Args, Debug)]
pub(crate) struct HostArgs {
    /// An empty directory, or one where a host was killed
    mountpoint: PathBuf,
    /// Stay in the foreground and print the log; end with SIGINT or SIGTERM
    #[arg(long)]
    foreground: bool,
    /// After how many seconds a command whose module code has not returned is answered
    /// ETIMEDOUT; the code goes on
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    init_timeout: f64,
    /// The program that asks for modules on demand, called as `PATH -s -k -- NAME`
    #[arg(long, value_name = "PATH", default_value = "")]
    modprobe: String,
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

/// Set by SIGINT and SIGTERM.
static STOP: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &HostArgs) -> Result<(), String> {
    let failed = |what: &str, e: io::Error| format!("host: {what}: {e}");
    if !args.foreground {
        return background();
    }
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY-relevant: whoever may write to the tree is trusted with this process; the tree
    // answers EPERM to all but its owner.
    let host = new_host().map_err(|e| failed("cannot start", e))?;
    host.kernel()
        .set_helper(&args.modprobe)
        .map_err(|refusal| format!("host: {refusal}"))?;
    host.echo_log(!args.announce);
    let root = ReferenceKernel::new(&host, uid, gid);
    let options = Options {
        allow_other: args.allow_other,
        init_timeout: Duration::from_secs_f64(args.init_timeout),
        ..Options::default()
    };
    let at = fs::canonicalize(&args.mountpoint)
        .or_else(|e| {
            if modfs_fuse::clear_stale(&args.mountpoint)? {
                fs::canonicalize(&args.mountpoint)
            } else {
                Err(e)
            }
        })
        .map_err(|e| failed(&args.mountpoint.display().to_string(), e))?;
    let mount = modfs_fuse::mount(root, &at, &options)
        .map_err(|e| failed(&format!("cannot mount {}", at.display()), e))?;
    host.set_tree(&at.join("modules"));
    host.print(
        Level::Info,
        &format!("modfs host ready at {}", at.display()),
    );
    if args.announce {
        announce().map_err(|e| failed("cannot say that it is ready", e))?;
    }
    serve(&host, mount)
}

#[allow(unsafe_code)]
fn new_host() -> io::Result<Host> {
    // SAFETY: modules come through the tree, which takes commands from its owner only, who may
    // do to this process whatever a module may. No other handlers of its signals are installed.
    unsafe { Host::new() }
}

/// Starts this program again in a session of its own, and waits until it is ready.
fn background() -> Result<(), String> {
    let failed = |what: &str, e: io::Error| format!("host: {what}: {e}");
    let program = std::env::current_exe().map_err(|e| failed("cannot find this program", e))?;
    let mut command = Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .args(["--foreground", "--announce"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    detach(&mut command);
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

#[allow(unsafe_code)]
fn detach(command: &mut Command) {
    // SAFETY: setsid(2) is async-signal-safe.
    unsafe {
        command.pre_exec(|| setsid().map(drop).map_err(Into::into));
    }
}

/// Says that the host is ready, and lets go of the terminal.
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
    Ok(())
}

/// Waits for a signal, or for the mount to go; then unloads what can be unloaded.
fn serve(host: &Host, mut mount: Mount) -> Result<(), String> {
    catch_signals().map_err(|e| format!("host: cannot catch signals: {e}"))?;
    while !STOP.load(Ordering::Relaxed) && !mount.is_over() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let left = host.unload_all();
    let was_open = mount.unmount().is_err();
    drop(mount);
    if left.is_empty() {
        return Ok(());
    }
    let mut text = String::from("host: ended with modules in it:");
    for (name, refusal) in left {
        text += &format!("\n  {name}: {refusal}");
    }
    if was_open {
        text += "\n  (files of it were open)";
    }
    Err(text)
}

#[allow(unsafe_code)]
fn catch_signals() -> io::Result<()> {
    extern "C" fn stop(_signal: i32) {
        STOP.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic.
        if unsafe { libc::signal(signal, stop as *const () as libc::sighandler_t) } == libc::SIG_ERR
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether something at this path answers as a host does.
pub(crate) fn is_up(mountpoint: &Path) -> bool {
    mountpoint.join("modules/kernel/version").exists()
}

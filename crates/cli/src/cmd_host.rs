//! `modfs host`: the reference kernel, mounted.

use clap::Args;
use modfs_fuse::{Mount, Options};
use modfs_host::{Autoload, ReferenceKernel};
use rustix::process::{getgid, getuid, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
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
    /// The directory of modules and their indexes: names are looked up there, by the program of
    /// --modprobe, or without it by the host itself
    #[arg(long, value_name = "DIR", env = "MODFS_MODULES")]
    modules: Option<PathBuf>,
    /// With --modules: configured by this modules.conf of Linux 2.4
    #[arg(
        long,
        value_name = "FILE",
        requires = "modules",
        env = "MODFS_MODULES_CONF"
    )]
    modules_conf: Option<PathBuf>,
    /// Let other users in, as far as the permission bits do
    #[arg(long)]
    allow_other: bool,
    /// Tell gdb of the modules (its JIT interface)
    #[arg(long)]
    gdb: bool,
    /// Write a map of the modules' functions for perf, /tmp/perf-PID.map
    #[arg(long)]
    perf_map: bool,
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

pub(crate) fn run(args: &HostArgs) -> Result<(), String> {
    let failed = |what: &str, e: io::Error| format!("host: {what}: {e}");
    if !args.foreground {
        return background();
    }
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    if args.announce {
        setsid().map_err(|e| failed("cannot leave the terminal's session", e.into()))?;
    }
    // With a handler, to write beyond `ulimit -f`, also to memory that is a file, is an error of
    // that write and not the host's death.
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map_err(|e| failed("cannot catch signals", e))?;
    let kernel = ReferenceKernel::start(uid, gid).map_err(|e| failed("cannot start", e))?;
    kernel
        .set_helper(&helper(&args.modprobe)?)
        .map_err(|refusal| format!("host: {refusal}"))?;
    autoload(args, &kernel)?;
    kernel.echo_log(!args.announce);
    kernel.show_to_gdb(args.gdb);
    if args.perf_map {
        kernel
            .show_to_perf()
            .map_err(|e| failed("cannot write a map for perf", e))?;
    }
    let stop = catch_signals().map_err(|e| failed("cannot catch signals", e))?;
    let options = Options {
        allow_other: args.allow_other,
        init_timeout: Duration::from_secs_f64(args.init_timeout),
        ..Options::default()
    };
    let at = mountpoint(&args.mountpoint)
        .map_err(|e| failed(&args.mountpoint.display().to_string(), e))?;
    if is_up(&at) {
        return Err(format!(
            "host: {}: a host is running there already",
            at.display()
        ));
    }
    if has_content(&at) {
        return Err(format!(
            "host: {}: the directory is not empty: the mount would hide what is in it",
            at.display()
        ));
    }
    let mount =
        modfs_fuse::mount(kernel.clone(), &at, &options).map_err(|e| format!("host: {e}"))?;
    kernel.mounted_at(&at);
    if args.announce {
        announce().map_err(|e| failed("cannot say that it is ready", e))?;
    }
    serve(&kernel, mount, &stop)
}

/// Says where modules that are asked for are found.
fn autoload(args: &HostArgs, kernel: &ReferenceKernel) -> Result<(), String> {
    let whole = |path: &PathBuf| {
        fs::canonicalize(path).map_err(|e| format!("host: {}: {e}", path.display()))
    };
    let Some(directory) = &args.modules else {
        return Ok(());
    };
    let directory = whole(directory)?;
    let modules_conf = args.modules_conf.as_ref().map(whole).transpose()?;
    let mut environment = vec![("MODFS_MODULES".into(), directory.clone().into())];
    if let Some(file) = &modules_conf {
        environment.push(("MODFS_MODULES_CONF".into(), file.clone().into()));
    }
    kernel.set_helper_environment(environment);
    kernel.resolve_names(Autoload {
        directory,
        modules_conf,
    });
    Ok(())
}

/// The helper's path, which holds wherever the host is.
fn helper(path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Ok(String::new());
    }
    let whole = std::path::absolute(path).map_err(|e| format!("host: {path}: {e}"))?;
    if !whole.is_file() {
        return Err(format!(
            "host: {}: there is no such program",
            whole.display()
        ));
    }
    let text = whole.into_os_string().into_string();
    text.map_err(|whole| format!("host: {}: the path is not UTF-8", whole.display()))
}

/// The mount point as an absolute path, also where a host was killed.
fn mountpoint(path: &Path) -> io::Result<PathBuf> {
    modfs_fuse::clear_stale(path)?;
    fs::canonicalize(path)
}

/// Whether there is something in a directory; of one that cannot be read, mounting will tell.
fn has_content(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
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

/// Says that the host is ready, and lets go of the terminal and the folder.
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

/// Waits for a signal, or for the mount to go; then unloads what can be unloaded.
fn serve(kernel: &ReferenceKernel, mut mount: Mount, stop: &AtomicBool) -> Result<(), String> {
    while !stop.load(Ordering::Relaxed) && !mount.is_over() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = kernel.unload_all();
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

/// Whether something at this path answers as a host does.
pub(crate) fn is_up(mountpoint: &Path) -> bool {
    mountpoint.join("modules/kernel/version").exists()
}

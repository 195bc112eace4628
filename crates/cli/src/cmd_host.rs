//! `modfs host`: the reference kernel, mounted.

use crate::service::{Service, ServiceArgs};
use clap::Args;
use modfs_fuse::Mount;
use modfs_host::{Autoload, ReferenceKernel};
use rustix::process::{getgid, getuid};
use signal_hook::consts::SIGXFSZ;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `modfs host`.
#[derive(Args, Debug)]
pub(crate) struct HostArgs {
    /// An empty directory, or one where a host was killed
    mountpoint: PathBuf,
    #[command(flatten)]
    service: ServiceArgs,
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
    /// Take linked images that are both writable and executable (files of mode 0700), as 2.4's insmod
    /// makes them
    #[arg(long)]
    allow_wx: bool,
    /// Tell gdb of the modules (its JIT interface)
    #[arg(long)]
    gdb: bool,
    /// Write a map of the modules' functions for perf, /tmp/perf-PID.map
    #[arg(long)]
    perf_map: bool,
}

pub(crate) fn run(args: &HostArgs) -> Result<(), String> {
    let failed = |what: &str, e: io::Error| format!("host: {what}: {e}");
    let Some(service) = args.service.start("host")? else {
        return Ok(());
    };
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    // With a handler, to write beyond `ulimit -f`, also to memory that is a file, is an error of
    // that write and not the host's death.
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map_err(|e| failed("cannot catch signals", e))?;
    let kernel = ReferenceKernel::start(uid, gid).map_err(|e| failed("cannot start", e))?;
    kernel
        .set_helper(&helper(&args.modprobe)?)
        .map_err(|refusal| format!("host: {refusal}"))?;
    autoload(args, &kernel)?;
    kernel.echo_log(args.service.has_terminal());
    if args.allow_wx {
        let allowed = kernel.allow_wx();
        allowed.map_err(|e| failed("--allow-wx: pages that are writable and executable", e))?;
    }
    kernel.show_to_gdb(args.gdb);
    if args.perf_map {
        kernel
            .show_to_perf()
            .map_err(|e| failed("cannot write a map for perf", e))?;
    }
    let at = service.place(&args.mountpoint, is_up)?;
    let mount = service.mount(kernel.clone(), &at)?;
    kernel.mounted_at(&at);
    service.announce()?;
    serve(&kernel, mount, &service)
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

/// Waits for a signal, or for the mount to go; then unloads what can be unloaded.
fn serve(kernel: &ReferenceKernel, mut mount: Mount, service: &Service<'_>) -> Result<(), String> {
    service.wait(&mount);
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

/// Whether something at this path answers as a host does.
pub(crate) fn is_up(mountpoint: &Path) -> bool {
    mountpoint.join("modules/kernel/version").exists()
}

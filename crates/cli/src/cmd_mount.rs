//! `modfs mount`: the modules of the running Linux kernel, as files.

use crate::service::ServiceArgs;
use clap::Args;
use modfs_linux::LinuxKernel;
use modfs_tree::ModuleTree;
use rustix::process::{getgid, getuid};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `modfs mount`.
#[derive(Args, Debug)]
pub(crate) struct MountArgs {
    /// An empty directory, or one where such a mount was killed
    #[arg(value_name = "DIR")]
    mountpoint: PathBuf,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Mounts, and serves until it is unmounted or told to end. The modules stay as they are.
pub(crate) fn run(args: &MountArgs) -> Result<(), String> {
    let Some(service) = args.service.start("mount")? else {
        return Ok(());
    };
    let at = service.place(&args.mountpoint, is_up)?;
    let kernel = Arc::new(LinuxKernel::default());
    let tree = ModuleTree::new(kernel, getuid().as_raw(), getgid().as_raw());
    let mut mount = service.mount(tree.root(), &at)?;
    service.announce()?;
    service.wait(&mount);
    // What is open in it stays usable until this process ends, which is now.
    let _ = mount.unmount();
    Ok(())
}

/// Whether something at this path answers as such a mount does.
fn is_up(mountpoint: &Path) -> bool {
    mountpoint.join("kernel/version").exists()
}

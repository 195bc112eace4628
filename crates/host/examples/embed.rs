//! A program that takes modules: `cargo run --release -p modfs-host --example embed -- FILE.ko`.

use modfs_host::{Host, HostExport};
use std::sync::atomic::{AtomicI64, Ordering};

static TOTAL: AtomicI64 = AtomicI64::new(0);

/// What modules may call.
extern "C" fn total_add(n: i64) -> i64 {
    TOTAL.fetch_add(n, Ordering::Relaxed) + n
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: embed FILE.ko")?;
    // SAFETY: the modules named on our command line are trusted as we are.
    let host = unsafe { Host::new()? };
    host.export(&[HostExport::function("total_add", total_add as *const ())])?;

    host.show_to_gdb(true);
    host.load("plugin", std::fs::read(&file)?, &[])?;
    println!(
        "loaded: {:?}, total: {}",
        host.names(),
        TOTAL.load(Ordering::Relaxed)
    );
    host.unload("plugin")?;
    println!(
        "loaded: {:?}, total: {}",
        host.names(),
        TOTAL.load(Ordering::Relaxed)
    );
    for record in host.log() {
        print!("{}", record.line());
    }
    Ok(())
}

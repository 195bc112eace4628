//! ramdisk: a block device whose content is memory, in Rust.
#![no_std]

use modfs_module::prelude::*;

module! {
    type: Ramdisk,
    license: "Dual MIT/GPL",
    description: "A RAM disk, in Rust",
    alias: ["block-major-251"],
    params: {
        /// KiB
        kib: u32 = 4096, 0o444;
    },
}

const MAJOR: u32 = 251;

/// The sectors.
struct Memory(Lock<Vec<u8>>);

impl Disk for Memory {
    fn read(&self, _minor: u32, first: u64, to: &mut [u8]) -> Result {
        let at = first as usize * SECTOR;
        to.copy_from_slice(&self.0.lock()[at..at + to.len()]);
        Ok(())
    }

    fn write(&self, _minor: u32, first: u64, from: &[u8]) -> Result {
        let at = first as usize * SECTOR;
        self.0.lock()[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }
}

/// Dropping it takes the device back.
struct Ramdisk {
    _device: Blkdev<Memory>,
}

impl Module for Ramdisk {
    fn init() -> Result<Ramdisk> {
        let bytes = kib.get() as usize * 1024;
        let mut memory = Vec::new();
        memory.try_reserve_exact(bytes).map_err(|_| Errno::ENOMEM)?;
        memory.resize(bytes, 0);
        let device = Blkdev::register(MAJOR, "ramdisk", Memory(Lock::new(memory)))?;
        device.set_capacity(0, (bytes / SECTOR) as u64)?;
        info!("ramdisk: {} KiB", kib.get());
        Ok(Ramdisk { _device: device })
    }
}

//! Opening the devices of modules, without a mount.

use modfs_core::Errno;
use modfs_host::{Host, ReferenceKernel};
use modfs_tree::{Caller, Handle, Node, OpenMode};

/// Who opens.
pub(crate) fn caller() -> Caller {
    Caller::new(0, 0)
}

/// Opens `dev/NAME` for reading and writing.
pub(crate) fn open(host: &Host, name: &str) -> Result<Box<dyn Handle>, Errno> {
    open_in(host, "dev", name)
}

/// Opens a file of the reference kernel for reading and writing.
pub(crate) fn open_in(host: &Host, folder: &str, name: &str) -> Result<Box<dyn Handle>, Errno> {
    let mode = OpenMode {
        read: true,
        write: true,
        flags: libc::O_RDWR as u32,
    };
    let node = ReferenceKernel::new(host, 0, 0)
        .lookup(folder)?
        .lookup(name)?;
    node.open(&caller(), mode)
}

/// Reads an open device from its start.
pub(crate) fn read(device: &dyn Handle) -> Result<Vec<u8>, Errno> {
    device.read(&caller(), 0, 64)
}

/// Writes to an open device.
pub(crate) fn write(device: &dyn Handle, text: &str) -> Result<usize, Errno> {
    device.write(&caller(), 0, text.as_bytes())
}

/// All that an open file reads.
pub(crate) fn read_all(file: &dyn Handle) -> Result<String, Errno> {
    let mut text = Vec::new();
    loop {
        let piece = file.read(&caller(), text.len() as u64, 1 << 16)?;
        if piece.is_empty() {
            return Ok(String::from_utf8(text).expect("UTF-8"));
        }
        text.extend(piece);
    }
}

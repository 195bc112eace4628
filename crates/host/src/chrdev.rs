//! Character devices that modules register, as files.

use crate::call::{Owner, Pin};
use crate::cstruct::{CFile, CInode, FileOperations, ForC};
use crate::host::Shared;
use crate::in_flight::InFlight;
use modfs_core::{Errno, Id};
use modfs_tree::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of a minor number in a `dev_t`.
const MINOR_BITS: u32 = 20;
/// The largest major number.
const MAJOR_MAX: u32 = (1 << (32 - MINOR_BITS)) - 1;
/// Majors that are given out on demand, from the top (Linux: 254 to 234, then 511 to 384; here
/// all below 255).
const DYNAMIC: std::ops::RangeInclusive<u32> = 1..=254;
/// As the kernel passes it on.
const O_APPEND: u32 = libc::O_APPEND.cast_unsigned();
/// FMODE_READ and FMODE_WRITE.
const FMODE: [u32; 2] = [1, 2];

/// A registered device.
#[derive(Clone, Debug)]
struct Chrdev {
    name: Arc<str>,
    owner: Arc<Owner>,
    operations: FileOperations,
    /// Where the module keeps them.
    address: u64,
    inodes: Arc<Mutex<HashMap<u32, Arc<ForC<CInode>>>>>,
    opens: Arc<InFlight>,
}

/// The registered devices, by major number.
#[derive(Debug, Default)]
pub(crate) struct Chrdevs(Mutex<BTreeMap<u32, Chrdev>>);

impl Chrdevs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Chrdev>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a device; major 0 asks for one. Returns the major that was chosen, or 0.
    ///
    /// # Errors
    /// EINVAL: the name or the major. EFAULT: no operations there. EBUSY: the major or the name
    /// is taken, or no major is left.
    pub(crate) fn register(
        &self,
        owner: &Arc<Owner>,
        major: u32,
        name: &str,
        address: u64,
    ) -> Result<u32, Errno> {
        let odd = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name.starts_with('.') || name.contains(odd) || major > MAJOR_MAX {
            return Err(Errno::EINVAL);
        }
        let operations = FileOperations::at(address).ok_or(Errno::EFAULT)?;
        let mut table = self.lock();
        if table.values().any(|device| *device.name == *name) || parse_node(name).is_some() {
            return Err(Errno::EBUSY);
        }
        let chosen = match major {
            0 => DYNAMIC
                .rev()
                .find(|m| !table.contains_key(m))
                .ok_or(Errno::EBUSY)?,
            taken if table.contains_key(&taken) => return Err(Errno::EBUSY),
            free => free,
        };
        let device = Chrdev {
            name: name.into(),
            owner: owner.clone(),
            operations,
            address,
            inodes: Arc::default(),
            opens: Arc::default(),
        };
        table.insert(chosen, device);
        Ok(if major == 0 { chosen } else { 0 })
    }

    /// Takes a registration back, if it is this name's; returns when no open of another thread
    /// is under way.
    pub(crate) fn unregister(&self, major: u32, name: &str) -> bool {
        let removed = {
            let mut table = self.lock();
            let is_it = table
                .get(&major)
                .is_some_and(|device| *device.name == *name);
            is_it.then(|| table.remove(&major)).flatten()
        };
        if let Some(device) = &removed {
            device.opens.close();
        }
        removed.is_some()
    }

    /// Takes all registrations of a module back; returns what they were.
    pub(crate) fn remove_owner(&self, id: Id) -> impl Iterator<Item = String> + use<> {
        let mut gone = Vec::new();
        self.lock().retain(|major, device| {
            let keep = device.owner.id != id;
            if !keep {
                gone.push(format!("character device {major} {}", device.name));
            }
            keep
        });
        gone.into_iter()
    }

    fn get(&self, major: u32) -> Option<Chrdev> {
        self.lock().get(&major).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.lock()
            .values()
            .map(|device| device.name.to_string())
            .collect()
    }

    fn major_of(&self, name: &str) -> Option<u32> {
        let table = self.lock();
        let (major, _) = table.iter().find(|(_, device)| *device.name == *name)?;
        Some(*major)
    }
}

/// `c-MAJOR-MINOR`.
fn parse_node(name: &str) -> Option<(u32, u32)> {
    let (major, minor) = name.strip_prefix("c-")?.split_once('-')?;
    let number = |text: &str, max: u32| {
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let canonical = text == "0" || !text.starts_with('0');
        text.parse()
            .ok()
            .filter(|n| plain && canonical && *n <= max)
    };
    Some((
        number(major, MAJOR_MAX)?,
        number(minor, (1 << MINOR_BITS) - 1)?,
    ))
}

/// `dev/`: each device by its name, which is its minor 0, and any by `c-MAJOR-MINOR`.
pub(crate) struct DevDir {
    pub(crate) host: Arc<Shared>,
    pub(crate) id: NodeId,
    pub(crate) attr: Attr,
}

impl Node for DevDir {
    fn id(&self) -> Option<NodeId> {
        Some(self.id)
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        let by_name = || Some((self.host.chrdevs.major_of(name)?, 0));
        let (major, minor) = by_name()
            .or_else(|| parse_node(name))
            .ok_or(Errno::ENOENT)?;
        Ok(Arc::new(DevNode {
            host: self.host.clone(),
            major,
            minor,
            attr: Attr {
                kind: Kind::File,
                mode: 0o600,
                size: Attr::UNKNOWN_SIZE,
                ..self.attr
            },
        }))
    }

    fn entries(&self) -> Result<Vec<(String, Kind)>, Errno> {
        let names = self.host.chrdevs.names();
        Ok(names.into_iter().map(|name| (name, Kind::File)).collect())
    }
}

/// A device's file.
struct DevNode {
    host: Arc<Shared>,
    major: u32,
    minor: u32,
    attr: Attr,
}

impl DevNode {
    fn find(&self) -> Option<(Chrdev, Pin)> {
        let device = self.host.chrdevs.get(self.major)?;
        let pin = device.owner.pin()?;
        Some((device, pin))
    }

    /// The idiom of 2.4: find it, or ask for its module once and look again.
    fn find_or_request(&self) -> Result<(Chrdev, Pin), Errno> {
        if let Some(found) = self.find() {
            return Ok(found);
        }
        if self.host.chrdevs.get(self.major).is_none() && self.major > 0 {
            let specific = format!("char-major-{}-{}", self.major, self.minor);
            let _ = self.host.request_module(&specific);
            if self.host.chrdevs.get(self.major).is_none() {
                let _ = self
                    .host
                    .request_module(&format!("char-major-{}", self.major));
            }
        }
        self.find().ok_or(Errno::ENXIO)
    }
}

impl Node for DevNode {
    // A number of its own each time: a read that waits must not hold up who else opens it.
    fn id(&self) -> Option<NodeId> {
        None
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(self.attr)
    }

    fn blocks(&self) -> bool {
        true
    }

    fn set_attr(&self, _: &Caller, change: modfs_tree::SetAttr) -> Result<(), Errno> {
        // A shell's `>` truncates, which means nothing to a device.
        if change.mode.or(change.uid).or(change.gid).is_some() {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    fn open(&self, _: &Caller, mode: OpenMode) -> Result<Box<dyn Handle>, Errno> {
        let (device, pin) = self.find_or_request()?;
        let inode = {
            let mut inodes = device.inodes.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || {
                Arc::new(ForC::new(CInode {
                    device: self.major << MINOR_BITS | self.minor,
                    private: 0,
                }))
            };
            inodes.entry(self.minor).or_insert_with(new).clone()
        };
        let bits = [mode.read, mode.write].into_iter().zip(FMODE);
        let file = ForC::new(CFile {
            private_data: 0,
            flags: mode.flags,
            mode: bits.map(|(on, bit)| if on { bit } else { 0 }).sum(),
            position: 0,
            operations: device.address,
            inode: inode.address(),
        });
        let mut open = OpenDevice {
            host: self.host.clone(),
            pin,
            operations: device.operations,
            file,
            inode,
            append: mode.flags & O_APPEND != 0,
            opened: false,
        };
        if device.operations.open != 0 {
            let _opening = device.opens.enter().ok_or(Errno::ENXIO)?;
            let arguments = [open.inode.address(), open.file.address(), 0, 0, 0];
            let returned = open.call(device.operations.open, arguments)? as i32;
            if let Some(errno) = Errno::from_init(returned) {
                return Err(errno);
            }
        }
        open.opened = true;
        Ok(Box::new(open))
    }
}

/// A device that somebody has open: the module is in use until it is dropped.
struct OpenDevice {
    host: Arc<Shared>,
    pin: Pin,
    operations: FileOperations,
    file: ForC<CFile>,
    inode: Arc<ForC<CInode>>,
    append: bool,
    opened: bool,
}

impl OpenDevice {
    fn call(&self, function: u64, arguments: [u64; 5]) -> Result<u64, Errno> {
        let owner = self.pin.owner();
        if owner.is_dead() {
            return Err(Errno::EIO);
        }
        // SAFETY: an operation of the device, with the arguments its prototype says, each valid
        // during the call; `pin` keeps the module mapped.
        let called = unsafe { self.host.call(owner, function, arguments) };
        called.map_err(|_| Errno::EIO)
    }

    /// What read or write returned, as a length of at most `most`.
    fn length(&self, returned: u64, most: usize) -> Result<usize, Errno> {
        let returned = returned as i64;
        if returned < 0 {
            return Err(Errno::from_raw(
                returned.unsigned_abs().try_into().unwrap_or(0),
            ));
        }
        usize::try_from(returned)
            .ok()
            .filter(|n| *n <= most)
            .ok_or_else(|| {
                let text = format!(
                    "{}: returned {returned} bytes of {most} that were asked for",
                    self.pin.owner().name
                );
                self.host.log.write(crate::Level::Err, &text);
                Errno::EIO
            })
    }
}

impl Handle for OpenDevice {
    fn read(&self, _: &Caller, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        if self.operations.read == 0 {
            return Err(Errno::EINVAL);
        }
        let position = ForC::new(i64::try_from(offset).map_err(|_| Errno::EINVAL)?);
        let mut buffer = vec![0u8; size];
        let to = buffer.as_mut_ptr().expose_provenance() as u64;
        let arguments = [self.file.address(), to, size as u64, position.address(), 0];
        let length = self.length(self.call(self.operations.read, arguments)?, size)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    fn write(&self, _: &Caller, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        if self.operations.write == 0 {
            return Err(Errno::EINVAL);
        }
        // To append, the kernel begins where it was told that the file ends.
        let offset = match self.append {
            true => offset.saturating_sub(Attr::UNKNOWN_SIZE),
            false => offset,
        };
        let position = ForC::new(i64::try_from(offset).map_err(|_| Errno::EINVAL)?);
        let from = data.as_ptr().expose_provenance() as u64;
        let arguments = [
            self.file.address(),
            from,
            data.len() as u64,
            position.address(),
            0,
        ];
        self.length(self.call(self.operations.write, arguments)?, data.len())
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        if self.opened && self.operations.release != 0 {
            let arguments = [self.inode.address(), self.file.address(), 0, 0, 0];
            // What release returns, close(2) does not tell.
            let _ = self.call(self.operations.release, arguments);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes() {
        assert_eq!(parse_node("c-7-0"), Some((7, 0)));
        assert_eq!(parse_node("c-4095-1048575"), Some((4095, 1_048_575)));
        for bad in [
            "c-4096-0",
            "c-7",
            "c-7-",
            "c--0",
            "c-+7-0",
            "c-07-0",
            "b-7-0",
            "c-7-1048576",
        ] {
            assert_eq!(parse_node(bad), None, "{bad}");
        }
    }
}

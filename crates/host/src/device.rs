//! Devices that modules register, as files.

use crate::blkdev::{BlockOperations, Minor, OpenBlock};
use crate::call::{Owner, Pin};
use crate::chrdev::OpenChar;
use crate::cstruct::{CInode, FileOperations, ForC};
use crate::host::Shared;
use crate::in_flight::InFlight;
use modfs_core::{Errno, Id, State};
use modfs_tree::{Attr, Caller, Handle, Kind, Node, NodeId, OpenMode};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of a minor number in a `dev_t`.
pub(crate) const MINOR_BITS: u32 = 20;
const MINOR_MAX: u32 = (1 << MINOR_BITS) - 1;
/// The largest major number.
const MAJOR_MAX: u32 = (1 << (32 - MINOR_BITS)) - 1;
/// Majors that are given out on demand, from the top (Linux: 254 to 234, then 511 to 384; here
/// all below 255).
const DYNAMIC: std::ops::RangeInclusive<u32> = 1..=254;

/// The two kinds of devices, each with major numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Char,
    Block,
}

impl Class {
    /// As in the names of nodes.
    const fn letter(self) -> &'static str {
        match self {
            Class::Char => "c",
            Class::Block => "b",
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Class::Char => "character",
            Class::Block => "block",
        }
    }
}

/// What a device can do, and what the host keeps for it.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    Char {
        operations: FileOperations,
        /// Where the module keeps them.
        address: u64,
        inodes: Arc<Mutex<HashMap<u32, Arc<ForC<CInode>>>>>,
    },
    Block {
        operations: BlockOperations,
        minors: Arc<Mutex<BTreeMap<u32, Arc<Minor>>>>,
    },
}

/// A registered device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    name: Arc<str>,
    pub(crate) owner: Arc<Owner>,
    pub(crate) does: Does,
    pub(crate) opens: Arc<InFlight>,
}

impl Device {
    /// The capacity of a minor of a block device, in bytes.
    fn size(&self, minor: u32) -> Option<u64> {
        let Does::Block { minors, .. } = &self.does else {
            return None;
        };
        let minors = minors.lock().unwrap_or_else(PoisonError::into_inner);
        Some(minors.get(&minor)?.size())
    }
}

/// The registered devices.
#[derive(Debug, Default)]
pub(crate) struct Devices(Mutex<BTreeMap<(Class, u32), Device>>);

impl Devices {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Class, u32), Device>> {
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
        (class, major): (Class, u32),
        name: &str,
        address: u64,
    ) -> Result<u32, Errno> {
        let odd = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name.starts_with('.') || name.contains(odd) || major > MAJOR_MAX {
            return Err(Errno::EINVAL);
        }
        let does = match class {
            Class::Char => FileOperations::at(address).map(|operations| Does::Char {
                operations,
                address,
                inodes: Arc::default(),
            }),
            Class::Block => BlockOperations::at(address).map(|operations| Does::Block {
                operations,
                minors: Arc::default(),
            }),
        };
        let does = does.ok_or(Errno::EFAULT)?;
        let mut table = self.lock();
        if table.values().any(|device| *device.name == *name) || parse_node(name).is_some() {
            return Err(Errno::EBUSY);
        }
        let chosen = match major {
            0 => DYNAMIC
                .rev()
                .find(|m| !table.contains_key(&(class, *m)))
                .ok_or(Errno::EBUSY)?,
            taken if table.contains_key(&(class, taken)) => return Err(Errno::EBUSY),
            free => free,
        };
        let device = Device {
            name: name.into(),
            owner: owner.clone(),
            does,
            opens: Arc::default(),
        };
        table.insert((class, chosen), device);
        Ok(if major == 0 { chosen } else { 0 })
    }

    /// Takes a registration back, if it is this module's and name's; returns when no open of
    /// another thread is under way.
    pub(crate) fn unregister(
        &self,
        owner: &Owner,
        (class, major): (Class, u32),
        name: &str,
    ) -> bool {
        let removed = {
            let mut table = self.lock();
            let is_it = table
                .get(&(class, major))
                .is_some_and(|device| *device.name == *name && device.owner.id == owner.id);
            is_it.then(|| table.remove(&(class, major))).flatten()
        };
        if let Some(device) = &removed {
            device.opens.close();
        }
        removed.is_some()
    }

    /// Says how many sectors a minor of a block device has; 0: there is no such minor.
    ///
    /// # Errors
    /// EINVAL: the minor, or more bytes than a file can have. ENODEV: `owner` has no block device
    /// of this major.
    pub(crate) fn set_capacity(
        &self,
        owner: &Owner,
        major: u32,
        minor: u32,
        sectors: u64,
    ) -> Result<(), Errno> {
        if minor > MINOR_MAX || sectors > Minor::MOST {
            return Err(Errno::EINVAL);
        }
        let table = self.lock();
        let device = table.get(&(Class::Block, major));
        let device = device.filter(|device| device.owner.id == owner.id);
        let Some(Does::Block { minors, .. }) = device.map(|device| &device.does) else {
            return Err(Errno::ENODEV);
        };
        let mut minors = minors.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has it open has this one, and sees what it becomes.
        minors.entry(minor).or_default().set(sectors);
        if sectors == 0 {
            minors.remove(&minor);
        }
        Ok(())
    }

    /// Takes all registrations of a module back; returns what they were.
    pub(crate) fn remove_owner(&self, id: Id) -> impl Iterator<Item = String> + use<> {
        let mut gone = Vec::new();
        self.lock().retain(|(class, major), device| {
            let keep = device.owner.id != id;
            if !keep {
                gone.push(format!("{} device {major} {}", class.word(), device.name));
            }
            keep
        });
        gone.into_iter()
    }

    fn get(&self, class: Class, major: u32) -> Option<Device> {
        self.lock().get(&(class, major)).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.lock()
            .values()
            .map(|device| device.name.to_string())
            .collect()
    }

    fn find(&self, name: &str) -> Option<(Class, u32)> {
        let table = self.lock();
        let (number, _) = table.iter().find(|(_, device)| *device.name == *name)?;
        Some(*number)
    }
}

/// `c-MAJOR-MINOR` or `b-MAJOR-MINOR`.
fn parse_node(name: &str) -> Option<(Class, u32, u32)> {
    let class = [Class::Char, Class::Block]
        .into_iter()
        .find(|class| name.starts_with(class.letter()))?;
    let (major, minor) = name[1..].strip_prefix('-')?.split_once('-')?;
    let number = |text: &str, max: u32| {
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let canonical = text == "0" || !text.starts_with('0');
        text.parse()
            .ok()
            .filter(|n| plain && canonical && *n <= max)
    };
    Some((class, number(major, MAJOR_MAX)?, number(minor, MINOR_MAX)?))
}

/// `dev/`: each device by its name, which is its minor 0, and any by `c-MAJOR-MINOR` or
/// `b-MAJOR-MINOR`.
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
        let by_name = self.host.devices.find(name);
        let (class, major, minor) = by_name
            .map(|(class, major)| (class, major, 0))
            .or_else(|| parse_node(name))
            .ok_or(Errno::ENOENT)?;
        Ok(Arc::new(DevNode {
            host: self.host.clone(),
            class,
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
        let names = self.host.devices.names();
        Ok(names.into_iter().map(|name| (name, Kind::File)).collect())
    }
}

/// A device's file.
struct DevNode {
    host: Arc<Shared>,
    class: Class,
    major: u32,
    minor: u32,
    attr: Attr,
}

impl DevNode {
    fn get(&self) -> Option<Device> {
        self.host.devices.get(self.class, self.major)
    }

    /// As in Linux, what a module has registered can be used while its init still runs; but then not
    /// all of its disks may be there yet.
    fn is_usable(&self, device: &Device) -> bool {
        let has_minor = match &device.does {
            Does::Char { .. } => true,
            Does::Block { minors, .. } => {
                let minors = minors.lock().unwrap_or_else(PoisonError::into_inner);
                minors.contains_key(&self.minor)
            }
        };
        has_minor || self.host.state(&device.owner.name) != Some(State::Initializing)
    }

    fn find(&self) -> Option<(Device, Pin)> {
        let device = self.get().filter(|device| self.is_usable(device))?;
        let pin = device.owner.pin()?;
        Some((device, pin))
    }

    /// The idiom of 2.4 (`get_chrfops`, `get_blkfops`): find it, or ask for its module and look
    /// again.
    fn find_or_request(&self) -> Result<(Device, Pin), Errno> {
        if let Some(found) = self.find() {
            return Ok(found);
        }
        let major = self.major;
        let names = match self.class {
            Class::Char => vec![
                format!("char-major-{major}-{}", self.minor),
                format!("char-major-{major}"),
            ],
            Class::Block => vec![format!("block-major-{major}")],
        };
        // Also of one whose module is only being started: whoever loads modules waits for it.
        let is_known = || self.get().is_some_and(|device| self.is_usable(&device));
        for name in names {
            if major == 0 || is_known() {
                break;
            }
            let _ = self.host.request_module(&name);
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
        let size = self.get().and_then(|device| device.size(self.minor));
        Ok(Attr {
            size: size.unwrap_or(Attr::UNKNOWN_SIZE),
            ..self.attr
        })
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
        match &device.does {
            Does::Char {
                operations,
                address,
                inodes,
            } => {
                let inode = {
                    let mut inodes = inodes.lock().unwrap_or_else(PoisonError::into_inner);
                    let new = || {
                        Arc::new(ForC::new(CInode {
                            device: self.major << MINOR_BITS | self.minor,
                            private: 0,
                        }))
                    };
                    inodes.entry(self.minor).or_insert_with(new).clone()
                };
                let made = OpenChar::new(&self.host, pin, *operations, *address, inode, mode);
                Ok(Box::new(made.open(&device)?))
            }
            Does::Block { operations, minors } => {
                let minor = {
                    let minors = minors.lock().unwrap_or_else(PoisonError::into_inner);
                    minors.get(&self.minor).cloned().ok_or(Errno::ENXIO)?
                };
                let number = self.major << MINOR_BITS | self.minor;
                let made = OpenBlock::new(&self.host, pin, *operations, minor, number, mode);
                Ok(Box::new(made.open(&device)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes() {
        assert_eq!(parse_node("c-7-0"), Some((Class::Char, 7, 0)));
        assert_eq!(
            parse_node("c-4095-1048575"),
            Some((Class::Char, 4095, 1_048_575))
        );
        assert_eq!(parse_node("b-7-0"), Some((Class::Block, 7, 0)));
        for bad in [
            "c-4096-0",
            "c-7",
            "c-7-",
            "c--0",
            "c-+7-0",
            "c-07-0",
            "x-7-0",
            "",
            "c-7-1048576",
        ] {
            assert_eq!(parse_node(bad), None, "{bad}");
        }
    }
}

//! Noticing that modules came or went.
//!
//! The kernel tells it in a message that is in our socket before the call that loaded or unloaded
//! the module returns. So nobody has to wait for messages: whoever wants to know looks whether
//! there are any. Those that did not fit into the socket count as one about a module.
//!
//! To a socket outside the first user namespace the kernel tells nothing, and there may be no
//! sockets of this kind at all: then every look is answered by "perhaps".

use crate::uevent::Uevent;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use std::fs;
use std::path::Path;

/// The group of messages that are the kernel's own; udev's is 2.
const KERNEL_GROUP: u32 = 1;
/// The kernel makes none that are longer (`UEVENT_BUFFER_SIZE`, and a path before it).
const LONGEST: usize = 8192;

/// A look-out for messages about modules.
#[derive(Debug)]
pub(crate) struct Watch(Option<OwnedFd>);

impl Watch {
    /// Begins; what happened before is not noticed.
    pub(crate) fn start(proc: &Path) -> Watch {
        let map = fs::read_to_string(proc.join("self/uid_map")).unwrap_or_default();
        // All ids, each as itself.
        let is_first = map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
        Watch(is_first.then(listen).and_then(Result::ok))
    }

    /// Whether modules may have come or gone since the last look.
    pub(crate) fn look(&mut self) -> bool {
        let Some(socket) = &self.0 else {
            return true;
        };
        let mut buffer = [0; LONGEST];
        let mut changed = false;
        loop {
            match rustix::net::recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let event = Uevent::parse(&buffer[..length.min(LONGEST)]);
                    changed |= event.is_some_and(|event| event.is_of_module());
                }
                Err(Errno::AGAIN) => return changed,
                Err(Errno::INTR) => {}
                // Some did not fit in.
                Err(Errno::NOBUFS) => changed = true,
                Err(_) => {
                    self.0 = None;
                    return true;
                }
            }
        }
    }
}

fn listen() -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(netlink::KOBJECT_UEVENT),
    )?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_socket_there_may_always_be_something() {
        let mut watch = Watch(None);
        assert!(watch.look() && watch.look());
        let mut elsewhere = Watch::start(Path::new("/nonexistent"));
        assert!(elsewhere.look());
    }

    #[test]
    fn what_is_in_the_socket_is_taken_out() {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let mut watch = Watch(Some(ours));
        assert!(!watch.look());
        let send = |text: &[u8]| {
            rustix::net::send(&theirs, text, rustix::net::SendFlags::empty()).unwrap();
        };
        send(b"add@/devices/x\0SUBSYSTEM=net\0");
        assert!(!watch.look());
        send(b"remove@/module/dummy\0SUBSYSTEM=module\0");
        send(b"add@/devices/x\0SUBSYSTEM=net\0");
        assert!(watch.look());
        assert!(!watch.look());
    }
}

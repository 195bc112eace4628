//! What the kernel tells of its objects (`NETLINK_KOBJECT_UEVENT`).
//!
//! A message is a head, `ACTION@PATH`, and after it `KEY=VALUE` texts, each with a NUL after it. It
//! can come from elsewhere: what is in it is a hint, and never more.

/// A message of the kernel about one of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uevent<'a> {
    /// `add`, `remove`, `change` and the like.
    pub(crate) action: &'a [u8],
    /// The object, below `/sys`.
    pub(crate) path: &'a [u8],
    /// What it is one of; empty when the message does not say.
    pub(crate) subsystem: &'a [u8],
}

impl<'a> Uevent<'a> {
    /// Takes a message apart; `None`: it is none.
    pub(crate) fn parse(message: &'a [u8]) -> Option<Uevent<'a>> {
        let mut texts = message.split(|byte| *byte == 0);
        let head = texts.next()?;
        let at = head.iter().position(|byte| *byte == b'@')?;
        let mut event = Uevent {
            action: &head[..at],
            path: &head[at + 1..],
            subsystem: &[],
        };
        for text in texts {
            if let Some(subsystem) = text.strip_prefix(b"SUBSYSTEM=") {
                event.subsystem = subsystem;
            }
        }
        Some(event)
    }

    /// Whether it says that a module came or went.
    pub(crate) fn is_of_module(&self) -> bool {
        self.subsystem == b"module" && matches!(self.action, b"add" | b"remove")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: &[u8] =
        b"add@/module/dummy\0ACTION=add\0DEVPATH=/module/dummy\0SUBSYSTEM=module\0SEQNUM=1042\0";

    #[test]
    fn a_module_that_comes() {
        let event = Uevent::parse(ADDED).unwrap();
        assert_eq!(
            (event.action, event.path, event.subsystem),
            (&b"add"[..], &b"/module/dummy"[..], &b"module"[..])
        );
        assert!(event.is_of_module());
    }

    #[test]
    fn what_is_no_module() {
        for other in [
            &b"add@/devices/virtual/net/dummy0\0SUBSYSTEM=net\0"[..],
            b"change@/module/dummy\0SUBSYSTEM=module\0",
            b"add@/module/dummy\0SUBSYSTEM=modules\0",
            b"add@\0",
            b"@",
        ] {
            assert!(!Uevent::parse(other).unwrap().is_of_module(), "{other:?}");
        }
        for none in [&b""[..], b"\0\0\0", b"libudev\0\xfe\xed\xca\xfe", b"add"] {
            assert_eq!(Uevent::parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn cut_and_garbled_it_does_not_panic() {
        let mut seed = 1_u64;
        for end in 0..ADDED.len() {
            let mut message = ADDED[..end].to_vec();
            let _ = Uevent::parse(&message);
            for _ in 0..16 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let len = message.len().max(1) as u64;
                if let Some(byte) = message.get_mut(((seed >> 33) % len) as usize) {
                    *byte = (seed >> 8) as u8;
                }
                let _ = Uevent::parse(&message).map(|event| event.is_of_module());
            }
        }
    }
}

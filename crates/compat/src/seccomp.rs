//! seccomp(2) and seccomp_unotify(2): the filter, and what it tells.

use modfs_core::Errno;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::mem::{offset_of, size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `AUDIT_ARCH_X86_64` (linux/audit.h).
pub(crate) const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
pub(crate) const I386: u32 = 0x4000_0003;

/// An architecture's calls.
pub(crate) type Calls<'a> = (u32, &'a [i64]);

/// Tells of the calls of whoever has the filter.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notification {
    /// Names the call.
    pub(crate) id: u64,
    /// The thread that made it.
    pub(crate) thread: u32,
    /// Whose numbers they are: [`X86_64`] or [`I386`].
    pub(crate) architecture: u32,
    /// Its number.
    pub(crate) number: i64,
    pub(crate) arguments: [u64; 6],
}

/// What a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Value(i64),
    Error(Errno),
    /// The kernel is to do it.
    Continue,
}

impl<T: Into<i64>> From<Result<T, Errno>> for Answer {
    fn from(result: Result<T, Errno>) -> Answer {
        match result {
            Ok(value) => Answer::Value(value.into()),
            Err(errno) => Answer::Error(errno),
        }
    }
}

/// Has the calling thread, and what it starts from now on, tell of these calls.
///
/// # Errors
/// EBUSY: who runs this is told of itself already. EINVAL: the kernel is too old, or has no seccomp.
pub(crate) fn install(calls: &[Calls<'_>]) -> io::Result<Listener> {
    let filter = filter(calls);
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // So that a signal does not interrupt a call that is being done, and has it made again (5.19).
    const WAIT_KILLABLE: libc::c_ulong = 1 << 5;
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let set = |flags: libc::c_ulong| {
        // SAFETY: `program` and the filter it points to outlive the call, which only reads them.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        match i32::try_from(fd) {
            // SAFETY: the kernel has just made this descriptor, for nobody else.
            Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error()),
        }
    };
    let whole = || {
        set(flags | WAIT_KILLABLE).or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => set(flags),
            _ => Err(error),
        })
    };
    let listener = whole().or_else(|error| match error.raw_os_error() {
        // Only who has CAP_SYS_ADMIN may have children that gain privileges.
        Some(libc::EACCES) => {
            rustix::thread::set_no_new_privs(true)?;
            whole()
        }
        _ => Err(error),
    })?;
    let listener = Listener(listener);
    listener.check_sizes()?;
    Ok(listener)
}

/// Classic BPF: to tell of these calls, and let all else pass.
fn filter(calls: &[Calls<'_>]) -> Vec<libc::sock_filter> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let op = |code: u32, jt: usize, jf: usize, k: u32| libc::sock_filter {
        code: code as u16,
        jt: jt as u8,
        jf: jf as u8,
        k,
    };
    let load = |offset: usize| op(LOAD, 0, 0, offset as u32);
    let mut program = vec![load(offset_of!(libc::seccomp_data, arch))];
    for (architecture, numbers) in calls {
        // To the next architecture: over what follows.
        program.push(op(EQUAL, 0, numbers.len() + 3, *architecture));
        program.push(load(offset_of!(libc::seccomp_data, nr)));
        for (at, number) in numbers.iter().enumerate() {
            program.push(op(EQUAL, numbers.len() - at, 0, *number as u32));
        }
        program.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
        program.push(op(RETURN, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    }
    program.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

impl Listener {
    /// The kernel's structures may be larger than those that are known here: then it would write beyond them.
    fn check_sizes(&self) -> io::Result<()> {
        // SAFETY: all zeroes are a value of this structure of numbers.
        let mut sizes: libc::seccomp_notif_sizes = unsafe { zeroed() };
        // SAFETY: the call writes `sizes`, and nothing else.
        let done = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_GET_NOTIF_SIZES,
                0,
                &raw mut sizes,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        let fit = usize::from(sizes.seccomp_notif) <= size_of::<libc::seccomp_notif>()
            && usize::from(sizes.seccomp_notif_resp) <= size_of::<libc::seccomp_notif_resp>();
        match fit {
            true => Ok(()),
            false => Err(io::Error::other("this kernel's notifications are larger")),
        }
    }

    /// The next call; `None` once nobody has the filter any more.
    ///
    /// # Errors
    /// EINTR: a signal came.
    pub(crate) fn receive(&self) -> io::Result<Option<Notification>> {
        loop {
            let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
            poll(&mut ready, None)?;
            let events = ready[0].revents();
            if !events.contains(PollFlags::IN) {
                return Ok(None);
            }
            // SAFETY: all zeroes are a value of this structure of numbers, and what the kernel wants to
            // find there.
            let mut told: libc::seccomp_notif = unsafe { zeroed() };
            // SAFETY: the kernel writes no more than `told` has room for, see `check_sizes`.
            match unsafe { self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut told) } {
                Ok(_) => {
                    return Ok(Some(Notification {
                        id: told.id,
                        thread: told.pid,
                        architecture: told.data.arch,
                        number: told.data.nr.into(),
                        arguments: told.data.args,
                    }));
                }
                // Who made it was killed meanwhile.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(io::Error::from_raw_os_error(errno.raw())),
            }
        }
    }

    /// Whether a call still waits for its answer; if so, its thread is the one that made it.
    pub(crate) fn waits(&self, call: &Notification) -> bool {
        let mut id = call.id;
        // libc does not have it.
        const ID_VALID: libc::Ioctl = libc::_IOW::<u64>(b'!' as u32, 2);
        // SAFETY: the kernel only reads `id`.
        unsafe { self.ioctl(ID_VALID, &raw mut id) }.is_ok()
    }

    /// Answers a call. Nothing happens when who made it is gone.
    pub(crate) fn answer(&self, call: &Notification, answer: Answer) {
        let mut response = libc::seccomp_notif_resp {
            id: call.id,
            val: 0,
            error: 0,
            flags: 0,
        };
        match answer {
            Answer::Value(value) => response.val = value,
            Answer::Error(errno) => response.error = -errno.raw(),
            Answer::Continue => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        }
        // SAFETY: the kernel only reads `response`.
        let _ = unsafe { self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    }

    /// Answers a call by a descriptor of a file.
    ///
    /// # Errors
    /// EMFILE: who made it has too many open. ENOENT: it is gone. Then the call is not answered.
    pub(crate) fn answer_file(
        &self,
        call: &Notification,
        file: BorrowedFd<'_>,
        close_on_exec: bool,
    ) -> Result<(), Errno> {
        const SEND: u32 = 1 << 1;
        let mut add = libc::seccomp_notif_addfd {
            id: call.id,
            flags: SEND,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if close_on_exec {
                libc::O_CLOEXEC as u32
            } else {
                0
            },
        };
        // SAFETY: the kernel only reads `add`.
        unsafe { self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut add) }.map(drop)
    }

    /// # Safety
    /// `argument` is what the request wants, and nobody else uses it.
    unsafe fn ioctl<T>(&self, request: libc::Ioctl, argument: *mut T) -> Result<i32, Errno> {
        // SAFETY: the caller's.
        let done = unsafe { libc::ioctl(self.0.as_fd().as_raw_fd(), request, argument) };
        match done {
            -1 => {
                let error = io::Error::last_os_error();
                Err(Errno::from_raw(error.raw_os_error().unwrap_or(0)))
            }
            value => Ok(value),
        }
    }
}

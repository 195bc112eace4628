//! What is to be known of the task that makes a request.

use rustix::process::Pid;
use std::fs;
use std::path::Path;

/// Signals that only tell something (CHLD, CONT, URG, WINCH) and do nothing by default.
const NOTICES: u64 = bit(17) | bit(18) | bit(23) | bit(28);
/// Signals that stop (STOP, TSTP, TTIN, TTOU): after the stop the call would go on.
const STOPS: u64 = bit(19) | bit(20) | bit(21) | bit(22);
const KILL: u64 = bit(9);

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Whether the task is a thread of this process. 0 is the kernel itself, or a task that this
/// process cannot see.
pub(crate) fn is_own(task: u32) -> bool {
    if task == 0 {
        return false;
    }
    let own = rustix::process::getpid();
    i32::try_from(task).ok().and_then(Pid::from_raw) == Some(own)
        || Path::new(&format!("/proc/self/task/{task}")).exists()
}

/// Whether a signal is pending for the task that would end what it waits for.
///
/// `notices`: whether signals that only tell something count when they are caught. They do
/// for one that waits for events; a command is not to fail because the shell that wrote it
/// has another child that ends.
///
/// A task that cannot be seen has none.
pub(crate) fn is_interrupted(task: u32, notices: bool) -> bool {
    let status = fs::read_to_string(format!("/proc/{task}/status"));
    status.is_ok_and(|status| interrupts(&status, notices))
}

fn interrupts(status: &str, notices: bool) -> bool {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let digits = line.and_then(|rest| rest.strip_prefix(':'));
        digits.map_or(0, |text| u64::from_str_radix(text.trim(), 16).unwrap_or(0))
    };
    let pending = mask("SigPnd") | mask("ShdPnd");
    let caught = if notices { mask("SigCgt") } else { 0 };
    let deaf = mask("SigBlk") | mask("SigIgn") | (NOTICES & !caught) | STOPS;
    pending & (!deaf | KILL) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pending: u64, shared: u64, blocked: u64, ignored: u64, caught: u64) -> String {
        format!(
            "Name:\tx\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\n\
             SigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
        )
    }

    #[test]
    fn signals_that_interrupt() {
        let (int, chld, stop) = (bit(2), bit(17), bit(19));
        for notices in [false, true] {
            let interrupts = |status: &str| interrupts(status, notices);
            assert!(!interrupts(""));
            assert!(!interrupts(&status(0, 0, 0, 0, 0)));
            assert!(interrupts(&status(int, 0, 0, 0, 0)));
            assert!(interrupts(&status(0, int, 0, 0, int)));
            assert!(!interrupts(&status(0, int, int, 0, 0)));
            assert!(!interrupts(&status(0, int, 0, int, 0)));
            assert!(interrupts(&status(KILL, 0, u64::MAX, u64::MAX, 0)));
            assert!(!interrupts(&status(chld, 0, 0, 0, 0)));
            assert_eq!(interrupts(&status(chld, 0, 0, 0, chld)), notices);
            assert!(!interrupts(&status(stop, 0, 0, 0, 0)));
        }
    }

    #[test]
    fn own_threads() {
        assert!(!is_own(0));
        assert!(is_own(std::process::id()));
        assert!(!is_own(1));
        let thread = std::thread::spawn(|| {
            let own = rustix::thread::gettid().as_raw_nonzero().get();
            is_own(own.unsigned_abs())
        });
        assert_eq!(thread.join().ok(), Some(true));
    }
}

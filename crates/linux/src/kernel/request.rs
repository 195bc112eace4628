//! Asking for a module by name, as the kernel does.

use super::errno;
use crate::Linux;
use modfs_core::{Errno, Refusal};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The longest path, as in the kernel (`KMOD_PATH_LEN`).
const PATH_MAX: usize = 255;
/// What the kernel gives its helper.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("HOME", "/"),
    ("TERM", "linux"),
    ("PATH", "/sbin:/usr/sbin:/bin:/usr/bin"),
];

fn setting(linux: &Linux) -> PathBuf {
    linux.proc.join("sys/kernel/modprobe")
}

/// The program that the kernel runs; empty: none.
pub(super) fn helper(linux: &Linux) -> String {
    let text = fs::read_to_string(setting(linux)).unwrap_or_default();
    text.trim_end().to_owned()
}

/// Sets the program that the kernel runs.
///
/// # Errors
/// ENAMETOOLONG: longer than the kernel takes. EACCES, EPERM: who asks may not. ENOENT: this kernel
/// loads nothing on demand.
pub(super) fn set_helper(linux: &Linux, path: &str) -> Result<(), Refusal> {
    if path.len() > PATH_MAX {
        let reason = format!("the path of the helper has at most {PATH_MAX} bytes");
        return Err(Refusal::new(Errno::ENAMETOOLONG, reason));
    }
    let opened = fs::File::options().write(true).open(setting(linux));
    let written = opened.and_then(|mut file| file.write_all(format!("{path}\n").as_bytes()));
    written.map_err(|error| errno(&error).into())
}

/// Runs the program for a name, in the kernel's way, and waits for its end.
///
/// # Errors
/// ENOENT: no program is set, or it found nothing. Otherwise why it could not be run.
pub(super) fn run(helper: &str, name: &str) -> Result<(), Refusal> {
    if helper.is_empty() {
        let reason = "no helper is set to ask for it: write the path of a modprobe to \
                      kernel/modprobe";
        return Err(Refusal::new(Errno::ENOENT, reason));
    }
    let status = Command::new(helper)
        .args(["-q", "--", name])
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let reason = format!("{helper} -q -- {name}: {status}");
            Err(Refusal::new(Errno::ENOENT, reason))
        }
        Err(error) => {
            let errno = errno(&error);
            let reason = format!("cannot run {helper}: {}", errno.text());
            Err(Refusal::new(errno, reason))
        }
    }
}

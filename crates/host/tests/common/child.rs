//! Running a test of this program again in a process of its own: for what kills one.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Names the part that a child is to play.
pub(crate) const ROLE: &str = "MODFS_TEST_ROLE";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it wrote to standard error.
    pub(crate) said: String,
    /// What it left in a crash file.
    pub(crate) crash: String,
}

/// The part this process is to play; `None` in the test program that was started first.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs the test `test` of this program as a child with a part to play, and waits for its end.
pub(crate) fn play(test: &str, role: &str) -> Ended {
    let program = std::env::current_exe().expect("this program");
    let said = tempfile::NamedTempFile::new().expect("a temporary file");
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let mut child = Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("TMPDIR", scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.reopen().expect("the temporary file"))
        .spawn()
        .expect("this program");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().expect("kill");
            child.wait().expect("wait");
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let bytes = std::fs::read(said.path()).expect("what it said");
    let said = String::from_utf8_lossy(&bytes).into_owned();
    let status = status.unwrap_or_else(|| panic!("{test} as {role} took too long: {said}"));
    let files = std::fs::read_dir(scratch.path()).expect("the temporary directory");
    let crash = files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().ends_with(".crash"))
        .map(|file| std::fs::read_to_string(file.path()).expect("the crash file"))
        .collect();
    Ended {
        status,
        said,
        crash,
    }
}

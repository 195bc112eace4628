//! Messages as kmod's tools have them.

use modfs_depot::{Level, Report};
use std::io::Write as _;

/// Writes messages to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToStderr {
    /// What the tool is called.
    pub(crate) tool: &'static str,
    /// No messages but those that go with a failure.
    pub(crate) quiet: bool,
    /// All messages.
    pub(crate) verbose: bool,
}

impl Report for ToStderr {
    fn report(&self, level: Level, text: &str) {
        let tool = self.tool;
        match level {
            _ if self.quiet => {}
            Level::Error => eprintln!("{tool}: ERROR: {text}"),
            Level::Warning => eprintln!("{tool}: WARNING: {text}"),
            Level::Info if self.verbose => eprintln!("{tool}: {text}"),
            Level::Info => {}
        }
    }
}

/// Writes to standard output. Whoever closed it does not want to know.
pub(crate) fn print(bytes: impl AsRef<[u8]>) {
    let _ = std::io::stdout().write_all(bytes.as_ref());
}

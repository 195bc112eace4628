//! Messages as kmod's tools have them.

use modfs_depot::{Level, Report};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;

/// Writes messages to standard error, or to the system's log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    /// What the tool is called.
    pub(crate) tool: &'static str,
    /// No messages but those that go with a failure.
    pub(crate) quiet: bool,
    /// All messages.
    pub(crate) verbose: bool,
    /// To the system's log.
    pub(crate) syslog: bool,
}

impl Messages {
    /// Takes the lines of a failure; returns what is still to be printed of it.
    pub(crate) fn failure(&self, text: String) -> String {
        if !self.syslog || text.is_empty() {
            return text;
        }
        let tool = self.tool;
        let bare = |line: &str| {
            line.strip_prefix(&format!("{tool}: "))
                .unwrap_or(line)
                .to_owned()
        };
        let lines: Vec<String> = text.lines().map(bare).collect();
        match log(tool, ERROR, &lines) {
            Ok(()) => String::new(),
            Err(_) => text,
        }
    }
}

impl Report for Messages {
    fn report(&self, level: Level, text: &str) {
        let (word, priority) = match level {
            _ if self.quiet => return,
            Level::Info if !self.verbose => return,
            Level::Error => ("ERROR: ", ERROR),
            Level::Warning => ("WARNING: ", WARNING),
            Level::Info => ("", INFO),
        };
        let line = format!("{word}{text}");
        if !self.syslog || log(self.tool, priority, std::slice::from_ref(&line)).is_err() {
            eprintln!("{}: {line}", self.tool);
        }
    }
}

/// `LOG_DAEMON | LOG_ERR` and so on (syslog(3)).
const ERROR: u8 = 3 << 3 | 3;
const WARNING: u8 = 3 << 3 | 4;
const INFO: u8 = 3 << 3 | 6;

/// Where who keeps the system's log listens.
const LOG: &str = "/dev/log";

/// Sends lines to the system's log, as syslog(3) does.
fn log(tool: &str, priority: u8, lines: &[String]) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    let process = std::process::id();
    for line in lines {
        let message = format!("<{priority}>{tool}[{process}]: {line}");
        socket.send_to(message.as_bytes(), LOG)?;
    }
    Ok(())
}

/// Writes to standard output. Whoever closed it does not want to know.
pub(crate) fn print(bytes: impl AsRef<[u8]>) {
    let _ = std::io::stdout().write_all(bytes.as_ref());
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    print(text + "\n");
    Ok(())
}

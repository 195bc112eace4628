//! How far a long run is, on a terminal.

use crate::report::Messages;
use modfs_depot::{Level, Report};
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What takes no longer than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const BETWEEN: Duration = Duration::from_millis(100);

/// Messages, and below them one line that says how far the work is, which goes away at the end.
/// There is no such line where standard error is no terminal.
pub(crate) struct Progress<'a> {
    messages: &'a Messages,
    line: Option<Mutex<Line>>,
}

struct Line {
    next: Instant,
    /// How many columns of the terminal it has; 0: it is not there.
    width: usize,
}

impl Line {
    fn show(&mut self, text: &str) {
        let mut error = io::stderr().lock();
        // Blanks over what was there: not every terminal knows more.
        let _ = write!(error, "\r{text:width$}\r{text}", width = self.width);
        let _ = error.flush();
        self.width = text.len();
    }

    fn hide(&mut self) {
        if self.width > 0 {
            self.show("");
        }
    }
}

impl<'a> Progress<'a> {
    /// With a line only if that is `wanted`.
    pub(crate) fn new(messages: &'a Messages, wanted: bool) -> Progress<'a> {
        let shown = wanted && io::stderr().is_terminal();
        let next = Instant::now() + PATIENCE;
        Progress {
            messages,
            line: shown.then(|| Mutex::new(Line { next, width: 0 })),
        }
    }

    /// Takes the line away, if it is there.
    pub(crate) fn hide(&self) {
        if let Some(Ok(mut line)) = self.line.as_ref().map(Mutex::lock) {
            line.hide();
        }
    }
}

impl Report for Progress<'_> {
    fn report(&self, level: Level, text: &str) {
        self.hide();
        self.messages.report(level, text);
    }

    fn progress(&self, done: usize, of: usize) {
        // While another thread shows it nobody waits.
        let Some(Ok(mut line)) = self.line.as_ref().map(Mutex::try_lock) else {
            return;
        };
        let now = Instant::now();
        if now >= line.next {
            line.next = now + BETWEEN;
            line.show(&format!("Reading modules: {done}/{of}"));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.hide();
    }
}

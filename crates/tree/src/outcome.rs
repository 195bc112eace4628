//! What the commands of a `control` file came to, for reading it.

use crate::snapshot::one_line;
use modfs_core::Refusal;
use std::fmt::Write;

/// How many characters of a command, or of a reason, are shown.
const SHOWN: usize = 1024;

/// Commands under way and the outcome of the last one.
#[derive(Default)]
pub(crate) struct Outcomes {
    next: u64,
    running: Vec<(u64, String)>,
    last: Option<String>,
}

impl Outcomes {
    /// Notes that a command has begun; [`Outcomes::end`] takes the number.
    pub(crate) fn begin(&mut self, command: &str) -> u64 {
        self.next += 1;
        self.running.push((self.next, shown(command)));
        self.next
    }

    /// Notes that a command has ended.
    pub(crate) fn end(&mut self, number: u64) {
        self.running.retain(|(n, _)| *n != number);
    }

    /// Keeps the outcome of a command as the last.
    pub(crate) fn record(&mut self, command: &str, outcome: &Result<(), Refusal>) {
        let command = shown(command);
        let mut text = String::new();
        match outcome {
            Ok(()) => text = format!("last: {command}: ok\n"),
            Err(refusal) => {
                let errno = refusal.errno;
                // Writing to a String cannot fail.
                let _ = writeln!(text, "last: {command}: {} {}", errno.name(), errno.text());
                for reason in &refusal.reasons {
                    if reason != errno.text() {
                        let _ = writeln!(text, "  {}", shown(reason));
                    }
                }
            }
        }
        self.last = Some(text);
    }

    /// Whether any command is under way.
    pub(crate) fn busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// The lines `running: …` and `last: …`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (_, command) in &self.running {
            let _ = writeln!(text, "running: {command}");
        }
        text.push_str(self.last.as_deref().unwrap_or_default());
        text
    }
}

fn shown(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

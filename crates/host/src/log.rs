//! The log that printk writes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How grave a message is, as in syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The host cannot go on.
    Emerg,
    /// Must be seen to at once.
    Alert,
    /// Critical.
    Crit,
    /// An error.
    Err,
    /// A warning.
    Warning,
    /// Normal but significant.
    Notice,
    /// For information.
    Info,
    /// For debugging.
    Debug,
}

impl Level {
    fn of(digit: u8) -> Option<Level> {
        const LEVELS: [Level; 8] = [
            Level::Emerg,
            Level::Alert,
            Level::Crit,
            Level::Err,
            Level::Warning,
            Level::Notice,
            Level::Info,
            Level::Debug,
        ];
        LEVELS.get(usize::from(digit.checked_sub(b'0')?)).copied()
    }
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// How grave.
    pub level: Level,
    /// Microseconds since the host began.
    pub micros: u64,
    /// The text, without a newline.
    pub text: String,
}

impl Record {
    /// The line as `proc/kmsg` shows it, with its newline.
    pub fn line(&self) -> String {
        let (seconds, micros) = (self.micros / 1_000_000, self.micros % 1_000_000);
        format!(
            "<{}>[{seconds:5}.{micros:06}] {}\n",
            self.level as u8, self.text
        )
    }
}

/// How many bytes of records are kept.
const CAPACITY: usize = 256 << 10;
/// A line that goes on for longer is ended: module code may never print its newline.
const LINE_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Record>,
    bytes: usize,
    /// A line that has no newline yet.
    partial: Option<(Level, String)>,
}

/// What a record takes; an empty line is not free.
fn cost(record: &Record) -> usize {
    size_of::<Record>() + record.text.len()
}

/// A log of bounded size: the oldest lines go first.
#[derive(Debug)]
pub(crate) struct Log {
    began: Instant,
    ring: Mutex<Ring>,
    echo: Mutex<bool>,
}

impl Log {
    pub(crate) fn new() -> Log {
        Log {
            began: Instant::now(),
            ring: Mutex::default(),
            echo: Mutex::new(false),
        }
    }

    /// Lines are written to standard error too.
    pub(crate) fn set_echo(&self, echo: bool) {
        *self.echo.lock().unwrap_or_else(PoisonError::into_inner) = echo;
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one or several whole lines.
    pub(crate) fn write(&self, level: Level, text: &str) {
        let mut ring = self.ring();
        self.flush(&mut ring);
        for line in text.lines() {
            self.push(&mut ring, level, line.to_owned());
        }
    }

    /// Writes what printk was given: a level as SOH and a digit, or `<digit>`, may begin it; a
    /// line ends with its newline, or with the next message that is no continuation (`c`).
    pub(crate) fn printk(&self, message: &[u8]) {
        let (level, text) = match message {
            [1, b'c', rest @ ..] => (None, rest),
            [1, digit, rest @ ..] => (Level::of(*digit).or(Some(Level::Warning)), rest),
            [b'<', digit @ b'0'..=b'7', b'>', rest @ ..] => (Level::of(*digit), rest),
            text => (Some(Level::Warning), text),
        };
        let text = String::from_utf8_lossy(text);
        let mut ring = self.ring();
        match (level, &mut ring.partial) {
            (None, Some((_, line))) => line.push_str(&text),
            _ => {
                self.flush(&mut ring);
                ring.partial = Some((level.unwrap_or(Level::Warning), text.into_owned()));
            }
        }
        let ended = ring
            .partial
            .as_ref()
            .is_some_and(|(_, line)| line.ends_with('\n') || line.len() >= LINE_MAX);
        if ended {
            self.flush(&mut ring);
        }
    }

    fn flush(&self, ring: &mut Ring) {
        if let Some((level, text)) = ring.partial.take() {
            for line in text.lines() {
                self.push(ring, level, line.to_owned());
            }
        }
    }

    fn push(&self, ring: &mut Ring, level: Level, text: String) {
        let micros = self.began.elapsed().as_micros() as u64;
        let record = Record {
            level,
            micros,
            text,
        };
        if *self.echo.lock().unwrap_or_else(PoisonError::into_inner) {
            eprint!("{}", record.line());
        }
        ring.bytes += cost(&record);
        ring.records.push_back(record);
        while ring.bytes > CAPACITY {
            let Some(old) = ring.records.pop_front() else {
                break;
            };
            ring.bytes -= cost(&old);
        }
    }

    /// All lines there are.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut ring = self.ring();
        self.flush(&mut ring);
        ring.records.iter().cloned().collect()
    }

    /// All lines as `proc/kmsg` shows them.
    pub(crate) fn text(&self) -> String {
        self.records()
            .iter()
            .fold(String::new(), |mut all, record| {
                let _ = write!(all, "{}", record.line());
                all
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: &Log) -> Vec<(u8, String)> {
        let records = log.records();
        records
            .into_iter()
            .map(|r| (r.level as u8, r.text))
            .collect()
    }

    #[test]
    fn levels_continuations_and_lines() {
        let log = Log::new();
        log.printk(b"\x016hello\n");
        log.printk(b"<3>old style\n");
        log.printk(b"\x014one");
        log.printk(b"\x01c two");
        log.printk(b"\x01c three\n");
        log.printk(b"no newline");
        log.printk(b"\x011next\nand another\n");
        assert_eq!(
            lines(&log),
            [
                (6, "hello".into()),
                (3, "old style".into()),
                (4, "one two three".into()),
                (4, "no newline".into()),
                (1, "next".into()),
                (1, "and another".into()),
            ]
        );
    }

    #[test]
    fn is_bounded() {
        let log = Log::new();
        let long = "x".repeat(1000);
        for _ in 0..1000 {
            log.write(Level::Info, &long);
        }
        assert!(log.text().len() < CAPACITY * 2);
    }

    #[test]
    fn is_bounded_for_empty_lines_and_lines_without_end() {
        let log = Log::new();
        for _ in 0..100_000 {
            log.printk(b"\n");
        }
        assert!(log.records().len() <= CAPACITY / size_of::<Record>());
        for _ in 0..100_000 {
            log.printk(b"\x01cand on and on");
        }
        assert!(log.text().len() < CAPACITY * 2);
        assert!(log.records().iter().all(|r| r.text.len() < LINE_MAX + 100));
    }
}

//! What the kernel logs.

use rustix::fs::{Mode, OFlags, SeekFrom};
use std::fs::File;
use std::io::Read;

/// The kernel's log from some time on.
#[derive(Debug)]
pub struct Kmsg(Option<File>);

impl Kmsg {
    /// From now on. Where the log may not be read, nothing is ever in it.
    pub fn from_now() -> Kmsg {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open("/dev/kmsg", flags, Mode::empty());
        let at_end = opened.and_then(|file| {
            rustix::fs::seek(&file, SeekFrom::End(0))?;
            Ok(File::from(file))
        });
        Kmsg(at_end.ok())
    }

    /// The lines since then.
    pub fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(file) = &mut self.0 else {
            return lines;
        };
        // A read gives a record; one that was overwritten meanwhile is EPIPE.
        let mut record = vec![0; 8192];
        loop {
            match file.read(&mut record) {
                Ok(0) => return lines,
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    lines.extend(message(&text).map(str::to_owned));
                }
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {}
                Err(_) => return lines,
            }
        }
    }
}

/// The message of a record: after `PRIORITY,NUMBER,TIME,FLAGS;`, without the lines of properties.
fn message(record: &str) -> Option<&str> {
    let (_, text) = record.split_once(';')?;
    text.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let record = "4,1234,5678,-;loop: module verification failed\n SUBSYSTEM=x\n";
        assert_eq!(message(record), Some("loop: module verification failed"));
        assert_eq!(message("junk"), None);
    }
}

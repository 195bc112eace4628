//! `c`: modprobe.d, and questions about it. `k`: the kernel's command line. `g`: PATTERN NUL NAME,
//! compared with fnmatch(3). `m`: a modules.conf of Linux 2.4, with its commands not run.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_depot::config::{Config, Line, Surroundings, parse_command_line};
use modfs_depot::{Level, fuzz};
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A file in memory.
static FILE: LazyLock<(File, PathBuf)> = LazyLock::new(|| {
    let fd = rustix::fs::memfd_create("conf", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    (File::from(fd), path.into())
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((kind, rest)) = data.split_first() else {
        return Corpus::Reject;
    };
    let text = String::from_utf8_lossy(rest);
    match kind {
        b'c' => questions(&modprobe_d(&text)),
        b'k' => {
            let mut config = Config::default();
            parse_command_line(&text, Path::new("/proc/cmdline"), &mut config);
            questions(&config);
        }
        b'm' => return modules_conf(&text),
        b'g' => return pattern(rest),
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

fn modprobe_d(text: &str) -> Config {
    let report = |_: Level, text: &str| assert!(!text.is_empty());
    let mut config = Config::default();
    config.text(text, Path::new("a.conf"), &report);
    // What is printed says the same again.
    let printed: String = config
        .rules
        .iter()
        .map(|rule| format!("{}\n", rule.line))
        .collect();
    let mut again = Config::default();
    again.text(&printed, Path::new("a.conf"), &report);
    let lines = |config: &Config| -> Vec<Line> {
        config.rules.iter().map(|rule| rule.line.clone()).collect()
    };
    // A backslash, or a blank of another kind, may come to be at the end of a line.
    let plain = |c: char| matches!(c, ' '..='~' | '\n' | '\t') && c != '\\';
    if text.chars().all(plain) {
        assert_eq!(lines(&config), lines(&again), "{printed}");
    }
    config
}

fn questions(config: &Config) {
    let own = config
        .rules
        .iter()
        .take(8)
        .map(|rule| rule.line.to_string());
    let words: Vec<String> = own
        .flat_map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .chain(["snd_hda_intel".to_owned()])
        .take(32)
        .collect();
    for name in &words {
        let _ = (config.aliases(name).count(), config.blacklisted(name));
        let _ = (
            config.install(name),
            config.remove(name),
            config.softdeps(name),
        );
        let _ = (config.forbidden(name), config.options(name, &words));
    }
}

fn modules_conf(text: &str) -> Corpus {
    // Not to look for files all over this machine.
    if text.contains('/') && (text.contains("include") || text.contains(['*', '?', '[', '$'])) {
        return Corpus::Reject;
    }
    let around = Surroundings {
        version: "2.4.37".to_owned(),
        autoclean: text.len().is_multiple_of(2),
        commands: false,
        root: "/".into(),
    };
    let (file, path) = &*FILE;
    file.set_len(0).expect("truncate");
    fs::write(path, text).expect("write");
    match Config::read_modules_conf(path, &around) {
        Ok(config) => {
            questions(&config);
            let _ = (config.depfile(), config.environment().count());
        }
        Err(why) => assert!(why.to_string().contains(" line ")),
    }
    Corpus::Keep
}

fn pattern(data: &[u8]) -> Corpus {
    let Some(end) = data.iter().position(|byte| *byte == 0) else {
        return Corpus::Reject;
    };
    let (pattern, name) = (&data[..end], &data[end + 1..]);
    let ours = fuzz::glob(pattern, name);
    // The C library's takes exponential time for some, knows classes of characters that nobody
    // uses for modules, and its sets are of characters and not of bytes.
    let odd = |two: &[u8]| matches!(two, [b'[', b':' | b'.' | b'=']);
    let plain = data.is_ascii() && !pattern.windows(2).any(odd);
    let (Ok(pattern), Ok(name)) = (CString::new(pattern), CString::new(name)) else {
        return Corpus::Keep;
    };
    if plain && data.len() < 64 {
        // SAFETY: both end in a NUL.
        let theirs = unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), 0) };
        assert_eq!(ours, theirs == 0, "{pattern:?} {name:?}");
    }
    Corpus::Keep
}

//! modprobe.d.

use super::files;
use super::{Config, Deps, Line, Origin, Rule};
use crate::{Level, Report, normalize_alias};
use std::path::{Path, PathBuf};

/// The directories of modprobe.d(5), of which an earlier one counts more.
const PLACES: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

impl Config {
    /// Reads the configuration: of the files or directories given, or else of the usual ones, and
    /// what depmod found in the modules of a version directory. What is wrong is reported, and the
    /// rest is taken.
    pub fn read(places: &[PathBuf], version: &Path, report: &dyn Report) -> Config {
        let mut config = Config::default();
        let own = ["modules.softdep", "modules.weakdep"].map(|file| version.join(file));
        let unread = files::read(places, &PLACES, &own, report, |file, text| {
            config.files.push(file.to_owned());
            config.text(text, file, report);
        });
        config.wrong += unread;
        config
    }

    /// Adds the lines of a text, which is said to be from a file.
    pub fn text(&mut self, text: &str, file: &Path, report: &dyn Report) {
        let file = std::sync::Arc::from(file);
        for (number, text) in files::lines(text) {
            match parse(&text) {
                Ok(line) => self.rules.push(Rule {
                    line,
                    origin: Origin {
                        file: std::sync::Arc::clone(&file),
                        line: number,
                    },
                }),
                Err(why) => {
                    self.wrong += 1;
                    let text = format!("{} line {number}: {why}", file.display());
                    report.report(Level::Warning, &text);
                }
            }
        }
    }
}

/// A line of modprobe.d.
fn parse(text: &str) -> Result<Line, String> {
    let (word, rest) = split(text);
    let (name, after) = split(rest);
    let normal = |name: &str| {
        let normal = normalize_alias(name.as_bytes());
        let normal = normal.and_then(|bytes| String::from_utf8(bytes).ok());
        normal.ok_or_else(|| format!("the brackets of '{name}' do not match"))
    };
    let needed = |what: &str, text: &str| match text.is_empty() {
        true => Err(format!("'{word}' needs {what}")),
        false => Ok(()),
    };
    let list = |text: &str| {
        let names = text.split_ascii_whitespace().map(normal);
        names.collect::<Result<Vec<_>, _>>()
    };
    if matches!(
        word,
        "alias"
            | "blacklist"
            | "options"
            | "install"
            | "remove"
            | "softdep"
            | "weakdep"
            | "allow"
            | "deny"
    ) {
        needed("a module's name", name)?;
    }
    // Tabs between options are for people.
    let after_spaced = || after.replace('\t', " ");
    Ok(match word {
        "alias" => {
            needed("a module's name after the alias", after)?;
            Line::Alias {
                pattern: normal(name)?,
                module: normal(split(after).0)?,
            }
        }
        "blacklist" => Line::Blacklist(normal(name)?),
        "options" => {
            needed("options after the name", after)?;
            Line::Options {
                module: normal(name)?,
                options: after_spaced(),
            }
        }
        "install" | "remove" => {
            needed("a command after the name", after)?;
            let (pattern, command) = (normal(name)?, after.to_owned());
            match word {
                "install" => Line::Install { pattern, command },
                _ => Line::Remove { pattern, command },
            }
        }
        "softdep" => Line::Softdep {
            module: normal(name)?,
            deps: softdep(after),
        },
        "weakdep" => Line::Weakdep {
            module: normal(name)?,
            deps: list(after)?,
        },
        "allow" => Line::Allow(list(rest)?),
        "deny" => Line::Deny {
            pattern: normal(name)?,
            reason: after.to_owned(),
        },
        "include" | "config" => {
            return Err(format!(
                "'{word}' is not parsed any more: put the file into a directory of modprobe.d"
            ));
        }
        _ => return Err(format!("ignoring bad line starting with '{word}'")),
    })
}

/// The first word, and what comes after it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim())
}

/// The names are aliases too, and stay as they are.
fn softdep(text: &str) -> Deps {
    let mut deps = Deps::default();
    let mut list = None;
    for word in text.split_ascii_whitespace() {
        match word {
            "pre:" => list = Some(&mut deps.pre),
            "post:" => list = Some(&mut deps.post),
            // Before either, kmod takes no notice of it.
            _ => list.iter_mut().for_each(|list| list.push(word.to_owned())),
        }
    }
    deps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> (Config, Vec<String>) {
        let told = std::sync::Mutex::new(Vec::new());
        let mut config = Config::default();
        let report = |_: Level, text: &str| told.lock().unwrap().push(text.to_owned());
        config.text(text, Path::new("a.conf"), &report);
        (config, told.into_inner().unwrap())
    }

    #[test]
    fn each_directive() {
        let text = "alias net-pf-[1-2] some-module\nblacklist a-b\noptions c x=1\ty=\"2 3\"\n\
                    install d /bin/false $CMDLINE_OPTS\nremove d true\n\
                    softdep e pre: f-g h post: i\nsoftdep e pre: j h\nweakdep e k\ndeny m* too old\n";
        let (config, told) = config(text);
        assert_eq!(told, [""; 0]);
        let lines: Vec<_> = config
            .rules
            .iter()
            .map(|rule| rule.line.to_string())
            .collect();
        assert_eq!(lines[0], "alias net_pf_[1-2] some_module");
        assert_eq!(lines[2], "options c x=1 y=\"2 3\"");
        assert_eq!(config.rules[5].origin.line, 6);
        let aliases: Vec<_> = config
            .aliases("net_pf_2")
            .map(|(module, _)| module)
            .collect();
        assert_eq!(aliases, ["some_module"]);
        assert!(config.blacklisted("a_b").is_some() && config.blacklisted("a").is_none());
        assert_eq!(
            config.install("d").map(|(c, _)| c),
            Some("/bin/false $CMDLINE_OPTS")
        );
        let deps = config.softdeps("e");
        assert_eq!(
            (deps.pre.join(" "), deps.post.join(" ")),
            ("f-g h j".into(), "i".into())
        );
        assert_eq!(
            config.forbidden("mine").map(|(why, _)| why).as_deref(),
            Some("too old")
        );
        assert!(config.forbidden("other").is_none());
    }

    #[test]
    fn an_allow_line_forbids_the_rest() {
        let (config, _) = config("allow a b*\nallow c\n");
        for (name, allowed) in [("a", true), ("bx", true), ("c", true), ("d", false)] {
            assert_eq!(config.forbidden(name).is_none(), allowed, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let (config, told) =
            config("alias x\n\nfoo bar\ninclude /etc/x\nalias a] b\nblacklist ok\n");
        assert_eq!((config.wrong, config.rules.len()), (4, 1));
        assert!(
            told[0].starts_with("a.conf line 1: 'alias' needs"),
            "{}",
            told[0]
        );
        assert_eq!(
            told[1],
            "a.conf line 3: ignoring bad line starting with 'foo'"
        );
        assert!(told[3].contains("brackets"), "{}", told[3]);
    }

    #[test]
    fn options_of_a_module_and_of_the_alias_that_led_to_it() {
        let (config, _) = config("options m a=1\noptions other b=2\noptions m c=3\n");
        assert_eq!(config.options("m", &[]), "a=1 c=3");
        assert_eq!(config.options("m", &["other".into()]), "a=1 b=2 c=3");
    }
}

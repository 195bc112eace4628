//! The kernel's command line: `MODULE.PARAMETER[=VALUE]` and `modprobe.blacklist=A,B`.

use super::{Config, Line, Origin, Rule};
use std::path::Path;

/// Adds what a command line says of modules.
pub fn parse(text: &str, file: &Path, config: &mut Config) {
    let origin = Origin {
        file: file.into(),
        line: 0,
    };
    // What comes after `--` is for init.
    for word in words(text).take_while(|word| *word != "--") {
        // Grub quotes a whole argument that has spaces in its value.
        let word = match word
            .strip_prefix('"')
            .and_then(|word| word.strip_suffix('"'))
        {
            Some(inner) if inner.contains('.') => match inner.split_once('=') {
                Some((name, value)) if value.contains(' ') => format!("{name}=\"{value}\""),
                _ => inner.to_owned(),
            },
            _ => word.to_owned(),
        };
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&*word, None),
        };
        // A dot in the value only is none.
        let Some((module, parameter)) = name.split_once('.') else {
            continue;
        };
        // A quote that is in a name, or has no end, makes it no parameter of a module.
        let odd = name.contains('"') || word.matches('"').count() % 2 == 1;
        if module.is_empty() || parameter.is_empty() || odd {
            continue;
        }
        let add = |config: &mut Config, line: Line| {
            config.rules.push(Rule {
                line,
                origin: origin.clone(),
            });
        };
        if (module, parameter) == ("modprobe", "blacklist") {
            let names = value.unwrap_or_default().trim_matches('"');
            for name in names.split(',').filter(|n| !n.is_empty()) {
                add(config, Line::Blacklist(name.replace('-', "_")));
            }
            continue;
        }
        let options = match value {
            Some(value) => format!("{parameter}={value}"),
            None => parameter.to_owned(),
        };
        add(
            config,
            Line::Options {
                module: module.replace('-', "_"),
                options,
            },
        );
    }
}

/// The words of a command line: spaces in double quotes do not part them.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.trim_end_matches('\n')
        .split(move |c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        })
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_parameters_and_blacklists() {
        let mut config = Config::default();
        let text = "root=/dev/sda1 quiet snd-hda-intel.model=a,b usb.x \
                    x.text=\"two words\" \"y.text=two words\" modprobe.blacklist=a-b,,c \
                    modprobe.blacklist=\"d,e\" \
                    initrd=a.img .z=1 w.=2 \"v.w\"=1 -- init.x=1 \"open.x=1\n";
        parse(text, Path::new("/proc/cmdline"), &mut config);
        let told: Vec<String> = config
            .rules
            .iter()
            .map(|rule| rule.line.to_string())
            .collect();
        let wanted = [
            "options snd_hda_intel model=a,b",
            "options usb x",
            "options x text=\"two words\"",
            "options y text=\"two words\"",
            "blacklist a_b",
            "blacklist c",
            "blacklist d",
            "blacklist e",
        ];
        assert_eq!(told, wanted);
    }
}

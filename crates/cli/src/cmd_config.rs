//! `modfs config`: what is in force, and where each came from.

use crate::configured::ConfiguredArgs;
use crate::report::{Messages, print, print_json};
use crate::tree::TreeArgs;
use clap::Args;
use modfs_depot::config::Rule;
use modfs_depot::normalize_alias;
use serde::Serialize;

/// Arguments of `modfs config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    configured: ConfiguredArgs,
    /// Print an array of JSON objects
    #[arg(long)]
    json: bool,
    /// Only what is said of these modules or aliases
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Serialize)]
struct JsonRule {
    rule: String,
    file: String,
    /// From 1; 0: not of a line.
    line: u32,
}

pub(crate) fn run(args: &ConfigArgs) -> Result<(), String> {
    let messages = Messages {
        tool: "config",
        quiet: false,
        verbose: false,
        syslog: false,
    };
    let depot = args
        .configured
        .depot(args.tree.tree.is_some(), false, &messages);
    let depot = depot.map_err(|e| format!("config: {e}"))?;
    let normal = |name: &String| {
        let normal = normalize_alias(name.as_bytes());
        String::from_utf8_lossy(&normal.unwrap_or_default()).into_owned()
    };
    let names: Vec<String> = args.names.iter().map(normal).collect();
    let wanted = |rule: &&Rule| names.is_empty() || names.iter().any(|n| rule.line.is_about(n));
    let rules = depot.config().rules.iter().filter(wanted);
    if args.json {
        let rule = |rule: &Rule| JsonRule {
            rule: rule.line.to_string(),
            file: rule.origin.file.to_string_lossy().into_owned(),
            line: rule.origin.line,
        };
        return print_json(&rules.map(rule).collect::<Vec<_>>());
    }
    let line = |rule: &Rule| {
        let (file, line) = (rule.origin.file.display(), rule.origin.line);
        match line {
            0 => format!("{file}: {}\n", rule.line),
            _ => format!("{file}:{line}: {}\n", rule.line),
        }
    };
    print(rules.map(line).collect::<String>());
    Ok(())
}

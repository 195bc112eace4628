//! `kmod`: the commands that kmod has under its own name.

use crate::cmd_lsmod::{self, LsmodArgs};
use crate::report::print;
use crate::version::DirectoryArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Arguments of `kmod`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct KmodArgs {
    #[command(subcommand)]
    command: KmodCommand,
}

#[derive(Debug, Subcommand)]
enum KmodCommand {
    /// List the modules that are loaded
    List(LsmodArgs),
    /// Print the devices whose modules are loaded when they are opened
    StaticNodes(StaticNodesArgs),
}

/// Arguments of `kmod static-nodes`.
#[derive(Args, Debug)]
struct StaticNodesArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// How
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where to [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// Lines of tmpfiles.d(5), from which systemd-tmpfiles makes the nodes
    Tmpfiles,
    /// Lines of modules.devname
    Devname,
}

/// A line of `modules.devname`.
struct Node<'a> {
    module: &'a str,
    /// Below /dev.
    name: &'a str,
    kind: char,
    major: u32,
    minor: u32,
}

pub(crate) fn run(args: &KmodArgs) -> Result<(), String> {
    match &args.command {
        KmodCommand::List(args) => cmd_lsmod::run(args),
        KmodCommand::StaticNodes(args) => static_nodes(args),
    }
}

fn static_nodes(args: &StaticNodesArgs) -> Result<(), String> {
    let error = |why: String| format!("kmod: ERROR: {why}");
    let directory = args.directory.of(None, None, None).map_err(error)?;
    let file = directory.join("modules.devname");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        // As before the first depmod; no reason for a boot to fail.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            eprintln!("Warning: {} not found - ignoring", file.display());
            return Ok(());
        }
        Err(e) => return Err(error(format!("cannot read {}: {e}", file.display()))),
    };
    let mut shown = String::new();
    let mut directories = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let Some(node) = Node::parse(line) else {
            let (file, number) = (file.display(), number + 1);
            eprintln!("kmod: WARNING: {file} line {number}: not a device: {line}");
            continue;
        };
        node.show(args.format, &mut directories, &mut shown);
    }
    match &args.output {
        None => print(shown),
        Some(output) => {
            let written = match output.parent() {
                Some(parent) => fs::create_dir_all(parent),
                None => Ok(()),
            }
            .and_then(|()| fs::write(output, shown));
            written.map_err(|e| error(format!("cannot write {}: {e}", output.display())))?;
        }
    }
    Ok(())
}

impl<'a> Node<'a> {
    /// Module, name, and `c` or `b` with the major and minor number.
    fn parse(line: &'a str) -> Option<Node<'a>> {
        let mut words = line.split(' ');
        let (module, name, device) = (words.next()?, words.next()?, words.next()?);
        let kind = device.chars().next().filter(|kind| "cb".contains(*kind))?;
        let (major, minor) = device[1..].split_once(':')?;
        // A node below /dev, and one word for who makes it.
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        let leads_out = name.split('/').any(|part| matches!(part, "" | "." | ".."));
        if leads_out || name.contains(is_odd) {
            return None;
        }
        Some(Node {
            module,
            name,
            kind,
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    fn show(&self, format: Format, directories: &mut HashSet<String>, text: &mut String) {
        let Node {
            module,
            name,
            kind,
            major,
            minor,
        } = self;
        let _ = match format {
            Format::Devname => writeln!(text, "{module} {name} {kind}{major}:{minor}"),
            Format::Human => writeln!(
                text,
                "Module: {module}\n\tDevice node: /dev/{name}\n\t\tType: {} device\n\
                 \t\tMajor: {major}\n\t\tMinor: {minor}",
                if *kind == 'c' { "character" } else { "block" }
            ),
            Format::Tmpfiles => {
                if let Some((parent, _)) = name.rsplit_once('/')
                    && directories.insert(parent.to_owned())
                {
                    let _ = writeln!(text, "d /dev/{parent} 0755 - - -");
                }
                writeln!(text, "{kind}! /dev/{name} 0600 - - - {major}:{minor}")
            }
        };
    }
}

//! modfs: the multi-call binary. It parses arguments and prints; what it does is in the crates
//! below it.

#![forbid(unsafe_code)]

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use modfs_start as _;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

mod cmd_build;
mod cmd_closure;
mod cmd_coldplug;
mod cmd_config;
mod cmd_demo;
mod cmd_depmod;
mod cmd_explain;
mod cmd_genksyms;
mod cmd_host;
mod cmd_insmod;
mod cmd_install;
mod cmd_kmod;
mod cmd_ksyms;
mod cmd_ld;
mod cmd_load;
mod cmd_log;
mod cmd_lsmod;
mod cmd_modinfo;
mod cmd_modprobe;
mod cmd_mount;
mod cmd_rmmod;
mod cmd_run;
mod cmd_symvers;
mod cmd_verify;
mod configured;
mod jobs;
mod keyring;
mod linux;
mod loader;
mod place;
mod progress;
mod report;
mod samples;
mod service;
mod tree;
mod version;

/// Loadable modules as files, for any program
#[derive(Parser, Debug)]
#[command(
    name = "modfs",
    version,
    propagate_version = true,
    args_override_self = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The commands. Those that are the name of an older tool are also what the program does when
/// it is called by that name.
#[derive(Subcommand, Debug)]
enum Command {
    /// Show all of it: build sample modules, start a host, use it from a shell, clean up
    Demo(cmd_demo::DemoArgs),
    /// Run a small user-space kernel whose modules, devices and files are under MOUNTPOINT
    Host(cmd_host::HostArgs),
    /// Show the modules of the running Linux as files under DIR, to be loaded and unloaded there
    Mount(cmd_mount::MountArgs),
    /// Make a package for a module in Rust
    New(cmd_build::NewArgs),
    /// Build C or Rust sources into a module
    Build(cmd_build::BuildArgs),
    /// Insert a module into the running Linux, or into a tree
    Insmod(cmd_insmod::InsmodArgs),
    /// Remove modules from the running Linux, or from a tree
    Rmmod(cmd_rmmod::RmmodArgs),
    /// List the modules of the running Linux, or of a tree
    Lsmod(cmd_lsmod::LsmodArgs),
    /// Insert modules with all that they need, or remove them
    Modprobe(cmd_modprobe::ModprobeArgs),
    /// Make the indexes of a directory of modules
    Depmod(cmd_depmod::DepmodArgs),
    /// Load the modules of all devices that are there, as at boot
    Coldplug(cmd_coldplug::ColdplugArgs),
    /// Load what modules-load.d and the kernel's command line say, as at boot
    Load(cmd_load::LoadArgs),
    /// List every file that modules need, for whoever builds an initramfs
    Closure(cmd_closure::ClosureArgs),
    /// Put this program into a directory, with links of the older tools' names
    Install(cmd_install::InstallArgs),
    /// Print what modules say of themselves
    Modinfo(cmd_modinfo::ModinfoArgs),
    /// Check who signed modules, with certificates from a file or of a kernel
    Verify(cmd_verify::VerifyArgs),
    /// Print the configuration of modules that is in force, and where each line is from
    Config(cmd_config::ConfigArgs),
    /// The commands that kmod has under its own name
    Kmod(cmd_kmod::KmodArgs),
    /// Print the log of a host
    Log(cmd_log::LogArgs),
    /// Make checksums of C declarations, as genksyms
    Genksyms(cmd_genksyms::GenksymsArgs),
    /// Write the checksums of what modules, objects or programs export, from their DWARF, or compare two
    Symvers(cmd_symvers::SymversArgs),
    /// Say of each symbol that a module needs whether it still is what the module was built against
    ExplainVersion(cmd_explain::ExplainArgs),
    /// Show the symbols of a tree, as 2.4's ksyms
    Ksyms(cmd_ksyms::KsymsArgs),
    /// Link modules against a tree, and write the images there
    Ld(cmd_ld::LdArgs),
    /// Run a program whose calls about modules a host answers
    Run(cmd_run::RunArgs),
    /// Write the C headers that modules include to a directory
    Headers(HeadersArgs),
}

/// Arguments of `modfs headers`.
#[derive(clap::Args, Debug)]
struct HeadersArgs {
    /// Where to; it is made when it does not exist
    directory: std::path::PathBuf,
}

/// The names of older tools.
pub(crate) const TOOLS: [&str; 7] = [
    "insmod", "rmmod", "lsmod", "modprobe", "depmod", "modinfo", "kmod",
];

/// The arguments, with the command put in when the program was called by a tool's name.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let called = arguments
        .first()
        .and_then(|path| Path::new(path).file_name());
    // `cargo modfs new` runs `cargo-modfs modfs new`.
    if called == Some(OsStr::new("cargo-modfs"))
        && arguments.get(1).is_some_and(|word| word == "modfs")
    {
        arguments.remove(0);
        return arguments;
    }
    let tool = called.and_then(|name| TOOLS.iter().find(|tool| name == **tool));
    if let Some(tool) = tool {
        arguments.splice(0..1, ["modfs".into(), OsString::from(tool)]);
    }
    if arguments
        .get(1)
        .is_some_and(|command| command == "modprobe")
    {
        let options = cmd_modprobe::options_of_environment();
        arguments.splice(2..2, options.into_iter().map(OsString::from));
    }
    arguments
}

/// The code of a command that has codes of its own.
fn code(result: Result<ExitCode, String>) -> ExitCode {
    result.unwrap_or_else(|text| {
        eprintln!("{text}");
        ExitCode::FAILURE
    })
}

fn main() -> ExitCode {
    let arguments = arguments();
    let cli = Cli::try_parse_from(&arguments).unwrap_or_else(|error| {
        if error.kind() == ErrorKind::MissingRequiredArgument {
            // First in kmod's words.
            match arguments.get(1).and_then(|tool| tool.to_str()) {
                Some("insmod") => eprintln!("insmod: ERROR: missing filename."),
                Some("rmmod") => eprintln!("rmmod: ERROR: missing module name."),
                _ => {}
            }
        }
        let _ = error.print();
        // 1, as kmod's tools, not clap's 2.
        std::process::exit(i32::from(error.use_stderr()));
    });
    let result = match &cli.command {
        Command::Demo(args) => cmd_demo::run(args),
        Command::Host(args) => cmd_host::run(args),
        Command::Mount(args) => cmd_mount::run(args),
        Command::New(args) => cmd_build::new(args),
        Command::Build(args) => cmd_build::run(args),
        Command::Insmod(args) => cmd_insmod::run(args),
        Command::Rmmod(args) => cmd_rmmod::run(args),
        Command::Lsmod(args) => cmd_lsmod::run(args),
        Command::Modprobe(args) => cmd_modprobe::run(args),
        Command::Depmod(args) => cmd_depmod::run(args),
        Command::Coldplug(args) => cmd_coldplug::run(args),
        Command::Load(args) => cmd_load::run(args),
        Command::Closure(args) => cmd_closure::run(args),
        Command::Install(args) => cmd_install::run(args),
        Command::Modinfo(args) => cmd_modinfo::run(args),
        Command::Verify(args) => cmd_verify::run(args),
        Command::Config(args) => cmd_config::run(args),
        Command::Kmod(args) => cmd_kmod::run(args),
        Command::Log(args) => cmd_log::run(args),
        Command::Ksyms(args) => cmd_ksyms::run(args),
        Command::Ld(args) => cmd_ld::run(args),
        Command::Run(args) => return code(cmd_run::run(args)),
        Command::Genksyms(args) => return code(cmd_genksyms::run(args)),
        Command::Symvers(args) => return code(cmd_symvers::run(args)),
        Command::ExplainVersion(args) => return code(cmd_explain::run(args)),
        Command::Headers(args) => modfs_build::write_headers(&args.directory)
            .map_err(|e| format!("headers: cannot write to {}: {e}", args.directory.display())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            if !text.is_empty() {
                eprintln!("{text}");
            }
            ExitCode::FAILURE
        }
    }
}

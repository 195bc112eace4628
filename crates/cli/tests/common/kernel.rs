//! A host that runs, as a program of its own.

use super::needs::{is_root, need_fuse};
use super::{
    MODFS, PATIENCE, Ran, Running, copy_program, eventually, module, needs, run, sh, told,
};
use modfs_core::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// Another user than the one who runs the tests.
pub(crate) const NOBODY: u32 = 65534;

/// How a host is to be started.
#[derive(Default)]
pub(crate) struct Setup {
    /// Modules that are to be in `ko`; `NAME=OTHER` is the module OTHER under the name NAME.
    pub(crate) modules: Vec<&'static str>,
    /// Further arguments of `modfs host`.
    pub(crate) args: Vec<String>,
    /// Run it, and the scripts, as this user.
    pub(crate) user: Option<u32>,
    /// After how long it is killed; 60 s when 0.
    pub(crate) seconds: u64,
}

/// A temporary directory with a host in it.
///
/// ```text
/// bin/   modfs, insmod, rmmod, lsmod, cargo-modfs
/// ko/    the modules that were asked for
/// k/     the mount
/// ```
pub(crate) struct Kernel {
    dir: TempDir,
    setup: Setup,
    host: Option<Host>,
}

/// The host's process, and a thread that kills it when its time is over.
struct Host {
    process: Running,
    over: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Host {
    fn new(process: Running, limit: Duration) -> Host {
        let (sender, receiver) = channel();
        let pid: Pid = process.pid();
        let watch = std::thread::spawn(move || {
            // Its process is waited for only after this thread has ended.
            if receiver.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("the test takes too long: its host is killed");
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Host {
            process,
            over: Some((sender, watch)),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some((sender, watch)) = self.over.take() {
            drop(sender);
            let _ = watch.join();
        }
    }
}

impl Kernel {
    /// A host with these modules at hand.
    pub(crate) fn start(modules: &[&'static str]) -> Kernel {
        Kernel::with(modules, &[])
    }

    /// The same, with further arguments of `modfs host`.
    pub(crate) fn with(modules: &[&'static str], args: &[&str]) -> Kernel {
        Kernel::set_up(Setup {
            modules: modules.to_vec(),
            args: args.iter().map(ToString::to_string).collect(),
            ..Setup::default()
        })
    }

    pub(crate) fn set_up(setup: Setup) -> Kernel {
        let mut kernel = Kernel::stopped(setup);
        kernel.boot();
        kernel
    }

    /// All but the host.
    pub(crate) fn stopped(setup: Setup) -> Kernel {
        need_fuse();
        let dir = tempfile::Builder::new()
            .prefix("modfs-test-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .expect("a temporary directory");
        let kernel = Kernel {
            dir,
            setup,
            host: None,
        };
        let bin = kernel.path("bin");
        for name in ["bin", "ko", "k"] {
            fs::create_dir(kernel.path(name)).expect("mkdir");
        }
        match kernel.setup.user {
            None => symlink(MODFS, bin.join("modfs")).expect("symlink"),
            Some(user) => {
                // Where this one is, the other user may not be let in.
                copy_program(&bin.join("modfs"));
                chown(kernel.path("k"), Some(user), Some(user)).expect("chown");
            }
        }
        for name in ["insmod", "rmmod", "lsmod", "cargo-modfs"] {
            symlink("modfs", bin.join(name)).expect("symlink");
        }
        for name in &kernel.setup.modules {
            let (name, source) = name.split_once('=').unwrap_or((name, name));
            fs::copy(module(source), kernel.ko(name)).expect("cp");
        }
        kernel
    }

    /// Starts the host, and waits until it is there.
    pub(crate) fn boot(&mut self) {
        assert!(self.host.is_none(), "there is a host already");
        let mut command = self.command("setpriv");
        // Should the tests be killed, so is the host.
        command.args(["--pdeathsig", "KILL"]);
        command
            .arg(self.path("bin/modfs"))
            .args(["host", "--foreground"]);
        command.args(&self.setup.args).arg(self.path("k"));
        let seconds = if self.setup.seconds > 0 {
            self.setup.seconds
        } else {
            60
        };
        let host = Host::new(Running::start(command), Duration::from_secs(seconds));
        self.host = Some(host);
        eventually("the host is up", || {
            if self.process().is_over() {
                panic!("the host ended: {:#?}", self.host_mut().process.end());
            }
            self.process().printed().1.contains("modfs host ready at ")
        });
        assert!(self.is_up(), "the host does not answer");
    }

    /// Whether a host answers its user.
    pub(crate) fn is_up(&self) -> bool {
        self.sh("[ -e \"$M/kernel/version\" ]").code == Some(0)
    }

    fn host_mut(&mut self) -> &mut Host {
        self.host.as_mut().expect("no host runs")
    }

    /// The host's process.
    pub(crate) fn process(&self) -> &Running {
        &self.host.as_ref().expect("no host runs").process
    }

    /// What is in the host's `/proc/PID/` file.
    pub(crate) fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.process().id());
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Fails unless the host still runs.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        if self.process().is_over() {
            panic!("the host is dead: {:#?}", self.host_mut().process.end());
        }
        assert!(self.is_up(), "the host does not answer");
    }

    /// Sends the host a signal and gives what came of it; it must end soon.
    #[track_caller]
    pub(crate) fn stop(&mut self, signal: Signal) -> Ran {
        let mut host = self.host.take().expect("no host runs");
        host.process.signal(signal);
        let ended = host.process.ends_within(PATIENCE);
        if let Some((sender, watch)) = host.over.take() {
            drop(sender);
            watch.join().expect("the thread that watches the host");
        }
        let ran = host.process.end();
        assert!(ended, "the host did not end: {ran:#?}");
        ran
    }

    /// A path in the temporary directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A path in the tree of modules.
    pub(crate) fn tree(&self, path: &str) -> PathBuf {
        self.path("k/modules").join(path)
    }

    /// The file of a module.
    pub(crate) fn ko(&self, name: &str) -> PathBuf {
        self.path("ko").join(format!("{name}.ko"))
    }

    /// A command as the host's user, in the temporary directory.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.command_as(self.setup.user, program)
    }

    fn command_as(&self, user: Option<u32>, program: &str) -> Command {
        let mut command = match user {
            None => Command::new(program),
            Some(user) => {
                needs::need_root("it runs programs as another user");
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}"));
                command.arg(format!("--regid={user}"));
                command.args(["--clear-groups", program]);
                command
            }
        };
        let mut search = self.path("bin").into_os_string();
        search.push(":");
        search.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .current_dir(self.dir.path())
            .env("PATH", search)
            .env("LC_ALL", "C")
            .env("K", self.path("k"))
            .env("M", self.path("k/modules"))
            .env("KO", self.path("ko"))
            .env("MODFS_TREE", self.path("k/modules"));
        command
    }

    /// A shell, with the tools in its PATH, and in its environment K (the mount), M (the tree)
    /// and KO (where the modules are).
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        command
    }

    /// Runs a script.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> Ran {
        run(self.shell(script), PATIENCE)
    }

    /// Runs a script as somebody else.
    #[track_caller]
    pub(crate) fn sh_as(&self, user: u32, script: &str) -> Ran {
        let mut command = self.command_as(Some(user), "sh");
        command.args(["-c", script]);
        run(command, PATIENCE)
    }

    /// Starts a script.
    pub(crate) fn background(&self, script: &str) -> Running {
        Running::start(self.shell(script))
    }

    /// Writes to a file of the tree with one write(2), as a shell's `>` does.
    pub(crate) fn put(&self, path: &str, text: impl AsRef<[u8]>) -> Result<(), Errno> {
        told(File::create(self.tree(path)).and_then(|mut file| file.write_all(text.as_ref())))
    }

    /// What a file of the tree reads.
    pub(crate) fn get(&self, path: &str) -> Result<String, Errno> {
        let mut text = String::new();
        told(File::open(self.tree(path)).and_then(|mut file| file.read_to_string(&mut text)))?;
        Ok(text)
    }

    /// Writes a command to a module's `control`.
    pub(crate) fn control(&self, name: &str, command: &str) -> Result<(), Errno> {
        self.put(&format!("{name}/control"), command)
    }

    /// What a module's `control` says.
    #[track_caller]
    pub(crate) fn said(&self, name: &str) -> String {
        self.get(&format!("{name}/control")).expect("control")
    }

    pub(crate) fn state(&self, name: &str) -> String {
        let state = self.get(&format!("{name}/state"));
        state.map_or_else(
            |errno| format!("{errno:?}"),
            |text| text.trim_end().to_owned(),
        )
    }

    /// Makes a module's directory, with the file of a module in it; it is not mapped.
    #[track_caller]
    pub(crate) fn place(&self, name: &str, ko: &str) {
        told(fs::create_dir(self.tree(name))).expect("mkdir");
        let object = fs::read(self.ko(ko)).expect("a module");
        self.put(&format!("{name}/module"), object).expect("cp");
    }

    /// The same, mapped and started.
    #[track_caller]
    pub(crate) fn load(&self, name: &str, ko: &str) {
        self.place(name, ko);
        let started = self.control(name, "map\ninit");
        assert_eq!(started, Ok(()), "{}", self.said(name));
    }

    /// The names of the modules' directories.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.tree("")).expect("readdir");
        let names = entries.map(|entry| entry.expect("readdir").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != "kernel").collect()
    }

    /// The log, without times.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.path("k/proc/kmsg")).expect("kmsg");
        let line = |line: &str| {
            line.split_once("] ")
                .map_or("", |(_, text)| text)
                .to_owned()
        };
        log.lines().map(|text| line(text) + "\n").collect()
    }
}

/// Whether something is mounted there.
pub(crate) fn is_mounted(at: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let at = at.to_string_lossy();
    table
        .lines()
        .any(|line| line.split(' ').nth(4) == Some(&at))
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if let Some(mut host) = self.host.take() {
            host.process.signal(Signal::TERM);
            host.process.ends_within(Duration::from_secs(5));
            if let Some((sender, watch)) = host.over.take() {
                drop(sender);
                let _ = watch.join();
            }
            let ran = host.process.end();
            if std::thread::panicking() {
                eprintln!("the host: {ran:#?}");
            }
        }
        let mount = self.path("k");
        for _ in 0..8 {
            if !is_mounted(&mount) {
                break;
            }
            let place = super::quoted(&mount.to_string_lossy());
            let program = if is_root() {
                "umount -l"
            } else {
                "fusermount3 -u -z"
            };
            run(sh(&format!("{program} {place}")), PATIENCE);
        }
    }
}

//! A debugger sees modules: gdb, driven in batch on this program, and the map file for perf.
//!
//! A breakpoint in a module's code has to be a hardware one (`hbreak`): gdb cannot write to the
//! code of modules, which is one shared file, mapped to be read and executed.

mod common;

use common::rust::{build, rust};
use common::{child, host, load, unload};
use modfs_host::HostExport;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The file of the module that the process under gdb is to load.
const MODULE: &str = "MODFS_TEST_MODULE";

/// What modules call: where gdb stops.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn plugin_total_add(n: i64) -> i64 {
    std::hint::black_box(n)
}

const PLUGIN_IN_C: &str = "#include <linux/module.h>
extern long plugin_total_add(long n);
static noinline long plug_inner(long n)
{
	return plugin_total_add(n) + 1;
}
static noinline long plug_outer(long n)
{
	return plug_inner(n) + 1;
}
int init_module(void)
{
	return plug_outer(42) == 44 ? 0 : -EIO;
}
void cleanup_module(void)
{
	plug_outer(-2);
}
MODULE_LICENSE(\"GPL\");
";

/// Loads the module; nothing to do but in the process under gdb.
#[test]
fn debuggee() {
    if child::role().as_deref() != Some("debuggee") {
        return;
    }
    let host = host();
    let name = "plugin_total_add";
    host.export(&[HostExport::function(name, plugin_total_add as *const ())])
        .expect("export");
    host.show_to_gdb(true);
    let object = fs::read(std::env::var_os(MODULE).expect("a module")).expect("the module");
    for _ in 0..2 {
        load(&host, "plugin", &object, &[]);
        unload(&host, "plugin");
    }
}

/// What gdb prints when it has done this.
fn gdb(module: &Path, commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-ex", "set debuginfod enabled off"]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.arg("--args")
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "debuggee", "--nocapture", "--test-threads=1"])
        .env(child::ROLE, "debuggee")
        .env(MODULE, module);
    let output = gdb
        .output()
        .unwrap_or_else(|e| panic!("gdb: {e}; this test needs it (apt install gdb)"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(
        !errors.contains("ptrace: Operation not permitted"),
        "{errors}"
    );
    format!("{text}\n{errors}")
}

/// The frames of each backtrace, without their numbers.
fn backtraces(text: &str) -> Vec<Vec<&str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        if line.starts_with("#0 ") {
            all.push(Vec::new());
        }
        all.last_mut().expect("a first frame").push(line);
    }
    all
}

/// Stops in the host, called by the module; then, by a hardware breakpoint, in the module itself,
/// when it exits; and once more when another image of it is mapped.
fn shows(module: &Path, function: &str, frames: &[(&str, &str)]) {
    let hbreak = format!("hbreak {function}");
    let text = gdb(
        module,
        &[
            "break plugin_total_add",
            "run",
            "bt",
            "delete",
            &hbreak,
            "continue",
            "bt",
            "continue",
            "bt",
            "delete",
            "continue",
        ],
    );
    let traces = backtraces(&text);
    assert_eq!(traces.len(), 3, "{text}");
    assert!(traces[0][0].contains("plugin_total_add (n=42)"), "{text}");
    for (at, (name, place)) in frames.iter().enumerate() {
        let frame = traces[0][at + 1];
        assert!(
            frame.contains(name) && frame.contains(place),
            "{frame}: {text}"
        );
    }
    assert!(traces[0].iter().any(|f| f.contains("enter")), "{text}");
    for trace in &traces[1..] {
        assert!(trace[0].contains(function), "{text}");
    }
    assert!(
        traces[1].iter().any(|f| f.contains("cleanup_module")),
        "{text}"
    );
    assert!(
        traces[2].iter().any(|f| f.contains("init_module")),
        "{text}"
    );
    assert!(text.contains("exited normally"), "{text}");
}

#[test]
fn gdb_shows_a_module_in_c() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = dir.path().join("plug.c");
    fs::write(&source, PLUGIN_IN_C).expect("write");
    let options = modfs_build::Options {
        output: Some(dir.path().join("plug.ko")),
        debug: true,
        ..Default::default()
    };
    let module = modfs_build::build(&[source], &options)
        .expect("build")
        .module;
    shows(
        &module,
        "plug_outer",
        &[
            ("plug_inner (n=", "plug.c:5"),
            ("plug_outer (n=", "plug.c:9"),
            ("init_module ()", "plug.c:13"),
        ],
    );
}

#[test]
fn gdb_shows_a_module_in_rust() {
    let module = build("plugin", true);
    shows(
        &module,
        "plugin::middle",
        &[
            ("plugin::inner (n=42)", "src/lib.rs:19"),
            ("plugin::middle (n=42)", "src/lib.rs:24"),
            ("::init", "src/lib.rs:31"),
        ],
    );
    fs::remove_file(module).expect("rm");
}

/// perf looks for `/tmp/perf-PID.map`: in a process of its own, since there is one for each.
#[test]
fn perf_finds_the_functions() {
    if child::role().is_none() {
        let ended = child::play("perf_finds_the_functions", "perf");
        assert!(ended.status.success(), "{}", ended.said);
        return;
    }
    let path = format!("/tmp/perf-{}.map", std::process::id());
    let host = host();
    host.show_to_perf().expect("the map");
    load(&host, "kit", &rust("kit"), &[]);
    let lines = fs::read_to_string(&path).expect("the map");
    let lines: Vec<(u64, u64, &str)> = lines
        .lines()
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut number = || u64::from_str_radix(words.next().expect("a number"), 16);
            let (at, size) = (number().expect("hex"), number().expect("hex"));
            (at, size, words.next().expect("a name"))
        })
        .collect();
    for name in ["kit_twice", "kit_panic", "kit_local"] {
        let line = (
            host.symbol(name).expect("an export"),
            format!("{name} [kit]"),
        );
        let found = lines.iter().find(|(_, _, text)| *text == line.1);
        let (at, size, _) = found.unwrap_or_else(|| panic!("{name}: {lines:?}"));
        assert!(*at == line.0 && *size > 0, "{name}: {at:x} {size:x}");
    }
    let plain = "kit::panics::deep [kit]";
    assert!(lines.iter().any(|(_, _, text)| *text == plain), "{lines:?}");
    unload(&host, "kit");
    fs::remove_file(path).expect("rm");
}

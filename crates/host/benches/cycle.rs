//! What it takes to load, start, stop and unload a module, against dlopen(3) of the same source
//! as a shared object. Prints a table; `cargo bench -p modfs-host --bench cycle`.
//!
//! A cycle is: load, resolve every import, relocate, find the export, call it, call init, call
//! exit, unload. The imports are of 10 000 functions that the host, or a shared object loaded
//! before with RTLD_GLOBAL, exports. One thread; the contestants take turns in short rounds, and
//! the figures are medians of the rounds.

use modfs_core::{InitArgs, Kernel};
use modfs_host::{Host, HostExport};
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EXPORTS: usize = 10_000;
const IMPORTS: [usize; 4] = [0, 10, 100, 1000];
const ROUNDS: usize = 41;
/// How long one contestant's turn in a round is.
const TURN: Duration = Duration::from_millis(10);

/// The module's name, and its file's in the tree.
const NAME: &str = "bench";
/// What it exports.
const EXPORT: &CStr = c"bench_call";

type Function = extern "C" fn(i64) -> i64;

/// What every export of the host is.
extern "C" fn service(n: i64) -> i64 {
    n + 1
}

fn service_name(number: usize) -> String {
    format!("service_number_{number:05}")
}

/// The module: it calls each of its imports, which are spread over all exports, by name.
fn source(imports: usize) -> String {
    let mut declarations = String::new();
    let mut calls = String::new();
    for i in 0..imports {
        let name = service_name(i * (EXPORTS / imports));
        let _ = writeln!(declarations, "extern long {name}(long);");
        let _ = writeln!(calls, "\tn += {name}(n);");
    }
    format!(
        "#ifdef MODULE\n#include <linux/module.h>\n#endif\n{declarations}\
         static long state;\n\
         long bench_call(long n);\n\
         long bench_call(long n)\n{{\n\tif (n < 0)\n\t\treturn state;\n{calls}\treturn n;\n}}\n\
         int init_module(void) {{ state = 1; return 0; }}\n\
         void cleanup_module(void) {{ state = 0; }}\n\
         #ifdef MODULE\nEXPORT_SYMBOL(bench_call);\nMODULE_LICENSE(\"GPL\");\n#endif\n"
    )
}

/// The functions of the host, for dlopen.
fn services() -> String {
    (0..EXPORTS).fold(String::new(), |mut text, number| {
        let name = service_name(number);
        let _ = writeln!(text, "long {name}(long n) {{ return n + 1; }}");
        text
    })
}

fn compile(dir: &Path, name: &str, text: &str, flags: &[&str]) -> PathBuf {
    let (input, output) = (dir.join(format!("{name}.c")), dir.join(name));
    fs::write(&input, text).expect("write");
    let status = Command::new("cc")
        .args(["-O2", "-fPIC", "-fno-asynchronous-unwind-tables"])
        .args(flags)
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../module/include"))
        .arg("-o")
        .args([&output, &input])
        .status()
        .expect("cc, a C compiler");
    assert!(status.success(), "cc could not compile {name}");
    output
}

/// What is measured for one number of imports.
struct Contest {
    kernel: Arc<dyn Kernel>,
    host: Host,
    file: PathBuf,
    object: Arc<Vec<u8>>,
    shared_object: CString,
}

impl Contest {
    fn new(host: &Host, dir: &Path, imports: usize) -> Contest {
        let text = source(imports);
        let name = format!("m{imports}");
        let file = compile(
            dir,
            &format!("{name}.ko"),
            &text,
            &["-c", "-ffreestanding", "-DMODULE"],
        );
        // dlopen's best case: it need not look at the C library, nor call its start files.
        let shared = compile(dir, &format!("{name}.so"), &text, &["-shared", "-nostdlib"]);
        Contest {
            kernel: host.kernel(),
            host: host.clone(),
            object: Arc::new(fs::read(&file).expect("the object")),
            file,
            shared_object: c_path(&shared),
        }
    }

    fn cycle(&self, object: Arc<Vec<u8>>) {
        self.kernel.map(NAME, NAME, object, 0o400).expect("map");
        let args = InitArgs::default();
        self.kernel.init(NAME, NAME, &args).expect("init");
        let name = EXPORT.to_str().expect("ASCII");
        let address = self.host.symbol(name).expect("the export");
        let code = ptr::with_exposed_provenance::<()>(address as usize);
        // SAFETY: the module exports a function of this type, and is loaded.
        let call = unsafe { std::mem::transmute::<*const (), Function>(code) };
        assert_eq!(call(-1), 1);
        self.kernel.exit(NAME, NAME).expect("exit");
        self.kernel.unmap(NAME, NAME).expect("unmap");
    }

    fn cycle_memory(&self) {
        self.cycle(self.object.clone());
    }

    fn cycle_file(&self) {
        self.cycle(Arc::new(fs::read(&self.file).expect("the object")));
    }

    fn cycle_dlopen(&self) {
        let object = open(&self.shared_object, libc::RTLD_NOW | libc::RTLD_LOCAL);
        // SAFETY: the handle is open; the functions have these types, and are called before it
        // is closed.
        unsafe {
            let init: extern "C" fn() -> c_int =
                std::mem::transmute(symbol(object, c"init_module"));
            assert_eq!(init(), 0);
            let call: Function = std::mem::transmute(symbol(object, EXPORT));
            assert_eq!(call(-1), 1);
            let exit: extern "C" fn() = std::mem::transmute(symbol(object, c"cleanup_module"));
            exit();
            assert_eq!(libc::dlclose(object), 0);
        }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("a path")
}

fn open(path: &CStr, flags: c_int) -> *mut libc::c_void {
    // SAFETY: the objects that are opened here have no constructors.
    let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
    assert!(!handle.is_null(), "dlopen {path:?}: {:?}", dl_error());
    handle
}

fn dl_error() -> String {
    // SAFETY: a string that stays until the next call, or NULL.
    let text: *const c_char = unsafe { libc::dlerror() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// # Safety
/// The handle is open.
unsafe fn symbol(handle: *mut libc::c_void, name: &CStr) -> *mut libc::c_void {
    // SAFETY: the caller's.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    assert!(!address.is_null(), "dlsym {name:?}: {:?}", dl_error());
    address
}

/// Runs it for about a turn; the time one takes, in microseconds.
fn turn(count: u32, what: &dyn Fn()) -> f64 {
    let began = Instant::now();
    for _ in 0..count {
        black_box(what)();
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// How often it fits into a turn.
fn count_of(time: Duration, what: &dyn Fn()) -> u32 {
    what();
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < time {
        what();
        count += 1;
    }
    count.max(1)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Medians of what takes part, in microseconds.
fn measured<const N: usize>(rounds: usize, time: Duration, all: [&dyn Fn(); N]) -> [f64; N] {
    let counts = all.map(|what| count_of(time, what));
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for ((times, what), count) in times.iter_mut().zip(all).zip(counts) {
            times.push(turn(count, what));
        }
    }
    times.map(median)
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |text| {
            text.trim_start_matches([' ', '\t', ':'])
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cpus} CPUs, Linux {}", kernel.trim())
}

fn main() {
    // `cargo test` runs this too: then it only shows that it works.
    let asked = std::env::args().any(|argument| argument == "--bench");
    let (rounds, time) = if asked {
        (ROUNDS, TURN)
    } else {
        (1, Duration::ZERO)
    };
    // SAFETY: the modules are the ones generated here.
    let host = unsafe { Host::new() }.expect("a host");
    let exports: Vec<HostExport> = (0..EXPORTS)
        .map(|number| HostExport::function(&service_name(number), service as *const ()))
        .collect();
    host.export(&exports).expect("export");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let library = compile(
        dir.path(),
        "services.so",
        &services(),
        &["-shared", "-nostdlib"],
    );
    open(&c_path(&library), libc::RTLD_NOW | libc::RTLD_GLOBAL);

    println!("{}; 1 thread, {rounds} rounds, medians\n", machine());
    println!("| imports | modfs, memory | modfs, file | dlopen | memory | file |");
    println!("|--------:|--------------:|------------:|-------:|-------:|-----:|");
    for imports in IMPORTS {
        let contest = Contest::new(&host, dir.path(), imports);
        let [memory, file, dlopen] = measured(
            rounds,
            time,
            [
                &|| contest.cycle_memory(),
                &|| contest.cycle_file(),
                &|| contest.cycle_dlopen(),
            ],
        );
        println!(
            "| {imports} | {memory:.1} µs | {file:.1} µs | {dlopen:.1} µs | {:.2}x | {:.2}x |",
            memory / dlopen,
            file / dlopen
        );
    }
}

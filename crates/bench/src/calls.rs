//! What a call into a module costs.

use crate::loaders::{Dlopen, From, Loader, Modfs};
use crate::rounds::{Contestant, medians};
use crate::services::Services;
use crate::sources::{self, Forms};
use crate::table::{Figure, markdown, noise};
use crate::{EXPORT, Result, Setting};
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

type Function = extern "C" fn() -> i64;
/// Calls in one step of the measurement.
const CALLS: u32 = 1000;
const WHAT: [&str; 4] = [
    "direct, a function of the program",
    "pointer that dlsym gave",
    "pointer that `Host::symbol` gave",
    "`Host::call`, by name, guarded",
];

static STATE: AtomicI64 = AtomicI64::new(0);

/// Does what the modules' export does.
#[inline(never)]
extern "C" fn direct() -> i64 {
    STATE.load(Ordering::Relaxed)
}

pub(crate) fn prepare(setting: &Setting) -> Result<Forms> {
    let (exports, _) = setting.services.first().ok_or("no services")?;
    Ok(sources::importing(setting.dir.path(), 0, *exports)?.0)
}

/// One pass, in nanoseconds; a row for each way to call.
pub(crate) fn measure(setting: &mut Setting, forms: &Forms) -> Result<Vec<Vec<f64>>> {
    let (exports, path) = setting.services.first().ok_or("no services")?;
    let services = Services::open(path, *exports)?;
    let modfs = Modfs::new(&services)?;
    let object = Arc::new(fs::read(&forms.modfs).map_err(|e| e.to_string())?);
    let module = modfs.load("bench", From::Memory(&object))?;
    let library = Dlopen::open(&forms.shared)?;
    let there = modfs.host.symbol(EXPORT).ok_or("no export")?;
    let there = std::ptr::with_exposed_provenance::<()>(there as usize);
    let dlsym = library.address(EXPORT)?;
    // SAFETY: functions of this type, in modules that are loaded for as long as this runs.
    let (there, dlsym) = unsafe {
        (
            std::mem::transmute::<*const (), Function>(there),
            std::mem::transmute::<*const (), Function>(dlsym),
        )
    };
    let (there, dlsym) = (black_box(there), black_box(dlsym));
    // So that the compiler does not know what `direct` returns, and calls it.
    STATE.store(black_box(42), Ordering::Relaxed);
    let host = &modfs.host;
    let contestants: [(&str, Contestant<'_>); 4] = [
        (WHAT[0], Ok(many(|| direct()))),
        (WHAT[1], Ok(many(move || dlsym()))),
        (WHAT[2], Ok(many(move || there()))),
        (
            WHAT[3],
            Ok(many(move || {
                // SAFETY: a function without arguments.
                unsafe { host.call(EXPORT, [0; 5]) }.map_or(-1, |n| n as i64)
            })),
        ),
    ];
    let times = medians(setting.effort, &contestants, &mut setting.reasons);
    drop(contestants);
    library.close()?;
    module.unload()?;
    Ok(times
        .into_iter()
        .map(|time| vec![time / f64::from(CALLS)])
        .collect())
}

fn many<'a>(call: impl Fn() -> i64 + 'a) -> Box<dyn Fn() -> Result<()> + 'a> {
    Box::new(move || {
        for _ in 0..CALLS {
            if black_box(call()) < 0 {
                return Err("the call failed".into());
            }
        }
        Ok(())
    })
}

pub(crate) fn show(rows: &[Vec<Figure>]) -> String {
    let mut text = String::from(
        "## A call into a module\n\n\
         Of a function without arguments that returns a variable; 1 thread.\n\n",
    );
    let direct = rows[0][0];
    let cells: Vec<Vec<String>> = WHAT
        .iter()
        .zip(rows)
        .map(|(what, row)| {
            let time = row[0];
            vec![
                (*what).to_owned(),
                time.shown(1.0, " ns"),
                time.of(direct),
                noise(row),
            ]
        })
        .collect();
    text += &markdown(&["call", "time", "/ direct", "passes differ by"], &cells);
    text
}

//! Many different modules, loaded from files and kept.

use crate::child;
use crate::loaders::{From, Which};
use crate::machine::held;
use crate::rounds::median;
use crate::services::Services;
use crate::sources::{crowd_answer, crowd_name};
use crate::table::{Figure, markdown, noise};
use crate::{Result, Setting};
use std::path::Path;
use std::time::Instant;

/// Who takes part. kmod-loader finds no exports: nothing could tell which modules it loaded.
const WHO: [Which; 3] = [Which::Modfs, Which::Dlopen, Which::Relink];

/// In a process of its own: milliseconds to load all and to unload all, KiB and mappings each.
pub(crate) fn child(
    which: Which,
    services: &Path,
    exports: usize,
    dir: &Path,
    count: usize,
) -> Result<[f64; 4]> {
    let services = Services::open(services, exports)?;
    let loader = which.loader(&services)?;
    let names: Vec<String> = (0..count).map(crowd_name).collect();
    let paths: Vec<_> = names
        .iter()
        .map(|name| dir.join(format!("{name}.{}", which.extension())))
        .collect();
    let mut modules = Vec::with_capacity(count);
    let before = held()?;
    let began = Instant::now();
    for (name, path) in names.iter().zip(&paths) {
        modules.push(loader.load(name, From::File(path))?);
    }
    let load = began.elapsed();
    let after = held()?;
    for (number, module) in modules.iter().enumerate() {
        let answer = module.call(&format!("{}_a", names[number]))?;
        if answer != Some(crowd_answer(number, exports)) {
            return Err(format!("{} answered {answer:?}", names[number]));
        }
    }
    let began = Instant::now();
    for module in modules {
        module.unload()?;
    }
    let unload = began.elapsed();
    let each = |after: f64, before: f64| (after - before) / count as f64;
    Ok([
        load.as_secs_f64() * 1e3,
        unload.as_secs_f64() * 1e3,
        each(after.kib, before.kib),
        each(after.mappings, before.mappings),
    ])
}

/// One pass: for each loader a row.
pub(crate) fn measure(setting: &mut Setting) -> Result<Vec<Vec<f64>>> {
    let (exports, services) = setting.services.first().ok_or("no services")?;
    let mut all = vec![vec![Vec::new(); 4]; WHO.len()];
    for _ in 0..setting.effort.few() {
        for (which, columns) in WHO.iter().zip(&mut all) {
            let mut command = child::command("crowd")?;
            command
                .arg(which.argument())
                .arg(services)
                .arg(exports.to_string());
            command
                .arg(setting.crowd())
                .arg(setting.modules.to_string());
            match child::figures::<4>(&mut command) {
                Ok(figures) => {
                    for (column, figure) in columns.iter_mut().zip(figures) {
                        column.push(figure);
                    }
                }
                Err(error) => setting
                    .reasons
                    .push(format!("{}, crowd: {error}", which.shown())),
            }
        }
    }
    let medians = all
        .into_iter()
        .map(|row| row.into_iter().map(median).collect());
    Ok(medians.collect())
}

pub(crate) fn show(setting: &Setting, rows: &[Vec<Figure>]) -> String {
    let mut text = format!(
        "## {} modules, kept\n\n\
         Different ones, of 10 imports, 3 exports and 264 bytes of data, loaded from files and \
         started by 1 thread of a fresh process with 10 000 exports; KiB are what became resident, \
         and pages of a memfd that are not. {} rounds, twice.\n\n",
        setting.modules,
        setting.effort.few()
    );
    let dlopen = rows.get(1).cloned().unwrap_or_default();
    let head = [
        "loader",
        "load all",
        "/ dlopen",
        "KiB each",
        "mappings each",
        "unload all",
        "/ dlopen",
        "passes differ by",
    ];
    let mut cells = Vec::new();
    for (which, row) in WHO.iter().zip(rows) {
        let ([load, unload, kib, mappings], [other, other_unload, ..]) = (&row[..], &dlopen[..])
        else {
            continue;
        };
        cells.push(vec![
            which.shown().to_owned(),
            load.shown(1.0, " ms"),
            load.of(*other),
            kib.shown(1.0, ""),
            mappings.shown(1.0, ""),
            unload.shown(1.0, " ms"),
            unload.of(*other_unload),
            noise(&[*load, *unload]),
        ]);
    }
    text += &markdown(&head, &cells);
    text
}

//! A module's whole life: load, resolve, relocate, init, a call, exit, unload.

use crate::loaders::{self, From, Loader, Which};
use crate::rounds::{Contestant, beside, medians};
use crate::services::Services;
use crate::sources::{self, Forms};
use crate::table::{Figure, markdown, noise};
use crate::{Result, Setting};
use std::fs;
use std::sync::Arc;

const IMPORTS: [usize; 4] = [0, 10, 100, 1000];
const BUSY: [usize; 2] = [0, 1];
/// Who takes part, and whether from memory; in the order of the columns.
const COLUMNS: [(&str, Which, bool); 7] = [
    ("modfs, memory", Which::Modfs, true),
    ("modfs, file", Which::Modfs, false),
    ("dlopen, file", Which::Dlopen, false),
    ("elf_loader, memory", Which::Relink, true),
    ("elf_loader, file", Which::Relink, false),
    ("kmod-loader, memory", Which::Kmod, true),
    ("kmod-loader, file", Which::Kmod, false),
];

/// The modules for one size of the host, each with the right answer.
pub(crate) struct Modules(Vec<(usize, Forms, i64)>);

pub(crate) fn prepare(setting: &Setting, exports: usize) -> Result<Modules> {
    let dir = setting.dir.path();
    let made = IMPORTS.map(|imports| {
        let (forms, answer) = sources::importing(dir, imports, exports)?;
        Ok((imports, forms, answer))
    });
    Ok(Modules(made.into_iter().collect::<Result<_>>()?))
}

/// One pass: for each host, number of busy threads, number of imports: a row.
pub(crate) fn measure(setting: &mut Setting, modules: &[Modules]) -> Result<Vec<Vec<f64>>> {
    let mut rows = Vec::new();
    for ((exports, path), Modules(modules)) in setting.services.iter().zip(modules) {
        let services = Services::open(path, *exports)?;
        let loaders = Which::ALL.map(|which| (which, which.loader(&services)));
        for busy in BUSY {
            for (_, forms, answer) in modules {
                let contestants: Vec<(&str, Contestant<'_>)> = COLUMNS
                    .iter()
                    .map(|(_, which, memory)| {
                        let (_, loader) = loaders
                            .iter()
                            .find(|(w, _)| w == which)
                            .ok_or("not there")?;
                        let loader = loader.as_ref().map_err(Clone::clone)?;
                        let path = which.form(forms);
                        contestant(loader.as_ref(), path, *memory, *answer)
                    })
                    .zip(COLUMNS)
                    .map(|(contestant, (name, _, _))| (name, contestant))
                    .collect();
                let reasons = &mut setting.reasons;
                rows.push(beside(busy, || {
                    medians(setting.effort, &contestants, reasons)
                }));
            }
        }
    }
    Ok(rows)
}

fn contestant<'a>(
    loader: &'a dyn Loader,
    path: &'a std::path::Path,
    memory: bool,
    answer: i64,
) -> Contestant<'a> {
    if memory {
        let object = Arc::new(fs::read(path).map_err(|e| e.to_string())?);
        Ok(Box::new(move || {
            loaders::cycle(loader, From::Memory(&object), answer)
        }))
    } else {
        Ok(Box::new(move || {
            loaders::cycle(loader, From::File(path), answer)
        }))
    }
}

pub(crate) fn show(setting: &Setting, rows: &[Vec<Figure>]) -> String {
    let mut text = format!(
        "## A module's life\n\n\
         Load, resolve, relocate, init (which calls every import and checks the answer), find an \
         export and call it, exit, unload; 1 thread, and where it says so another that only \
         computes. dlopen: the same source as a shared object built with `-nostdlib`, which is \
         its best case; kmod-loader finds no exports, so none is called. {} rounds in turns of \
         {} µs after a cycle that is not measured, twice.\n",
        setting.effort.rounds,
        setting.effort.turn.as_micros()
    );
    let mut rows = rows.iter();
    for (exports, _) in &setting.services {
        for busy in BUSY {
            let beside = ["no busy thread beside", "1 busy thread beside"][busy];
            text += &format!("\n{exports} exports, {beside}:\n\n");
            let mut head = vec!["imports"];
            head.extend(COLUMNS.map(|(name, _, _)| name));
            head.push("passes differ by");
            let mut figures = Vec::new();
            let mut ratios = Vec::new();
            for (imports, row) in IMPORTS.iter().zip(&mut rows) {
                let mut cells = vec![imports.to_string()];
                cells.extend(row.iter().map(|figure| figure.micros()));
                cells.push(noise(row));
                figures.push(cells);
                let [memory, file, dlopen, relink, relink_file, kmod, kmod_file] = row[..] else {
                    continue;
                };
                let pairs = [
                    (memory, dlopen),
                    (file, dlopen),
                    (memory, relink),
                    (file, relink_file),
                    (memory, kmod),
                    (file, kmod_file),
                ];
                let mut cells = vec![imports.to_string()];
                cells.extend(pairs.map(|(ours, theirs)| ours.of(theirs)));
                ratios.push(cells);
            }
            text += &markdown(&head, &figures);
            let head = [
                "modfs: imports",
                "memory / dlopen",
                "file / dlopen",
                "memory / elf_loader",
                "file / elf_loader",
                "memory / kmod-loader",
                "file / kmod-loader",
            ];
            text += "\n";
            text += &markdown(&head, &ratios);
        }
    }
    text
}

//! What it takes to make a host's exports known.

use crate::loaders::{kmod, modfs, relink};
use crate::rounds::median;
use crate::services::Services;
use crate::table::{Figure, markdown, noise};
use crate::{Result, Setting};
use std::hint::black_box;
use std::time::Instant;

const WHO: [&str; 3] = [
    "modfs, `Host::export`",
    "elf_loader, `SyntheticModule::new`",
    "kmod-loader, the host's own `HashMap`",
];

/// One pass, in nanoseconds: for each table a row, for each host a column.
pub(crate) fn measure(setting: &mut Setting) -> Result<Vec<Vec<f64>>> {
    let mut rows = vec![Vec::new(); WHO.len()];
    for (exports, path) in &setting.services {
        let services = Services::open(path, *exports)?;
        let ours = modfs::exports(&services);
        let symbols = relink::symbols(&services)?;
        let domain = relink::domain();
        let mut times = [const { Vec::new() }; WHO.len()];
        for _ in 0..setting.effort.few() {
            let host = modfs::host()?;
            let began = Instant::now();
            host.export(&ours).map_err(|e| e.to_string())?;
            times[0].push(nanos(began));
            drop(host);

            let symbols = symbols.clone();
            let began = Instant::now();
            let table = black_box(relink::table(&domain, symbols));
            times[1].push(nanos(began));
            drop(table);

            let began = Instant::now();
            let table = black_box(kmod::table(&services));
            times[2].push(nanos(began));
            drop(table);
        }
        for (row, times) in rows.iter_mut().zip(times) {
            row.push(median(times));
        }
    }
    Ok(rows)
}

fn nanos(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e9
}

pub(crate) fn show(setting: &Setting, rows: &[Vec<Figure>]) -> String {
    let mut text = String::from(
        "## A host's exports\n\n\
         Making functions known by name, once in a host's life; 1 thread. modfs also makes a stub \
         for each. (A shared object's table was made by its linker.)\n\n",
    );
    let mut head = vec!["table".to_owned()];
    for (exports, _) in &setting.services {
        head.push(format!("{exports} exports"));
        head.push("modfs / this".to_owned());
    }
    head.push("passes differ by".to_owned());
    let mut cells = Vec::new();
    for (who, row) in WHO.iter().zip(rows) {
        let mut line = vec![(*who).to_owned()];
        for (time, ours) in row.iter().zip(&rows[0]) {
            line.push(time.shown(1e-6, " ms"));
            line.push(ours.of(*time));
        }
        line.push(noise(row));
        cells.push(line);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    text += &markdown(&head, &cells);
    text
}

//! `modfs ld`: the loader outside.

use crate::report::print;
use crate::tree::TreeArgs;
use clap::Args;
use modfs_client::{Start, check_name, module_name};
use modfs_depot::Reader;
use std::path::PathBuf;

/// Arguments of `modfs ld`.
#[derive(Args, Debug)]
pub(crate) struct LdArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// The module may be unloaded again by `rmmod -a` once it is not used
    #[arg(short = 'k', long)]
    autoclean: bool,
    /// The name to load it under [default: the file's]
    #[arg(short = 'o', long)]
    name: Option<String>,
    /// Print where everything is
    #[arg(short, long)]
    map: bool,
    /// The modules, in an order in which each needs only those before it; `NAME=VALUE` is a parameter of the
    /// module before it
    #[arg(value_name = "FILE | PARAM=VALUE", required = true)]
    words: Vec<String>,
}

/// Links each module against the tree, and starts it.
pub(crate) fn run(args: &LdArgs) -> Result<(), String> {
    let tree = args.tree.open().map_err(|e| format!("ld: {e}"))?;
    let mut modules: Vec<(PathBuf, Vec<String>)> = Vec::new();
    for word in &args.words {
        let is_parameter = word.contains('=') && !PathBuf::from(word).exists();
        match modules.last_mut().filter(|_| is_parameter) {
            Some((_, parameters)) => parameters.push(word.clone()),
            None => modules.push((word.into(), Vec::new())),
        }
    }
    if args.name.is_some() && modules.len() > 1 {
        return Err("ld: --name is for one module".into());
    }
    for (file, parameters) in &modules {
        let failed = |why: &str| {
            let lines = why.replace('\n', "\n  ");
            format!("ld: could not load {}: {lines}", file.display())
        };
        let mut reader = Reader::default();
        let object = reader.read(file).map_err(|e| failed(&e.to_string()))?;
        let name = args.name.clone().unwrap_or_else(|| module_name(file));
        check_name(&name).map_err(|why| failed(&format!("{why}; give one with --name")))?;
        let start = Start {
            force: modfs_core::Force::default(),
            autoclean: args.autoclean,
            parameters,
        };
        let loaded = modfs_loader::load(&tree, &name, object, start);
        let (map, unknown) = loaded.map_err(|error| {
            let text = error.errno().text();
            failed(&format!("{text}\n{error}"))
        })?;
        for parameter in unknown {
            eprintln!("ld: {name}: unknown parameter '{parameter}' ignored");
        }
        if args.map {
            print(map.to_string());
        }
    }
    Ok(())
}

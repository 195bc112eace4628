//! A module list driven as a kernel drives it, without module code.

#![allow(dead_code, reason = "not every test file uses all of it")]

use modfs_core::{
    Command, Errno, Export, Flags, Id, InitArgs, Modules, NewModule, Owner, Refusal, State,
    Unresolved,
};

/// The payload says which image a module has: it counts the links.
pub(crate) type List = Modules<u32>;

pub(crate) fn export(name: &str) -> Export {
    Export {
        name: name.into(),
        address: 0x1000,
        near: 0x1000,
        crc: None,
        gpl: false,
    }
}

pub(crate) fn exports(names: &[&str]) -> Vec<Export> {
    names.iter().map(|name| export(name)).collect()
}

/// The module file's name, of every module.
pub(crate) const FILE: &str = "m.ko";

pub(crate) fn begin_map(list: &mut List, name: &str) -> Result<Id, Refusal> {
    list.begin_map(&NewModule { name, file: FILE })
}

/// Maps a module that exports and imports these names.
pub(crate) fn map(
    list: &mut List,
    name: &str,
    exported: &[&str],
    imported: &[&str],
) -> Result<Id, Refusal> {
    let id = begin_map(list, name)?;
    link(list, id, exported, imported)?;
    Ok(id)
}

/// What comes between `begin_map` or `begin_relink` and an image, or none.
pub(crate) fn link(
    list: &mut List,
    id: Id,
    exported: &[&str],
    imported: &[&str],
) -> Result<(), Refusal> {
    for name in imported {
        if let Err(why) = list.resolve(name, true) {
            list.abort_map(id);
            return Err(Refusal::new(Errno::ENOENT, format!("{name}: {why:?}")));
        }
    }
    list.depend(id, imported.iter().copied());
    let links = list.get(id).and_then(|m| m.payload()).map_or(1, |n| n + 1);
    let done = list.finish_map(id, &exports(exported), links);
    if done.is_err() {
        list.abort_map(id);
    }
    done
}

/// Maps and initialises a module.
pub(crate) fn run(list: &mut List, name: &str, exported: &[&str], imported: &[&str]) -> Id {
    let id = map(list, name, exported, imported).unwrap();
    init(list, id);
    id
}

pub(crate) fn init(list: &mut List, id: Id) {
    list.begin_init(id, &InitArgs::default()).unwrap();
    list.finish_init(id);
}

/// As `run`, for a module that the sweep may unload.
pub(crate) fn run_on_demand(
    list: &mut List,
    name: &str,
    exported: &[&str],
    imported: &[&str],
) -> Id {
    let id = map(list, name, exported, imported).unwrap();
    let args = InitArgs {
        autoclean: true,
        ..InitArgs::default()
    };
    list.begin_init(id, &args).unwrap();
    list.finish_init(id);
    id
}

pub(crate) fn exit(list: &mut List, id: Id) -> Result<(), Refusal> {
    list.begin_exit(id)?;
    list.finish_exit(id, false);
    Ok(())
}

pub(crate) fn state(list: &List, id: Id) -> Option<State> {
    list.get(id).map(|m| m.state())
}

pub(crate) fn try_get(list: &List, id: Id) -> bool {
    list.get(id).unwrap().gate().try_get()
}

pub(crate) fn put(list: &List, id: Id) -> bool {
    list.get(id).unwrap().gate().put()
}

pub(crate) fn has(list: &List, id: Id, flag: Flags) -> bool {
    list.get(id).unwrap().gate().flags().contains(flag)
}

pub(crate) fn deps(list: &List, id: Id) -> Vec<String> {
    list.status(id).unwrap().deps
}

pub(crate) fn refs(list: &List, id: Id) -> Vec<String> {
    list.status(id).unwrap().refs
}

pub(crate) fn exported(list: &List, owner: Owner) -> Vec<String> {
    let lines = list.exports(owner);
    lines.into_iter().map(|line| line.name).collect()
}

/// Everything that can be seen of a list, to compare before and after.
pub(crate) fn seen(list: &List) -> String {
    let modules: Vec<_> = list
        .iter()
        .map(|(id, m)| {
            (
                id,
                m.name().clone(),
                list.status(id),
                m.payload().copied(),
                list.exports(Owner::Module(id)),
            )
        })
        .collect();
    format!("{modules:?} {:?}", list.exports(Owner::Kernel))
}

/// Applies a command as a kernel does, up to the point where module code would run.
pub(crate) fn apply(list: &mut List, name: &str, command: Command) -> Result<(), Refusal> {
    match command {
        Command::Map => begin_map(list, name).map(drop),
        Command::Unmap => list.unmap(name, FILE).map(drop),
        Command::Init => {
            let (id, again) = list.begin_relink(name, FILE)?;
            if again {
                link(list, id, &[], &[])?;
            }
            list.begin_init(id, &InitArgs::default())
        }
        Command::Exit => {
            let id = list.admit(name, FILE, Command::Exit)?;
            list.begin_exit(id)
        }
    }
}

/// The errno of a refusal whose reasons are fit to be shown.
pub(crate) fn errno<T>(result: Result<T, Refusal>) -> Result<T, Errno> {
    result.map_err(|refusal| {
        assert!(!refusal.reasons.is_empty(), "{refusal:?}");
        for reason in &refusal.reasons {
            assert!(
                !reason.is_empty() && !reason.contains('\n'),
                "not a line: {reason:?}"
            );
        }
        refusal.errno
    })
}

pub(crate) fn missing(list: &List, name: &str) -> bool {
    list.resolve(name, true) == Err(Unresolved::Missing)
}

use crate::Errno;
use core::fmt;

/// Where a mapped module is in its life. A module file that is not mapped has no state.
///
/// ```text
///            map                 init              returned 0
/// (unmapped) ───▶ Uninitialized ─────▶ Initializing ────────▶ Running
///     ▲                │  ▲                 │ failed             │ exit
///     │ unmap          │  └─────────────────┘                    ▼
///     ├────────────────┘                                      Exiting
///     │ unmap                                                    │ returned
///     └────────────────────────────────────────────── Deleted ◀──┘
/// ```
///
/// A module whose code faulted is `Faulted` from then on, whatever it was doing: its memory may
/// be referenced from anywhere, so it stays mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Mapped, or its last init failed; no code of it runs.
    Uninitialized,
    /// Its init runs.
    Initializing,
    /// Live: its exports can be used.
    Running,
    /// No new use can begin; its cleanup runs.
    Exiting,
    /// Cleaned up, still mapped.
    Deleted,
    /// Its code faulted; it can never be left or unmapped.
    Faulted,
}

impl State {
    /// All states, in the order of [`TABLE`]'s rows after the first.
    pub const ALL: [State; 6] = [
        State::Uninitialized,
        State::Initializing,
        State::Running,
        State::Exiting,
        State::Deleted,
        State::Faulted,
    ];

    /// The word that the tree's `state` file shows.
    pub const fn word(self) -> &'static str {
        match self {
            State::Uninitialized => "uninitialized",
            State::Initializing => "initializing",
            State::Running => "running",
            State::Exiting => "exiting",
            State::Deleted => "deleted",
            State::Faulted => "faulted",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What can be written to `control` about a module file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Give the file a place in the kernel.
    Map,
    /// Take the place away.
    Unmap,
    /// Start the module.
    Init,
    /// Stop the module.
    Exit,
}

impl Command {
    /// All commands, in the order of [`TABLE`]'s columns.
    pub const ALL: [Command; 4] = [Command::Map, Command::Unmap, Command::Init, Command::Exit];

    /// The word that is written to `control`.
    pub const fn word(self) -> &'static str {
        match self {
            Command::Map => "map",
            Command::Unmap => "unmap",
            Command::Init => "init",
            Command::Exit => "exit",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const OK: Result<(), Errno> = Ok(());
const EXIST: Result<(), Errno> = Err(Errno::EEXIST);
const NOENT: Result<(), Errno> = Err(Errno::ENOENT);
const BUSY: Result<(), Errno> = Err(Errno::EBUSY);
const INVAL: Result<(), Errno> = Err(Errno::EINVAL);

/// What each command does in each state: the whole rule, from which code, tests and
/// documentation are made.
///
/// | state         | map    | unmap  | init   | exit   |
/// |---------------|--------|--------|--------|--------|
/// | unmapped      | ok     | ENOENT | ENOENT | ENOENT |
/// | uninitialized | EEXIST | ok     | ok     | EINVAL |
/// | initializing  | EEXIST | EBUSY  | EBUSY  | EBUSY  |
/// | running       | EEXIST | EBUSY  | EEXIST | ok     |
/// | exiting       | EEXIST | EBUSY  | EBUSY  | EBUSY  |
/// | deleted       | EEXIST | ok     | EINVAL | EINVAL |
/// | faulted       | EEXIST | EBUSY  | EBUSY  | EBUSY  |
///
/// "ok" means that the state allows it; `map` can still be refused for what the object is,
/// `exit` for who uses the module (EBUSY).
pub const TABLE: [[Result<(), Errno>; 4]; 7] = [
    [OK, NOENT, NOENT, NOENT],
    [EXIST, OK, OK, INVAL],
    [EXIST, BUSY, BUSY, BUSY],
    [EXIST, BUSY, EXIST, OK],
    [EXIST, BUSY, BUSY, BUSY],
    [EXIST, OK, INVAL, INVAL],
    [EXIST, BUSY, BUSY, BUSY],
];

/// Whether a module in `state` (`None`: unmapped) takes `command`; see [`TABLE`].
///
/// # Errors
/// The errno of the table's cell.
pub fn verdict(state: Option<State>, command: Command) -> Result<(), Errno> {
    let row = state.map_or(0, |s| 1 + s as usize);
    TABLE[row][command as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    /// The table in the documentation is the table in the code.
    #[test]
    fn documented_table_is_true() {
        let source = include_str!("state.rs");
        let states = [None].into_iter().chain(State::ALL.map(Some));
        for (row, state) in TABLE.iter().zip(states) {
            let word = state.map_or("unmapped", State::word);
            let mut line = format!("/// | {word:13} |");
            for cell in row {
                let cell = cell.map_or_else(|e| String::from(e.name()), |()| "ok".into());
                line += &format!(" {cell:6} |");
            }
            assert!(source.contains(&line), "not documented: {line}");
        }
    }
}
